"""A disk of any size, and a machine that fails on demand, where the tests may have them."""

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

PREAMBLE = """
import ctypes, errno, os, sys, threading
from concurrent.futures import ThreadPoolExecutor
from act_fast import LogStore
from act_fast.errors import OutcomeUnknownError, StoreError, StoreFailedError, StoreFullError

path, durability = sys.argv[1:]

def let(what, error):
    with open(os.environ["ACT_FAST_TEST_" + what] + ".new", "w") as file:
        file.write(str(error))
    os.rename(file.name, os.environ["ACT_FAST_TEST_" + what])

def refused(kind, call, *arguments):
    try:
        call(*arguments)
    except kind as error:
        return type(error).__name__
    raise AssertionError("accepted")

def numbered(number):
    return [("Counted", b'{"number":%d}' % number)]

def flushes():
    return ctypes.CDLL(None).flushes_so_far()

def healthy(store):
    return not store.verify().problems

"""


class Disk:
    """A file system of its own, in memory."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("needs the right to mount a tmpfs")

    def be(self, option: str) -> None:
        """Change it while it is in use: `size=2m`, `ro`."""
        subprocess.run(["mount", "-o", f"remount,{option}", self.place], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", "-l", self.place], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk of 16 MiB, which may be made smaller, larger or read-only."""
    made = Disk(tmp_path / "disk")
    yield made
    made.unmount()


OnMachine: TypeAlias = Callable[[str, str], list[str]]
"""Takes a durability and a program, and gives back what the program printed, in words."""


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that comes before libc."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs a C compiler on Linux")
    library = tmp_path_factory.mktemp("machine") / "machine.so"
    source = Path(__file__).with_name("machine.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library


@pytest.fixture
def on_machine(machine: Path, store_path: Path, tmp_path: Path) -> OnMachine:
    """Runs a program on a machine that can be told to fail."""

    def run(durability: str, program: str) -> list[str]:
        places = {
            f"ACT_FAST_TEST_{what}": str(tmp_path / what.lower()) for what in ("FLUSH", "WRITE", "CLOCK", "THREAD")
        }
        ended = subprocess.run(
            [sys.executable, "-c", PREAMBLE + textwrap.dedent(program), str(store_path), durability],
            env={**os.environ, **places, "LD_PRELOAD": str(machine)},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.split()

    return run
