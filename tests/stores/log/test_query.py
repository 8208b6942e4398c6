"""Querying the whole log."""

import gc
import random
import re
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from act_fast import Append, Committed, DecodeError, LogStore, Meta
from act_fast.stores.rows import each_committed
from tests.support.numbered import numbers, pairs, positions


@pytest.fixture
def mixed(store: LogStore) -> LogStore:
    """Positions 1 … 8: three streams, three names, two correlations."""
    store.append("order-1", [("Placed", b"1"), ("Paid", b"2")], meta=Meta(correlation="r1"))
    store.append("order-2", [("Placed", b"3")], meta=Meta(correlation="r2"))
    store.append("orders", [("Counted", b"4")])
    store.append("order-1", [("Shipped", b"5")], meta=Meta(correlation="r2", extra={"by": "Ada"}))
    store.append("order-12", [("Placed", b"6")])
    store.append_many([Append("order-2", [("Paid", b"7")]), Append("order-12", [("Paid", b"8")])])
    return store


def found(store: LogStore, **filters: Any) -> list[int]:
    return positions(store.query(**filters))


def test_without_conditions_every_event_comes_in_the_order_of_positions(mixed: LogStore) -> None:
    assert found(mixed) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [event.data for event in mixed.query()] == [b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8"]


def test_events_are_those_of_their_rows_however_they_are_grouped(store: LogStore) -> None:
    for number in range(300):
        meta = Meta(f"c-{number}", extra={"n": number}) if number % 3 else None
        events = [("N" if i % 2 else "M", b"%d" % i, [f"t:{i}"] if number % 7 == 0 else []) for i in range(number % 9)]
        store.append_many(
            [Append(f"s-{i}", [("N", b"1"), *events]) for i in range(number % 4 + 1)],
            meta=meta,
        )
    rows, query = [], store._log.query()
    while (page := query.next_page(100)) is not None:
        rows += page
    expected = list(each_committed(rows))
    assert len(expected) > 3_000
    assert list(store.query()) == expected
    assert list(store.query(backwards=True)) == expected[::-1]
    for stream in ("s-0", "s-3"):
        assert list(store.load(stream)) == [each for each in expected if each.stream == stream]
    assert list(store.query(limit=1_700)) == expected[:1_700]
    assert list(store.load("s-0", after=5, limit=1_100)) == [each for each in expected if each.stream == "s-0"][5:1_105]


def test_no_two_events_share_what_can_be_changed(store: LogStore) -> None:
    store.append("a", [("N", b"1"), ("N", b"2"), ("N", b"3")], meta=Meta("c", extra={"by": "Ada"}))
    events = [*store.query(), *store.load("a")]
    assert len({id(event.meta.extra) for event in events}) == 6


def test_an_event_whose_meta_is_of_no_app_is_told_after_those_before_it(store: LogStore) -> None:
    store._log.append("a", [("N", b"1"), ("N", b"2")])
    store._log.append("a", [("N", b"3")], None, b'{"correlation":7}')
    events = store.query()
    assert [next(events).data for _ in range(2)] == [b"1", b"2"]
    with pytest.raises(DecodeError, match="meta"):
        next(events)


def test_an_empty_store_has_nothing_to_find(store: LogStore) -> None:
    assert found(store) == []
    assert found(store, backwards=True) == []
    assert found(store, stream="a", names=["B"]) == []


def test_backwards_starts_at_the_end(mixed: LogStore) -> None:
    assert found(mixed, backwards=True) == [8, 7, 6, 5, 4, 3, 2, 1]
    assert found(mixed, backwards=True, limit=1) == [8]


def test_after_and_before_are_positions_and_exclusive(mixed: LogStore) -> None:
    assert found(mixed, after=5) == [6, 7, 8]
    assert found(mixed, before=3) == [1, 2]
    assert found(mixed, after=2, before=5) == [3, 4]
    assert found(mixed, after=2, before=5, backwards=True) == [4, 3]
    assert found(mixed, after=8) == found(mixed, before=1) == found(mixed, before=0) == []
    assert found(mixed, after=5, before=5) == found(mixed, after=5, before=6) == found(mixed, after=6, before=2) == []


def test_limit_0_gives_nothing_and_none_is_unlimited(mixed: LogStore) -> None:
    assert found(mixed, limit=0) == []
    assert found(mixed, limit=0, backwards=True) == []
    assert found(mixed, limit=3) == [1, 2, 3]
    assert found(mixed, limit=None) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert found(mixed, limit=2**62) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_limit_counts_what_is_found_not_what_is_looked_at(mixed: LogStore) -> None:
    assert found(mixed, names=["Paid"], limit=2) == [2, 7]
    assert found(mixed, correlation="r2", limit=1) == [3]


def test_a_stream_is_meant_by_its_exact_name(mixed: LogStore) -> None:
    assert found(mixed, stream="order-1") == [1, 2, 5]
    assert found(mixed, stream="order-1", backwards=True) == [5, 2, 1]
    assert found(mixed, stream="order-.") == []
    assert found(mixed, stream="order") == []


def test_a_pattern_is_searched_and_anchored_only_by_the_caller(mixed: LogStore) -> None:
    assert found(mixed, pattern="rder-1") == [1, 2, 5, 6, 8]
    assert found(mixed, pattern="order-1$") == [1, 2, 5]
    assert found(mixed, pattern="^order-") == [1, 2, 3, 5, 6, 7, 8]
    assert found(mixed, pattern="^rder") == []
    assert found(mixed, pattern=r"^order-\d$", backwards=True) == [7, 5, 3, 2, 1]
    assert found(mixed, pattern="") == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_pattern_that_would_explode_elsewhere_is_linear_here(store: LogStore) -> None:
    store.append("a" * 500, pairs(1))
    assert found(store, pattern="^(a+)+$") == [1]
    assert found(store, pattern="^(a+)+b$") == []


def test_a_pattern_knows_unicode(store: LogStore) -> None:
    store.append("straße-7", pairs(1))
    store.append("北京", pairs(1))
    assert found(store, pattern="straße") == [1]
    assert found(store, pattern=r"^\p{Han}+$") == [2]


def test_a_stream_and_a_pattern_must_both_fit(mixed: LogStore) -> None:
    assert found(mixed, stream="order-1", pattern="1") == [1, 2, 5]
    assert found(mixed, stream="order-1", pattern="2") == []


def test_names_are_exact_and_any_of_them_will_do(mixed: LogStore) -> None:
    assert found(mixed, names=["Paid"]) == [2, 7, 8]
    assert found(mixed, names=["Paid", "Placed"]) == [1, 2, 3, 6, 7, 8]
    assert found(mixed, names=("Placed", "Paid"), backwards=True) == [8, 7, 6, 3, 2, 1]
    assert found(mixed, names=["Nothing"]) == found(mixed, names=["paid"]) == found(mixed, names=["Pai"]) == []
    assert found(mixed, names=["Nothing", "Shipped"]) == [5]


def test_a_name_given_twice_counts_once(mixed: LogStore) -> None:
    assert found(mixed, names=["Paid", "Paid"]) == [2, 7, 8]


def test_no_names_at_all_give_nothing(mixed: LogStore) -> None:
    assert found(mixed, names=[]) == []


def test_a_stream_name_is_no_event_name_and_the_other_way_round(store: LogStore) -> None:
    store.append("Both", [("Other", b"1")])
    store.append("other", [("Both", b"2")])
    assert found(store, stream="Both") == [1]
    assert found(store, names=["Both"]) == [2]


def test_the_correlation_is_that_of_the_commit(mixed: LogStore) -> None:
    assert found(mixed, correlation="r1") == [1, 2]
    assert found(mixed, correlation="r2") == [3, 5]
    assert found(mixed, correlation="r2", backwards=True) == [5, 3]
    assert found(mixed, correlation="r") == found(mixed, correlation="Ada") == []


def test_a_correlation_with_quotes_and_other_letters_is_found(store: LogStore) -> None:
    for correlation in ['a"b', "a\\b", "ü🛩", "\n", ""]:
        store.append("a", pairs(1), meta=Meta(correlation=correlation))
    for position, correlation in enumerate(['a"b', "a\\b", "ü🛩", "\n", ""], start=1):
        assert found(store, correlation=correlation) == [position]


def test_a_correlation_in_the_extra_part_of_meta_is_not_meant(store: LogStore) -> None:
    store.append("a", pairs(1), meta=Meta(extra={"correlation": "r1"}))
    store.append("a", pairs(1), meta=Meta(correlation="r1", extra={"correlation": "r2"}))
    assert found(store, correlation="r1") == [2]
    assert found(store, correlation="r2") == []


def test_a_correlation_is_found_beside_anything_else_that_meta_may_hold(store: LogStore) -> None:
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"a": deep, "correlation": "not this"}
    extras: list[dict[str, Any]] = [deep, {"a": 1e308, "b": 2**63, "c": [None, True]}, {"correlation": {"a": "r1"}}]
    for extra in extras:
        store.append("a", pairs(1), meta=Meta(correlation="r1", extra=extra))
    assert found(store, correlation="r1") == [1, 2, 3]
    assert found(store, correlation="not this") == []


