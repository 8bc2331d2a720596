"""Whether a server does its work, asked before it is measured."""

from __future__ import annotations

import http.client
import os
import socket
from typing import Callable

from harness.failure import Failure
from harness.server import HOST, Server

ANSWER_DEADLINE_SECONDS = 5.0

LARGE_BYTES = 64 * 1024
UPLOAD_BYTES = 1024 * 1024
UPLOAD_CHUNK_BYTES = 16 * 1024

UPLOAD_BODY = b"x" * UPLOAD_BYTES
CHUNK = b"%x\r\n%b\r\n" % (UPLOAD_CHUNK_BYTES, b"x" * UPLOAD_CHUNK_BYTES)
CHUNKED_UPLOAD_BODY = CHUNK * (UPLOAD_BYTES // UPLOAD_CHUNK_BYTES) + b"0\r\n\r\n"


def check_echo(server: Server) -> None:
    """Fails unless a message comes back as it was."""
    message = os.urandom(64)
    received = b""
    try:
        with connect(server) as connection:
            connection.sendall(message)
            while len(received) < len(message):
                chunk = connection.recv(len(message))
                if not chunk:
                    break
                received += chunk
    except OSError as error:
        raise server.failure(f"does not echo ({error})") from None
    if received != message:
        raise server.failure("does not send back what it received")


def check_plaintext(server: Server) -> None:
    ask_twice(server, request("GET", "/plaintext"), is_hello)


def check_large(server: Server) -> None:
    ask_twice(server, request("GET", "/large"), lambda body: len(body) == LARGE_BYTES)


def check_upload(server: Server) -> None:
    check_count(server, request("POST", "/upload", f"Content-Length: {UPLOAD_BYTES}\r\n", UPLOAD_BODY))


def check_chunked_upload(server: Server) -> None:
    check_count(server, request("POST", "/upload", "Transfer-Encoding: chunked\r\n", CHUNKED_UPLOAD_BODY))


def check_count(server: Server, upload: bytes) -> None:
    """Fails unless the server tells how much it has received: the proof that it reads all of it before it answers."""
    count = len(upload) if server.system.counts_whole_requests else UPLOAD_BYTES
    ask_twice(server, upload, lambda body: body == b"%d" % count)


def check_churn(server: Server) -> None:
    """Fails unless the answer to `Connection: close` tells that the connection ends."""
    with connect(server) as connection:
        response = ask(server, connection, request("GET", "/plaintext", "Connection: close\r\n"), is_hello)
    if not response.will_close:
        raise server.failure("does not end the connection")


def ask_twice(server: Server, message: bytes, is_right: Callable[[bytes], bool]) -> None:
    """Fails unless the second request on a connection is answered as rightly as the first."""
    with connect(server) as connection:
        for _ in range(2):
            if ask(server, connection, message, is_right).will_close:
                raise server.failure("does not keep the connection alive")


def ask(
    server: Server, connection: socket.socket, message: bytes, is_right: Callable[[bytes], bool]
) -> http.client.HTTPResponse:
    """Fails unless the answer has a right body and the headers that all of them must send."""
    what = message.partition(b" HTTP/")[0].decode()
    response = http.client.HTTPResponse(connection)
    try:
        connection.sendall(message)
        response.begin()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise server.failure(f"does not answer {what} ({error!r})") from None
    if response.status != 200 or not is_right(body):
        raise server.failure(f"answers {what} with {response.status} {body[:100]!r}, {len(body)} bytes")
    missing = [name for name in ("Content-Length", "Content-Type", "Date") if name not in response.headers]
    if missing:
        raise server.failure(f"leaves out {', '.join(missing)}, which the others have to send")
    return response


def connect(server: Server) -> socket.socket:
    try:
        return socket.create_connection((HOST, server.port), timeout=ANSWER_DEADLINE_SECONDS)
    except OSError as error:
        raise server.failure(f"does not accept ({error})") from None


def request(method: str, path: str, headers: str = "", body: bytes = b"") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n{headers}\r\n".encode() + body


def is_hello(body: bytes) -> bool:
    return body == b"Hello, World!"
