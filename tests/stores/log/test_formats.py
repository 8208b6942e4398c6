"""Stores that earlier versions have written are copied and opened: what was in them must be in them."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from act_fast import Condition, ConditionError, LogStore, Query, StoreCorruptError, verify_path
from act_fast._core import Applier, Log
from act_fast._rows import Row

FIXTURES = Path(__file__).parents[2] / "fixtures"
FORMATS = sorted(path.parent.name for path in FIXTURES.glob("*/healthy"))


def expected(version: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FIXTURES / version / "events.jsonl").read_text("utf-8").splitlines()]


def found(store: LogStore) -> list[dict[str, Any]]:
    return [
        {
            "stream": event.stream,
            "version": event.version,
            "position": event.position,
            "name": event.name,
            "data": json.loads(event.data),
            "created": event.created.isoformat(),
            "correlation": event.meta.correlation,
        }
        for event in store.query()
    ]


@pytest.fixture(params=FORMATS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def formats_in(folder: Path) -> set[tuple[str, int]]:
    """The kinds of files in stores, by folder and name without numbers, with the formats that their heads name."""
    found = set()
    for path in folder.rglob("*"):
        head = path.read_bytes()[:12] if path.is_file() else b""
        if head.startswith(b"ACT"):
            kind = re.sub(r"[-\d]+", "", f"{path.parent.name}/{path.name}").strip("/")
            found.add((kind if path.name != "control" else "control", int.from_bytes(head[8:], "little")))
    return found


def copy_of(version: str, name: str, to: Path) -> Path:
    return Path(shutil.copytree(FIXTURES / version / name, to / name))


def test_what_an_earlier_version_has_written_is_read(version: str, tmp_path: Path) -> None:
    path = copy_of(version, "healthy", tmp_path)
    with LogStore(path, create=False) as store:
        assert found(store) == expected(version)
        assert store.latest_snapshot("account-5") is not None
        assert store.append("account-0", [("Deposited", b"1")]).last_position == len(expected(version)) + 1
    assert not verify_path(path).problems


def test_what_an_earlier_version_has_written_takes_every_form(version: str, tmp_path: Path) -> None:
    path = copy_of(version, "healthy", tmp_path)
    with LogStore(path, create=False) as store:
        assert store.compress(seal=True).segments > 0
        assert store.archive(tmp_path / "cold").segments > 0
    for _ in range(2):
        with LogStore(path, create=False) as store:
            assert found(store) == expected(version)
            assert store.verify().healthy
        (path / "control").unlink()
    with LogStore(path, create=False) as store:
        assert store.unarchive(remove=True).segments > 0
        assert store.decompress().segments > 0
        assert found(store) == expected(version)
        assert store.verify().healthy


def test_a_torn_end_is_cut_off_at_the_last_whole_commit(version: str, tmp_path: Path) -> None:
    with LogStore(copy_of(version, "torn", tmp_path), create=False) as store:
        here = found(store)
        assert here == expected(version)[: len(here)]
        assert len(here) < len(expected(version))


def test_damage_further_up_is_reported_with_its_place_and_nothing_is_changed(version: str, tmp_path: Path) -> None:
    path = copy_of(version, "damaged", tmp_path)
    log = sorted((path / "log").iterdir())
    before = [file.read_bytes() for file in log]
    with pytest.raises(StoreCorruptError) as caught:
        LogStore(path, create=False)
    assert caught.value.file == "log/00000000.seg"
    assert caught.value.position is not None
    assert [file.read_bytes() for file in log] == before
    assert [problem.file for problem in verify_path(path).problems] == ["log/00000000.seg"]


def test_the_tags_that_an_earlier_version_has_written_are_read_and_found(tmp_path: Path) -> None:
    expected = [(f"course:{number % 3}", f"student:{number % 5}")[: number % 3] for number in range(24)]
    expected += [("größe:ü", "course:1"), ()]
    path = copy_of("format-1", "tagged", tmp_path)
    with LogStore(path, create=False) as store:
        assert [event.tags for event in store.query()] == expected
        found = [event.position for event in store.query(tags=["course:1"])]
        assert found == [at for at, tags in enumerate(expected, 1) if "course:1" in tags]
        with pytest.raises(ConditionError):
            store.append("a", [("A", b"1")], condition=Condition(Query.of(tags=["größe:ü"]), 24))
        store.append("a", [("A", b"1")], condition=Condition(Query.of(tags=["größe:ü"]), 25))
    assert not verify_path(path).problems


def test_log_files_that_an_earlier_version_has_compressed_are_read(tmp_path: Path) -> None:
    path = copy_of("format-3", "packed", tmp_path)
    expected: dict[str, list[int]] = {}
    for turn in range(6):
        for at in range(250):
            expected.setdefault(f"account-{at % 50}", []).append(turn * 250 + at)
        for at in range(10):
            expected[f"account-{at}"].append(10000 + turn * 10 + at)
    with LogStore(path, create=False) as store:
        assert store.stats().compressed == 1
        for stream, amounts in expected.items():
            assert [json.loads(event.data)["amount"] for event in store.load(stream)] == amounts
        assert len([*store.query(tags=["course:1"])]) == 18
        snapshot = store.latest_snapshot("account-5")
        assert snapshot is not None
        assert snapshot.data == b"three"
        assert store.verify().healthy
        assert store.decompress().segments == store.compress().segments == 1
        for stream, amounts in expected.items():
            assert [json.loads(event.data)["amount"] for event in store.load(stream)] == amounts


def rows_of(log: Log) -> list[Row]:
    query = log.query()
    rows = []
    while (page := query.next_page(1000)) is not None:
        rows += page
    return rows


def test_a_replica_that_an_earlier_version_has_written_is_read_and_goes_on(tmp_path: Path) -> None:
    kept = FIXTURES / "format-2"
    lines = [json.loads(line) for line in (kept / "events.jsonl").read_text("utf-8").splitlines()]
    events = [(*row[:5], row[5].encode(), row[6].encode(), ()) for row in lines]
    records = [json.loads(line) for line in (kept / "records.jsonl").read_text("utf-8").splitlines()]
    read = [(each["place"], bytes.fromhex(each["record"])) for each in records]
    whole = copy_of("format-2", "replica", tmp_path)
    genesis = (b"\x5f" * 16, 16 << 10)
    for path, state in [(whole, (kept / "state").read_bytes()), (whole, None), (tmp_path / "made", None)]:
        log = Log.open_replica(str(path), None, 100, False, genesis)
        applier = Applier(log, state)
        others = applier.apply(read)
        applier.publish()
        assert [row[1] for row in others] == ([] if state else ["member"])
        assert applier.duplicates() == ([] if state else [(63, 62)])
        assert rows_of(log) == events
        assert (log.origin(), log.applied(), log.settled(63)) == ((62, 2), 64, [])
        assert [index for index, _, _ in log.settled(62)] == [0, 2]
        log.close()
        assert not verify_path(path).problems


def test_stores_of_every_format_that_this_version_writes_are_kept(tmp_path: Path) -> None:
    with LogStore(tmp_path / "fresh") as store:
        store.append("account-1", [("Deposited", b"1", ["account:1"])])
        store.reactions().close()
    assert formats_in(tmp_path / "fresh") <= formats_in(FIXTURES)
