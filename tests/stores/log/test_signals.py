"""Ctrl-C, other signals, and the end of the program while the core is at work. Whole programs, as users run them."""

import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from act_fast import LogStore
from tests.support.numbered import pairs, versions
from tests.support.processes import Tell, run


def interrupted(program: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Start `program`, send it a Ctrl-C when it has said that it is ready, and wait for its end."""
    code = "from act_fast import LogStore\nimport sys, signal, asyncio\npath = sys.argv[1]\n"
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
        out, err = process.communicate(timeout=60)
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


@pytest.mark.parametrize("durability", ["fsync", "interval", "os"])
def test_a_program_that_ends_without_closing_ends_quietly_and_loses_nothing(store_path: Path, durability: str) -> None:
    program = """
        import sys, threading, time
        from act_fast import LogStore

        class Slow:
            def __del__(self):
                time.sleep(0.6)  # so that those who sleep in the core wake while the interpreter is shutting down

        sys.slow = Slow()
        store = LogStore(sys.argv[1], durability=sys.argv[2])
        store.append("a", [("Counted", b"1")] * 5)
        threading.Thread(target=store.wait, args=(5,), daemon=True).start()
        """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(store_path), durability], capture_output=True, timeout=60
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    with LogStore(store_path) as store:
        assert versions(store.load("a")) == [1, 2, 3, 4, 5]


def test_a_handled_signal_does_not_end_a_wait(store_path: Path) -> None:
    ended = interrupted(
        """
        import time
        caught = []
        signal.signal(signal.SIGINT, lambda *_: caught.append("signal"))
        with LogStore(path) as store:
            begun = time.monotonic()
            print("ready")
            head = store.wait(0, timeout=0.5)
            print(head, time.monotonic() - begun >= 0.5)
            while not caught:
                time.sleep(0.001)
        """,
        store_path,
    )
    assert (ended.returncode, ended.stdout) == (0, "0 True\n"), ended.stderr


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


def test_a_storm_of_handled_signals_disturbs_nothing(store_path: Path) -> None:
    LogStore(store_path).close()

    def work(tell: Tell) -> None:
        caught = []
        signal.signal(signal.SIGALRM, lambda *_: caught.append(1))
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        for _ in range(60):
            with LogStore(store_path) as store:
                store.append("a", pairs(3))
                store.save_snapshot("a", 1, b"state")
                assert versions(store.load("a"))
                store.flush()
                store.wait(store.head, timeout=0.001)
        assert caught

    run(work, work, work)
    with LogStore(store_path) as store:
        assert versions(store.load("a")) == list(range(1, 541))
        assert store.verify().healthy
