"""A small bank to look into, and three ways to run the command: as a process, on a terminal, and in this process."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from act_fast import LogStore, Meta
from act_fast.cli import main

COMMAND = Path(sys.executable).with_name("act-fast")
TIMEOUT_SECONDS = 60


class Ran(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[str]]:
        return [line.split("\t") for line in self.out.splitlines()]


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    """Four commits, seven events, three streams; versions and positions differ, so that confusing them shows."""
    path = tmp_path / "bank.act"
    with LogStore(path, durability="os") as store:
        store.append("account-7", [("Opened", b'{"owner":"Ada"}')], meta=Meta(correlation="request-1"))
        store.append("account-12", [("Opened", b'{"owner":"Bob"}'), ("Deposited", b'{"amount":5}')])
        store.append("account-7", [("Deposited", b'{"amount":50}'), ("Withdrawn", b'{"amount":8}')])
        store.append("audit", [("Checked", b"{}"), ("Checked", b"{}")])
    return path


@pytest.fixture
def run() -> Callable[..., Ran]:
    """Run the command as people do, with its output in a pipe."""

    def run_command(*arguments: object) -> Ran:
        ran = subprocess.run(
            [COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    return run_command


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command with its output in pipes, and end it with the test if it is still there."""
    children: list[subprocess.Popen[str]] = []

    def start_command(*arguments: object) -> subprocess.Popen[str]:
        command = [COMMAND, *map(str, arguments)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        children.append(child)
        return child

    yield start_command
    for child in children:
        with child:
            child.kill()


@pytest.fixture
def run_here(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run the command in this process."""

    def run_main(*arguments: object) -> Ran:
        code = main([str(argument) for argument in arguments])
        return Ran(code, *capsys.readouterr())

    return run_main


@pytest.fixture
def run_on_terminal() -> Callable[..., Ran]:
    """Run the command on a terminal of 100 columns; what it shows comes back without its colours."""

    def run_command(*arguments: object) -> Ran:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color"}
        environment.pop("COLUMNS", None)
        child = subprocess.Popen(
            [COMMAND, *map(str, arguments)], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
        )
        os.close(theirs)
        shown = _read_all(ours)
        os.close(ours)
        return Ran(child.wait(TIMEOUT_SECONDS), re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r\n", "\n"), "")

    return run_command


def _read_all(terminal: int) -> str:
    shown = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # how Linux says that nobody holds the other end any more
            part = b""
        if not part:
            return shown.decode()
        shown += part
