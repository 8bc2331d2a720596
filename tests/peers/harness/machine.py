"""The machine: what it must have, which processor does what, and what a process has used of it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

from harness.failure import Failure

# The server has a processor to itself, so that neither the load nor anything the load wakes takes time from it.
SERVER_CPU = 0
LOAD_CPU = 1

# Before we add to it ourselves: whatever else runs costs the figures their worth.
LOAD_AVERAGE_AT_START = os.getloadavg()[0]

DEBIAN_PACKAGES = {"taskset": "util-linux", "wrk": "wrk"}


def check(work: str, *tools: str) -> None:
    """Fails when a tool or a processor that `work` needs is missing."""
    for tool in ("cargo", "taskset", *tools):
        if not shutil.which(tool):
            package = DEBIAN_PACKAGES.get(tool)
            hint = f"; Debian and Ubuntu have it in the package {package}" if package else ""
            raise Failure(f"{tool} is needed for {work} and was not found{hint}")
    missing = {SERVER_CPU, LOAD_CPU} - os.sched_getaffinity(0)
    if missing:
        raise Failure(f"processors {SERVER_CPU} and {LOAD_CPU} are needed; this process may not use {missing}")


def check_memory(needed_bytes: int) -> None:
    """Fails when less memory is free than needed: better than that the kernel ends a program of its own choice."""
    available = memory_available_bytes()
    if needed_bytes > available:
        raise Failure(
            f"{needed_bytes / 1e9:.1f} GB of memory are needed for so many tasks, "
            f"{available / 1e9:.1f} GB are free; --tasks asks for fewer"
        )


def memory_available_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise Failure("/proc/meminfo does not tell MemAvailable")


def on_cpu(cpu: int, command: list[str]) -> list[str]:
    """The command line that runs `command` on one processor alone."""
    return on_cpus((cpu,), command)


def on_cpus(cpus: tuple[int, ...], command: list[str]) -> list[str]:
    """The command line that runs `command` on these processors. taskset becomes the command: the pid stays the same."""
    return ["taskset", "--cpu-list", ",".join(map(str, cpus)), *command]


def cpu_seconds(pid: int) -> float:
    """The processor time that all threads of a process have used so far."""
    nanoseconds = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            nanoseconds += int((thread / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            pass  # the thread has ended since it was listed
    return nanoseconds / 1e9


def describe() -> str:
    """Names the processor and the kernel, and tells how idle the machine was."""
    load = f"load average {LOAD_AVERAGE_AT_START:.2f} before the start"
    return f"{cpu_model()}, {os.cpu_count()} processors, Linux {platform.release()}, {load}"


def cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def version_of(*command: str) -> str:
    """The first line a tool prints of itself, such as `rustc 1.95.0 (…)`, without what stands in parentheses."""
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    # nginx tells it on standard error.
    output = outcome.stdout or outcome.stderr
    return output.partition("\n")[0].partition(" (")[0]
