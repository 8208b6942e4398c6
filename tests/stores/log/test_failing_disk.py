"""A disk that refuses: real system calls of a real process made to fail, and flushes counted."""

import errno
from pathlib import Path

import pytest

from act_fast import LogStore
from tests.stores.log.conftest import OnMachine
from tests.support.numbered import numbers, versions


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_a_failed_flush_ends_appending_for_good_while_reads_go_on(
    on_machine: OnMachine, store_path: Path, error: int
) -> None:
    said = on_machine(
        "fsync",
        f"""
        store, other = LogStore(path), LogStore(path)
        for number in range(1, 11):
            store.append("a", numbered(number))
        let("FLUSH", {error})
        print(refused(OutcomeUnknownError, store.append, "a", numbered(11)))
        let("FLUSH", 0)
        before = flushes()
        for handle in (store, other):
            print(refused(StoreFailedError, handle.append, "a", numbered(12)))
            print(refused(StoreFailedError, handle.flush))
            assert handle.head == handle.version("a") == len(list(handle.query())) == len(list(handle.load("a"))) == 10
        assert flushes() == before, "a failed flush was asked for again"
        store.close(), other.close()
        with LogStore(path) as again:
            print(again.head, healthy(again))
            again.append("a", numbered(99), expected_version=again.head)
            print(healthy(again))
        """,
    )
    assert said[:5] == ["OutcomeUnknownError", *["StoreFailedError"] * 4]
    head = int(said[5])
    assert (head in (10, 11), said[6:]) == (True, ["True", "True"])
    with LogStore(store_path) as store:
        assert numbers(store.load("a")) == [*range(1, head + 1), 99]


def test_a_failed_flush_in_the_background_is_told_by_the_next_append(
    on_machine: OnMachine,
) -> None:
    said = on_machine(
        "interval",
        """
        store = LogStore(path, durability="interval", flush_interval=0.001)
        store.append("a", numbered(1))
        let("FLUSH", errno.EIO)
        number = 1
        try:
            while True:
                store.append("a", numbered(number + 1))
                number += 1
        except StoreFailedError as error:
            print(type(error).__name__)
        let("FLUSH", 0)
        print(refused(StoreFailedError, store.append, "a", numbered(0)))
        assert store.head == number == len(list(store.load("a")))
        store.close()
        with LogStore(path, durability="interval") as again:
            print(again.head <= number, healthy(again))
        """,
    )
    assert said == ["StoreFailedError", "StoreFailedError", "True", "True"]


def test_a_failed_write_leaves_the_log_as_it_was(on_machine: OnMachine, store_path: Path) -> None:
    said = on_machine(
        "fsync",
        """
        store = LogStore(path)
        for number in range(1, 11):
            store.append("a", numbered(number))
        let("WRITE", errno.EIO)
        print(refused(StoreError, store.append, "a", numbered(11)))
        assert store.head == store.version("a") == len(list(store.load("a"))) == 10
        let("WRITE", 0)
        store.close()
        with LogStore(path) as again:
            print(again.head, healthy(again))
            again.append("a", numbered(11), expected_version=10)
        """,
    )
    assert said[1:] == ["10", "True"]
    with LogStore(store_path) as store:
        assert numbers(store.load("a")) == list(range(1, 12))


def test_a_write_without_room_changes_nothing_and_may_be_tried_again(on_machine: OnMachine, store_path: Path) -> None:
    said = on_machine(
        "fsync",
        """
        with LogStore(path) as store:
            store.append("a", numbered(1))
            let("WRITE", errno.ENOSPC)
            print(refused(StoreFullError, store.append, "a", numbered(2)))
            assert store.head == 1
            let("WRITE", 0)
            store.append("a", numbered(2), expected_version=1)
            print(healthy(store))
        """,
    )
    assert said == ["StoreFullError", "True"]
    with LogStore(store_path) as store:
        assert numbers(store.load("a")) == [1, 2]


def test_concurrent_appends_share_their_flushes(on_machine: OnMachine, store_path: Path) -> None:
    said = on_machine(
        "fsync",
        """
        with LogStore(path) as store:
            store.append("warm-up", numbered(0))
            before = flushes()

            def write(thread):
                for number in range(100):
                    store.append(f"s-{thread}", numbered(number))

            with ThreadPoolExecutor(16) as pool:
                list(pool.map(write, range(16)))
            print(flushes() - before)
        """,
    )
    assert int(said[0]) < 1600 / 2
    with LogStore(store_path) as store:
        for thread in range(16):
            assert versions(store.load(f"s-{thread}")) == list(range(1, 101))


@pytest.mark.parametrize(("durability", "least"), [("fsync", 50), ("interval", 0), ("os", 0)])
def test_only_fsync_flushes_for_every_append(on_machine: OnMachine, durability: str, least: int) -> None:
    said = on_machine(
        durability,
        """
        with LogStore(path, durability=durability, flush_interval=3600) as store:
            store.append("a", numbered(0))
            before = flushes()
            for number in range(50):
                store.append("a", numbered(number))
            print(flushes() - before)
            store.flush()
            print(flushes() - before)
        """,
    )
    during, after = map(int, said)
    assert during >= least
    assert during == 0 or durability == "fsync"
    assert after > 0


def test_without_a_thread_to_flush_later_an_interval_flushes_at_once(on_machine: OnMachine) -> None:
    said = on_machine(
        "interval",
        """
        store = LogStore(path, durability="interval", flush_interval=3600)
        let("THREAD", errno.EAGAIN)
        for number in range(1, 4):
            before = flushes()
            store.append("a", numbered(number))
            assert flushes() > before, "nobody would have flushed this"
        let("THREAD", 0)
        store.append("a", numbered(4))
        before = flushes()
        store.append("a", numbered(5))
        print(flushes() - before, store.head)
        """,
    )
    assert said == ["0", "5"]
