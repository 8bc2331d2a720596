"""Builds kapok and its peers, all Rust with the same profile.

The settings are passed to cargo on its command line under the profile's name, so that they hold for both workspaces
whatever their manifests say.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from harness.failure import Failure, Unavailable

PEERS = Path(__file__).resolve().parents[1]
REPOSITORY = PEERS.parents[1]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or PEERS / "target").absolute()
# Apart from the peers' and from the folder people work in: a build there must not exchange a server that is being measured.
KAPOK_TARGET = TARGET / "kapok"

# What decides about the machine code is named even where it is cargo's default: a workspace's own [profile.release] may differ.
PROFILES = {
    "peers": {
        "inherits": '"release"',
        "opt-level": "3",
        "lto": '"fat"',
        "codegen-units": "1",
        "panic": '"unwind"',
    },
    "release": {"opt-level": "3", "lto": "false", "codegen-units": "16", "panic": '"unwind"'},
}


@dataclass(frozen=True)
class Profile:
    """How all Rust of a run is compiled."""

    name: str

    @property
    def arguments(self) -> list[str]:
        arguments = ["--profile", self.name]
        for setting, value in PROFILES[self.name].items():
            arguments += ["--config", f"profile.{self.name}.{setting}={value}"]
        return arguments

    def __str__(self) -> str:
        settings = ", ".join(f"{setting}={value}" for setting, value in PROFILES[self.name].items())
        return f"{self.name} ({settings})"


@lru_cache(maxsize=None)
def peers(profile: Profile) -> dict[str, Path]:
    """Builds the Rust peers; returns their programs by name."""
    tell(f"building the peers, profile {profile}")
    outcome = cargo("build", "--locked", *profile.arguments, folder=PEERS, target=TARGET)
    if outcome.returncode != 0:
        raise Failure(f"the peers do not build:\n{outcome.stderr}")
    return executables(outcome.stdout)


def kapok_example(name: str, profile: Profile) -> Path:
    """Builds one of the repository's examples."""
    tell(f"building kapok's example {name}, profile {profile}")
    return kapok(name, "build", "--example", name, *profile.arguments)


def kapok_program(name: str, profile: Profile) -> Path:
    """Builds one of the programs that the repository's tests run."""
    tell(f"building kapok's program {name}, profile {profile}")
    return kapok(name, "build", "--bin", name, *profile.arguments)


def kapok_bench(name: str, profile: Profile) -> Path:
    """Builds one of the runtime's benchmarks, to be run without cargo."""
    tell(f"building kapok's benchmark {name}, profile {profile}")
    package = ["-p", "kapok-runtime"]
    return kapok(name, "bench", *package, "--bench", name, "--no-run", *profile.arguments)


def kapok(name: str, *arguments: str) -> Path:
    outcome = cargo(*arguments, folder=REPOSITORY, target=KAPOK_TARGET)
    program = executables(outcome.stdout).get(name)
    if outcome.returncode != 0 or program is None:
        raise Unavailable(f"cargo {arguments[0]} of {name} failed: {first_error(outcome.stderr)}")
    return program


def go_peer() -> Path:
    """Builds the Go peer, without network."""
    if not shutil.which("go"):
        raise Unavailable("Go is not installed; Debian and Ubuntu have it in the package golang-go")
    tell("building the Go peer")
    program = TARGET / "go-peer"
    environment = {**os.environ, "GOPROXY": "off", "GOTOOLCHAIN": "local"}
    command = ["go", "build", "-o", str(program), "."]
    outcome = subprocess.run(command, cwd=PEERS / "go", env=environment, capture_output=True, text=True, check=False)
    if outcome.returncode != 0:
        raise Unavailable(f"the Go peer does not build: {first_error(outcome.stderr)}")
    return program


def versions(packages: list[str]) -> str:
    """The versions of `packages` in the peers' lock file."""
    lock = (PEERS / "Cargo.lock").read_text()
    found = dict(re.findall(r'^name = "(.+)"\nversion = "(.+)"$', lock, re.MULTILINE))
    return ", ".join(f"{package} {found[package]}" for package in packages if package in found)


def cargo(*arguments: str, folder: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = ["cargo", *arguments, "--message-format", "json-render-diagnostics"]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def executables(messages: str) -> dict[str, Path]:
    """Reads from cargo's JSON messages which programs it has built."""
    found = {}
    for line in messages.splitlines():
        message = json.loads(line)
        if message.get("executable"):
            found[message["target"]["name"]] = Path(message["executable"])
    return found


def first_error(output: str) -> str:
    """The line of a tool's output that says best what went wrong."""
    # Go heads what it says of a package with a line that begins with #.
    lines = [line.strip() for line in output.splitlines() if line.strip() and not line.startswith("#")]
    errors = [line for line in lines if line.startswith("error")]
    return (errors or lines or ["no message"])[0]


def tell(text: str) -> None:
    """Progress goes to standard error: standard output holds the table alone."""
    print(text, file=sys.stderr, flush=True)
