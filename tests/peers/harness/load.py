"""The loads: what presses a server, and what it reports."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from harness import machine
from harness.build import PEERS
from harness.failure import Failure

# How much longer than asked a load may run before it counts as stuck.
GRACE_SECONDS = 20

@dataclass(frozen=True)
class Report:
    """What one load has seen. wrk tells no latency that could be compared: it waits for 64 connections at once."""

    requests: int
    rate: float
    p50_us: float | None = None
    p99_us: float | None = None


def echo(program: Path, address: str, connections: int, seconds: float) -> Report:
    """Round trips of 64 bytes, one in flight on each connection."""
    output = run([str(program), address, str(connections), f"{seconds:g}"], seconds)
    return parse_echo(output)


def parse_echo(output: str) -> Report:
    figures = dict(re.findall(r"^(.+?): ([\d.]+)", output, re.MULTILINE))
    return Report(
        int(figures["round trips"]),
        float(figures["rate"]),
        float(figures["p50"]),
        float(figures["p99"]),
    )


def wrk(path: str, *arguments: str) -> Callable[[str, int, float], Report]:
    """Presses an address with `GET path`, or with what further arguments of wrk make of it."""

    def press(address: str, connections: int, seconds: float) -> Report:
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", *arguments]
        return parse_wrk(run([*command, f"http://{address}{path}"], seconds))

    return press


def script(name: str) -> str:
    """Where one of our scripts for wrk is."""
    return str(PEERS / name)


def parse_wrk(output: str) -> Report:
    for complaint in ("Socket errors", "Non-2xx or 3xx responses"):
        if complaint in output:
            line = next(line for line in output.splitlines() if complaint in line)
            raise Failure(f"wrk saw errors, so its figures mean nothing: {line.strip()}")
    requests = re.search(r"(\d+) requests in", output)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if not requests or not rate:
        raise Failure(f"wrk printed no figures:\n{output}")
    return Report(int(requests[1]), float(rate[1]))


def run(command: list[str], seconds: float) -> str:
    try:
        outcome = subprocess.run(
            machine.on_cpu(machine.LOAD_CPU, command),
            capture_output=True,
            text=True,
            timeout=seconds + GRACE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Failure(f"{command[0]} still ran {GRACE_SECONDS} s after its end") from None
    if outcome.returncode != 0:
        raise Failure(f"{command[0]} failed: {outcome.stderr.strip() or outcome.stdout.strip()}")
    return outcome.stdout
