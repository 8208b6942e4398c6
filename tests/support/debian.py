"""Debian's packages, unpacked without installing them: what a test needs of a system that has it not."""

import subprocess
from pathlib import Path

from tests.support.servers import Unavailable

_BRING_SECONDS = 300.0


def apt_options(folder: Path) -> list[str]:
    """Lists and archives of our own below a folder: the system's may be missing, and need root to be brought."""
    state, cache = folder / "state", folder / "cache"
    for each in (state / "lists" / "partial", cache / "archives" / "partial"):
        each.mkdir(parents=True)
    options = [f"Dir::State={state}", "Dir::State::status=/var/lib/dpkg/status", f"Dir::Cache={cache}",
               "Debug::NoLocking=1", "APT::Sandbox::User="]  # fmt: skip
    return [flag for option in options for flag in ("-o", option)]


def call(command: list[str], folder: Path, what: str) -> str:
    """What a command prints.

    Raises:
        Unavailable: it fails, so that there is none of `what`.
    """
    ended = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=_BRING_SECONDS)
    if ended.returncode:
        raise Unavailable(f"no {what} can be brought: {command[0]} says {ended.stderr.strip()[-500:]}")
    return ended.stdout
