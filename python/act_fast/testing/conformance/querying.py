"""Querying the whole log."""

import random
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from act_fast._events.committed import Committed
from act_fast._events.meta import Meta
from act_fast.stores.port import Store
from act_fast.stores.values import Append
from act_fast.testing.conformance.cases import Cases, numbers, pairs, positions

__all__ = ["Querying"]

_VAST = 2**63 - 1
_ALL = [1, 2, 3, 4, 5, 6, 7, 8]


def _found(store: Store, **conditions: Any) -> list[int]:
    return positions(store.query(**conditions))


class Querying(Cases):
    """What `query` promises."""

    @pytest.fixture
    def mixed(self, store: Store) -> Store:
        """Positions 1 to 8: four streams, four names, two correlations."""
        store.append("order-1", [("Placed", b"1"), ("Paid", b"2")], meta=Meta(correlation="r1"))
        store.append("order-2", [("Placed", b"3")], meta=Meta(correlation="r2"))
        store.append("orders", [("Counted", b"4")])
        store.append("order-1", [("Shipped", b"5")], meta=Meta(correlation="r2", extra={"by": "Ada"}))
        store.append("order-12", [("Placed", b"6")])
        store.append_many([Append("order-2", [("Paid", b"7")]), Append("order-12", [("Paid", b"8")])])
        return store

    def test_without_conditions_every_event_comes_in_the_order_of_positions(self, mixed: Store) -> None:
        assert _found(mixed) == _ALL
        assert [event.data for event in mixed.query()] == [b"%d" % each for each in _ALL]
        assert _found(mixed, backwards=True) == _ALL[::-1]
        assert _found(mixed, backwards=True, limit=1) == [8]

    def test_an_empty_store_has_nothing_to_find(self, store: Store) -> None:
        assert _found(store) == _found(store, backwards=True) == _found(store, stream="a", names=["B"]) == []
        assert _found(store, created_after=datetime(2020, 1, 1, tzinfo=UTC), pattern="a") == []

    def test_after_and_before_are_positions_and_exclusive(self, mixed: Store) -> None:
        assert _found(mixed, after=5) == [6, 7, 8]
        assert _found(mixed, before=3) == [1, 2]
        assert _found(mixed, after=2, before=5) == [3, 4]
        assert _found(mixed, after=2, before=5, backwards=True) == [4, 3]
        assert _found(mixed, after=8) == _found(mixed, before=1) == _found(mixed, before=0) == []
        assert _found(mixed, after=5, before=5) == _found(mixed, after=5, before=6) == []
        assert _found(mixed, after=6, before=2) == _found(mixed, after=_VAST) == []
        assert _found(mixed, after=_VAST, backwards=True) == []
        assert _found(mixed, before=_VAST) == _ALL

    def test_limit_0_gives_nothing_and_none_is_unlimited(self, mixed: Store) -> None:
        assert _found(mixed, limit=0) == _found(mixed, limit=0, backwards=True) == []
        assert _found(mixed, limit=3) == [1, 2, 3]
        assert _found(mixed, limit=None) == _found(mixed, limit=_VAST) == _ALL

    def test_limit_counts_what_is_found_not_what_is_looked_at(self, mixed: Store) -> None:
        assert _found(mixed, names=["Paid"], limit=2) == [2, 7]
        assert _found(mixed, correlation="r2", limit=1) == [3]
        assert _found(mixed, pattern="2$", limit=2) == [3, 6]

    def test_a_stream_is_meant_by_its_exact_name(self, mixed: Store) -> None:
        assert _found(mixed, stream="order-1") == [1, 2, 5]
        assert _found(mixed, stream="order-1", backwards=True) == [5, 2, 1]
        assert _found(mixed, stream="order-.") == _found(mixed, stream="order") == _found(mixed, stream="order%") == []

    def test_the_bounds_of_a_stream_are_positions_too(self, mixed: Store) -> None:
        assert _found(mixed, stream="order-1", after=1) == [2, 5]
        assert _found(mixed, stream="order-1", after=2) == _found(mixed, stream="order-1", after=4) == [5]
        assert _found(mixed, stream="order-1", before=5) == _found(mixed, stream="order-1", before=3) == [1, 2]
        assert _found(mixed, stream="order-1", before=5, backwards=True, limit=1) == [2]
        assert _found(mixed, stream="order-1", after=2, before=5) == _found(mixed, stream="order-1", after=5) == []
        assert _found(mixed, stream="nobody", after=2, before=5) == []

    def test_a_pattern_is_searched_and_anchored_only_by_the_caller(self, mixed: Store) -> None:
        assert _found(mixed, pattern="rder-1") == [1, 2, 5, 6, 8]
        assert _found(mixed, pattern="order-1$") == [1, 2, 5]
        assert _found(mixed, pattern="^order-") == [1, 2, 3, 5, 6, 7, 8]
        assert _found(mixed, pattern="^rder") == []
        assert _found(mixed, pattern=r"^order-\d$", backwards=True) == [7, 5, 3, 2, 1]
        assert _found(mixed, pattern="") == _ALL

    def test_a_pattern_is_matched_in_linear_time(self, store: Store) -> None:
        store.append("a" * 500, pairs(1))
        assert _found(store, pattern="^(a+)+$") == [1]
        assert _found(store, pattern="^(a+)+b$") == []

    def test_a_pattern_knows_unicode(self, store: Store) -> None:
        store.append("straße-7", pairs(1))
        store.append("北京", pairs(1))
        assert _found(store, pattern="straße") == [1]
        assert _found(store, pattern=r"^\p{Han}+$") == [2]

    def test_a_stream_and_a_pattern_must_both_fit(self, mixed: Store) -> None:
        assert _found(mixed, stream="order-1", pattern="1") == [1, 2, 5]
        assert _found(mixed, stream="order-1", pattern="2") == []

    def test_names_are_exact_and_any_of_them_will_do(self, mixed: Store) -> None:
        assert _found(mixed, names=["Paid"]) == _found(mixed, names=["Paid", "Paid"]) == [2, 7, 8]
        assert _found(mixed, names=["Paid", "Placed"]) == [1, 2, 3, 6, 7, 8]
        assert _found(mixed, names=("Placed", "Paid"), backwards=True) == [8, 7, 6, 3, 2, 1]
        assert _found(mixed, names=["Nothing"]) == _found(mixed, names=["paid"]) == _found(mixed, names=["Pai"]) == []
        assert _found(mixed, names=["Nothing", "Shipped"]) == [5]
        assert _found(mixed, names=[f"N{each}" for each in range(300)] + ["Shipped"]) == [5]
        assert _found(mixed, names=[]) == []

    def test_the_correlation_is_that_of_the_commit(self, mixed: Store) -> None:
        assert _found(mixed, correlation="r1") == [1, 2]
        assert _found(mixed, correlation="r2") == [3, 5]
        assert _found(mixed, correlation="r2", backwards=True) == [5, 3]
        assert _found(mixed, correlation="r") == _found(mixed, correlation="Ada") == []

    def test_a_correlation_may_be_any_text(self, store: Store) -> None:
        long = "x" * 64
        texts = ['a"b', "a\\b", "ü🛩", "\n", "", "a\0b", long, long + "y", "ü" * 5000]
        for text in texts:
            store.append("a", pairs(1), meta=Meta(correlation=text))
        store.append("a", pairs(1), meta=Meta(extra={"correlation": "r1"}))
        for position, text in enumerate(texts, start=1):
            assert _found(store, correlation=text) == [position]
        assert _found(store, correlation="r1") == []

    def test_created_bounds_are_exclusive_to_the_microsecond(self, mixed: Store) -> None:
        events = list(mixed.query())
        just = timedelta(microseconds=1)
        for moment in {event.created for event in events}:
            later = [event.position for event in events if event.created > moment]
            earlier = [event.position for event in events if event.created < moment]
            same = [event.position for event in events if event.created == moment]
            assert _found(mixed, created_after=moment) == later
            assert _found(mixed, created_before=moment) == earlier
            assert _found(mixed, created_after=moment - just, created_before=moment + just) == same

    def test_created_bounds_may_be_given_in_any_zone_and_in_any_age(self, mixed: Store) -> None:
        moment = next(mixed.query()).created
        zone = timezone(timedelta(hours=5, minutes=45))
        assert _found(mixed, created_after=moment.astimezone(zone)) == _found(mixed, created_after=moment)
        assert _found(mixed, created_after=datetime(1, 1, 1, tzinfo=UTC)) == _ALL
        assert _found(mixed, created_before=datetime(1960, 1, 1, tzinfo=UTC)) == []
        assert _found(mixed, created_after=datetime(9999, 12, 31, tzinfo=UTC)) == []
        assert _found(mixed, created_before=datetime(9999, 12, 31, tzinfo=UTC)) == _ALL

    def test_all_conditions_must_be_met(self, mixed: Store) -> None:
        assert _found(mixed, stream="order-1", names=["Paid", "Shipped"]) == [2, 5]
        assert _found(mixed, pattern="^order", names=["Paid"], after=2) == [7, 8]
        assert _found(mixed, stream="order-1", names=["Shipped"], correlation="r2", after=4, before=6) == [5]
        assert _found(mixed, stream="order-1", correlation="r3") == []

    def test_a_query_answers_for_the_moment_it_was_asked(self, mixed: Store) -> None:
        running = [
            mixed.query(),
            mixed.query(stream="order-1"),
            mixed.query(names=["Placed"]),
            mixed.query(pattern="o"),
            mixed.query(created_before=datetime(9999, 1, 1, tzinfo=UTC)),
        ]
        mixed.append("order-1", [("Placed", b"9")])
        assert [positions(events) for events in running] == [_ALL, [1, 2, 5], [1, 3, 6], _ALL, _ALL]

    def test_appending_what_a_query_finds_ends(self, store: Store) -> None:
        store.append("a", pairs(1100))
        found = 0
        for event in store.query():
            found += 1
            if found % 100 == 0:
                store.append("b", [(event.name, event.data)])
        assert (found, store.head) == (1100, 1111)

    @pytest.mark.parametrize("limit", [1, 999, 1000, 1001, 2500, 2501, None])
    @pytest.mark.parametrize("backwards", [False, True])
    def test_many_events_come_without_gap_or_repetition(self, store: Store, limit: int | None, backwards: bool) -> None:
        for first in range(1, 2501, 100):
            store.append_many([Append("a", pairs(100, first=first)), Append("b", pairs(1, name="Other"))])
        everything, expected = list(range(1, 2526)), list(range(1, 2501))
        if backwards:
            everything, expected = everything[::-1], expected[::-1]
        assert _found(store, limit=limit, backwards=backwards) == everything[:limit]
        assert _found(store, names=["Other", "Counted"], limit=limit, backwards=backwards) == everything[:limit]
        conditions: list[dict[str, Any]] = [{"stream": "a"}, {"names": ["Counted"]}, {"pattern": "^a$"}]
        for condition in conditions:
            assert numbers(store.query(**condition, limit=limit, backwards=backwards)) == expected[:limit]

    def test_any_combination_finds_what_a_plain_filter_finds(self, store: Store, dice: random.Random) -> None:
        for number in range(150):
            meta = Meta(correlation=f"r{dice.randrange(5)}") if dice.random() < 0.5 else None
            names = [f"N{dice.randrange(5)}" for _ in range(dice.randrange(1, 4))]
            store.append(f"s-{dice.randrange(7)}", [(name, b"%d" % number) for name in names], meta=meta)
        events = list(store.query())
        for _ in range(200):
            conditions = _Conditions.drawn(dice, events)
            assert list(store.query(**vars(conditions))) == conditions.applied_to(events), conditions


