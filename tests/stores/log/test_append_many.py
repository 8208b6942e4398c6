"""Appending to several streams in one commit."""

from collections.abc import Callable

import pytest

from act_fast import Append, Event, LogStore, Meta
from act_fast.errors import ConcurrencyError
from tests.support.numbered import numbers, pair, pairs


class Moved(Event):
    amount: int


def test_each_stream_gets_its_versions_and_all_get_positions_in_the_order_given(store: LogStore) -> None:
    store.append("b", pairs(4))
    a, b = store.append_many([Append("a", pairs(2)), Append("b", pairs(3))])
    assert (a.first_version, a.last_version, a.first_position, a.last_position) == (1, 2, 5, 6)
    assert (b.first_version, b.last_version, b.first_position, b.last_position) == (5, 7, 7, 9)
    assert [(event.stream, event.version) for event in store.query(after=4)] == [
        ("a", 1), ("a", 2), ("b", 5), ("b", 6), ("b", 7),
    ]  # fmt: skip


def test_one_commit_has_one_moment_and_one_meta(store: LogStore) -> None:
    meta = Meta(correlation="transfer-1")
    store.append_many([Append("a", [Moved(-5)]), Append("b", [Moved(5)])], meta=meta)
    first, second = store.query()
    assert first.created == second.created
    assert first.meta == second.meta == meta


def test_one_wrong_version_refuses_the_whole_commit(store: LogStore) -> None:
    store.append("b", pairs(2))
    with pytest.raises(ConcurrencyError) as caught:
        store.append_many([Append("a", pairs(1), 0), Append("b", pairs(1), 1), Append("c", pairs(1), 0)])
    assert (caught.value.stream, caught.value.expected, caught.value.actual) == ("b", 1, 2)
    assert (store.head, [info.stream for info in store.streams()]) == (2, ["b"])


def test_right_versions_are_accepted_beside_unchecked_ones(store: LogStore) -> None:
    store.append("a", pairs(2))
    store.append_many([Append("a", pairs(1), 2), Append("b", pairs(1), 0), Append("c", pairs(1))])
    assert [store.version(stream) for stream in "abc"] == [3, 1, 1]


def test_a_stream_named_twice_goes_on_where_its_first_part_ended(store: LogStore) -> None:
    first, other, second = store.append_many(
        [Append("a", pairs(2), 0), Append("b", pairs(1)), Append("a", pairs(1, first=3), 2)]
    )
    assert (first.last_version, other.last_version, second.first_version) == (2, 1, 3)
    assert numbers(store.load("a")) == [1, 2, 3]


def test_a_stream_named_twice_is_judged_by_what_comes_before_it_in_the_commit(store: LogStore) -> None:
    with pytest.raises(ConcurrencyError) as caught:
        store.append_many([Append("a", pairs(2), 0), Append("a", pairs(1), 0)])
    assert (caught.value.stream, caught.value.expected, caught.value.actual) == ("a", 0, 2)
    assert store.head == 0


def test_events_and_pairs_may_be_mixed(store: LogStore) -> None:
    store.append_many([Append("a", [pair(1), Moved(2)]), Append("b", [Moved(3)])])
    assert [event.name for event in store.query()] == ["Counted", "Moved", "Moved"]


def test_many_streams_fit_into_one_commit(store: LogStore) -> None:
    appended = store.append_many([Append(f"s-{number}", pairs(1)) for number in range(5000)])
    assert [each.first_position for each in appended] == list(range(1, 5001))
    assert store.stats().streams == 5000
    assert store.version("s-4999") == 1


def test_the_commit_is_whole_after_reopening(open_store: Callable[..., LogStore]) -> None:
    with open_store() as store:
        store.append_many([Append("a", pairs(2)), Append("b", pairs(3))])
    with open_store() as store:
        assert [(info.stream, info.version) for info in store.streams()] == [("a", 2), ("b", 3)]
