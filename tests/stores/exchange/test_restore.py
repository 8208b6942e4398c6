"""Restoring: a whole new log in the place of the old one, or nothing at all."""

import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from act_fast import (
    Act,
    LogStore,
    Meta,
    RestoreError,
    StoreClosedError,
    StoreFormatError,
    StoreLockedError,
    ValidationError,
    restore_path,
    verify_path,
)
from tests.stores.exchange.bank import Account, audited, fill
from tests.support.processes import Tell, started

Open = Callable[..., LogStore]


def lines(path: Path, *rows: dict[str, Any] | str) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


def event(stream: str = "s", **more: Any) -> dict[str, Any]:
    return {"stream": stream, "name": "Counted", "data": 1, **more}


def contents(store: LogStore) -> list[tuple[str, int, str, bytes]]:
    return [(each.stream, each.version, each.name, each.data) for each in store.query()]


# What a file made by hand needs.


def test_stream_name_and_data_are_enough(tmp_path: Path) -> None:
    before = time.time()
    source = lines(tmp_path / "x.jsonl", event("a"), event("b"), event("a", data={"n": 2}), "")
    restored = restore_path(tmp_path / "x.act", source)
    assert (restored.events, restored.commits, restored.streams) == (3, 3, 2)
    with LogStore(tmp_path / "x.act", create=False) as store:
        assert contents(store) == [
            ("a", 1, "Counted", b"1"),
            ("b", 1, "Counted", b"1"),
            ("a", 2, "Counted", b'{"n": 2}'),
        ]
        found = list(store.query())
        assert all(each.meta == Meta() and before - 1 <= each.created.timestamp() <= time.time() + 1 for each in found)


def test_csv_columns_are_found_by_their_names(tmp_path: Path) -> None:
    source = tmp_path / "x.csv"
    source.write_text('note,data,name,stream\nmine,"{""a"":\n1}",Counted,"a,b"\n,2,Counted,s\n')
    restore_path(tmp_path / "x.act", source)
    with LogStore(tmp_path / "x.act") as store:
        assert contents(store) == [("a,b", 1, "Counted", b'{"a":\n1}'), ("s", 1, "Counted", b"2")]


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b"\xef\xbb\xbf" + json.dumps(event()).encode() + b"\r\n")
    (tmp_path / "x.csv").write_bytes(b"\xef\xbb\xbfstream,name,data\r\ns,Counted,1\r\n")
    for format in ("jsonl", "csv"):
        restore_path(tmp_path / f"{format}.act", tmp_path / f"x.{format}")
        with LogStore(tmp_path / f"{format}.act") as store:
            assert contents(store) == [("s", 1, "Counted", b"1")]


def test_parquet_made_by_others_is_read(tmp_path: Path) -> None:
    import duckdb

    duckdb.connect().execute(
        "copy (select 's' as stream, 'Counted' as name, json('{\"n\":1}') as data, 1::integer as version,"
        f" timestamp '2026-01-01' as created) to '{tmp_path}/x.parquet' (format parquet)"
    )
    restore_path(tmp_path / "x.act", tmp_path / "x.parquet")
    with LogStore(tmp_path / "x.act") as store:
        (found,) = store.query()
        assert (found.stream, found.data, found.created.isoformat()) == ("s", b'{"n":1}', "2026-01-01T00:00:00+00:00")


def test_columns_that_others_have_put_into_names_of_folders_are_read(tmp_path: Path) -> None:
    import duckdb

    folder = tmp_path / "name=Wrong" / "parts"
    folder.mkdir(parents=True)
    rows = "values ('007', 'A B', 1, '1'), ('8', 'C', 2, '2'), ('007', 'C', 3, '3')) as t(stream, name, position, data)"
    duckdb.connect().execute(
        f"copy (select * from ({rows}) to '{folder}' (format parquet, partition_by (stream, name), overwrite_or_ignore)"
    )
    restore_path(tmp_path / "x.act", folder)
    with LogStore(tmp_path / "x.act") as store:
        assert contents(store) == [("007", 1, "A B", b"1"), ("8", 1, "C", b"2"), ("007", 2, "C", b"3")]
    (folder / "stream=8" / "name=C").rename(folder / "stream=8" / "name")
    with pytest.raises(RestoreError, match="no column `name`"):
        restore_path(tmp_path / "y.act", folder)


def test_events_of_one_commit_stay_together_and_share_one_meta(tmp_path: Path) -> None:
    meta = {"correlation": "c"}
    source = lines(
        tmp_path / "x.jsonl",
        event("a", commit=1, meta=meta),
        event("b", commit=1, meta=meta),
        event("a", commit=3),
    )
    assert restore_path(tmp_path / "x.act", source).commits == 2
    with LogStore(tmp_path / "x.act") as store:
        assert [each.meta.correlation for each in store.query()] == ["c", "c", None]
        assert store.verify().commits == 2


