"""Appending to one stream, and to several in one commit."""

from datetime import UTC, datetime

import pytest

from act_fast._events.event import Event
from act_fast._events.meta import Meta
from act_fast.errors import ConcurrencyError
from act_fast.stores.port import Store
from act_fast.stores.values import Append
from act_fast.testing.conformance.cases import Cases, numbers, pair, pairs, positions

__all__ = ["Appending"]

_PAYLOADS = {
    "blanks": b'{ "b" : 1,\n "a" : [1.50, null] }',
    "unicode": '"Grüße 北京 🛩"'.encode(),
    "a number": b"0",
    "a list": b"[]",
    "NUL, escaped": b'"\\u0000"',
    "blanks around": b" true ",
    "large": b'"' + b"x" * 300_000 + b'"',
    "keys out of order": b'{"z":1,"a":2,"m":3}',
}
_NAMES = [
    "account-7",
    "Straße/北京/🛩",
    " leading and trailing ",
    "a\tb",
    "€" * 170,
    "x" * 512,
    "()[].*",
    "%s",
    "a'b\"c\\d",
]


class _Opened(Event, name="conformance-opened"):
    owner: str


class _Moved(Event, name="conformance-moved"):
    amount: int


class Appending(Cases):
    """What `append` and `append_many` promise."""

    def test_the_first_append_gets_version_1_and_position_1(self, store: Store) -> None:
        appended = store.append("a", pairs(1))
        assert (appended.first_version, appended.last_version) == (1, 1)
        assert (appended.first_position, appended.last_position) == (1, 1)

    def test_versions_count_within_the_stream_and_positions_over_the_whole_log(self, store: Store) -> None:
        store.append("other", pairs(5))
        store.append("a", pairs(2))
        appended = store.append("a", pairs(3))
        assert (appended.first_version, appended.last_version) == (3, 5)
        assert (appended.first_position, appended.last_position) == (8, 10)
        assert (store.head, store.version("a")) == (10, 5)

    def test_events_and_pairs_may_be_mixed_in_any_sequence(self, store: Store) -> None:
        store.append("a", [_Opened("Ada"), pair(1)])
        store.append("a", (pair(2), _Opened("Ada")))
        store.append_many((Append("a", [_Moved(1), pair(3)]), Append("b", (_Moved(2),))))
        names = ["conformance-opened", "Counted", "Counted", "conformance-opened", "conformance-moved", "Counted"]
        assert [event.name for event in store.load("a")] == names
        assert next(store.load("b")).data == b'{"amount":2}'

    @pytest.mark.parametrize("data", list(_PAYLOADS.values()), ids=list(_PAYLOADS))
    def test_data_comes_back_byte_for_byte(self, store: Store, data: bytes) -> None:
        store.append("a", [("Said", data), ("Said", b"1")])
        assert [event.data for event in store.load("a")] == [data, b"1"]
        assert next(store.query(limit=1)).data == data

    def test_names_may_hold_any_text(self, store: Store) -> None:
        for name in _NAMES:
            store.append(name, [(name, b"1")])
        for name in _NAMES:
            (event,) = store.load(name)
            assert (event.stream, event.name) == (name, name)
            assert positions(store.query(names=[name])) == positions(store.query(stream=name)) == [event.position]
        assert [info.stream for info in store.streams()] == _NAMES
        assert store.names() == dict.fromkeys(_NAMES, 1)

    def test_names_that_differ_in_case_or_in_how_a_letter_is_composed_are_two(self, store: Store) -> None:
        names = ["straße", "Straße", "STRASSE", "é", "e\u0301", "a", "a "]
        for name in names:
            assert store.append(name, [(name, b"1")], expected_version=0).last_version == 1
        assert [info.stream for info in store.streams()] == names

    def test_a_right_expectation_is_accepted(self, store: Store) -> None:
        store.append("a", pairs(3), expected_version=0)
        assert store.append("a", pairs(1), expected_version=3).first_version == 4

    @pytest.mark.parametrize("expected", [0, 2, 4, 2**62])
    def test_a_wrong_version_is_refused_and_nothing_is_written(self, store: Store, expected: int) -> None:
        store.append("a", pairs(3))
        with pytest.raises(ConcurrencyError) as caught:
            store.append("a", pairs(2), expected_version=expected)
        assert (caught.value.stream, caught.value.expected, caught.value.actual) == ("a", expected, 3)
        assert (store.head, store.version("a"), numbers(store.load("a"))) == (3, 3, [1, 2, 3])

    def test_expecting_a_version_of_a_stream_that_is_not_there_is_refused(self, store: Store) -> None:
        with pytest.raises(ConcurrencyError) as caught:
            store.append("a", pairs(1), expected_version=1)
        assert (caught.value.stream, caught.value.expected, caught.value.actual) == ("a", 1, 0)
        assert (store.head, store.version("a"), list(store.streams())) == (0, 0, [])

    def test_a_conflict_leaves_neither_a_stream_nor_a_name_nor_a_gap_behind(self, store: Store) -> None:
        with pytest.raises(ConcurrencyError):
            store.append("a", [("NeverSeen", b"1")], expected_version=7)
        assert store.append("b", pairs(1)).first_position == 1
        assert store.names() == {"Counted": 1}
        assert [info.stream for info in store.streams()] == ["b"]

    def test_a_commit_carries_one_meta(self, store: Store) -> None:
        meta = Meta(correlation="request-1", extra={"ip": "::1", "nested": {"a": [1, None, "\0"]}})
        store.append("a", pairs(2), meta=meta)
        store.append("a", pairs(1))
        assert [event.meta for event in store.load("a")] == [meta, meta, Meta()]

    def test_every_event_knows_when_it_was_committed_and_time_never_runs_backwards(self, store: Store) -> None:
        before = datetime.now(UTC)
        for number in range(50):
            store.append(f"s-{number % 3}", pairs(2))
        moments = [event.created for event in store.query()]
        assert all(moment.tzinfo is UTC for moment in moments)
        assert moments == sorted(moments)
        assert moments[0::2] == moments[1::2]
        assert abs((moments[0] - before).total_seconds()) < 24 * 3600  # a server may have a clock of its own

    def test_a_commit_may_hold_many_events(self, store: Store) -> None:
        appended = store.append("a", pairs(5000))
        assert (appended.first_version, appended.last_version) == (1, 5000)
        assert numbers(store.load("a")) == list(range(1, 5001))

    def test_each_part_gets_its_versions_and_all_get_positions_in_the_order_given(self, store: Store) -> None:
        store.append("b", pairs(4))
        a, b = store.append_many([Append("a", pairs(2)), Append("b", pairs(3))])
        assert (a.first_version, a.last_version, a.first_position, a.last_position) == (1, 2, 5, 6)
        assert (b.first_version, b.last_version, b.first_position, b.last_position) == (5, 7, 7, 9)
        found = [(event.stream, event.version) for event in store.query(after=4)]
        assert found == [("a", 1), ("a", 2), ("b", 5), ("b", 6), ("b", 7)]

    def test_parts_of_one_commit_share_its_moment_and_its_meta(self, store: Store) -> None:
        meta = Meta(correlation="transfer-1")
        store.append_many([Append("a", [_Moved(-5)]), Append("b", [_Moved(5)])], meta=meta)
        first, second = store.query()
        assert first.created == second.created
        assert first.meta == second.meta == meta
        assert positions(store.query(correlation="transfer-1")) == [1, 2]

    def test_one_wrong_version_refuses_the_whole_commit(self, store: Store) -> None:
        store.append("b", pairs(2))
        with pytest.raises(ConcurrencyError) as caught:
            store.append_many([Append("a", pairs(1), 0), Append("b", pairs(1), 1), Append("c", pairs(1), 0)])
        assert (caught.value.stream, caught.value.expected, caught.value.actual) == ("b", 1, 2)
        assert (store.head, [info.stream for info in store.streams()]) == (2, ["b"])

    def test_right_versions_are_accepted_beside_unchecked_ones(self, store: Store) -> None:
        store.append("a", pairs(2))
        store.append_many([Append("a", pairs(1), 2), Append("b", pairs(1), 0), Append("c", pairs(1))])
        assert [store.version(stream) for stream in "abc"] == [3, 1, 1]

    def test_a_stream_named_twice_goes_on_where_its_first_part_ended(self, store: Store) -> None:
        first, other, second = store.append_many(
            [Append("a", pairs(2), 0), Append("b", pairs(1)), Append("a", pairs(1, first=3, name="Last"), 2)]
        )
        assert (first.last_version, other.last_version, second.first_version) == (2, 1, 3)
        assert numbers(store.load("a")) == [1, 2, 3]
        (info,) = store.streams(pattern="^a$")
        assert (info.version, info.first_position, info.last_position, info.last_name) == (3, 1, 4, "Last")

    def test_a_stream_named_twice_is_judged_by_what_comes_before_it_in_the_commit(self, store: Store) -> None:
        with pytest.raises(ConcurrencyError) as caught:
            store.append_many([Append("a", pairs(2), 0), Append("a", pairs(1), 0)])
        assert (caught.value.stream, caught.value.expected, caught.value.actual) == ("a", 0, 2)
        assert store.head == 0

    def test_many_streams_fit_into_one_commit(self, store: Store) -> None:
        appended = store.append_many([Append(f"s-{number}", pairs(1), 0) for number in range(2000)])
        assert [each.first_position for each in appended] == list(range(1, 2001))
        assert (store.stats().streams, store.version("s-1999")) == (2000, 1)
