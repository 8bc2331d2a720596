"""The comparisons of tasks without I/O: fibers, sync, crowd."""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess

from harness import build, machine, table
from harness.build import Profile
from harness.failure import Failure
from harness.rounds import interleave
from harness.task_works import IDLE_MEMORY, IDLE_START, TASK_WORKS, Program, TaskSystem, task_systems

# A whole pass of one program; a stuck benchmark must not hang the run.
DEADLINE_SECONDS = 300

# What kapok's own benchmarks call the same things.
SAME_ROWS = {
    "yield_now x100 fibers": "yield x100",
    "idle fiber": IDLE_MEMORY,
}

# kapok's benchmarks repeat each figure with the parking call below three functions that were not inlined.
DEEP = " three frames deep"

UNITS = {"ns": "ns", "ms": "ms", "messages/s": "messages/s", "B": "B", "bytes": "B"}

# What a crowd tells on its way, in case it does not survive.
REACHED = re.compile(r"^waiting so far: (\d+) tasks$", re.MULTILINE)
REACHED_ROW = "waiting at once, tasks"

# Figures by row, the unit part of the row's name.
Figures = dict[str, float]


def compare(name: str, options: argparse.Namespace) -> str:
    work = TASK_WORKS[name]
    machine.check_memory(options.tasks * work.bytes_each)
    profile = Profile(options.profile)
    found, notes = task_systems(work, options)
    failed: dict[str, str] = {}
    passes = interleave(found, options.rounds, lambda system: measure(system, options.tasks, failed))
    medians = {system.name: median_figures(each, work.rows) for system, each in zip(found, passes)}
    rows = [
        [row, *(cell(medians[system.name].get(row)) for system in found)]
        for row in ordered_rows([list(figures) for figures in medians.values()], work.rows)
    ]
    body = table.render(["", *(system.name for system in found)], rows, options.markdown)
    facts = [
        f"{table.count(options.rounds, 'round')}, {options.seconds:g} s a benchmark, interleaved; medians",
        f"profile {profile}",
        ", ".join([machine.version_of("rustc", "--version"), build.versions(work.packages)]),
        machine.describe(),
    ]
    if any(program.counts_tasks for program in work.programs):
        facts.insert(1, f"{options.tasks:,} tasks that wait; memory is VmRSS + VmPTE, of each")
    return table.report(work.title, facts, body, work.notes + notes + list(failed.values()), options.markdown)


def measure(system: TaskSystem, tasks: int, failed: dict[str, str]) -> Figures:
    """One pass of one system. That it does not survive an attempt is a result too, kept in `failed`."""
    figures: Figures = {}
    for program, command in system.commands:
        outcome, complaint = run(program, command)
        found = parse(system.name, outcome, tasks)
        figures |= {row: figure for row, figure in found.items() if row.startswith(program.rows or "")}
        if complaint and program.attempt:
            attempt = program.attempt.format(tasks=tasks)
            failed[f"{system.name} {attempt}"] = f"{attempt}: {system.name} {complaint}"
        elif complaint:
            raise Failure(f"{system.name} {complaint}")
    if not figures and not any(program.attempt for program, _ in system.commands):
        raise Failure(f"{system.name} printed no figures")
    return figures


def run(program: Program, command: list[str]) -> tuple[str, str | None]:
    """What the program has printed; and how it ended, unless that was well."""
    try:
        outcome = subprocess.run(
            machine.on_cpus(program.cpus, command),
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "", f"did not end within {DEADLINE_SECONDS} s"
    if outcome.returncode != 0:
        return outcome.stdout, f"ended with {outcome.returncode}: {complaint(outcome.stderr)}"
    return outcome.stdout, None


def complaint(output: str) -> str:
    """The line of a program's standard error that says why it ended."""
    lines = [line for line in output.splitlines() if line.strip()] or ["no message"]
    # Rust tells first where a panic was and in the next line which.
    panicked = "panicked at" in lines[0] and len(lines) > 1
    return lines[1] if panicked else lines[0]


def parse(system: str, output: str, tasks: int) -> Figures:
    """Reads lines such as `tokio yield x100: 29.1 ns`, the name of the system before that of the benchmark."""
    figures = {}
    for name, value, unit in re.findall(r"^(.+): ([\d.]+) (\S+)$", output, re.MULTILINE):
        name, value = name.removeprefix(f"{system} "), float(value)
        if name == "start of all" and unit == "s":
            # kapok tells the time of all of them.
            name, value, unit = IDLE_START, value * 1e9 / tasks, "ns"
        if unit in UNITS:
            figures[f"{row_name(name)}, {UNITS[unit]}"] = value
    if reached := REACHED.findall(output):
        figures[REACHED_ROW] = float(reached[-1])
    return figures


def row_name(name: str) -> str:
    plain = name.removesuffix(DEEP)
    return SAME_ROWS.get(plain, plain) + ("," + DEEP if plain != name else "")


def median_figures(passes: list[Figures], known: list[str]) -> Figures:
    """The median of each row over those rounds that have it."""
    rows = ordered_rows([list(figures) for figures in passes], known)
    return {row: statistics.median(each[row] for each in passes if row in each) for row in rows}


def ordered_rows(lists: list[list[str]], known: list[str]) -> list[str]:
    """All rows there are: the known ones in their order, each followed by its deep twin, then the others as they came."""
    rows = list(dict.fromkeys(row for each in lists for row in each))

    def rank(row: str) -> tuple[int, bool]:
        # Of two known names one may begin with the other: the longer one is meant.
        name = max((name for name in known if row.startswith(name)), key=len, default=None)
        return (len(known), False) if name is None else (known.index(name), DEEP in row)

    return sorted(rows, key=rank)


def cell(figure: float | None) -> str:
    if figure is None:
        return "-"
    return f"{figure:,.1f}" if figure < 100 else f"{figure:,.0f}"
