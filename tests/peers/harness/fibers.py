"""The comparison of tasks without I/O: fibers."""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess

from harness import build, machine, systems, table
from harness.build import Profile
from harness.failure import Failure
from harness.rounds import interleave
from harness.systems import FiberSystem

# A whole pass of one system; a stuck benchmark must not hang the run.
DEADLINE_SECONDS = 300

PEER_PACKAGES = ["tokio", "smol", "monoio", "may", "corosensei"]

IDLE_MEMORY = "idle task memory"
IDLE_START = "idle task start"

# The rows that come first and in this order; what else a system prints follows as it came.
ROWS = [
    "yield x100",
    "spawn+join one at a time",
    "spawn 10k then join",
    "channel ping-pong round trip",
    "mutex lock+unlock",
    IDLE_MEMORY,
    IDLE_START,
]

# What kapok's own benchmarks call the same things.
SAME_ROWS = {
    "yield_now x100 fibers": "yield x100",
    "idle fiber": IDLE_MEMORY,
}

# kapok's benchmarks repeat each figure with the parking call below three functions that were not inlined.
DEEP = " three frames deep"

UNITS = {"ns": "ns", "B": "B", "bytes": "B"}

# Figures by row, the unit part of the row's name.
Figures = dict[str, float]


def compare(options: argparse.Namespace) -> str:
    profile = Profile(options.profile)
    found, notes = systems.fiber_systems(profile, options.only, options.seconds, options.tasks)
    failed_idle: dict[str, str] = {}
    passes = interleave(found, options.rounds, lambda system: measure(system, options.tasks, failed_idle))
    medians = {system.name: median_figures(each) for system, each in zip(found, passes)}
    rows = [
        [row, *(cell(medians[system.name].get(row)) for system in found)]
        for row in ordered_rows([list(figures) for figures in medians.values()])
    ]
    body = table.render(["", *(system.name for system in found)], rows, options.markdown)
    facts = [
        f"{table.count(options.rounds, 'round')}, {options.seconds:g} s a benchmark, interleaved; medians",
        f"{options.tasks:,} idle tasks, which sleep; memory is VmRSS + VmPTE",
        f"profile {profile}",
        ", ".join([machine.version_of("rustc", "--version"), build.versions(PEER_PACKAGES)]),
        machine.describe(),
    ]
    notes += failed_idle.values()
    notes.insert(0, "The floor: bare corosensei coroutines on a stack that is used again, and std's mutex.")
    return table.report("tasks on one thread", facts, body, notes, options.markdown)


def measure(system: FiberSystem, tasks: int, failed_idle: dict[str, str]) -> Figures:
    """One pass of one system. That it cannot hold so many idle tasks is a result too, kept in `failed_idle` by its name."""
    figures = parse(system.name, run(system.micro, system.name), tasks)
    if not figures:
        raise Failure(f"{system.name} printed no figures")
    if system.idle is None:
        return figures
    try:
        idle = parse(system.name, run(system.idle, system.name), tasks)
    except Failure as failure:
        failed_idle[system.name] = f"{tasks:,} idle tasks: {failure}"
        return figures
    return figures | {row: figure for row, figure in idle.items() if row.startswith((IDLE_MEMORY, IDLE_START))}


def run(command: tuple[str, ...], name: str) -> str:
    try:
        outcome = subprocess.run(
            machine.on_cpu(machine.SERVER_CPU, list(command)),
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Failure(f"{name} did not end within {DEADLINE_SECONDS} s") from None
    if outcome.returncode != 0:
        raise Failure(f"{name} ended with {outcome.returncode}: {complaint(outcome.stderr)}")
    return outcome.stdout


def complaint(output: str) -> str:
    """The line of a program's standard error that says why it ended."""
    lines = [line for line in output.splitlines() if line.strip()] or ["no message"]
    # Rust tells first where a panic was and in the next line which.
    panicked = "panicked at" in lines[0] and len(lines) > 1
    return lines[1] if panicked else lines[0]


def parse(system: str, output: str, tasks: int) -> Figures:
    """Reads lines such as `tokio yield x100: 29.1 ns`, the name of the system before that of the benchmark."""
    figures = {}
    for name, value, unit in re.findall(r"^(.+): ([\d.]+) (\w+)$", output, re.MULTILINE):
        name, value = name.removeprefix(f"{system} "), float(value)
        if name == "start of all" and unit == "s":
            # kapok tells the time of all of them.
            name, value, unit = IDLE_START, value * 1e9 / tasks, "ns"
        if unit in UNITS:
            figures[f"{row_name(name)}, {UNITS[unit]}"] = value
    return figures


def row_name(name: str) -> str:
    plain = name.removesuffix(DEEP)
    return SAME_ROWS.get(plain, plain) + ("," + DEEP if plain != name else "")


def median_figures(passes: list[Figures]) -> Figures:
    """The median of each row over those rounds that have it."""
    rows = ordered_rows([list(figures) for figures in passes])
    return {row: statistics.median(each[row] for each in passes if row in each) for row in rows}


def ordered_rows(lists: list[list[str]]) -> list[str]:
    """All rows there are: the known ones in their order, each followed by its deep twin, then the others as they came."""
    rows = list(dict.fromkeys(row for each in lists for row in each))

    def rank(row: str) -> tuple[int, bool]:
        known = [place for place, name in enumerate(ROWS) if row.startswith(name)]
        return (known[0] if known else len(ROWS), bool(known) and DEEP in row)

    return sorted(rows, key=rank)


def cell(figure: float | None) -> str:
    if figure is None:
        return "-"
    return f"{figure:,.1f}" if figure < 100 else f"{figure:,.0f}"
