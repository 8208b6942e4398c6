"""Loading the events of one stream."""

from collections.abc import Iterator
from datetime import UTC

import pytest

from act_fast._events.committed import Committed
from act_fast._events.meta import Meta
from act_fast.stores.port import Store
from act_fast.testing.conformance.cases import Cases, numbers, pairs, positions, versions

__all__ = ["Loading"]

_MANY = 2500
_VAST = 2**63 - 1


class Loading(Cases):
    """What `load` promises."""

    @pytest.fixture
    def ten(self, store: Store) -> Store:
        """A store whose stream `a` has ten events, between those of another one."""
        for number in range(1, 11):
            store.append("b", pairs(2))
            store.append("a", pairs(1, first=number))
        return store

    def test_an_event_comes_with_all_that_is_known_of_it(self, store: Store) -> None:
        store.append("other", pairs(3))
        store.append("a", [("Opened", b'{"owner":"Ada"}')], meta=Meta(correlation="r"))
        (event,) = store.load("a")
        assert isinstance(event, Committed)
        assert (event.data, event.name, event.stream) == (b'{"owner":"Ada"}', "Opened", "a")
        assert (event.version, event.position, event.created.tzinfo) == (1, 4, UTC)
        assert event.meta == Meta(correlation="r")

    def test_only_the_events_of_the_stream_itself_are_loaded_in_order(self, ten: Store) -> None:
        assert numbers(ten.load("a")) == versions(ten.load("a")) == list(range(1, 11))
        assert positions(ten.load("a")) == list(range(3, 31, 3))

    def test_a_stream_that_is_not_there_has_no_events(self, ten: Store) -> None:
        assert list(ten.load("nobody")) == list(ten.load("a1")) == list(ten.load("A")) == []

    def test_after_and_before_are_versions_and_exclusive(self, ten: Store) -> None:
        assert versions(ten.load("a", after=7)) == [8, 9, 10]
        assert versions(ten.load("a", after=0)) == versions(ten.load("a", before=11)) == list(range(1, 11))
        assert versions(ten.load("a", before=4)) == [1, 2, 3]
        assert versions(ten.load("a", after=3, before=6)) == [4, 5]
        for bounds in ({"after": 10}, {"after": _VAST}, {"before": 1}, {"before": 0}, {"after": 3, "before": 4}):
            assert list(ten.load("a", **bounds)) == []
        assert list(ten.load("a", after=6, before=3)) == list(ten.load("a", after=_VAST, before=_VAST)) == []
        assert versions(ten.load("a", before=_VAST)) == list(range(1, 11))

    def test_limit_stops_early_and_0_gives_nothing(self, ten: Store) -> None:
        assert versions(ten.load("a", limit=3)) == [1, 2, 3]
        assert versions(ten.load("a", after=8, limit=3)) == [9, 10]
        assert versions(ten.load("a", limit=0)) == []
        assert versions(ten.load("a", limit=None)) == versions(ten.load("a", limit=_VAST)) == list(range(1, 11))

    def test_events_are_handed_out_one_by_one(self, ten: Store) -> None:
        first, second = ten.load("a"), ten.load("a")
        assert isinstance(first, Iterator)
        for expected in range(1, 11):
            assert next(first).version == next(second).version == expected

    @pytest.mark.parametrize("limit", [999, 1000, 1001, 2000, 2499, 2500, 2501, None])
    def test_a_long_stream_comes_without_gap_or_repetition(self, store: Store, limit: int | None) -> None:
        store.append("a", pairs(_MANY))
        assert numbers(store.load("a", limit=limit)) == list(range(1, _MANY + 1))[:limit]

    def test_what_is_appended_while_a_stream_is_read_is_not_for_this_reader(self, store: Store) -> None:
        store.append("a", pairs(_MANY))
        events = store.load("a")
        next(events)
        store.append("a", pairs(500, first=_MANY + 1))
        assert numbers(events) == list(range(2, _MANY + 1))

    def test_large_events_come_whole_and_in_order(self, store: Store) -> None:
        self.needs("large events")
        sizes = [0, 1, 4095, 4096, 1_000_000, 1, 5_000_000, 3_000_000, 2, 5_000_000, 1_000_000]
        for number, size in enumerate(sizes):
            store.append("a", [("Sized", b'"' + b"x" * size + b'"'), ("Small", b"%d" % number)])
        found = [len(event.data) - 2 for event in store.load("a") if event.name == "Sized"]
        assert found == sizes
        assert versions(store.load("a")) == list(range(1, 2 * len(sizes) + 1))
        backwards = store.query(backwards=True)
        assert [len(event.data) - 2 for event in backwards if event.name == "Sized"] == sizes[::-1]