def test_bounds_beyond_everything_are_no_harm(mixed: LogStore) -> None:
    vast = 2**63 - 1
    assert found(mixed, after=vast) == found(mixed, after=vast, backwards=True) == []
    assert found(mixed, before=vast) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert list(mixed.load("order-1", after=vast)) == list(mixed.load("order-1", after=vast, before=vast)) == []
    assert len(list(mixed.load("order-1", before=vast, limit=vast))) == 3
    assert mixed.latest_snapshot("order-1", at_or_below=vast) is None
    assert mixed.wait(vast, timeout=0) == 8


def test_created_bounds_are_exclusive_to_the_microsecond(mixed: LogStore) -> None:
    events = list(mixed.query())
    moment = events[4].created
    later = [event.position for event in events if event.created > moment]
    earlier = [event.position for event in events if event.created < moment]
    assert found(mixed, created_after=moment) == later
    assert found(mixed, created_before=moment) == earlier
    just = timedelta(microseconds=1)
    assert 5 in found(mixed, created_after=moment - just, created_before=moment + just)


def test_created_bounds_may_be_given_in_any_zone_and_in_any_age(mixed: LogStore) -> None:
    moment = next(mixed.query()).created
    zone = timezone(timedelta(hours=5, minutes=45))
    assert found(mixed, created_after=moment.astimezone(zone)) == found(mixed, created_after=moment)
    assert found(mixed, created_after=datetime(1, 1, 1, tzinfo=UTC)) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert found(mixed, created_before=datetime(1960, 1, 1, tzinfo=UTC)) == []
    assert found(mixed, created_after=datetime(9999, 12, 31, tzinfo=UTC)) == []
    assert found(mixed, created_before=datetime(9999, 12, 31, tzinfo=UTC)) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_all_conditions_must_be_met(mixed: LogStore) -> None:
    assert found(mixed, stream="order-1", names=["Paid", "Shipped"]) == [2, 5]
    assert found(mixed, pattern="^order", names=["Paid"], after=2) == [7, 8]
    assert found(mixed, stream="order-1", names=["Shipped"], correlation="r2", after=4, before=6) == [5]
    assert found(mixed, stream="order-1", correlation="r3") == []


