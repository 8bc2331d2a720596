"""Which systems there are, and how each of them is started."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Callable

from harness import build, nginx
from harness.build import Profile
from harness.failure import Failure, Unavailable

FLOOR = "floor"
# The floor once more in each round: what distinguishes two runs of the same program is noise.
FLOOR_AGAIN = "floor again"

# The Rust peers of each kind of server.
SERVER_PEERS = {
    "echo": ["tokio", "smol", "monoio", "monoio_uring", "may"],
    "http": ["hyper", "axum", "axum_hyper", "may_minihttp"],
    "responses": ["hyper", "may_minihttp"],
    "upload": ["hyper", "may_minihttp"],
    "upload_chunked": ["hyper"],
    "churn": ["hyper", "may_minihttp"],
}
NGINX_KINDS = ("responses", "upload", "upload_chunked", "churn")

# Of the other kinds, the program that kapok's own HTTP tests run is the server.
KAPOK_EXAMPLES = {"echo": "echo", "http": "hello_http"}
KAPOK_HTTP_PROGRAM = "http_server"

# A system's name and what finds out how it is started; the latter may be told that it cannot be.
Candidate = tuple[str, Callable[[], "System"]]


@dataclass(frozen=True)
class System:
    """A server; `{address}` stands in its command where the address goes."""

    name: str
    command: tuple[str, ...]
    # Called with the address before each start.
    prepare: Callable[[str], None] = lambda address: None
    # Answers an upload with the length of the request, head and all, instead of that of its body.
    counts_whole_requests: bool = False

    def at(self, address: str) -> list[str]:
        """The command that serves `address`."""
        port = address.rpartition(":")[2]
        return [word.replace("{address}", address).replace("{port}", port) for word in self.command]


def server_systems(
    kind: str, profile: Profile, only: list[str] | None, also: list[tuple[str, str]]
) -> tuple[list[System], list[str]]:
    """The servers of `kind`, a key of SERVER_PEERS, that can be built, the floor first; and notes on those that cannot."""
    programs = build.peers(profile)

    def peer(name: str, of: str) -> System:
        return System(name, (str(programs["serve"]), kind, of, "{address}"))

    def go() -> System:
        return System("go", (str(build.go_peer()), kind, "{address}"))

    def kapok() -> System:
        if kind in KAPOK_EXAMPLES:
            program = build.kapok_example(KAPOK_EXAMPLES[kind], profile)
        else:
            program = build.kapok_program(KAPOK_HTTP_PROGRAM, profile)
        # One hub is one thread, as every other system here has.
        return System("kapok", (str(program), "{address}", "--hubs", "1"))

    candidates: list[Candidate] = [("kapok", kapok)]
    candidates += [(name, lambda name=name: peer(name, name)) for name in SERVER_PEERS[kind]]
    candidates.append(("go", go))
    if kind in NGINX_KINDS:
        candidates.append(
            ("nginx", lambda: System("nginx", nginx.command(), nginx.prepare, counts_whole_requests=True))
        )
    chosen, notes = choose(candidates, only)
    chosen += [System(name, command_words(command)) for name, command in also]
    for system in chosen:
        if [other.name for other in chosen].count(system.name) > 1 or system.name in (FLOOR, FLOOR_AGAIN):
            raise Failure(f"two systems are called {system.name}")
    # As far from each other in the round as can be.
    chosen.insert(len(chosen) // 2, peer(FLOOR_AGAIN, FLOOR))
    return [peer(FLOOR, FLOOR), *chosen], notes


def choose(candidates: list[Candidate], only: list[str] | None) -> tuple[list, list[str]]:
    """Makes the wanted candidates. One that was asked for by name must be there; of the others, notes tell why not."""
    known = [name for name, _ in candidates]
    unknown = [name for name in only or [] if name not in known]
    if unknown:
        raise Failure(f"there is no {', '.join(unknown)} here; --only knows {', '.join(known)}")
    chosen, notes = [], []
    for name, make in candidates:
        if only is not None and name not in only:
            continue
        try:
            chosen.append(make())
        except Unavailable as reason:
            if only is not None:
                raise
            notes.append(left_out(name, reason))
    return chosen, notes


def left_out(name: str, reason: Exception) -> str:
    """The note that goes under the table, and to the user at once."""
    note = f"{name} is left out: {reason}"
    build.tell(note)
    return note


def command_words(command: str) -> tuple[str, ...]:
    """Splits a command as a shell does; the address is its last word unless it says otherwise."""
    words = tuple(shlex.split(command))
    if any("{address}" in word or "{port}" in word for word in words):
        return words
    return (*words, "{address}")
