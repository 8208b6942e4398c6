"""Several threads and several handles at once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from act_fast.errors import ConcurrencyError
from act_fast.stores.port import Store
from act_fast.stores.values import Append
from act_fast.testing.conformance.cases import Cases, OpenStore, pair, pairs, positions

__all__ = ["Concurrency"]

_THREADS = 8


class Concurrency(Cases):
    """What holds when many use a store at once."""

    def test_of_several_creators_of_a_stream_exactly_one_wins(self, store: Store) -> None:
        for turn in range(10):
            create = partial(self._created, store, f"s-{turn}", threading.Barrier(_THREADS))
            assert sum(self._all(create)) == 1
            assert store.version(f"s-{turn}") == 1

    def test_threads_that_expect_versions_lose_nothing_and_overwrite_nothing(self, store: Store) -> None:
        turns = 12

        def count_up() -> int:
            lost = done = 0
            while done < turns:
                version = store.version("counter")
                try:
                    store.append("counter", [pair(version + 1)], expected_version=version)
                    done += 1
                except ConcurrencyError:
                    lost += 1
            return lost

        self._all(count_up)
        events = list(store.load("counter"))
        assert [event.data for event in events] == [b'{"number":%d}' % each for each in range(1, _THREADS * turns + 1)]
        assert positions(events) == list(range(1, _THREADS * turns + 1))

    def test_what_several_handles_append_is_dense_whole_and_in_one_order(self, open_store: OpenStore) -> None:
        stores = [open_store()] if "handles" in self.lacks else [open_store() for _ in range(3)]

        def write(number: int) -> None:
            store = stores[number % len(stores)]
            for turn in range(15):
                a, b = store.append_many([Append(f"a-{number}", pairs(2)), Append(f"b-{turn}", pairs(1))])
                assert b.first_position == a.last_position + 1
                assert (a.first_version, a.last_version) == (2 * turn + 1, 2 * turn + 2)

        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(write, range(_THREADS)))
        for store in stores:
            events = list(store.query())
            assert positions(events) == list(range(1, _THREADS * 15 * 3 + 1))
            assert [event.created for event in events] == sorted(event.created for event in events)
            assert store.verify().healthy

    def test_a_follower_sees_every_event_once_and_in_order_while_others_append(self, open_store: OpenStore) -> None:
        follower = open_store()
        writers = [follower] if "handles" in self.lacks else [open_store(), open_store()]
        wanted = _THREADS * 15

        def write(number: int) -> None:
            for _ in range(15):
                writers[number % len(writers)].append(f"s-{number}", pairs(1))

        seen: list[int] = []
        with ThreadPoolExecutor(_THREADS) as pool:
            writing = [pool.submit(write, number) for number in range(_THREADS)]
            while len(seen) < wanted:
                found = positions(follower.query(after=len(seen)))
                assert found == list(range(len(seen) + 1, len(seen) + 1 + len(found)))
                seen += found
            for each in writing:
                each.result()
        assert seen == list(range(1, wanted + 1))

    def test_one_conflict_fails_none_of_those_that_append_at_the_same_time(self, store: Store) -> None:
        store.append("taken", pairs(1))
        barrier = threading.Barrier(_THREADS)

        def append(number: int) -> bool:
            barrier.wait()
            try:
                stream, expected = ("taken", 0) if number % 2 else (f"free-{number}", 0)
                store.append(stream, pairs(1), expected_version=expected)
                return True
            except ConcurrencyError:
                return False

        with ThreadPoolExecutor(_THREADS) as pool:
            assert list(pool.map(append, range(_THREADS))) == [number % 2 == 0 for number in range(_THREADS)]
        assert store.head == 1 + _THREADS // 2

    @staticmethod
    def _created(store: Store, stream: str, barrier: threading.Barrier) -> bool:
        barrier.wait()
        try:
            store.append(stream, pairs(1), expected_version=0)
            return True
        except ConcurrencyError as error:
            return (error.expected, error.actual) != (0, 1)

    @staticmethod
    def _all(what: Callable[[], int]) -> list[int]:
        with ThreadPoolExecutor(_THREADS) as pool:
            return [each.result() for each in [pool.submit(what) for _ in range(_THREADS)]]