@dataclass
class _Conditions:
    """A random choice of conditions, and what each of them means, said in Python."""

    stream: str | None
    pattern: str | None
    names: list[str] | None
    after: int
    before: int | None
    created_after: datetime | None
    created_before: datetime | None
    correlation: str | None
    limit: int | None
    backwards: bool

    @classmethod
    def drawn(cls, dice: random.Random, events: list[Committed[bytes]]) -> "_Conditions":
        def maybe(value: Any) -> Any:
            return value if dice.random() < 0.3 else None

        return cls(
            stream=maybe(f"s-{dice.randrange(8)}"),
            pattern=maybe(dice.choice(["^s-1", "[24]$", "s-(1|3)", "x", "-"])),
            names=maybe([f"N{dice.randrange(6)}" for _ in range(dice.randrange(4))]),
            after=maybe(dice.randrange(len(events) + 5)) or 0,
            before=maybe(dice.randrange(len(events) + 5)),
            created_after=maybe(dice.choice(events).created),
            created_before=maybe(dice.choice(events).created),
            correlation=maybe(f"r{dice.randrange(5)}"),
            limit=maybe(dice.randrange(20)),
            backwards=dice.random() < 0.5,
        )

    def applied_to(self, events: list[Committed[bytes]]) -> list[Committed[bytes]]:
        accepted = [event for event in events if self._accept(event)]
        return (accepted[::-1] if self.backwards else accepted)[: self.limit]

    def _accept(self, event: Committed[bytes]) -> bool:
        return (
            (self.stream is None or event.stream == self.stream)
            and (self.pattern is None or re.search(self.pattern, event.stream) is not None)
            and (self.names is None or event.name in self.names)
            and event.position > self.after
            and (self.before is None or event.position < self.before)
            and (self.created_after is None or event.created > self.created_after)
            and (self.created_before is None or event.created < self.created_before)
            and (self.correlation is None or event.meta.correlation == self.correlation)
        )