def test_time_never_runs_backwards_and_how_often_it_was_held_is_told(tmp_path: Path) -> None:
    moments = ["2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-03T00:00:00+01:00", "2026-01-02T12:00:00Z"]
    source = lines(tmp_path / "x.jsonl", *(event(created=moment) for moment in moments))
    assert restore_path(tmp_path / "x.act", source).held == 2
    with LogStore(tmp_path / "x.act") as store:
        assert [each.created.isoformat()[:13] for each in store.query()] == [
            "2026-01-02T00",
            "2026-01-02T00",
            "2026-01-02T23",
            "2026-01-02T23",
        ]


def test_commits_of_one_moment_keep_their_own_metas(tmp_path: Path) -> None:
    moment, wanted = "2026-01-01T00:00:00Z", ["one", "other", None, "one", "other"]
    metas: list[dict[str, Any]] = [{"meta": {"correlation": each}} if each else {} for each in wanted]
    source = lines(tmp_path / "x.jsonl", *(event(created=moment, **meta) for meta in metas))
    assert restore_path(tmp_path / "x.act", source).commits == len(wanted)
    with LogStore(tmp_path / "x.act") as store, Act(store) as app:
        assert len({each.created for each in store.query()}) == 1
        assert [each.meta.correlation for each in store.query()] == wanted
        assert [each.meta.correlation for each in store.load("s")] == wanted
        assert app.sql("select correlation from events order by position").fetchall() == [(each,) for each in wanted]


# What is wrong, where, and that nothing has changed.

WRONG: list[tuple[str, list[dict[str, Any] | str], int, str]] = [
    ("not JSON", [event(), "hello"], 2, "not one JSON object"),
    ("cut short", [event(), '{"stream":"s","name":'], 2, "cut short"),
    ("something else", [event(), "[1]"], 2, "not one JSON object"),
    ("several lines for an event", [*json.dumps(event(), indent=1).splitlines()], 1, "more than one line"),
    ("no data", [event(), {"stream": "s", "name": "N"}], 2, "`data` is missing"),
    ("no name", [{"stream": "s", "data": 1}], 1, "`name` is missing"),
    ("no stream", [{"name": "N", "data": 1}], 1, "`stream` is missing"),
    ("null for a stream", [event(stream=None)], 1, "type"),  # type: ignore[arg-type]
    ("a number for a name", [event(name=7)], 1, "type"),
    (
        "a version too many",
        [event(version=1), event(version=3)],
        2,
        "`version` is 3, but the next one of its stream is 2",
    ),
    ("a version again", [event(version=1), event(version=1)], 2, "`version` is 1, but the next one of its stream is 2"),
    ("a position again", [event(position=4), event(position=4)], 2, "sort the events"),
    ("positions for some", [event(position=4), event()], 2, "for all or for none"),
    ("position 0", [event(position=0)], 1, "start at 1"),
    ("a position out of reach", [event(position=2**64 - 1)], 1, "larger than any"),
    ("commits mixed up", [event(commit=1), event(commit=2), event(commit=1)], 3, "sort the events"),
    ("two metas in a commit", [event(commit=1, meta={}), event(commit=1)], 2, "one of each"),
    ("two times in a commit", [event(commit=1, created="2026-01-01"), event(commit=1)], 2, "one of each"),
    ("no time", [event(created="yesterday")], 1, "not a time"),
    ("a time far away", [event(created="0400-01-01T00:00:00Z")], 1, "829 to 3111"),
    ("a meta of another kind", [event(meta={"correlation": 7})], 1, "`meta` is not"),
    ("a meta that is a list", [event(meta=[])], 1, "`meta` is not"),
    ("an empty name", [event(name="")], 1, "`name` is missing"),
    ("a stream too long", [event(stream="s" * 513)], 1, "513 bytes"),
    ("a field twice", ['{"stream":"s","stream":"t","name":"N","data":1}'], 1, "a field twice, see byte 22"),
    ("a line break in a stream", [event(stream="a\nb")], 1, "line break"),
    ("too large a commit", [event(data="x" * (70 << 20))], 1, "must fit into one log file"),
]


