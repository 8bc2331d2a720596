"""Tests of what the harness computes. Run from tests/peers with `python3 -m unittest harness.tests`."""

import http.server
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

from harness import checks, load, nginx, table
from harness.failure import Failure, Unavailable
from harness.rounds import interleave, turned
from harness.server import Server, accepts, free_port
from harness.systems import NGINX_KINDS, SERVER_PEERS, System, choose, command_words
from harness.task_tests import Attempts, Figures, TaskWorks  # noqa: F401, unittest finds them here
from harness.works import HTTP_WORKS


class Rounds(unittest.TestCase):
    def test_the_order_turns_by_one_place_each_round(self):
        self.assertEqual(turned(["a", "b", "c"], 1), ["b", "c", "a"])
        self.assertEqual(turned(["a", "b", "c"], 3), ["a", "b", "c"])

    def test_figures_of_one_round_stand_at_the_same_place(self):
        order = []

        def measure(item):
            order.append(item)
            return (item, len(order))

        figures = interleave(["a", "b"], 2, measure)
        self.assertEqual(order, ["a", "b", "b", "a"])
        self.assertEqual(figures, [[("a", 1), ("a", 4)], [("b", 2), ("b", 3)]])


class Loads(unittest.TestCase):
    def test_echo_figures_are_read(self):
        output = "round trips: 100\nrate: 50.5 /s\np50: 12.25 us\np99: 20.00 us\np99.9: 31.00 us\n"
        self.assertEqual(load.parse_echo(output), load.Report(100, 50.5, 12.25, 20.0))

    def test_wrk_figures_are_read(self):
        output = "  63667 requests in 1.00s, 6.98MB read\nRequests/sec:  63370.99\nTransfer/sec: 6.95MB\n"
        self.assertEqual(load.parse_wrk(output), load.Report(63667, 63370.99))

    def test_errors_seen_by_wrk_fail_the_run(self):
        for complaint in ("Non-2xx or 3xx responses: 7", "Socket errors: connect 0, read 1, write 0, timeout 0"):
            with self.assertRaisesRegex(Failure, complaint):
                load.parse_wrk(f"  9 requests in 1.00s\n  {complaint}\nRequests/sec: 9.0\n")


    @unittest.skipUnless(shutil.which("wrk"), "wrk is not installed")
    def test_scripts_send_what_the_checks_send(self):
        for name, body in (("upload.lua", checks.UPLOAD_BODY), ("upload_chunked.lua", checks.CHUNKED_UPLOAD_BODY)):
            with self.subTest(name), socket.create_server(("127.0.0.1", 0)) as listener:
                listener.settimeout(10)
                command = ["wrk", "-t1", "-c1", "-d5s", "-s", load.script(name)]
                url = "http://127.0.0.1:%d/upload" % listener.getsockname()[1]
                with subprocess.Popen([*command, url], stdout=subprocess.DEVNULL) as process:
                    try:
                        head, received = first_request(listener, len(body))
                    finally:
                        process.kill()
                self.assertTrue(head.startswith(b"POST /upload HTTP/1.1\r\n"))
                self.assertEqual(received, body)


def first_request(listener, body_bytes):
    """The head and the body of the first request. wrk opens a connection before, only to see whether it can."""
    while True:
        connection, _ = listener.accept()
        connection.settimeout(10)
        received = b""
        with connection:
            while chunk := connection.recv(1 << 20):
                received += chunk
                head, _, body = received.partition(b"\r\n\r\n")
                if len(body) >= body_bytes:
                    return head, body


