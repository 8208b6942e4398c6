"""One store, many threads."""

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import TypeVar

import pytest

from act_fast import Append, LogStore
from act_fast.errors import ConcurrencyError, StoreClosedError
from tests.support.numbered import numbers, pair, pairs, positions, versions

THREADS = 16


T = TypeVar("T")


def together(work: Callable[[int], T], threads: int = THREADS) -> list[T]:
    """Run `work` in so many threads that begin at the same moment."""
    barrier = Barrier(threads)

    def begin(number: int) -> T:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(threads) as pool:
        return [each.result() for each in [pool.submit(begin, number) for number in range(threads)]]


def test_no_update_is_lost_when_all_expect_a_version_of_one_stream(store: LogStore) -> None:
    each = 40

    def count(_: int) -> int:
        conflicts = 0
        for _ in range(each):
            while True:
                version = store.version("counter")
                try:
                    store.append("counter", [pair(version + 1)], expected_version=version)
                    break
                except ConcurrencyError:
                    conflicts += 1
        return conflicts

    together(count)
    assert numbers(store.load("counter")) == list(range(1, THREADS * each + 1))
    assert versions(store.load("counter")) == list(range(1, THREADS * each + 1))


def test_exactly_one_of_many_creators_of_a_stream_wins(store: LogStore) -> None:
    def create(number: int) -> list[int]:
        won = []
        for stream in range(50):
            try:
                store.append(f"s-{stream}", [pair(number)], expected_version=0)
                won.append(stream)
            except ConcurrencyError:
                pass
        return won

    won = together(create)
    assert Counter(stream for streams in won for stream in streams) == Counter(range(50))
    for number, streams in enumerate(won):
        for stream in streams:
            assert numbers(store.load(f"s-{stream}")) == [number]


def test_what_each_thread_was_told_is_where_its_events_are(store: LogStore) -> None:
    def write(number: int) -> list[tuple[int, int, int]]:
        told = []
        for turn in range(30):
            count = turn % 3 + 1
            appended = store.append(f"s-{number % 5}", pairs(count, first=number * 1000 + turn * 10))
            told.append((appended.first_version, appended.first_position, count))
        return told

    told = together(write)
    by_position = {event.position: event for event in store.query()}
    assert list(by_position) == list(range(1, store.head + 1))
    for number, answers in enumerate(told):
        for turn, (version, position, count) in enumerate(answers):
            events = [by_position[position + index] for index in range(count)]
            assert numbers(events) == list(range(number * 1000 + turn * 10, number * 1000 + turn * 10 + count))
            assert versions(events) == list(range(version, version + count))
            assert {event.stream for event in events} == {f"s-{number % 5}"}


def test_a_thread_reads_what_it_has_written(store: LogStore) -> None:
    def write(number: int) -> None:
        for turn in range(1, 41):
            appended = store.append(f"s-{number}", pairs(1, first=turn))
            assert store.head >= appended.last_position
            assert store.version(f"s-{number}") == turn
            assert numbers(store.load(f"s-{number}")) == list(range(1, turn + 1))
            assert numbers(store.query(after=appended.first_position - 1, limit=1)) == [turn]

    together(write)


def test_readers_see_whole_commits_in_order_while_others_write(store: LogStore, dice: random.Random) -> None:
    done = Event()
    seeds = [dice.random() for _ in range(THREADS)]

    def write(number: int) -> None:
        own = random.Random(seeds[number])
        for _ in range(30):
            size = own.randrange(1, 6)
            store.append_many([Append(f"s-{own.randrange(4)}", pairs(size)), Append("all", [("Size", b"%d" % size)])])

    def read(_: int) -> None:
        seen = 0
        while not done.is_set() or seen < store.head:
            events = list(store.query(after=seen))
            assert positions(events) == list(range(seen + 1, seen + len(events) + 1))
            assert not events or events[-1].name == "Size"
            seen += len(events)
            found = versions(store.load("all"))
            assert found == list(range(1, len(found) + 1))

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read, number) for number in range(4)]
        together(write, 8)
        done.set()
        for reader in readers:
            reader.result()


def test_snapshots_and_appends_do_not_disturb_each_other(store: LogStore) -> None:
    def write(number: int) -> None:
        stream = f"s-{number}"
        for turn in range(1, 21):
            store.append(stream, pairs(1, first=turn))
            store.save_snapshot(stream, turn, b"%d" % turn)
            snapshot = store.latest_snapshot(stream)
            assert snapshot is not None
            assert (snapshot.version, snapshot.data) == (turn, b"%d" % turn)

    together(write)
    assert store.verify().healthy


def test_closing_while_others_work_ends_their_work_with_a_clear_error(open_store: Callable[..., LogStore]) -> None:
    for _ in range(10):
        store = open_store(durability="os")
        begun = Barrier(5)

        def work(number: int, store: LogStore = store, begun: Barrier = begun) -> None:
            begun.wait()
            while True:
                if number % 2:
                    store.append(f"s-{number}", pairs(3))
                else:
                    list(store.query(after=max(0, store.head - 50)))

        with ThreadPoolExecutor(4) as pool:
            working = [pool.submit(work, number) for number in range(4)]
            begun.wait()
            store.close()
            for each in working:
                with pytest.raises(StoreClosedError):
                    each.result()
    with open_store(durability="os") as store:
        assert store.verify().healthy


def test_several_handles_in_one_process_are_one_store(open_store: Callable[..., LogStore]) -> None:
    handles = [open_store() for _ in range(8)]

    def write(number: int) -> None:
        handle = handles[number % len(handles)]
        for _ in range(20):
            while True:
                version = handle.version("counter")
                try:
                    handle.append("counter", [pair(version + 1)], expected_version=version)
                    break
                except ConcurrencyError:
                    pass

    together(write)
    for handle in handles:
        assert numbers(handle.load("counter")) == list(range(1, THREADS * 20 + 1))


def test_the_index_can_be_rebuilt_while_others_read_and_write(open_store: Callable[..., LogStore]) -> None:
    store = open_store(durability="os")

    def work(number: int) -> None:
        if number == 0:
            for _ in range(10):
                store.rebuild_index()
        elif number % 2:
            for turn in range(1, 101):
                store.append(f"s-{number}", pairs(1, first=turn), expected_version=turn - 1)
        else:
            for _ in range(100):
                found = versions(store.load(f"s-{number - 1}"))
                assert found == list(range(1, len(found) + 1))

    together(work, 8)
    assert [store.version(f"s-{number}") for number in (1, 3, 5, 7)] == [100] * 4
    assert store.verify().healthy