@pytest.mark.parametrize(("rows", "line", "what"), [each[1:] for each in WRONG], ids=[each[0] for each in WRONG])
def test_a_file_that_is_wrong_is_refused_with_its_line(
    rows: list[dict[str, Any] | str], line: int, what: str, tmp_path: Path
) -> None:
    source = lines(tmp_path / "x.jsonl", *rows)
    path = tmp_path / "x.act"
    with LogStore(path) as store:
        store.append("mine", [("Mine", b"1")])
    for attempt in (path, tmp_path / "new.act"):
        with pytest.raises(RestoreError, match=what) as error:
            restore_path(attempt, source, replace=True)
        assert (error.value.source, error.value.line) == (str(source), line)
        assert f"{source}, line {line}:" in str(error.value)
        assert str(error.value).endswith("nothing was changed")
        assert "hello" not in str(error.value)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["x.act", "x.jsonl"]
    assert not (path / "making").exists()
    with LogStore(path) as store:
        assert contents(store) == [("mine", 1, "Mine", b"1")]


def test_a_line_far_down_in_a_large_file_is_named(tmp_path: Path) -> None:
    source = tmp_path / "x.jsonl"
    good = (json.dumps(event("a\u00e4\t", data={"text": "x" * 200})) + "\n").encode()
    for bad, what in [(b"\xff\n", "not UTF-8"), (b"{}\n", "`stream` is missing"), (b'{"stream":', "cut short")]:
        for before in (1, 4999, 9000, 30_000):
            source.write_bytes(good * before + bad + (good * 10 if bad.endswith(b"\n") else b""))
            with pytest.raises(RestoreError, match=what) as error:
                restore_path(tmp_path / "x.act", source)
            assert error.value.line == before + 1
    source.write_bytes(good * 30_000)
    assert restore_path(tmp_path / "x.act", source).events == 30_000
    with LogStore(tmp_path / "x.act") as store:
        assert {each.stream for each in store.query()} == {"a\u00e4\t"}
        assert store.verify().healthy


def test_two_fields_of_a_csv_file_make_no_letter_that_neither_has(tmp_path: Path) -> None:
    source = tmp_path / "x.csv"
    rows = [b"stream,more,name,data", b"s,,Counted,1", "ä,ä,Zähler,1".encode(), b"s,a\xc3,\xa4B,1", b"s,,Counted,1"]
    source.write_bytes(b"\n".join(rows[:3]) + b"\n")
    assert restore_path(tmp_path / "x.act", source).events == 2
    source.write_bytes(b"\n".join(rows))
    with pytest.raises(RestoreError, match=r"line 4: it is not UTF-8"):
        restore_path(tmp_path / "y.act", source)
    source.write_bytes(b"\n".join(rows).replace(b"a\xc3,\xa4B", b"\xa4,Counted"))
    with pytest.raises(RestoreError, match=r"line 4: it is not UTF-8"):
        restore_path(tmp_path / "y.act", source)


