"""The works without I/O: what is measured of tasks, and which program measures it on which system."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from typing import Callable

from harness import build
from harness.build import Profile
from harness.machine import LOAD_CPU, SERVER_CPU
from harness.systems import FLOOR, Candidate, choose

ONE_CPU = (SERVER_CPU,)
BOTH_CPUS = (SERVER_CPU, LOAD_CPU)

IDLE_MEMORY = "idle task memory"
IDLE_START = "idle task start"
PROCESSOR_TIME = ", processor time"


def seconds(options: argparse.Namespace) -> list[str]:
    return [str(options.seconds)]


def tasks(options: argparse.Namespace) -> list[str]:
    return [str(options.tasks)]


def nothing(_: argparse.Namespace) -> list[str]:
    return []


@dataclass(frozen=True)
class Program:
    """A program of the peers, run as `NAME SYSTEM ARGUMENT`; Go's is run as `go-peer NAME ARGUMENT`."""

    name: str
    # Those that it knows; it may know no floor.
    peers: list[str]
    # The benchmark of kapok's runtime that prints the same.
    kapok_bench: str
    argument: Callable[[argparse.Namespace], list[str]] = seconds
    # kapok's benchmarks choose their own counts of turns.
    kapok_argument: Callable[[argparse.Namespace], list[str]] = nothing
    cpus: tuple[int, ...] = ONE_CPU
    # What it tries, if a system that cannot do it is nevertheless shown with its other figures.
    attempt: str | None = None
    # The rows to be shown; all if there are none.
    rows: tuple[str, ...] = ()

    @property
    def counts_tasks(self) -> bool:
        """Whether it starts as many tasks as the user says."""
        return self.argument is tasks


@dataclass(frozen=True)
class TaskWork:
    """A comparison of tasks without I/O."""

    title: str
    programs: list[Program]
    # The rows that come first and in this order; what else a system prints follows as it came.
    rows: list[str]
    packages: list[str]
    notes: list[str] = field(default_factory=list)
    # The bytes of memory that each of `--tasks` tasks may need in the hungriest system.
    bytes_each: int = 0


MICRO = Program("micro", [FLOOR, "tokio", "smol", "monoio", "may"], "fibers")
IDLE = Program(
    "idle",
    ["tokio", "smol", "monoio", "may"],
    "idle",
    argument=tasks,
    kapok_argument=tasks,
    attempt="{tasks:,} idle tasks",
    rows=(IDLE_MEMORY, IDLE_START),
)
CHANNELS = Program(
    "channels",
    ["tokio", "tokio_threads", "smol", "may", "crossbeam", "flume", "std"],
    "channels",
    cpus=BOTH_CPUS,
)
SLEEPS = Program("sleeps", ["tokio", "smol", "monoio", "may"], "sleeps", attempt="100,000 sleeps at once")
CROWD = Program(
    "crowd",
    ["tokio", "smol", "may"],
    "crowd",
    argument=tasks,
    kapok_argument=tasks,
    attempt="{tasks:,} tasks at once",
)

BOUNDED = "bounded(1024), 1 to 1"
UNBOUNDED = "unbounded, 1 to 1"
MANY_TO_MANY = "bounded(1024), 4 to 4"
SLEEPS_ROW = "100k sleeps of 1 to 100 ms"

TASK_WORKS = {
    "fibers": TaskWork(
        "tasks on one thread",
        [MICRO, IDLE],
        [
            "yield x100",
            "spawn+join one at a time",
            "spawn 10k then join",
            "channel ping-pong round trip",
            "mutex lock+unlock",
            "timeout around what is ready",
            "timeout around a yield",
            "1M timers set, then taken back",
            "100k sleeping tasks spawned, then cancelled",
            IDLE_MEMORY,
            IDLE_START,
        ],
        ["tokio", "smol", "monoio", "may", "corosensei"],
        ["The floor: bare corosensei coroutines on a stack that is used again, and std's mutex."],
    ),
    "sync": TaskWork(
        "channels between two threads, and short sleeps",
        [CHANNELS, SLEEPS],
        [row + more for row in (BOUNDED, UNBOUNDED, MANY_TO_MANY, SLEEPS_ROW) for more in ("", PROCESSOR_TIME)],
        ["tokio", "smol", "monoio", "may", "crossbeam-channel", "flume"],
        [
            "tokio is its multi-thread runtime on two threads, tokio_threads a current-thread runtime on each of two; "
            "4 to 4 goes over flume there. crossbeam, flume and std have a thread for each end.",
            "Sleeps are on one thread. Processor time is that of all threads, of a message or of all sleeps.",
        ],
    ),
    "crowd": TaskWork(
        "a crowd of tasks on one thread",
        [CROWD],
        ["start", "memory while all wait", "wake and join", "memory at its highest", "waiting at once"],
        ["tokio", "smol", "may"],
        ["Half of the tasks wait for a message, each on its own channel; half sleep for an hour and are cancelled."],
        bytes_each=5_000,
    ),
}


@dataclass(frozen=True)
class TaskSystem:
    """A system, and the programs that measure its tasks, each with its command."""

    name: str
    commands: list[tuple[Program, list[str]]]


def task_systems(work: TaskWork, options: argparse.Namespace) -> tuple[list[TaskSystem], list[str]]:
    """The systems whose tasks can be measured, the floor first if there is one; and notes on those that cannot."""
    profile = Profile(options.profile)
    built = build.peers(profile)

    def peer(name: str) -> TaskSystem:
        programs = [program for program in work.programs if name in program.peers]
        return TaskSystem(name, [(each, [str(built[each.name]), name, *each.argument(options)]) for each in programs])

    def go() -> TaskSystem:
        program = str(build.go_peer())
        return TaskSystem("go", [(each, [program, each.name, *each.argument(options)]) for each in work.programs])

    def kapok() -> TaskSystem:
        benches = [(each, build.kapok_bench(each.kapok_bench, profile)) for each in work.programs]
        return TaskSystem("kapok", [(each, [str(bench), *each.kapok_argument(options)]) for each, bench in benches])

    names = list(dict.fromkeys(name for program in work.programs for name in program.peers))
    candidates: list[Candidate] = [("kapok", kapok)]
    candidates += [(name, lambda name=name: peer(name)) for name in names if name != FLOOR]
    candidates.append(("go", go))
    chosen, notes = choose(candidates, options.only)
    return ([peer(FLOOR)] if FLOOR in names else []) + chosen, notes
