"""Loading the events of one stream."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC

import pytest

from act_fast import Committed, LogStore, Meta
from tests.support.numbered import numbers, pairs, positions, versions

PAGES = 2500  # events, more than one page of the core holds


@pytest.fixture
def ten(store: LogStore) -> LogStore:
    """A store whose stream `a` has ten events, between those of another one."""
    for number in range(1, 11):
        store.append("b", pairs(2))
        store.append("a", pairs(1, first=number))
    return store


def test_the_events_come_in_order_with_all_that_is_known_of_them(store: LogStore) -> None:
    store.append("other", pairs(3))
    store.append("a", [("Opened", b'{"owner":"Ada"}')], meta=Meta(correlation="r"))
    (event,) = store.load("a")
    assert isinstance(event, Committed)
    assert (event.data, event.name, event.stream) == (b'{"owner":"Ada"}', "Opened", "a")
    assert (event.version, event.position) == (1, 4)
    assert event.created.tzinfo is UTC
    assert event.meta == Meta(correlation="r")


def test_only_the_events_of_the_stream_itself_are_loaded(ten: LogStore) -> None:
    assert numbers(ten.load("a")) == list(range(1, 11))
    assert positions(ten.load("a")) == list(range(3, 31, 3))
    assert versions(ten.load("a")) == list(range(1, 11))


def test_a_stream_that_is_not_there_has_no_events(ten: LogStore) -> None:
    assert list(ten.load("nobody")) == []
    assert list(ten.load("a1")) == []


def test_after_is_a_version_and_exclusive(ten: LogStore) -> None:
    assert versions(ten.load("a", after=7)) == [8, 9, 10]
    assert versions(ten.load("a", after=0)) == list(range(1, 11))
    assert versions(ten.load("a", after=10)) == []
    assert versions(ten.load("a", after=10_000)) == []


def test_before_is_a_version_and_exclusive(ten: LogStore) -> None:
    assert versions(ten.load("a", before=4)) == [1, 2, 3]
    assert versions(ten.load("a", before=11)) == list(range(1, 11))
    assert versions(ten.load("a", before=10_000)) == list(range(1, 11))
    assert versions(ten.load("a", before=1)) == []
    assert versions(ten.load("a", before=0)) == []


def test_after_and_before_bound_a_range(ten: LogStore) -> None:
    assert versions(ten.load("a", after=3, before=6)) == [4, 5]
    assert versions(ten.load("a", after=3, before=4)) == []
    assert versions(ten.load("a", after=6, before=3)) == []


def test_limit_stops_early_and_0_gives_nothing(ten: LogStore) -> None:
    assert versions(ten.load("a", limit=3)) == [1, 2, 3]
    assert versions(ten.load("a", after=8, limit=3)) == [9, 10]
    assert versions(ten.load("a", limit=0)) == []
    assert versions(ten.load("a", limit=None)) == list(range(1, 11))


def test_a_limit_beyond_what_is_there_is_no_harm(ten: LogStore) -> None:
    assert versions(ten.load("a", limit=2**62)) == list(range(1, 11))


def test_events_are_handed_out_one_by_one(ten: LogStore) -> None:
    events = ten.load("a")
    assert isinstance(events, Iterator)
    assert next(events).version == 1
    assert next(events).version == 2


@pytest.mark.parametrize("limit", [999, 1000, 1001, 2000, 2499, 2500, 2501, None])
def test_a_long_stream_comes_without_gap_or_repetition(store: LogStore, limit: int | None) -> None:
    store.append("a", pairs(PAGES))
    assert numbers(store.load("a", limit=limit)) == list(range(1, PAGES + 1))[:limit]


def test_what_is_appended_while_a_long_stream_is_read_is_not_for_this_reader(store: LogStore) -> None:
    store.append("a", pairs(PAGES))
    events = store.load("a")
    next(events)
    store.append("a", pairs(500, first=PAGES + 1))
    assert numbers(events) == list(range(2, PAGES + 1))


def test_appending_to_the_stream_that_is_being_read_ends(open_store: Callable[..., LogStore]) -> None:
    store = open_store(durability="os", segment_bytes=1024 * 1024)
    store.append("a", pairs(PAGES))
    for event in store.load("a"):
        store.append("a", [(event.name, event.data)])
    assert store.version("a") == 2 * PAGES


def test_events_of_many_segments_and_sizes_come_back_whole(open_store: Callable[..., LogStore]) -> None:
    sizes = [0, 1, 7, 8, 9, 63, 64, 65, 4095, 4096, 4097, 60_000]
    data = [b'"' + b"x" * size + b'"' for size in sizes]
    with open_store() as store:
        for each in data:
            store.append("a", [("Sized", each)])
    with open_store() as store:
        assert [event.data for event in store.load("a")] == data


def test_many_streams_with_few_events_each_are_told_apart(open_store: Callable[..., LogStore]) -> None:
    store = open_store(durability="os")
    for turn in range(3):
        for number in range(400):
            store.append(f"s{number}", pairs(1, first=number * 10 + turn))
    for number in range(400):
        assert numbers(store.load(f"s{number}")) == [number * 10, number * 10 + 1, number * 10 + 2]


def test_any_stretch_of_a_very_long_stream_is_right(open_store: Callable[..., LogStore], dice: random.Random) -> None:
    store = open_store(durability="os", segment_bytes=1024 * 1024)
    for first in range(1, 60_001, 1000):
        store.append("a", pairs(1000, first=first))
        store.append(f"b-{first}", pairs(dice.randrange(1, 20)))
    for _ in range(300):
        after, length = dice.randrange(60_010), dice.randrange(30)
        right = list(range(after + 1, min(after + length, 60_000) + 1))
        assert numbers(store.load("a", after=after, limit=length)) == right
        assert numbers(store.load("a", after=after, before=after + length + 1)) == right


def test_two_readers_of_one_stream_do_not_disturb_each_other(ten: LogStore) -> None:
    first, second = ten.load("a"), ten.load("a")
    for expected in range(1, 11):
        assert next(first).version == next(second).version == expected
