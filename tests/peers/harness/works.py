"""The works of HTTP servers: what each of them asks for, how it is checked, and what its reader must know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from harness import checks, load
from harness.load import Report
from harness.server import Server

CONNECTIONS = 64
# Fewer, since each has a megabyte on its way: what 64 of them hold no processor's cache does.
UPLOAD_CONNECTIONS = 16

PLAINTEXT_PACKAGES = ["hyper", "axum", "may_minihttp"]
PACKAGES = ["hyper", "may_minihttp"]

NGINX_UPLOADS = (
    "nginx holds a whole upload in memory, as it would for a server behind it, then answers by `return 200`; "
    "by itself that would answer before the body is there."
)


@dataclass(frozen=True)
class Work:
    """What is measured: which servers, by which check and which load."""

    # As the servers are told, and as systems.SERVER_PEERS calls it.
    kind: str
    title: str
    # The crates whose versions the report names.
    packages: list[str]
    connections: int
    check: Callable[[Server], None]
    # Presses an address over so many connections for some seconds.
    press: Callable[[str, int, float], Report]
    notes: tuple[str, ...] = ()


HTTP_WORKS = {
    "http": Work(
        "http",
        "HTTP plaintext",
        PLAINTEXT_PACKAGES,
        CONNECTIONS,
        checks.check_plaintext,
        load.wrk("/plaintext"),
    ),
    "pipelined": Work(
        "http",
        "HTTP plaintext, 16 requests pipelined",
        PLAINTEXT_PACKAGES,
        CONNECTIONS,
        checks.check_plaintext,
        load.wrk("/plaintext", "-s", load.script("pipeline.lua")),
    ),
    "responses": Work(
        "responses",
        "HTTP responses of 64 KiB",
        PACKAGES,
        CONNECTIONS,
        checks.check_large,
        load.wrk("/large"),
        ("nginx sends a file by sendfile, the others send from their memory.",),
    ),
    "upload": Work(
        "upload",
        "HTTP uploads of 1 MiB",
        PACKAGES,
        UPLOAD_CONNECTIONS,
        checks.check_upload,
        load.wrk("/upload", "-s", load.script("upload.lua")),
        (NGINX_UPLOADS,),
    ),
    "upload_chunked": Work(
        "upload_chunked",
        "HTTP uploads of 1 MiB in chunks of 16 KiB",
        ["hyper"],
        UPLOAD_CONNECTIONS,
        checks.check_chunked_upload,
        load.wrk("/upload", "-s", load.script("upload_chunked.lua")),
        (NGINX_UPLOADS, "may_minihttp is left out: it takes chunks for requests."),
    ),
    "churn": Work(
        "churn",
        "HTTP plaintext, a connection for each request",
        PACKAGES,
        CONNECTIONS,
        checks.check_churn,
        load.wrk("/plaintext", "-H", "Connection: close"),
        ("may_minihttp closes no connection: its server here says that it does, and wrk is the one that closes.",),
    ),
}
