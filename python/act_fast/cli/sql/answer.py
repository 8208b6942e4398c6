"""Answers of DuckDB's as the commands show rows."""

import csv
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from act_fast.cli.output.form import rows_to_stdout
from act_fast.cli.output.rows import PAGE_ROWS, Column, Value, printable, write_all
from act_fast.errors import ValidationError
from act_fast.stores.archive_away import archive_away

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

__all__ = ["Form", "show"]

Form: TypeAlias = Literal["plain", "json", "csv"]
"""How an answer is shown: as other commands show rows, as JSON lines, or as comma-separated values with titles."""


def show(answer: "DuckDBPyRelation", form: Form) -> int:
    """Write an answer to standard output, page by page as it comes; how many rows it has.

    Raises:
        ValidationError: DuckDB could not go on.
        ArchiveUnavailableError: some of it is archived, and cannot be read there.
    """
    kinds = [str(kind) for kind in answer.types]
    columns = [Column(name, stretches=_is_wide(kind)) for name, kind in zip(answer.columns, kinds, strict=True)]
    jsons = [at for at, kind in enumerate(kinds) if kind == "JSON"]
    if form == "csv":
        return _show_csv(columns, _pages(answer))
    convert = _as_json if form == "json" else _as_value
    rows = ([convert(value, at in jsons) for at, value in enumerate(row)] for page in _pages(answer) for row in page)
    return write_all(rows_to_stdout(columns, as_json=form == "json"), rows)


def _pages(answer: "DuckDBPyRelation") -> Iterator[list[tuple[Any, ...]]]:
    import duckdb

    from act_fast._runtime.interruptible import interruptible

    try:
        with interruptible():
            rows = iter(answer.iter_rows())
            while page := list(islice(rows, PAGE_ROWS)):
                yield page
    except duckdb.Error as error:
        raise archive_away(error) or ValidationError(f"the query cannot be answered: {error}") from None


def _show_csv(columns: Sequence[Column], pages: Iterator[list[tuple[Any, ...]]]) -> int:
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow([column.name for column in columns])
    written = 0
    for page in pages:
        out.writerows([["" if value is None else printable(_as_value(value, False)) for value in row] for row in page])
        sys.stdout.flush()
        written += len(page)
    return written


def _as_json(value: Any, is_json: bool) -> Any:
    if is_json and value is not None:
        return msgspec.Raw(value.encode())
    return value if _may_be_json(value) else str(value)


def _as_value(value: Any, is_json: bool) -> Value:
    match value:
        case bool():
            return "true" if value else "false"
        case None | str() | int() | datetime():
            return value
        case bytes():
            return value.hex()
        case list() | tuple() | dict() if _may_be_json(value):
            return msgspec.json.encode(value).decode()
        case _:
            return str(value)


def _may_be_json(value: Any) -> bool:
    try:
        msgspec.json.encode(value)
    except (TypeError, ValueError):
        return False
    return True


def _is_wide(kind: str) -> bool:
    return kind == "JSON" or "(" in kind or kind.endswith("[]")
