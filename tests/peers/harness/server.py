"""One server process: started, waited for, and always killed."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time

from harness import machine
from harness.failure import Failure
from harness.systems import System

START_DEADLINE_SECONDS = 10.0
HOST = "127.0.0.1"


class Server:
    """A running server; `with` starts it on a free port of the loopback and kills it."""

    def __init__(self, system: System):
        self.system = system

    def __enter__(self) -> Server:
        self.port = free_port()
        self.system.prepare(self.address)
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            machine.on_cpu(machine.SERVER_CPU, self.system.at(self.address)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self.errors,
        )
        try:
            self.wait_until_it_accepts()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def cpu_seconds(self) -> float:
        """The processor time the server has used so far."""
        try:
            return machine.cpu_seconds(self.process.pid)
        except OSError:
            raise Failure("the server has ended") from None

    def wait_until_it_accepts(self) -> None:
        deadline = time.monotonic() + START_DEADLINE_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise self.failure("ended at its start")
            if accepts(self.port):
                return
            time.sleep(0.02)
        raise self.failure(f"does not listen on {self.address} after {START_DEADLINE_SECONDS:g} s")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.errors.close()

    def failure(self, what: str) -> Failure:
        """A failure that quotes the last of what the server wrote to its standard error."""
        size = os.fstat(self.errors.fileno()).st_size
        tail = os.pread(self.errors.fileno(), 500, max(0, size - 500))
        said = " / ".join(tail.decode(errors="replace").split("\n")).strip(" /")
        return Failure(f"{self.system.name} {what}" + (f": {said}" if said else ""))


def free_port() -> int:
    """A port the kernel holds to be free now; nothing keeps it so, but the kernel takes its time to hand it out again."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def accepts(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection:
            # While nobody listens, the kernel may choose this very port for our end: then we are connected to ourselves.
            return connection.getsockname() != connection.getpeername()
    except OSError:
        return False
