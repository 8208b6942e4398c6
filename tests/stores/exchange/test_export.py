"""Exports: files that are there whole or not at all."""

import csv
import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

import duckdb
import pytest

from act_fast import Act, LogStore, OutcomeUnknownError, StoreFullError, StoreLockedError, ValidationError
from tests.stores.exchange.bank import Account, Deposited, fill

COLUMNS = ["position", "commit", "stream", "version", "name", "created", "data", "meta"]


@pytest.fixture
def app(tmp_path: Path) -> Any:
    with Act(tmp_path / "bank.act", Account) as app:
        fill(app, accounts=3, deposits=4)
        yield app


def rows_of(path: str | Path) -> list[dict[str, Any]]:
    path = Path(path)
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    relation = duckdb.connect().read_parquet(str(path / "**" / "*.parquet" if path.is_dir() else path))
    return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


@pytest.mark.parametrize("format", ["parquet", "csv", "jsonl"])
def test_every_event_is_a_row_with_all_that_is_known_of_it(app: Act, tmp_path: Path, format: str) -> None:
    made = app.export(tmp_path / f"all.{format}")
    rows = rows_of(made.path)
    events = list(app.store.query())
    assert made.rows == len(rows) == len(events) == 15
    assert list(rows[0]) == [*COLUMNS, *([] if format == "jsonl" else ["tags"])]  # there only events with tags say so
    for row, event in zip(rows, events, strict=True):
        assert [str(row[name]) for name in COLUMNS[:5]] == [
            *(str(event.position), str(event.position), event.stream, str(event.version), event.name)
        ]
        data = row["data"] if format == "jsonl" else json.loads(row["data"])
        assert data == json.loads(event.data)
        meta = row["meta"] if format == "jsonl" else json.loads(row["meta"])
        assert meta["correlation"] == event.meta.correlation
        if format != "parquet":
            assert row["created"] == event.created.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("format", ["parquet", "csv", "jsonl"])
def test_conditions_hold(app: Act, tmp_path: Path, format: str) -> None:
    made = app.export(tmp_path / f"a.{format}", events=[Deposited], stream="account-1", after=5, before=12)
    expected = [
        event.position for event in app.store.query(stream="account-1", names=["Deposited"], after=5, before=12)
    ]
    assert [int(row["position"]) for row in rows_of(made.path)] == expected
    assert len(expected) == 2
    assert app.export(tmp_path / f"none.{format}", events=[]).rows == 0


@pytest.mark.parametrize("format", ["parquet", "csv", "jsonl"])
def test_what_a_query_answers_can_be_exported(app: Act, tmp_path: Path, format: str) -> None:
    query = "select stream, sum(amount)::bigint as total from deposited where amount > $least group by all order by all"
    made = app.export(tmp_path / f"totals.{format}", query, params={"least": 2})
    assert made.rows == 3
    assert [(row["stream"], int(row["total"])) for row in rows_of(made.path)] == [
        (f"account-{number}", 7) for number in range(3)
    ]
    made = app.export(tmp_path / f"then.{format}", "select count(*) as n from events", at=6)
    assert [int(row["n"]) for row in rows_of(made.path)] == [6]


def test_a_query_goes_with_no_condition_and_parameters_with_a_query(app: Act, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="without any other condition"):
        app.export(tmp_path / "x.csv", "select 1", stream="s")
    with pytest.raises(ValidationError, match="need a query"):
        app.export(tmp_path / "x.csv", at=3)
    with pytest.raises(ValidationError):
        app.export(tmp_path / "x.csv", "drop table events")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["bank.act"]


