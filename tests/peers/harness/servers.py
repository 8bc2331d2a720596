"""The comparisons of servers: how a slice is measured, and what the report shows of it."""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass

from harness import build, checks, load, machine, nginx, systems, table
from harness.build import Profile
from harness.failure import Failure
from harness.load import Report
from harness.rounds import interleave
from harness.server import Server
from harness.systems import FLOOR, System
from harness.works import CONNECTIONS, HTTP_WORKS, Work

# Before each slice, so that stacks, buffers and branch predictors are as in a server that has run for a while.
WARM_UP_SECONDS = 1.0

ECHO_PACKAGES = ["tokio", "smol", "monoio", "may"]


@dataclass(frozen=True)
class Slice:
    """One server in one round."""

    report: Report
    per_cpu_second: float


def compare_echo(options: argparse.Namespace) -> str:
    return compare_throughput(echo_work("TCP echo of 64 bytes", CONNECTIONS, options), options)


def compare_http(name: str, options: argparse.Namespace) -> str:
    return compare_throughput(HTTP_WORKS[name], options)


def compare_latency(options: argparse.Namespace) -> str:
    work = echo_work("latency of TCP echo of 64 bytes", 1, options)
    measured = measure(work, options)
    rows = [latency_row(name, slices, measured.slices[FLOOR]) for name, slices in measured.slices.items()]
    headers = ["system", "p50 us", "p99 us", "p50 of floor", "low..high"]
    notes = ["Medians over the rounds; p50 of floor compares with the floor of the same round.", *measured.notes]
    return finish(work, options, headers, rows, notes)


def compare_throughput(work: Work, options: argparse.Namespace) -> str:
    measured = measure(work, options)
    rows = [throughput_row(name, slices, measured.slices[FLOOR]) for name, slices in measured.slices.items()]
    headers = ["system", "req/s", "req/cpu-s", "of floor", "low..high"]
    notes = [
        "Medians over the rounds; of floor compares requests per cpu-second with the floor's in the same round.",
        *work.notes,
        *measured.notes,
    ]
    return finish(work, options, headers, rows, notes)


def echo_work(title: str, connections: int, options: argparse.Namespace) -> Work:
    program = build.peers(Profile(options.profile))["load"]

    def press(address: str, connections: int, seconds: float) -> Report:
        return load.echo(program, address, connections, seconds)

    return Work("echo", title, ECHO_PACKAGES, connections, checks.check_echo, press)


@dataclass(frozen=True)
class Measured:
    """The slices of each system, by its name; those of one round at the same place."""

    slices: dict[str, list[Slice]]
    notes: list[str]


def measure(work: Work, options: argparse.Namespace) -> Measured:
    profile = Profile(options.profile)
    found, notes = systems.server_systems(work.kind, profile, options.only, options.also)
    ready, more_notes = keep_those_that_work(work, found, options)
    slices = interleave(ready, options.rounds, lambda system: measure_slice(work, system, options.seconds))
    by_name = {system.name: figures for system, figures in zip(ready, slices)}
    return Measured(by_name, notes + more_notes)


def keep_those_that_work(
    work: Work, found: list[System], options: argparse.Namespace
) -> tuple[list[System], list[str]]:
    """Starts every server once before the rounds. A server that was asked for must answer; the others may be missing."""
    ready, notes = [], []
    required = {FLOOR, *(options.only or []), *(name for name, _ in options.also)}
    for system in found:
        try:
            with Server(system) as server:
                work.check(server)
            ready.append(system)
        except Failure as reason:
            if system.name in required:
                raise
            notes.append(systems.left_out(system.name, reason))
    return ready, notes


def measure_slice(work: Work, system: System, seconds: float) -> Slice:
    with Server(system) as server:
        try:
            work.press(server.address, work.connections, WARM_UP_SECONDS)
            before = server.cpu_seconds()
            report = work.press(server.address, work.connections, seconds)
            used = server.cpu_seconds() - before
        except Failure as failure:
            raise server.failure(f"failed under load ({failure})") from None
    return Slice(report, report.requests / used)


def throughput_row(name: str, slices: list[Slice], floor: list[Slice]) -> list[str]:
    ratios = [mine.per_cpu_second / its.per_cpu_second for mine, its in zip(slices, floor)]
    rate = statistics.median(each.report.rate for each in slices)
    per_cpu_second = statistics.median(each.per_cpu_second for each in slices)
    return [name, f"{rate:,.0f}", f"{per_cpu_second:,.0f}", *ratio_cells(ratios)]


def latency_row(name: str, slices: list[Slice], floor: list[Slice]) -> list[str]:
    ratios = [mine.report.p50_us / its.report.p50_us for mine, its in zip(slices, floor)]
    p50 = statistics.median(each.report.p50_us for each in slices)
    p99 = statistics.median(each.report.p99_us for each in slices)
    return [name, f"{p50:.1f}", f"{p99:.1f}", *ratio_cells(ratios)]


def ratio_cells(ratios: list[float]) -> list[str]:
    return [f"{statistics.median(ratios):.3f}", f"{min(ratios):.3f}..{max(ratios):.3f}"]


def finish(work: Work, options: argparse.Namespace, headers: list[str], rows: list[list[str]], notes: list[str]) -> str:
    versions = [machine.version_of("rustc", "--version"), build.versions(work.packages)]
    if work.kind in systems.NGINX_KINDS and nginx.find():
        versions.append(nginx.version())
    title = f"{work.title}, {table.count(work.connections, 'connection')}, one server thread"
    facts = [
        f"{table.count(options.rounds, 'round')} of {options.seconds:g} s, interleaved; medians",
        f"profile {Profile(options.profile)}",
        ", ".join(versions),
        machine.describe(),
    ]
    body = table.render(headers, rows, options.markdown)
    return table.report(title, facts, body, notes, options.markdown)