def test_of_several_rows_of_a_csv_file_that_are_wrong_the_first_is_told(tmp_path: Path) -> None:
    """Rows are read by several threads, some thousands at a time."""
    rows = 9000
    wrong = {
        "s,Counted,1,x": "line {}: it has 4 fields",
        "s,Counted,01": "line {}: `data` is",
        "s,Counted,\xff": "line {}: it is not UTF-8",
        ",Counted,1": "line {}: ",
    }
    source = tmp_path / "x.csv"
    chance = random.Random(7)
    for first in (2, 2048, 2049, 2050, 4097, 6000, 9001):
        (bad, message), (later, _) = chance.choices(list(wrong.items()), k=2)
        lines = ["stream,name,data", *("s,Counted,1" for _ in range(rows))]
        lines[chance.randrange(first - 1, rows + 1)] = later
        lines[first - 1] = bad
        source.write_bytes("\n".join(lines).encode("latin-1"))
        with pytest.raises(RestoreError, match=message.format(first)):
            restore_path(tmp_path / "x.act", source)
    source.write_text(
        "\n".join(["stream,name,data", *(f's-{number % 7},Counted,"[{number},0]"' for number in range(rows))])
    )
    assert restore_path(tmp_path / "x.act", source).events == rows
    with LogStore(tmp_path / "x.act", create=False) as store:
        assert contents(store) == [(f"s-{n % 7}", n // 7 + 1, "Counted", b"[%d,0]" % n) for n in range(rows)]


def test_a_csv_file_that_is_wrong_is_refused_with_its_line(tmp_path: Path) -> None:
    source = tmp_path / "x.csv"
    for text, line, what in [
        ("stream,name\ns,N\n", 1, "no column `data`"),
        ("", 1, "no column `stream`"),
        ('stream,name,data\ns,N,"1\n\n"\ns,N\n', 5, "2 fields, but the first line names 3"),
        ('stream,name,data\ns,N,"{""a"":1', 2, "not JSON"),
        ("stream,name,data\ns,N,{\n", 2, "not JSON"),
        ("stream,name,data,version\ns,N,1,x\n", 2, "`version` is not a whole number"),
        ("stream,name,data\ns,N,1\ns,,1\n", 3, "name is empty"),
        ("stream,name,data,stream\ns,N,1,t\n", 1, "more than one column `stream`"),
        ("tags,stream,name,data,tags\n,s,N,1,\n", 1, "more than one column `tags`"),
    ]:
        source.write_text(text)
        with pytest.raises(RestoreError, match=what) as error:
            restore_path(tmp_path / "x.act", source)
        assert error.value.line == line, text
    source.write_bytes(b"stream,name,data\ns,N,\xff\n")
    with pytest.raises(RestoreError, match="not UTF-8") as error:
        restore_path(tmp_path / "x.act", source)
    assert error.value.line == 2
    assert not (tmp_path / "x.act").exists()


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_lines_of_a_csv_file_are_counted_whatever_they_end_with(tmp_path: Path, line_end: str) -> None:
    source = tmp_path / "x.csv"
    rows = [*["s,N,1"] * 2047, 's,N,"[1', ']"', "s,N,1"]
    for wrong, what in [("s,N,{", "not JSON"), ("s,N", "2 fields"), ("s,\udcff,1", "not UTF-8")]:
        for before in (0, 1, 2046, 2047, len(rows)):
            lines = ["stream,name,data", *rows[:before], wrong, *["s,N,1"] * 3]
            source.write_bytes("".join(f"{line}{line_end}" for line in lines).encode(errors="surrogateescape"))
            with pytest.raises(RestoreError, match=what) as error:
                restore_path(tmp_path / "x.act", source)
            assert error.value.line == before + 2
    source.write_bytes(line_end.join(["stream,name", "s,N", ""]).encode())
    with pytest.raises(RestoreError, match="no column `data`") as error:
        restore_path(tmp_path / "x.act", source)
    assert error.value.line == 1


def test_columns_that_are_not_read_may_have_one_name(tmp_path: Path) -> None:
    source = tmp_path / "x.csv"
    source.write_text("more,stream,more,name,data\na,s,b,N,1\n")
    assert restore_path(tmp_path / "x.act", source).events == 1


@pytest.mark.parametrize("rows", [1, 2047, 2048, 5000])
def test_a_csv_file_that_may_have_been_cut_short_in_its_last_field_is_refused(tmp_path: Path, rows: int) -> None:
    """Where it was cut between two letters of a number or a name, or before the tags, what is left looks whole."""
    source = tmp_path / "x.csv"
    with LogStore.memory() as store:
        for number in range(rows):
            store.append("s", [("Counted", b"%d" % number, (f"number:{number}",))])
        store.export(source)
    whole = source.read_bytes()
    assert whole.endswith(b'""]"\n')
    for end in range(len(whole) - 40, len(whole) - len(b'"\n')):
        source.write_bytes(whole[:end])
        with pytest.raises(RestoreError, match=r"cut short|damaged|not JSON|no JSON") as error:
            restore_path(tmp_path / "x.act", source)
        assert error.value.line == rows + 1
    for text in ("stream,name,data\ns,N,12", "data,stream,name\n1,s,Name", "stream,name,data,tags\ns,N,{},"):
        source.write_text(text)
        with pytest.raises(RestoreError, match="line 2: it is the last one") as error:
            restore_path(tmp_path / "x.act", source)
        source.write_text(f"{text}\n")
        assert restore_path(tmp_path / "y.act", source, dry_run=True).events == 1
    for end in ("", "\r", "\r\n"):
        source.write_bytes(whole.rstrip() + end.encode())
        assert restore_path(tmp_path / "y.act", source, dry_run=True).events == rows


def test_a_line_or_row_without_an_end_is_not_read_to_the_end(tmp_path: Path, open_store: Open) -> None:
    """No event is that long, and no memory might be."""
    store = open_store(segment_bytes=16384)
    endless = "x" * (3 << 20)
    source = tmp_path / "x.jsonl"
    good = json.dumps(event()) + "\n"
    for before in (0, 3, 30_000):
        for end in ("", "\n", "\n" + good):
            source.write_text(good * before + endless + end)
            with pytest.raises(
                RestoreError, match="1081344 bytes or more, and an event must fit into one log"
            ) as error:
                store.restore(source, replace=True)
            assert error.value.line == before + 1
    source.write_text(good + "{}\n" + endless)
    with pytest.raises(RestoreError, match="`stream` is missing") as error:  # the first that is wrong
        store.restore(source, replace=True)
    assert error.value.line == 2
    source = tmp_path / "x.csv"
    for before in (0, 3, 5000):
        for end in ("", '"\n', "\ns,N,1\n" * 5):
            source.write_text("stream,name,data\n" + "s,N,1\n" * before + 's,N,"' + "x\n" * (3 << 19) + end)
            with pytest.raises(RestoreError, match="a quote that is not closed") as error:
                store.restore(source, replace=True)
            assert error.value.line == before + 2
    source.write_text("x" * (3 << 20))
    with pytest.raises(RestoreError, match="must fit into one log file"):
        store.restore(source, replace=True)
    assert store.head == 0


def test_a_line_with_blanks_around_a_large_event_is_read(tmp_path: Path, open_store: Open) -> None:
    source = tmp_path / "x.jsonl"
    source.write_text(f"{' ' * 500_000}{json.dumps(event(data='x' * 10_000))}{' ' * 500_000}\n")
    store = open_store(segment_bytes=16384)
    assert store.restore(source, replace=True).events == 1


def test_a_parquet_file_that_is_wrong_is_refused(tmp_path: Path) -> None:
    import duckdb

    def make(query: str) -> Path:
        duckdb.connect().execute(f"copy ({query}) to '{tmp_path}/x.parquet' (format parquet)")
        return tmp_path / "x.parquet"

    for query, line, what in [
        ("select 's' as stream, 'N' as name", 0, "no column `data`"),
        ("select 's' as stream, 'N' as name, {'a': 1} as data", 0, "type STRUCT"),
        ("select 's' as stream, 'N' as name, '1' as data, 'x' as created", 0, "must be a timestamp"),
        ("select 's' as stream, 'N' as name, '1' as data, 1.5 as version", 0, "must be a whole number"),
        ("select 's' as stream, 'N' as name, unnest(['1', '{']) as data", 2, "row 2: `data` is not JSON"),
        ("select 's' as stream, unnest(['N', null]) as name, '1' as data", 2, "row 2: `stream`, `name` or `data`"),
        ("select 's' as stream, 'N' as name, '1' as data, timestamp 'infinity' as created", 1, "829 to 3111"),
        ("select 's' as stream, 'N' as name, '1' as data, timestamptz '-infinity' as created", 1, "829 to 3111"),
    ]:
        source = make(query)
        with pytest.raises(RestoreError, match=what) as error:
            restore_path(tmp_path / "x.act", source)
        assert error.value.line == line, query
    whole = make("select 's' as stream, 'N' as name, '1' as data from range(1000)").read_bytes()
    source.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RestoreError, match="cannot be read as Parquet"):
        restore_path(tmp_path / "x.act", source)
    (tmp_path / "folder").mkdir()
    with pytest.raises(RestoreError, match="no Parquet files"):
        restore_path(tmp_path / "x.act", tmp_path / "folder")
    assert not (tmp_path / "x.act").exists()


@pytest.mark.parametrize("twice", ["stream", "data", "tags"])
def test_a_parquet_file_with_two_columns_of_a_name_is_refused(tmp_path: Path, twice: str) -> None:
    """DuckDB does not write such files, and calls the second column something else when it reads them."""
    nested = [[{"stream": "x", "data": ["y"], "tags": 1}]]
    columns = [("x", nested), ("stream", ["s"]), ("name", ["N"]), ("data", ["1"]), ("tags", [["t"]]), ("more", [0])]

    def make(path: Path, *more: tuple[str, list[Any]]) -> Path:
        given = [*columns, *more]
        table = pyarrow.Table.from_arrays([pyarrow.array(each) for _, each in given], [name for name, _ in given])
        pyarrow.parquet.write_table(table, path)
        return path

    folder = tmp_path / "folder"
    folder.mkdir()
    make(folder / "1.parquet")
    for where, source, events in [(tmp_path / "x.parquet",) * 2 + (1,), (folder / "2.parquet", folder, 2)]:
        make(where, ("more", [1]), (f"{twice}_1", [1]))
        assert restore_path(tmp_path / "x.act", source, dry_run=True).events == events
        make(where, (twice, ["1"]))
        with pytest.raises(RestoreError, match=f"{where.name}: it has more than one column `{twice}`"):
            restore_path(tmp_path / "x.act", source)


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_a_file_without_events_does_not_empty_a_store(tmp_path: Path, open_store: Open, format: str) -> None:
    with LogStore.memory() as nothing:
        nothing.export(tmp_path / f"x.{format}")
    store = open_store()
    store.append("s", [("N", b"1")])
    with pytest.raises(RestoreError, match="no events"):
        store.restore(tmp_path / f"x.{format}", replace=True)
    assert store.head == 1


def test_what_is_no_source_is_refused_before_anything_is_done(tmp_path: Path, open_store: Open) -> None:
    store = open_store()
    (tmp_path / "x.txt").write_text("hello")
    for source, what in [(tmp_path / "none.csv", "nothing at"), (tmp_path / "x.txt", "must end in"), (7, "text or a")]:
        with pytest.raises(ValidationError, match=what):
            store.restore(source, replace=True)  # type: ignore[arg-type]
    assert not store.closed
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "mine.txt").write_text("mine")
    source = lines(tmp_path / "x.jsonl", event())
    for path in (tmp_path / "foreign", tmp_path / "x.txt"):
        with pytest.raises(StoreFormatError):
            restore_path(path, source)
    assert sorted(each.name for each in (tmp_path / "foreign").iterdir()) == ["mine.txt"]


