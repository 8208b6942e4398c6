"""Appending to one stream."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from act_fast import Event, LogStore, Meta
from act_fast.errors import ConcurrencyError, OutcomeUnknownError, StoreFailedError, ValidationError
from tests.support.numbered import numbers, pair, pairs, positions, versions


class Opened(Event):
    owner: str


class Deposited(Event):
    amount: int


class Renamed(Event, name="account-renamed"):
    owner: str


def test_the_first_append_gets_version_1_and_position_1(store: LogStore) -> None:
    appended = store.append("a", pairs(1))
    assert (appended.first_version, appended.last_version) == (1, 1)
    assert (appended.first_position, appended.last_position) == (1, 1)


def test_versions_count_within_the_stream_and_positions_over_the_whole_log(store: LogStore) -> None:
    store.append("other", pairs(5))
    store.append("a", pairs(2))
    appended = store.append("a", pairs(3))
    assert (appended.first_version, appended.last_version) == (3, 5)
    assert (appended.first_position, appended.last_position) == (8, 10)
    assert store.head == 10
    assert store.version("a") == 5


def test_an_event_is_stored_as_json_under_the_name_of_its_class(store: LogStore) -> None:
    store.append("account-7", [Opened("Ada"), Deposited(50)])
    opened, deposited = store.load("account-7")
    assert (opened.name, opened.data) == ("Opened", b'{"owner":"Ada"}')
    assert (deposited.name, deposited.data) == ("Deposited", b'{"amount":50}')


def test_an_event_may_be_stored_under_another_name(store: LogStore) -> None:
    store.append("account-7", [Renamed("Ada")])
    assert [event.name for event in store.load("account-7")] == ["account-renamed"]


def test_events_and_pairs_may_be_mixed(store: LogStore) -> None:
    store.append("a", [Opened("Ada"), pair(1)])
    store.append("a", [pair(2), Opened("Ada"), pair(3)])
    assert [event.name for event in store.load("a")] == ["Opened", "Counted", "Counted", "Opened", "Counted"]


def test_any_sequence_of_events_will_do(store: LogStore) -> None:
    store.append("a", tuple(pairs(2)))
    store.append("a", (Deposited(1), Deposited(2)))
    assert store.version("a") == 4


def test_data_comes_back_byte_for_byte(store: LogStore) -> None:
    data = [b'{ "b" : 1,\n "a" : [1.50, null] }', '"Grüße 🛩"'.encode(), b"0", b"[]", b'"\\u0000"', b" true "]
    store.append("a", [("Said", each) for each in data])
    assert [event.data for event in store.load("a")] == data


def test_names_may_hold_any_text(store: LogStore) -> None:
    streams = ["account-7", "Straße/北京/🛩", " leading and trailing ", "a\tb", "€" * 170, "x" * 512, "()[].*"]
    for stream in streams:
        store.append(stream, [(stream, b"1")])
    for stream in streams:
        (event,) = store.load(stream)
        assert (event.stream, event.name) == (stream, stream)


def test_a_right_expectation_is_accepted(store: LogStore) -> None:
    store.append("a", pairs(3), expected_version=0)
    assert store.append("a", pairs(1), expected_version=3).first_version == 4


def test_a_wrong_version_is_refused_and_nothing_is_written(store: LogStore) -> None:
    store.append("a", pairs(3))
    with pytest.raises(ConcurrencyError) as caught:
        store.append("a", pairs(2), expected_version=2)
    assert (caught.value.stream, caught.value.expected, caught.value.actual) == ("a", 2, 3)
    assert (store.head, store.version("a"), numbers(store.load("a"))) == (3, 3, [1, 2, 3])


def test_expecting_0_means_that_the_stream_must_be_new(store: LogStore) -> None:
    store.append("a", pairs(1), expected_version=0)
    with pytest.raises(ConcurrencyError) as caught:
        store.append("a", pairs(1), expected_version=0)
    assert (caught.value.expected, caught.value.actual) == (0, 1)


def test_expecting_a_version_of_a_stream_that_is_not_there_is_refused(store: LogStore) -> None:
    with pytest.raises(ConcurrencyError) as caught:
        store.append("a", pairs(1), expected_version=1)
    assert (caught.value.expected, caught.value.actual) == (1, 0)
    assert (store.head, store.version("a"), list(store.streams())) == (0, 0, [])


def test_a_conflict_leaves_neither_a_stream_nor_a_name_behind(store: LogStore) -> None:
    with pytest.raises(ConcurrencyError):
        store.append("a", [("NeverSeen", b"1")], expected_version=7)
    store.append("b", pairs(1))
    assert store.names() == {"Counted": 1}
    assert [info.stream for info in store.streams()] == ["b"]


def test_the_conflict_is_told_in_a_sentence(store: LogStore) -> None:
    with pytest.raises(ConcurrencyError, match=r"'a' was expected at version 4 but is at version 0"):
        store.append("a", pairs(1), expected_version=4)


def test_a_commit_carries_one_meta(store: LogStore) -> None:
    meta = Meta(correlation="request-1", extra={"ip": "::1", "nested": {"a": [1, None]}})
    store.append("a", pairs(2), meta=meta)
    store.append("a", pairs(1))
    assert [event.meta for event in store.load("a")] == [meta, meta, Meta()]


def test_every_event_knows_when_it_was_committed_in_utc(store: LogStore) -> None:
    before = datetime.now(UTC)
    store.append("a", pairs(2))
    first, second = store.load("a")
    assert before - timedelta(microseconds=1) <= first.created <= datetime.now(UTC)
    assert first.created.tzinfo is UTC
    assert second.created == first.created


def test_created_never_runs_backwards(store: LogStore) -> None:
    for number in range(200):
        store.append(f"s-{number % 3}", pairs(1))
    moments = [event.created for event in store.query()]
    assert moments == sorted(moments)


def test_a_commit_that_does_not_fit_into_a_segment_is_refused(open_store: Callable[..., LogStore]) -> None:
    store = open_store(segment_bytes=64 * 1024)
    store.append("a", pairs(1))
    with pytest.raises(ValidationError, match="65536"):
        store.append("b", [("Large", b'"' + b"x" * 70_000 + b'"')])
    with pytest.raises(ValidationError, match="65536"):
        store.append("b", pairs(5000))
    assert [info.stream for info in store.streams()] == ["a"]
    assert store.append("a", [("Large", b'"' + b"x" * 60_000 + b'"')]).first_position == 2


def test_a_commit_may_hold_many_events(store: LogStore) -> None:
    appended = store.append("a", pairs(20_000))
    assert (appended.first_version, appended.last_version) == (1, 20_000)
    assert numbers(store.load("a")) == list(range(1, 20_001))


def test_the_log_goes_on_over_many_segments(open_store: Callable[..., LogStore]) -> None:
    store = open_store(segment_bytes=64 * 1024)
    text = b'"' + b"x" * 1000 + b'"'
    for number in range(300):
        store.append(f"s-{number % 7}", [("Padded", text), pair(number)])
    assert positions(store.query()) == list(range(1, 601))
    assert store.stats().segments > 3


@pytest.mark.parametrize("durability", ["fsync", "interval", "os"])
def test_what_was_appended_is_there_at_once_and_after_reopening(
    open_store: Callable[..., LogStore], durability: str
) -> None:
    with open_store(durability=durability) as first, open_store(durability=durability) as second:
        first.append("a", pairs(3))
        assert numbers(second.load("a")) == [1, 2, 3]
        assert first.durability == durability
    with open_store(durability=durability) as again:
        assert numbers(again.load("a")) == [1, 2, 3]
        assert versions(again.query()) == [1, 2, 3]


def test_the_largest_payload_allowed_is_accepted(store_path: Path) -> None:
    with LogStore(store_path, payload_max_bytes=1000, segment_bytes=64 * 1024) as store:
        store.append("a", [("Large", b'"' + b"x" * 998 + b'"')])
        with pytest.raises(ValidationError):
            store.append("a", [("Large", b'"' + b"x" * 999 + b'"')])
        assert store.version("a") == 1


def test_a_payload_of_16_mib_is_accepted_by_default(open_store: Callable[..., LogStore]) -> None:
    data = b'"' + b"x" * (16 * 1024 * 1024 - 2) + b'"'
    store = open_store(segment_bytes=64 * 1024 * 1024)
    store.append("a", [("Large", data)])
    assert next(store.load("a")).data == data


@pytest.mark.parametrize("durability", ["fsync", "interval", "os"])
def test_what_was_refused_while_the_store_was_moved_away_is_not_there(store_path: Path, durability: str) -> None:
    away = store_path.with_name("away")
    with LogStore(store_path, durability=durability) as store:  # type: ignore[arg-type]
        store.append("a", pairs(1), expected_version=0)
        store_path.rename(away)
        accepted = 1

        def append_until_refused() -> None:
            nonlocal accepted
            while True:  # without flushes this is looked at now and then
                store.append("a", pairs(1), expected_version=accepted)
                accepted += 1

        with pytest.raises(StoreFailedError) as caught:
            append_until_refused()
        assert not isinstance(caught.value, OutcomeUnknownError)
        away.rename(store_path)
        assert store.version("a") == accepted
        assert store.append("a", pairs(1), expected_version=accepted).first_version == accepted + 1
        assert store.verify().healthy