@pytest.mark.parametrize(
    ("name", "options", "what"),
    [
        ("x.xlsx", {}, r"end in \.parquet, \.csv or \.jsonl"),
        ("x", {}, r"end in \.parquet"),
        ("x.csv", {"compression": "zstd"}, "for Parquet"),
        ("x.jsonl", {"partition_by": "name"}, "for Parquet"),
        ("x.parquet", {"compression": "best"}, "must be one of"),
        ("none/x.csv", {}, "no folder"),
        ("x.csv", {"overwrite": 1}, "True or False"),
        ("", {}, "must name a directory"),
        ("x.csv", {"after": -1}, "negative"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    app: Act, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, options: dict[str, Any], what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValidationError, match=what):
        app.export(name, **options)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["bank.act"]


def test_a_file_is_replaced_only_when_asked_for_and_a_folder_never(app: Act, tmp_path: Path) -> None:
    there = tmp_path / "x.csv"
    there.write_text("mine")
    with pytest.raises(ValidationError, match="overwrite=True"):
        app.export(there)
    assert there.read_text() == "mine"
    assert app.export(there, overwrite=True).rows == len(rows_of(there)) == 15
    (tmp_path / "parts").mkdir()
    with pytest.raises(ValidationError, match="never replaced"):
        app.export(tmp_path / "parts", partition_by="name", overwrite=True)


@pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip", "lz4", "uncompressed"])
def test_parquet_is_compressed_as_asked(app: Act, tmp_path: Path, compression: Any) -> None:
    made = app.export(tmp_path / "x.parquet", compression=compression)
    found = (
        duckdb.connect().execute("select distinct lower(compression) from parquet_metadata(?)", [made.path]).fetchall()
    )
    wanted = {"lz4": "lz4_raw"}.get(compression, compression)
    assert found == [(wanted,)]


def test_partitions_are_folders_by_value(app: Act, tmp_path: Path) -> None:
    made = app.export(tmp_path / "parts", partition_by=["stream", "name"])
    folders = sorted(str(each.relative_to(made.path)) for each in Path(made.path).glob("*/*"))
    assert folders[:2] == ["stream=account-0/name=Deposited", "stream=account-0/name=Opened"]
    assert made.rows == len(rows_of(made.path)) == 15


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_progress_is_told_and_its_error_leaves_nothing(app: Act, tmp_path: Path, format: str) -> None:
    told: list[tuple[int, int]] = []
    app.export(tmp_path / f"x.{format}", progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (15, 15)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        app.export(tmp_path / f"y.{format}", progress=stop)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["bank.act", f"x.{format}"]


def test_two_exports_to_one_file_do_not_disturb_each_other(app: Act, tmp_path: Path) -> None:
    refused: list[str] = []

    def meanwhile(done: int, total: int) -> None:
        with pytest.raises(StoreLockedError) as error:
            app.export(tmp_path / "x.csv")
        refused.append(str(error.value))

    app.export(tmp_path / "x.csv", progress=meanwhile)
    assert refused
    assert len(rows_of(tmp_path / "x.csv")) == 15


def test_what_a_dead_export_left_is_removed_by_the_next(app: Act, tmp_path: Path) -> None:
    (tmp_path / "x.parquet.making").mkdir()
    (tmp_path / "x.parquet.making" / "half").write_text("half")
    (tmp_path / "x.parquet.making-lock").touch()
    app.export(tmp_path / "x.parquet")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["bank.act", "x.parquet"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_disk_that_is_full_is_said_to_be(tmp_path: Path) -> None:
    with LogStore.memory() as store:
        store.append("s", [("N", b"1")])
        os.symlink("/dev/full", tmp_path / "x.csv.making")
        with pytest.raises(StoreFullError, match="No space"):
            store._log.export(str(tmp_path / "x.csv.making"), "csv")


@pytest.mark.parametrize("format", ["parquet", "csv", "jsonl"])
def test_a_file_whose_name_may_not_be_safe_is_told_to_be_there(
    app: Act, tmp_path: Path, format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush = os.fsync

    def fails_for_folders(file: int) -> None:
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        flush(file)

    monkeypatch.setattr(os, "fsync", fails_for_folders)
    path = tmp_path / f"all.{format}"
    with pytest.raises(OutcomeUnknownError, match="complete and in its place"):
        app.export(path)
    assert len(rows_of(path)) == 15