# The swap.


def test_the_restored_log_takes_the_place_of_the_old_one(tmp_path: Path, store: LogStore) -> None:
    for number in range(50):
        store.append("old", [("Old", b"%d" % number)])
    store.save_snapshot("old", 7, b"state")
    source = lines(tmp_path / "x.jsonl", event("new"), event("new"))
    store.restore(source, replace=True)
    assert contents(store) == [("new", 1, "Counted", b"1"), ("new", 2, "Counted", b"1")]
    assert store.version("old") == 0
    assert store.latest_snapshot("old") is None
    assert store.append("new", [("N", b"1")]).first_position == 3
    assert store.verify().healthy


def test_nothing_of_the_old_log_is_left(tmp_path: Path, open_store: Open) -> None:
    store = open_store()
    for _ in range(1000):
        store.append("old", [("Old", b'"%s"' % (b"x" * 500))])
    assert len(list((tmp_path / "store.act" / "log").iterdir())) > 3
    (tmp_path / "store.act" / "analytics" / "events-1").mkdir(parents=True)
    (tmp_path / "store.act" / "analytics" / "events-1" / "old.parquet").write_bytes(b"old")
    store.restore(lines(tmp_path / "x.jsonl", event()), replace=True)
    assert sorted(each.name for each in (tmp_path / "store.act").iterdir()) == ["control", "index", "locks", "log"]
    assert [each.name for each in (tmp_path / "store.act" / "log").iterdir()] == ["00000000.seg"]
    store.close()
    with open_store() as again:
        assert again.head == 1


