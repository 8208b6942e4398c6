"""Snapshots: stored states beside the events."""

from datetime import UTC, datetime

import pytest

from act_fast.errors import ValidationError
from act_fast.stores.port import Store
from act_fast.stores.values import StoredSnapshot
from act_fast.testing.conformance.cases import Cases, OpenStore, pairs, positions, versions

__all__ = ["Snapshots"]


def _found(snapshot: StoredSnapshot | None) -> tuple[int, bytes] | None:
    return None if snapshot is None else (snapshot.version, snapshot.data)


class Snapshots(Cases):
    """What `save_snapshot` and `latest_snapshot` promise."""

    @pytest.fixture
    def grown(self, store: Store) -> Store:
        """A store with ten events in stream `a`."""
        store.append("a", pairs(10))
        return store

    def test_a_stream_without_snapshots_has_none(self, grown: Store) -> None:
        assert grown.latest_snapshot("a") is None
        assert grown.latest_snapshot("nobody") is None

    def test_the_latest_snapshot_is_the_one_at_the_highest_version(self, grown: Store) -> None:
        grown.save_snapshot("a", 3, b"three")
        grown.save_snapshot("a", 7, b"seven")
        assert _found(grown.latest_snapshot("a")) == (7, b"seven")
        grown.save_snapshot("a", 4, b"four")
        assert _found(grown.latest_snapshot("a")) == (7, b"seven")

    def test_at_or_below_is_inclusive(self, grown: Store) -> None:
        for version in (3, 5, 7):
            grown.save_snapshot("a", version, b"%d" % version)
        expected: dict[int, int | None] = {
            0: None,
            1: None,
            2: None,
            3: 3,
            4: 3,
            5: 5,
            6: 5,
            7: 7,
            8: 7,
            10_000: 7,
            2**63 - 1: 7,
        }
        for bound, wanted in expected.items():
            snapshot = grown.latest_snapshot("a", at_or_below=bound)
            assert (None if snapshot is None else snapshot.version) == wanted

    def test_a_snapshot_taken_again_at_the_same_version_replaces_the_first(self, grown: Store) -> None:
        grown.save_snapshot("a", 5, b"old")
        grown.save_snapshot("a", 5, b"new")
        assert _found(grown.latest_snapshot("a")) == (5, b"new")

    def test_snapshots_take_neither_version_nor_position(self, grown: Store) -> None:
        for version in range(1, 11):
            grown.save_snapshot("a", version, b"x" * 5000)
        appended = grown.append("a", pairs(1), expected_version=10)
        assert (appended.first_version, appended.first_position) == (11, 11)
        assert positions(grown.query()) == versions(grown.load("a")) == list(range(1, 12))
        assert grown.names() == {"Counted": 11}

    def test_a_snapshot_may_be_any_bytes(self, grown: Store) -> None:
        for data in (b"", b"\0", b"\xff" * 100, bytes(range(256)), b"%s\\'", b"x" * 1_000_000):
            grown.save_snapshot("a", 10, data)
            assert _found(grown.latest_snapshot("a")) == (10, data)

    def test_a_snapshot_knows_when_it_was_stored(self, grown: Store) -> None:
        grown.save_snapshot("a", 10, b"x")
        snapshot = grown.latest_snapshot("a")
        assert snapshot is not None
        assert snapshot.created.tzinfo is UTC
        assert abs((snapshot.created - datetime.now(UTC)).total_seconds()) < 24 * 3600

    def test_snapshots_of_streams_are_told_apart(self, store: Store) -> None:
        for number in range(20):
            store.append(f"s-{number}", pairs(3))
            store.save_snapshot(f"s-{number}", 2, b"%d" % number)
        for number in range(20):
            assert _found(store.latest_snapshot(f"s-{number}")) == (2, b"%d" % number)

    def test_another_handle_sees_a_snapshot_at_once(self, open_store: OpenStore) -> None:
        self.needs("handles")
        first, second = open_store(), open_store()
        first.append("a", pairs(2))
        first.save_snapshot("a", 2, b"state")
        assert _found(second.latest_snapshot("a")) == (2, b"state")

    @pytest.mark.parametrize("version", [0, 11, 2**62])
    def test_a_snapshot_of_a_version_that_the_stream_has_not_reached_is_refused(
        self, grown: Store, version: int
    ) -> None:
        with pytest.raises(ValidationError):
            grown.save_snapshot("a", version, b"x")
        with pytest.raises(ValidationError):
            grown.save_snapshot("nobody", 1, b"x")
        assert grown.latest_snapshot("a") is grown.latest_snapshot("nobody") is None
