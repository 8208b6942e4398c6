"""What becomes of an open store in a forked child: a clear error there, and no harm to the parent."""

import asyncio
import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from act_fast import LogStore
from act_fast._runtime.file_lock import FileLock
from act_fast.errors import StoreClosedError
from tests.support.log_verbs import verbs
from tests.support.numbered import numbers, pairs, versions
from tests.support.processes import Process, Tell, needs_proc, run, started, until


def test_a_child_is_told_to_open_the_store_itself(store: LogStore) -> None:
    store.append("a", pairs(3))

    def use(tell: Tell) -> None:
        for verb in verbs(store):
            with pytest.raises(StoreClosedError, match="fork"):
                verb()

    run(use)
    assert store.append("a", pairs(1)).first_version == 4
    assert store.verify().healthy


def test_a_child_may_open_the_store_itself(open_store: Callable[..., LogStore], store_path: Path) -> None:
    store = open_store()
    store.append("a", pairs(3))

    def use(tell: Tell) -> None:
        with LogStore(store_path) as own:
            assert numbers(own.load("a")) == [1, 2, 3]
            own.append("a", pairs(2, first=4), expected_version=3)

    run(use)
    assert numbers(store.load("a")) == [1, 2, 3, 4, 5]
    store.append("a", pairs(1, first=6), expected_version=5)


@pytest.mark.parametrize("durability", ["fsync", "interval", "os"])
def test_a_child_that_closes_or_drops_what_it_inherited_does_no_harm(
    open_store: Callable[..., LogStore], durability: str
) -> None:
    holder = [open_store(durability=durability)]
    for _ in range(300):
        holder[0].append("a", [("Padded", b'"' + b"x" * 1000 + b'"')])

    def close(tell: Tell) -> None:
        holder[0].close()
        holder[0].close()

    def drop(tell: Tell) -> None:
        holder.clear()
        gc.collect()

    run(close)
    run(drop)
    assert holder[0].append("a", pairs(1), expected_version=300).first_version == 301
    assert holder[0].verify().healthy


def test_a_child_may_end_like_any_program(open_store: Callable[..., LogStore]) -> None:
    store = open_store(durability="interval")
    store.append("a", pairs(3))
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os.execv(sys.executable, [sys.executable, "-c", ""])
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    store.append("a", pairs(1), expected_version=3)


def test_readers_inherited_in_the_middle_of_their_pages_do_not_crash(store: LogStore) -> None:
    store.append("a", pairs(5000))
    readers = [store.load("a"), store.query()]
    for reader in readers:
        next(reader)

    def read(tell: Tell) -> None:
        for reader in readers:
            with pytest.raises(StoreClosedError):
                list(reader)

    run(read)
    assert [numbers(reader) for reader in readers] == [list(range(2, 5001))] * 2


def test_the_death_of_the_parent_frees_its_locks_though_a_child_lives_on(store_path: Path) -> None:
    LogStore(store_path).close()

    def parent(tell: Tell) -> None:
        store = LogStore(store_path, durability="os")
        store.append("parent", pairs(1))
        child = Process(lambda _: signal.pause())
        tell(child.pid)
        while True:
            store.append("parent", pairs(1))

    for turn in range(10):
        with started(parent) as (process,):
            orphan = int(process.next_line())
            process.kill()
            process.wait()
            try:
                with LogStore(store_path, durability="os") as store:
                    store.append("survivor", pairs(1))
                    assert store.version("survivor") == turn + 1
            finally:
                os.kill(orphan, signal.SIGKILL)