def test_a_rehearsal_checks_everything_and_makes_nothing(tmp_path: Path, open_store: Open) -> None:
    store = open_store()
    source = lines(tmp_path / "x.jsonl", event("a"), event("b"))
    restored = store.restore(source, dry_run=True)
    assert (restored.events, restored.streams) == (2, 2)
    assert store.head == 0
    assert restore_path(tmp_path / "none.act", source, dry_run=True) == restored
    assert not (tmp_path / "none.act").exists()
    with pytest.raises(RestoreError):
        store.restore(lines(tmp_path / "y.jsonl", "hello"), dry_run=True)


def test_a_store_that_is_open_elsewhere_is_not_touched(tmp_path: Path, open_store: Open) -> None:
    source = lines(tmp_path / "x.jsonl", event())
    mine, other = open_store(), open_store()
    mine.append("s", [("Old", b"1")])
    with pytest.raises(StoreLockedError, match="open elsewhere"):
        mine.restore(source, replace=True)
    with pytest.raises(StoreLockedError, match="open elsewhere"):
        restore_path(tmp_path / "store.act", source)
    assert contents(mine) == contents(other) == [("s", 1, "Old", b"1")]
    mine.append("s", [("Old", b"2")])
    other.close()
    mine.restore(source, replace=True)
    assert contents(mine) == [("s", 1, "Counted", b"1")]


def test_who_opens_the_store_meanwhile_waits_and_finds_the_new_log(tmp_path: Path, open_store: Open) -> None:
    path = tmp_path / "store.act"
    with open_store() as store:
        store.append("s", [("Old", b"1")])
    source = lines(tmp_path / "x.jsonl", event(), event())

    def look(tell: Tell) -> None:
        tell("looking")
        with LogStore(path) as store:
            tell(store.head)

    with started() as processes:
        looked: list[Any] = []

        def progress(done: int, total: int) -> None:
            if not looked:
                from tests.support.processes import Process

                looked.append(Process(look))
                assert looked[0].next_line() == "looking"
                processes.append(looked[0])

        restore_path(path, source, replace=True, progress=progress)
        assert looked[0].next_line() == "2"


def test_what_was_begun_before_has_to_be_begun_again(tmp_path: Path, store: LogStore) -> None:
    for number in range(3000):
        store.append(f"s-{number}", [("Old", b"1")])
    query = store.query()
    next(query)
    store.restore(lines(tmp_path / "x.jsonl", event()), replace=True)
    with pytest.raises(StoreClosedError, match="replaced"):
        list(query)
    assert len(list(store.query())) == 1


