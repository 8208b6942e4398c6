"""Snapshots: stored states beside the events."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from act_fast import LogStore, StoredSnapshot
from act_fast.errors import StoreFailedError, ValidationError
from tests.support.numbered import pairs, positions, versions


@pytest.fixture
def ten(store: LogStore) -> LogStore:
    """A store with ten events in stream `a`."""
    store.append("a", pairs(10))
    return store


def found(snapshot: StoredSnapshot | None) -> tuple[int, bytes] | None:
    return None if snapshot is None else (snapshot.version, snapshot.data)


def test_a_stream_without_snapshots_has_none(ten: LogStore) -> None:
    assert ten.latest_snapshot("a") is None
    assert ten.latest_snapshot("nobody") is None


def test_the_latest_snapshot_is_the_one_at_the_highest_version(ten: LogStore) -> None:
    ten.save_snapshot("a", 3, b"three")
    ten.save_snapshot("a", 7, b"seven")
    assert found(ten.latest_snapshot("a")) == (7, b"seven")


def test_at_or_below_is_inclusive(ten: LogStore) -> None:
    for version in (3, 5, 7):
        ten.save_snapshot("a", version, b"%d" % version)
    expected = {0: None, 1: None, 2: None, 3: 3, 4: 3, 5: 5, 6: 5, 7: 7, 8: 7, 10_000: 7}
    for bound, expected_version in expected.items():
        snapshot = ten.latest_snapshot("a", at_or_below=bound)
        assert (None if snapshot is None else snapshot.version) == expected_version


def test_a_snapshot_taken_again_at_the_same_version_replaces_the_first(ten: LogStore) -> None:
    ten.save_snapshot("a", 5, b"old")
    ten.save_snapshot("a", 5, b"new")
    assert found(ten.latest_snapshot("a")) == (5, b"new")


def test_a_snapshot_at_a_lower_version_does_not_hide_a_higher_one(ten: LogStore) -> None:
    ten.save_snapshot("a", 2, b"two")
    ten.save_snapshot("a", 8, b"eight")
    ten.save_snapshot("a", 4, b"four")
    assert found(ten.latest_snapshot("a")) == (8, b"eight")
    assert found(ten.latest_snapshot("a", at_or_below=7)) in [(2, b"two"), (4, b"four")]


def test_a_snapshot_that_does_not_fit_into_a_segment_is_refused(open_store: Callable[..., LogStore]) -> None:
    store = open_store(segment_bytes=64 * 1024)
    store.append("a", pairs(1))
    with pytest.raises(ValidationError, match="65536"):
        store.save_snapshot("a", 1, b"x" * 70_000)
    assert store.latest_snapshot("a") is None


def test_snapshots_take_neither_version_nor_position(ten: LogStore) -> None:
    for version in range(1, 11):
        ten.save_snapshot("a", version, b"x" * 5000)
    assert (ten.head, ten.version("a")) == (10, 10)
    appended = ten.append("a", pairs(1), expected_version=10)
    assert (appended.first_version, appended.first_position) == (11, 11)
    assert positions(ten.query()) == versions(ten.load("a")) == list(range(1, 12))
    assert ten.names() == {"Counted": 11}


def test_a_snapshot_may_be_any_bytes(ten: LogStore) -> None:
    for data in (b"", b"\0", b"\xff" * 100, bytes(range(256)), b"x" * 1_000_000):
        ten.save_snapshot("a", 10, data)
        assert found(ten.latest_snapshot("a")) == (10, data)


def test_a_snapshot_knows_when_it_was_stored(ten: LogStore) -> None:
    before = datetime.now(UTC)
    ten.save_snapshot("a", 10, b"x")
    snapshot = ten.latest_snapshot("a")
    assert snapshot is not None
    assert before - timedelta(microseconds=1) <= snapshot.created <= datetime.now(UTC)


def test_snapshots_of_streams_are_told_apart(store: LogStore) -> None:
    for number in range(50):
        store.append(f"s-{number}", pairs(3))
        store.save_snapshot(f"s-{number}", 2, b"%d" % number)
    for number in range(50):
        assert found(store.latest_snapshot(f"s-{number}")) == (2, b"%d" % number)


def test_snapshots_are_there_after_reopening_and_after_rebuilding_the_index(
    open_store: Callable[..., LogStore],
) -> None:
    with open_store() as store:
        store.append("a", pairs(10))
        for version in range(1, 11):
            store.save_snapshot("a", version, b"%d" % version * 3000)
        store.append("b", pairs(1))
    with open_store() as store:
        assert found(store.latest_snapshot("a")) == (10, b"10" * 3000)
        store.rebuild_index()
        assert found(store.latest_snapshot("a")) == (10, b"10" * 3000)
        assert found(store.latest_snapshot("a", at_or_below=4)) == (4, b"4" * 3000)
        assert store.latest_snapshot("b") is None


def test_another_handle_sees_a_snapshot_at_once(open_store: Callable[..., LogStore]) -> None:
    first, second = open_store(), open_store()
    first.append("a", pairs(2))
    first.save_snapshot("a", 2, b"state")
    assert found(second.latest_snapshot("a")) == (2, b"state")


@pytest.mark.parametrize("version", [11, 2**62])
def test_a_snapshot_of_a_version_that_is_yet_to_come_is_refused(ten: LogStore, version: int) -> None:
    with pytest.raises(ValidationError):
        ten.save_snapshot("a", version, b"x")
    assert ten.latest_snapshot("a") is None


def test_a_snapshot_of_version_0_or_of_no_stream_is_refused(ten: LogStore) -> None:
    with pytest.raises(ValidationError):
        ten.save_snapshot("a", 0, b"x")
    with pytest.raises(ValidationError):
        ten.save_snapshot("nobody", 1, b"x")
    assert ten.latest_snapshot("nobody") is None


def test_a_snapshot_is_not_said_to_be_stored_where_the_store_has_gone(open_store: Callable[..., LogStore]) -> None:
    store = open_store()
    store.append("s", [("E", b"{}")])
    away = f"{store.path}.away"
    os.rename(store.path, away)
    with pytest.raises(StoreFailedError, match="has been deleted, moved or replaced"):
        store.save_snapshot("s", 1, b"{}")
    os.rename(away, store.path)
    assert store.latest_snapshot("s") is None
    store.save_snapshot("s", 1, b"{}")
    assert store.latest_snapshot("s") is not None
