"""Restoring from Arrow columns: they are checked, whoever makes them, and each row says what a JSON line says."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from act_fast import LogStore, RestoreError, ValidationError
from act_fast._core import Restoring

NATURAL, WHOLE, TEXT = pyarrow.uint64(), pyarrow.int64(), pyarrow.string()
COLUMNS = {
    "position": NATURAL,
    "commit": NATURAL,
    "stream": TEXT,
    "version": NATURAL,
    "name": TEXT,
    "created": WHOLE,
    "data": TEXT,
    "meta": TEXT,
    "tags": TEXT,
}


def batch(rows: int = 2, **columns: Any) -> pyarrow.RecordBatch:
    """Rows that are right, but for the columns given."""
    usual = {"stream": ["s"] * rows, "name": ["N"] * rows, "data": ["1"] * rows}
    arrays = []
    for name, kind in COLUMNS.items():
        found = columns.get(name, usual.get(name, [None] * rows))
        arrays.append(found if isinstance(found, pyarrow.Array) else pyarrow.array(found, kind))
    return pyarrow.RecordBatch.from_arrays(arrays, list(COLUMNS))


def take(*batches: pyarrow.RecordBatch) -> tuple[int, ...]:
    """How many events, commits and streams are in them, and so on."""
    restoring = Restoring.rehearsal()
    try:
        reader = pyarrow.RecordBatchReader.from_batches(batches[0].schema, batches)
        restoring.columns(reader, "x", sum(each.num_rows for each in batches))
        return restoring.finish()
    finally:
        restoring.cancel()


def texts(offsets: list[int], data: bytes, *, wide: bool = False, valid: bytes | None = None) -> pyarrow.Array:
    """A column whose buffers nobody has looked at."""
    kind = pyarrow.large_string() if wide else pyarrow.string()
    packed = struct.pack(f"={len(offsets)}{'q' if wide else 'i'}", *offsets)
    buffers = [valid and pyarrow.py_buffer(valid), pyarrow.py_buffer(packed), pyarrow.py_buffer(data)]
    return pyarrow.Array.from_buffers(kind, len(offsets) - 1, buffers)


def test_columns_are_read_in_batches_and_parts() -> None:
    first = batch(3, stream=texts([0, 1, 3, 3], "aä".encode()), data=["1", "2", "3"]).slice(0, 2)
    second = batch(4, stream=texts([0, 1, 2, 3, 4], b"abcd", wide=True))
    third = batch(0)
    assert take(first, batch(2), third)[:3] == (4, 4, 3)
    assert take(second.slice(1, 2))[:3] == (2, 2, 2)


def test_a_row_far_down_in_a_large_batch_is_named() -> None:
    data = ["1"] * 20_000
    data[12_345] = "{"
    sound = batch(20_000)
    assert take(sound, sound)[0] == 40_000
    with pytest.raises(RestoreError, match="row 32346"):
        take(sound, batch(20_000, data=data))


def test_nulls_are_what_a_file_does_not_say() -> None:
    assert take(batch(2, position=[5, 9], commit=[5, 9], version=[1, 2], created=[-1, 7], meta=[None, "{}"]))[:2] == (
        2,
        2,
    )
    for missing in ("stream", "name", "data"):
        with pytest.raises(RestoreError, match="x, row 2: `stream`, `name` or `data` is missing") as error:
            take(batch(2, **{missing: ["1", None]}))
        assert error.value.line == 2
    with pytest.raises(RestoreError, match="row 4"):
        take(batch(2), batch(2, data=["1", "{"]))


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (texts([0, -1, 1], b"ab"), "below 0"),
        (texts([0, 2, 1], b"ab"), "do not grow"),
        (texts([0, 1, 2], "ä".encode()), "not UTF-8"),
        (texts([0, 1, 2], b"a\xff"), "not UTF-8"),
        (texts([0, -1, 1], b"ab", wide=True), "below 0"),
        (texts([0, 2, 1], b"ab", wide=True), "do not grow"),
    ],
)
def test_offsets_and_texts_that_are_wrong_are_refused(wrong: pyarrow.Array, what: str) -> None:
    for name in ("stream", "data", "meta"):
        with pytest.raises(ValidationError, match=what):
            take(batch(2, **{name: wrong}))


@pytest.mark.parametrize(
    "kind",
    [
        pyarrow.string_view(),
        pyarrow.dictionary(pyarrow.int8(), pyarrow.string()),
        pyarrow.binary(),
        pyarrow.int64(),
        pyarrow.list_(pyarrow.string()),
        pyarrow.null(),
    ],
    ids=str,
)
def test_columns_of_types_that_are_not_read_are_refused(kind: pyarrow.DataType) -> None:
    with pytest.raises(ValidationError, match="column 2 is of the Arrow type"):
        take(batch(2, stream=pyarrow.array([None, None], kind)))


def test_what_is_no_stream_of_columns_is_refused() -> None:
    restoring = Restoring.rehearsal()
    for wrong in (7, batch(2).column(0), object()):
        with pytest.raises((AttributeError, TypeError, ValueError)):
            restoring.columns(wrong, "x", 2)
    few = batch(2).select(["stream", "name"])
    reader = pyarrow.RecordBatchReader.from_batches(few.schema, [few])
    with pytest.raises(ValidationError, match="2 columns instead of 9"):
        restoring.columns(reader, "x", 2)
    restoring.cancel()


def test_what_goes_wrong_in_the_middle_of_a_stream_is_told() -> None:
    def batches() -> Iterator[pyarrow.RecordBatch]:
        yield batch(2)
        raise ValueError("the file is torn\nat some place")

    reader = pyarrow.RecordBatchReader.from_batches(batch(2).schema, batches())
    restoring = Restoring.rehearsal()
    with pytest.raises(ValidationError, match=r"cannot be read as Parquet \(.*the file is torn\)$"):
        restoring.columns(reader, "x", 4)
    restoring.cancel()


def test_progress_hears_of_rows_and_its_error_ends_the_work() -> None:
    told: list[tuple[int, int]] = []
    reader = pyarrow.RecordBatchReader.from_batches(batch().schema, [batch(2), batch(3)])
    restoring = Restoring.rehearsal()
    restoring.columns(reader, "x", 5, lambda done, total: told.append((done, total)))
    assert told == [(2, 5), (5, 5)]

    def refuse(done: int, total: int) -> None:
        raise KeyError(done)

    reader = pyarrow.RecordBatchReader.from_batches(batch().schema, [batch(2)] * 50)
    with pytest.raises(KeyError):
        restoring.columns(reader, "x", 100, refuse)
    restoring.cancel()


def taken_from(source: Path) -> object:
    with LogStore.memory() as store:
        try:
            made = store.restore(source, dry_run=True)
        except RestoreError as error:
            return error.line
        return made.events, made.commits, made.streams, made.held, made.causes_lost


numbers = st.integers(1, 6) | st.none()
rows = st.fixed_dictionaries(
    {
        "commit": numbers,
        "stream": st.sampled_from(["a", "b", "ä\t", "", "x" * 513]),
        "version": st.sampled_from([None, None, None, 1, 2]),
        "name": st.sampled_from(["N", "M", "N\n"]),
        "data": st.sampled_from(["1", '{"a": [1, 2.5]}', '"ä"', "null", '{"a":1,"a":2}', "18446744073709551616"]),
        "meta": st.sampled_from([None, None, "{}", '{"correlation":"c"}', '{"correlation":7}']),
        "tags": st.sampled_from([None, None, '["t"]', '["t","t"]', '["t","u"]']),
    }
)


@settings(max_examples=60, deadline=None)
@given(st.lists(rows, min_size=1, max_size=6))
def test_columns_and_json_lines_come_to_the_same(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("both")
    columns = {name: [row.get(name) for row in rows] for name in COLUMNS}
    try:
        found: object = take(batch(len(rows), **columns))
    except RestoreError as error:
        found = error.line
    lines = []
    for row in rows:
        raw = [f'"{name}": {row[name] or "null"}' for name in ("data", "meta", "tags")]
        plain = {name: row[name] for name in ("commit", "stream", "version", "name")}
        lines.append(f"{json.dumps(plain)[:-1]}, {', '.join(raw)}}}\n")
    (folder / "x.jsonl").write_text("".join(lines))
    assert taken_from(folder / "x.jsonl") == found