class Works(unittest.TestCase):
    def test_every_work_has_its_servers(self):
        kinds = {work.kind for work in HTTP_WORKS.values()}
        self.assertLessEqual(kinds, set(SERVER_PEERS))
        self.assertLessEqual(set(NGINX_KINDS), kinds)


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers rightly, but for what a test changes."""

    protocol_version = "HTTP/1.1"
    large_bytes = 64 * 1024
    reads_all_but_bytes = 0
    leaves_open = False

    def do_GET(self):
        self.answer(b"Hello, World!" if self.path == "/plaintext" else b"x" * self.large_bytes)

    def do_POST(self):
        if "Content-Length" in self.headers:
            count = len(self.rfile.read(int(self.headers["Content-Length"])))
        else:
            count = 0
            while size := int(self.rfile.readline(), 16):
                count += len(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        self.answer(b"%d" % (count - self.reads_all_but_bytes))

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "text/plain")
        if self.headers["Connection"] == "close" and not self.leaves_open:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Checks(unittest.TestCase):
    def check(self, check, **changes):
        handler = type("Changed", (Answers,), changes)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
            serving = threading.Thread(target=listening.serve_forever, args=(0.01,))
            serving.start()
            server = mock.Mock(Server)
            server.port = listening.server_address[1]
            server.system = System("changed", ())
            server.failure = lambda what: Failure(f"changed {what}")
            try:
                check(server)
            finally:
                listening.shutdown()
                serving.join()

    def test_a_right_server_passes_them_all(self):
        for work in HTTP_WORKS.values():
            self.check(work.check)

    def test_a_short_response_is_seen(self):
        with self.assertRaisesRegex(Failure, "answers GET /large with 200 .*, 65535 bytes"):
            self.check(checks.check_large, large_bytes=64 * 1024 - 1)

    def test_an_upload_that_was_not_read_to_its_end_is_seen(self):
        for check in (checks.check_upload, checks.check_chunked_upload):
            with self.assertRaisesRegex(Failure, "answers POST /upload with 200 b'1048575'"):
                self.check(check, reads_all_but_bytes=1)

    def test_a_connection_that_ends_too_early_or_too_late_is_seen(self):
        with self.assertRaisesRegex(Failure, "does not keep the connection alive"):
            self.check(checks.check_plaintext, protocol_version="HTTP/1.0")
        with self.assertRaisesRegex(Failure, "does not end the connection"):
            self.check(checks.check_churn, leaves_open=True)


class Nginx(unittest.TestCase):
    @unittest.skipUnless(nginx.find(), "nginx is not installed")
    def test_it_does_every_work_it_is_measured_in(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(nginx, "FOLDER", Path(folder)):
            system = System("nginx", nginx.command(), nginx.prepare, counts_whole_requests=True)
            for work in HTTP_WORKS.values():
                if work.kind in NGINX_KINDS:
                    with Server(system) as server:
                        work.check(server)

    def test_without_it_the_others_are_measured(self):
        with mock.patch.object(nginx, "find", lambda: None), self.assertRaisesRegex(Unavailable, "package nginx"):
            nginx.command()


class Systems(unittest.TestCase):
    def test_the_address_is_the_last_word_unless_the_command_says_otherwise(self):
        self.assertEqual(
            System("a", command_words("serve 'two words'")).at("127.0.0.1:80"),
            ["serve", "two words", "127.0.0.1:80"],
        )
        self.assertEqual(
            System("a", command_words("serve --port={port} -v")).at("127.0.0.1:80"),
            ["serve", "--port=80", "-v"],
        )

    def test_what_is_unavailable_is_left_out_unless_it_was_asked_for(self):
        def missing():
            raise Unavailable("no compiler")

        candidates = [("here", lambda: "made"), ("gone", missing)]
        chosen, notes = choose(candidates, None)
        self.assertEqual((chosen, notes), (["made"], ["gone is left out: no compiler"]))
        self.assertEqual(choose(candidates, ["here"]), (["made"], []))
        with self.assertRaisesRegex(Unavailable, "no compiler"):
            choose(candidates, ["gone"])
        with self.assertRaisesRegex(Failure, "there is no typo here"):
            choose(candidates, ["typo"])


class Servers(unittest.TestCase):
    def test_a_server_is_waited_for_and_killed(self):
        program = (
            "import socket, sys, time\n"
            "time.sleep(0.2)\n"
            "listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
            "while True: listener.accept()\n"
        )
        with Server(System("late", (sys.executable, "-c", program, "{port}"))) as server:
            self.assertTrue(accepts(server.port))
            self.assertGreater(server.cpu_seconds(), 0)
        self.assertFalse(accepts(server.port))
        self.assertIsNotNone(server.process.returncode)

    def test_a_server_that_ends_at_its_start_is_told_with_its_last_words(self):
        program = "import sys; sys.exit('no such thing')"
        with self.assertRaisesRegex(Failure, "^short ended at its start: no such thing$"):
            with Server(System("short", (sys.executable, "-c", program))):
                self.fail("it does not run")

    def test_a_port_nobody_listens_on_does_not_accept(self):
        self.assertFalse(accepts(free_port()))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.assertTrue(accepts(listener.getsockname()[1]))


class Tables(unittest.TestCase):
    def test_figures_stand_to_the_right(self):
        rows = [["floor", "1,000"], ["a", "9"]]
        self.assertEqual(table.render(["system", "req/s"], rows, markdown=False).splitlines()[2], "a           9")
        self.assertEqual(
            table.render(["system", "req/s"], rows, markdown=True).splitlines(),
            ["| system | req/s |", "| ------ | ----: |", "| floor  | 1,000 |", "| a      |     9 |"],
        )


if __name__ == "__main__":
    unittest.main()