def test_a_reading_handle_does_not_restore(tmp_path: Path, open_store: Open) -> None:
    open_store().append("s", [("Old", b"1")])
    reader = open_store(read_only=True)
    with pytest.raises(ValidationError, match="opened for reading only"):
        reader.restore(lines(tmp_path / "x.jsonl", event()), replace=True)
    assert reader.head == 1


def test_progress_is_told_and_its_error_leaves_the_store_as_it_was(tmp_path: Path, open_store: Open) -> None:
    store = open_store()
    store.append("s", [("Old", b"1")])
    source = lines(tmp_path / "x.jsonl", *(event(data="x" * 1000) for _ in range(9000)))

    def stop(done: int, total: int) -> None:
        assert 0 < done <= total == source.stat().st_size
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.restore(source, progress=stop, replace=True)
    assert contents(store) == [("s", 1, "Old", b"1")]
    told: list[int] = []
    store.restore(source, progress=lambda done, total: told.append(done), replace=True)
    assert told == sorted(told)
    assert told[-1] == source.stat().st_size


def test_what_a_dead_restore_left_goes_when_the_store_is_opened(tmp_path: Path, open_store: Open) -> None:
    with open_store() as store:
        store.append("s", [("Old", b"1")])
    left = tmp_path / "store.act" / "making" / "log"
    left.mkdir(parents=True)
    (left / "00000000.seg").write_bytes(b"half a file")
    with open_store() as store:
        assert store.head == 1
        assert not left.parent.exists()


# Apps.


def test_reactions_start_again_by_themselves(tmp_path: Path) -> None:
    with Act(tmp_path / "bank.act", Account) as app:
        heard = audited(app)
        fill(app, accounts=2, deposits=3)
        app.settle()
        app.export(tmp_path / "all.jsonl")
        first = list(heard)
        heard.clear()
        app.restore(tmp_path / "all.jsonl", replace=True)
        app.settle()
        assert heard == first
        app.do(Account.deposit, "account-0", amount=1)
        app.settle()
        assert heard == [*first, ("account-0", 5)]


def test_reactions_start_again_in_a_program_that_comes_later(tmp_path: Path) -> None:
    with Act(tmp_path / "bank.act", Account) as app:
        audited(app)
        fill(app, accounts=2, deposits=3)
        app.settle()
        app.export(tmp_path / "all.parquet")
    restore_path(tmp_path / "bank.act", tmp_path / "all.parquet", replace=True)
    with Act(tmp_path / "bank.act", Account) as app:
        heard = audited(app)
        app.settle()
        assert len(heard) == 6


def test_cached_states_of_the_old_log_are_forgotten(tmp_path: Path) -> None:
    with Act(tmp_path / "bank.act", Account) as app:
        app.do(Account.open, "account-0", owner="Ada")
        app.do(Account.deposit, "account-0", amount=5)
        source = lines(
            tmp_path / "x.jsonl",
            {"stream": "account-0", "name": "Opened", "data": {"owner": "Eve"}},
            {"stream": "account-0", "name": "Deposited", "data": {"amount": 70}},
        )
        app.restore(source, replace=True)
        snapshot = app.load(Account, "account-0")
        assert (snapshot.state.balance, snapshot.version, snapshot.cached) == (70, 2, False)
        assert app.do(Account.deposit, "account-0", amount=1).state.balance == 71


def test_an_app_whose_workers_run_does_not_restore(tmp_path: Path) -> None:
    import threading

    with Act(tmp_path / "bank.act", Account) as app:
        heard = audited(app)
        fill(app, accounts=1, deposits=1)
        source = tmp_path / "all.csv"
        app.export(source)
        worker = threading.Thread(target=app.run)
        worker.start()
        app.wait_for(app.store.head, "audit-account-0")
        with pytest.raises(StoreLockedError, match="workers"):
            app.restore(source, replace=True)
        app.stop()
        worker.join()
        app.restore(source, replace=True)
        app.settle()
        assert len(heard) == 2


# Deaths.


