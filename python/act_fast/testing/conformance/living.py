"""Opening, closing, and opening again."""

import asyncio

import pytest

from act_fast.errors import StoreClosedError
from act_fast.stores.port import Store
from act_fast.stores.values import Append
from act_fast.testing.conformance.cases import Cases, OpenStore, numbers, pairs

__all__ = ["Living"]


class Living(Cases):
    """What holds over the life of a store and of its handles."""

    def test_a_store_is_open_until_it_is_closed_and_closing_again_is_fine(self, store: Store) -> None:
        assert not store.closed
        with store as same:
            assert same is store
        assert store.closed
        store.close()
        assert store.closed

    def test_after_closing_every_verb_says_that_the_store_is_closed(self, store: Store) -> None:
        store.append("a", pairs(5))
        store.close()
        for use in (
            lambda: store.append("a", pairs(1)),
            lambda: store.append_many([Append("a", pairs(1))]),
            lambda: store.load("a"),
            lambda: store.query(),
            lambda: store.head,
            lambda: store.version("a"),
            lambda: store.streams(),
            lambda: store.names(),
            lambda: store.save_snapshot("a", 1, b"x"),
            lambda: store.latest_snapshot("a"),
            lambda: store.wait(0),
            lambda: asyncio.run(store.wait_async(0)),
            lambda: store.flush(),
            lambda: store.verify(),
            lambda: store.stats(),
        ):
            with pytest.raises(StoreClosedError):
                use()

    def test_what_is_read_when_the_store_is_closed_ends_with_an_error_or_whole(self, store: Store) -> None:
        store.append("a", pairs(2500))
        reading = [store.load("a"), store.query(), store.query(names=["Counted"])]
        for events in reading:
            next(events)
        store.close()
        for events in reading:
            with pytest.raises(StoreClosedError):
                list(events)

    def test_what_one_handle_appended_another_reads_at_once(self, open_store: OpenStore) -> None:
        self.needs("handles")
        first, second = open_store(), open_store()
        first.append("a", pairs(3))
        assert (second.head, second.version("a"), numbers(second.load("a"))) == (3, 3, [1, 2, 3])
        first.close()
        assert second.append("a", pairs(1), expected_version=3).first_position == 4

    def test_everything_is_the_same_after_opening_it_again(self, open_store: OpenStore) -> None:
        self.needs("lasting")
        with open_store() as store:
            for number in range(60):
                store.append(f"s-{number % 7}", pairs(number % 3 + 1, name=f"N{number % 5}"))
            store.save_snapshot("s-1", 2, b"two")
            store.flush()
            before = (list(store.query()), list(store.streams()), store.names(), store.latest_snapshot("s-1"))
        with open_store() as store:
            after = (list(store.query()), list(store.streams()), store.names(), store.latest_snapshot("s-1"))
            assert after == before
            assert store.append("s-0", pairs(1)).first_position == len(before[0]) + 1
            assert store.verify().healthy