def test_a_query_answers_for_the_moment_it_was_asked(mixed: LogStore) -> None:
    running = [mixed.query(), mixed.query(stream="order-1"), mixed.query(names=["Placed"]), mixed.query(pattern="o")]
    mixed.append("order-1", [("Placed", b"9")])
    assert [positions(events) for events in running] == [
        [1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 5], [1, 3, 6], [1, 2, 3, 4, 5, 6, 7, 8],
    ]  # fmt: skip


def test_appending_what_a_query_finds_ends(open_store: Callable[..., LogStore]) -> None:
    store = open_store(durability="os", segment_bytes=1024 * 1024)
    store.append("a", pairs(2500))
    for event in store.query():
        store.append("b", [(event.name, event.data)])
    assert store.head == 5000


@pytest.mark.parametrize("limit", [1, 999, 1000, 1001, 2500, 2501, None])
@pytest.mark.parametrize("backwards", [False, True])
def test_many_events_come_without_gap_or_repetition(store: LogStore, limit: int | None, backwards: bool) -> None:
    for first in range(1, 2501, 100):
        store.append("a", pairs(100, first=first))
        store.append("b", pairs(1, name="Other"))
    everything, expected = list(range(1, 2526)), list(range(1, 2501))
    if backwards:
        everything, expected = everything[::-1], expected[::-1]
    assert found(store, limit=limit, backwards=backwards) == everything[:limit]
    conditions: list[dict[str, Any]] = [{"stream": "a"}, {"names": ["Counted"]}, {"pattern": "^a$"}]
    for condition in conditions:
        assert numbers(store.query(**condition, limit=limit, backwards=backwards)) == expected[:limit]


def test_a_long_scan_needs_little_memory(open_store: Callable[..., LogStore]) -> None:
    store = open_store(durability="os", segment_bytes=4 * 1024 * 1024)
    text = b'"' + b"x" * 1000 + b'"'
    for _ in range(40):
        store.append("a", [("Padded", text)] * 1000)
    gc.collect()
    tracemalloc.start()
    try:
        assert sum(1 for _ in store.query()) == 40_000
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 8_000_000


def test_pages_of_large_events_stay_small(open_store: Callable[..., LogStore]) -> None:
    store = open_store(durability="os", segment_bytes=4 * 1024 * 1024)
    text = b'"' + b"x" * 1_000_000 + b'"'
    for _ in range(60):
        store.append("a", [("Large", text)])
    gc.collect()
    tracemalloc.start()
    try:
        assert sum(1 for _ in store.query()) == sum(1 for _ in store.load("a")) == 60
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 30_000_000


@dataclass
class Filters:
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
    def drawn(cls, dice: random.Random, events: list[Committed[bytes]]) -> "Filters":
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

    def accept(self, event: Committed[bytes]) -> bool:
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

    def apply(self, events: list[Committed[bytes]]) -> list[Committed[bytes]]:
        accepted = [event for event in events if self.accept(event)]
        return (accepted[::-1] if self.backwards else accepted)[: self.limit]


def test_any_combination_finds_what_a_plain_filter_finds(store: LogStore, dice: random.Random) -> None:
    for number in range(400):
        meta = Meta(correlation=f"r{dice.randrange(5)}") if dice.random() < 0.5 else None
        names = [f"N{dice.randrange(5)}" for _ in range(dice.randrange(1, 4))]
        store.append(f"s-{dice.randrange(7)}", [(name, b"%d" % number) for name in names], meta=meta)
    events = list(store.query())
    for _ in range(500):
        filters = Filters.drawn(dice, events)
        assert list(store.query(**vars(filters))) == filters.apply(events), filters
