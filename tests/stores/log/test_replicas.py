"""A replica that is opened by its path is a log that can be read, and not be changed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from act_fast import Append, LogStore, ValidationError, restore_path
from act_fast._core import Applier, Log, commits_record, genesis_record

STORE, SESSION = b"s" * 16, b"p" * 16
SEGMENT_BYTES = 1 << 20


@pytest.fixture
def replica(tmp_path: Path) -> Path:
    path = tmp_path / "replica"
    log = Log.open_replica(str(path), None, 100, False, (STORE, SEGMENT_BYTES))
    applier = Applier(log, None)
    wanted = (1, b"", [("account-1", [("Deposited", b"1"), ("Deposited", b"2")], 0)])
    applier.apply([(1, genesis_record(STORE, SEGMENT_BYTES)), (2, commits_record(STORE, SESSION, 1, 1, [wanted]))])
    log.close()
    return path


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.jsonl"
    path.write_text('{"stream":"account-2","name":"Deposited","data":1}\n')
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda store, _: store.append("account-1", [("Deposited", b"3")]),
        lambda store, _: store.append_many([Append("account-1", [("Deposited", b"3")])]),
        lambda store, events: store.restore(events),
    ],
    ids=["append", "append_many", "restore"],
)
def test_a_replica_opened_by_its_path_is_not_changed(
    replica: Path, events: Path, change: Callable[[LogStore, Path], object]
) -> None:
    with LogStore(replica) as store:
        with pytest.raises(ValidationError, match="the replica of a replicated store"):
            change(store, events)
        assert [event.data for event in store.load("account-1")] == [b"1", b"2"]


def test_nothing_is_restored_in_the_place_of_a_replica(replica: Path, events: Path) -> None:
    with pytest.raises(ValidationError, match="the replica of a replicated store"):
        restore_path(replica, events)
    with LogStore(replica) as store:
        assert store.head == 2


def test_snapshots_are_kept_on_a_replica(replica: Path) -> None:
    with LogStore(replica) as store:
        store.save_snapshot("account-1", 2, b"3")
        found = store.latest_snapshot("account-1")
    assert found is not None
    assert found.data == b"3"
