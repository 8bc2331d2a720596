"""nginx: where it is, and the folder it serves from."""

from __future__ import annotations

import os
import shutil

from harness import machine
from harness.build import PEERS, TARGET
from harness.failure import Unavailable

CONFIGURATION = PEERS / "nginx.conf"
FOLDER = TARGET / "nginx"
LARGE_BYTES = 64 * 1024


def find() -> str | None:
    # Debian keeps it where only root's shell looks.
    return shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


def program() -> str:
    found = find()
    if not found:
        raise Unavailable("nginx is not installed; Debian and Ubuntu have it in the package nginx")
    return found


def command() -> tuple[str, ...]:
    """How nginx is started when `prepare` has been called."""
    return (program(), "-e", "stderr", "-p", str(FOLDER), "-c", str(FOLDER / "nginx.conf"))


def version() -> str:
    """Such as `nginx 1.22.1`."""
    return machine.version_of(program(), "-v").replace("nginx version: nginx/", "nginx ")


def prepare(address: str) -> None:
    """Writes what nginx reads at its start. It takes no address on its command line."""
    for folder in ("files", "temporary"):
        (FOLDER / folder).mkdir(parents=True, exist_ok=True)
    (FOLDER / "files" / "large").write_text("x" * LARGE_BYTES)
    (FOLDER / "nginx.conf").write_text(CONFIGURATION.read_text().replace("ADDRESS", address))