def test_forking_while_threads_append_harms_neither_side(open_store: Callable[..., LogStore], store_path: Path) -> None:
    store = open_store(durability="os")
    stop = threading.Event()

    def write(stream: str) -> None:
        while not stop.is_set():
            store.append(stream, pairs(1))

    threads = [threading.Thread(target=write, args=(f"s-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()

    def child(tell: Tell) -> None:
        with pytest.raises(StoreClosedError):
            store.append("a", pairs(1))
        with LogStore(store_path, durability="os") as own:
            own.append("children", pairs(1))
        store.close()

    try:
        for _ in range(20):
            run(child)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert store.version("children") == 20
    for number in range(4):
        found = versions(store.load(f"s-{number}"))
        assert found == list(range(1, len(found) + 1))
    assert store.verify().healthy


def test_a_store_whose_waiting_thread_is_gone_closes_in_the_child(open_store: Callable[..., LogStore]) -> None:
    store = open_store()

    async def main() -> None:
        waiting = asyncio.create_task(store.wait_async(0))
        await asyncio.sleep(0)
        child = Process(lambda _: store.close())
        until(lambda: os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT))
        assert child.wait() == 0
        child.forget()
        store.append("a", pairs(1))
        assert await waiting == 1

    asyncio.run(main())


def test_a_store_in_memory_is_the_parents_alone_though_nothing_else_was_ever_open() -> None:
    # A process of its own: any lock that was taken before would have had forks watched.
    program = """
import os
from act_fast import LogStore
from act_fast._runtime.file_lock import FileLock
from act_fast.errors import StoreClosedError

store = LogStore.memory(segment_bytes=16384)
store.append("a", [("Counted", b"1")])
child = os.fork()
if child == 0:
    try:
        store.append("a", [("Counted", b"2")])
    except StoreClosedError:
        os._exit(3)
    os._exit(4)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), store.head)
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert said.stdout.split() == ["3", "1"]


def descriptors_of(pid: int, part: str) -> list[str]:
    """What a process has open whose name holds `part`."""
    found = []
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(each))
    return [name for name in found if part in name]


def idle(tell: Tell) -> None:
    """Say that it is there, and stay until it is killed."""
    tell("here")
    signal.pause()


@needs_proc
def test_children_forked_at_any_moment_have_no_descriptor_that_carries_a_lock(store_path: Path) -> None:
    LogStore(store_path, segment_bytes=16384).close()
    stop = threading.Event()
    failures: list[BaseException] = []

    def use(stream: str) -> None:
        try:
            while not stop.is_set():
                with LogStore(store_path, durability="os") as store:
                    store.append(stream, pairs(1))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=use, args=(f"s-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    children: list[Process] = []
    try:
        for _ in range(100):
            children.append(Process(idle))
        for child in children:
            assert child.next_line() == "here"
            assert descriptors_of(child.pid, "/locks/") == []
        stop.set()
        for thread in threads:
            thread.join()
        assert not failures
        # Only who is alone may choose another durability.
        with LogStore(store_path, durability="fsync") as alone:
            alone.append("a", pairs(1))
            assert alone.verify().healthy
    finally:
        stop.set()
        for child in children:
            child.forget()


def test_an_export_that_was_killed_keeps_nobody_out_though_a_child_lives_on(store_path: Path, tmp_path: Path) -> None:
    target = tmp_path / "events.jsonl"
    with LogStore(store_path) as store:
        store.append("a", pairs(3))

    def parent(tell: Tell) -> None:
        def fork_and_die(done: int, total: int) -> None:
            child = Process(idle)
            assert child.next_line() == "here"  # a fork is over when the child has let go of what it does not inherit
            tell(child.pid)
            os.kill(os.getpid(), signal.SIGKILL)

        with LogStore(store_path) as store:
            store.export(target, progress=fork_and_die)

    with started(parent) as (process,):
        orphan = int(process.next_line())
        assert process.wait() == -signal.SIGKILL
        try:
            with LogStore(store_path) as store:
                assert store.export(target).rows == 3
        finally:
            os.kill(orphan, signal.SIGKILL)


@needs_proc
def test_children_forked_at_any_moment_have_no_lock_of_what_python_writes(tmp_path: Path) -> None:
    path = tmp_path / "a-lock"
    stop = threading.Event()

    def use() -> None:
        while not stop.is_set():
            lock = FileLock(path, os.O_RDWR | os.O_CREAT)
            lock.take()
            lock.close()

    threads = [threading.Thread(target=use) for _ in range(2)]
    for thread in threads:
        thread.start()
    children: list[Process] = []
    try:
        for _ in range(50):
            children.append(Process(idle))
        for child in children:
            assert child.next_line() == "here"
            assert descriptors_of(child.pid, "a-lock") == []
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        for child in children:
            child.forget()
    lock = FileLock(path, os.O_RDWR)
    assert lock.take()
    lock.close()
