"""Ctrl-C and other signals while the core is at work. Whole programs, since signals belong to the main thread."""

import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from act_fast._log_store import LogStore

from .numbered import pairs


def interrupted(program: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Start `program`, send it a Ctrl-C when it has said that it is ready, and wait for its end."""
    code = "from act_fast._log_store import LogStore\nimport sys, signal, asyncio\npath = sys.argv[1]\n"
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", code + textwrap.dedent(program), str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    try:
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture
def filled_path(open_store: Callable[..., LogStore], store_path: Path) -> Path:
    """A store of 20,000 events."""
    with open_store(durability="os") as store:
        for _ in range(20):
            store.append("a", pairs(1000))
    return store_path


@pytest.mark.parametrize("timeout", ["", ", timeout=3600"])
def test_ctrl_c_ends_a_wait(store_path: Path, timeout: str) -> None:
    ended = interrupted(
        f"""
        with LogStore(path) as store:
            try:
                print("ready")
                store.wait(0{timeout})
            except KeyboardInterrupt:
                store.append("a", [("StillUsable", b"1")])
                print(store.head)
        """,
        store_path,
    )
    assert (ended.returncode, ended.stdout) == (0, "1\n"), ended.stderr


def test_ctrl_c_ends_an_async_wait(store_path: Path) -> None:
    ended = interrupted(
        """
        async def main(store):
            waiting = asyncio.create_task(store.wait_async(0))
            await asyncio.sleep(0)
            print("ready")
            await waiting

        with LogStore(path) as store:
            try:
                asyncio.run(main(store))
            except KeyboardInterrupt:
                print("interrupted")
        """,
        store_path,
    )
    assert (ended.returncode, ended.stdout) == (0, "interrupted\n"), ended.stderr


def test_a_program_that_ends_while_a_task_waits_ends_quietly(store_path: Path) -> None:
    ended = interrupted(
        """
        signal.signal(signal.SIGINT, signal.SIG_IGN)

        async def main():
            store = LogStore(path)
            waiting = asyncio.create_task(store.wait_async(0))
            await asyncio.sleep(0.01)
            print("ready")

        asyncio.run(main())
        """,
        store_path,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_handled_signal_does_not_end_a_wait(store_path: Path) -> None:
    ended = interrupted(
        """
        caught = []
        signal.signal(signal.SIGINT, lambda *_: caught.append("signal"))
        with LogStore(path) as store:
            print("ready")
            while not caught:
                before = len(caught)
                head = store.wait(0, timeout=0.5)
            print(head, caught)
        """,
        store_path,
    )
    assert (ended.returncode, ended.stdout) == (0, "0 ['signal']\n"), ended.stderr


@pytest.mark.parametrize(
    "work",
    [
        "store.verify()",
        "store.rebuild_index()",
        "sum(1 for _ in store.query())",
        "sum(1 for _ in store.query(pattern='^never$'))",
        "sum(1 for _ in store.load('a'))",
        "store.append('b', [('Counted', b'1')])",
        "store.append('b', [('Counted', b'1')] * 1000)",
    ],
)
def test_ctrl_c_ends_any_work_and_leaves_the_store_whole(filled_path: Path, work: str) -> None:
    ended = interrupted(
        f"""
        with LogStore(path) as store:
            try:
                print("ready")
                while True:
                    {work}
            except KeyboardInterrupt:
                print("interrupted", store.version("b") == sum(1 for _ in store.load("b")), store.verify().healthy)
        """,
        filled_path,
    )
    assert (ended.returncode, ended.stdout) == (0, "interrupted True True\n"), ended.stderr