def test_a_restore_killed_at_any_moment_leaves_the_old_log_or_the_new_one(tmp_path: Path, dice: random.Random) -> None:
    path = tmp_path / "store.act"
    with Act(path, Account) as app:
        audited(app)
        fill(app, accounts=2, deposits=3)
        app.settle()
        old = contents(app.store)  # type: ignore[arg-type]
    source = lines(tmp_path / "x.jsonl", *(event(f"s-{number % 50}", data="x" * 300) for number in range(4000)))

    def restore(tell: Tell) -> None:
        tell("begin")
        restore_path(path, source)
        tell("done")
        time.sleep(60)

    kills = int(os.environ.get("ACT_FAST_RESTORE_KILLS", "12"))
    found = set()
    for _ in range(kills):
        with started(restore) as (process,):
            process.next_line()
            time.sleep(dice.uniform(0, 0.08))
            process.kill()
            process.wait()
            done = "done" in list(process.lines())
        assert verify_path(path).healthy
        with Act(path, Account) as app:
            whole = app.store.head
            assert whole in (len(old), 4000)
            assert whole == 4000 or not done
            found.add(whole)
            if whole == len(old):
                assert contents(app.store) == old  # type: ignore[arg-type]
            audited(app)
            app.settle()
            assert not (path / "making").exists()
        if whole == 4000:
            (tmp_path / "old.jsonl").unlink(missing_ok=True)
            lines(
                tmp_path / "old.jsonl",
                *(
                    json.dumps({"stream": stream, "name": name, "data": json.loads(data)}, separators=(",", ":"))
                    for stream, _, name, data in old
                ),
            )
            restore_path(path, tmp_path / "old.jsonl")
    print(f"found {found}")


def test_a_store_made_by_a_restore_that_is_killed_is_whole_or_absent(tmp_path: Path, dice: random.Random) -> None:
    source = lines(tmp_path / "x.jsonl", *(event(f"s-{number % 50}", data="x" * 300) for number in range(4000)))

    def restore(tell: Tell) -> None:
        tell("begin")
        for number in range(100):
            restore_path(tmp_path / f"new-{number}.act", source)

    for _ in range(8):
        with started(restore) as (process,):
            process.next_line()
            time.sleep(dice.uniform(0, 0.1))
            process.kill()
            process.wait()
        made = sorted(tmp_path.glob("new-*.act"))
        for path in made:
            assert verify_path(path).events == 4000
            path.rename(tmp_path / f"kept-{time.monotonic_ns()}.act")
    restore_path(tmp_path / "new-0.act", source)
    assert not (tmp_path / "new-0.act.making").exists()


def test_a_store_or_a_backup_is_no_export(tmp_path: Path) -> None:
    with Act(tmp_path / "bank.act", Account) as app:
        app.backup(tmp_path / "copy.act")
        with pytest.raises(RestoreError, match="is a store, or the backup of one, not an export"):
            app.restore(tmp_path / "copy.act", replace=True)


def test_a_store_that_holds_events_is_replaced_only_when_that_is_asked_for(tmp_path: Path) -> None:
    source, path = lines(tmp_path / "x.jsonl", event()), tmp_path / "x.act"
    restore_path(path, source)  # where there is none
    with LogStore(path) as store:
        store.append("mine", [("Happened", b"1")])
        seen = iter(store.query())
        next(seen)
        with pytest.raises(ValidationError, match=r"holds 2 events.*replace=True"):
            store.restore(source)
        assert len([*seen]) == 1, "nothing that is running has ended"
        with Act(store) as app, pytest.raises(ValidationError, match=r"holds 2 events.*replace=True"):
            app.restore(source)
        assert store.head == 2
        assert store.restore(source, dry_run=True).events == 1
    with pytest.raises(ValidationError, match=r"holds events.*replace=True.*--replace"):
        restore_path(path, source)
    with LogStore(path) as store:
        assert store.head == 2
        assert store.restore(source, replace=True).events == 1
    assert restore_path(path, source, replace=True).events == 1


def test_a_store_that_cannot_be_read_counts_as_one_that_holds_events(tmp_path: Path) -> None:
    source, path = lines(tmp_path / "x.jsonl", event()), tmp_path / "x.act"
    restore_path(path, source)
    os.truncate(path / "log/00000000.seg", 10)
    with pytest.raises(ValidationError, match=r"holds events.*replace=True"):
        restore_path(path, source)
    assert restore_path(path, source, replace=True).events == 1


def test_a_compressed_or_archived_store_holds_events_whatever_can_be_reached(tmp_path: Path) -> None:
    source, path, cold = lines(tmp_path / "x.jsonl", event()), tmp_path / "x.act", tmp_path / "cold"
    restore_path(path, source)
    for change in (lambda store: store.compress(seal=True), lambda store: store.archive(cold, parquet=False)):
        with LogStore(path) as store:
            change(store)
        with pytest.raises(ValidationError, match=r"holds events.*replace=True"):
            restore_path(path, source)
    cold.rename(tmp_path / "away")
    with pytest.raises(ValidationError, match=r"holds events.*replace=True"):
        restore_path(path, source)


def test_a_store_that_was_only_made_is_filled(tmp_path: Path) -> None:
    source, path = lines(tmp_path / "x.jsonl", event()), tmp_path / "x.act"
    LogStore(path).close()
    assert restore_path(path, source).events == 1
