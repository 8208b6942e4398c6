"""Rows as they are best read: a table on a terminal, tab-separated lines in a pipe, JSON lines when asked for."""

import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import NamedTuple, Protocol, TextIO, TypeAlias

import msgspec

from act_fast.cli.output.terminal import json_line

__all__ = ["Column", "JsonLines", "Rows", "TabLines", "Value", "printable", "write_all"]

Value: TypeAlias = str | int | datetime | msgspec.Raw | None
"""What a cell can hold; `Raw` is JSON, on one line."""

PAGE_ROWS = 200


class Column(NamedTuple):
    """One column of a table, one field of a line, one key of a JSON object.

    Attributes:
        name: its key in JSON, and its title unless it has another.
        short: its title in a table.
        stretches: it takes what is left of a terminal's width, and is cut there.
        in_table: it is shown on a terminal, where there is little room.
        in_lines: it is a field of the lines in a pipe. JSON has all columns.
    """

    name: str
    short: str = ""
    stretches: bool = False
    in_table: bool = True
    in_lines: bool = True

    @property
    def title(self) -> str:
        """What stands above it in a table."""
        return self.short or self.name


class Rows(Protocol):
    """Where rows go."""

    def write(self, rows: Sequence[Sequence[Value]]) -> None:
        """Write `rows`, each with one value for every column, so that they can be seen when this returns."""


def write_all(out: Rows, rows: Iterable[Sequence[Value]]) -> int:
    """Write all of `rows`, page after page, so that a long listing needs little memory; how many there were."""
    written = 0
    remaining = iter(rows)
    while page := list(islice(remaining, PAGE_ROWS)):
        out.write(page)
        written += len(page)
    return written


def printable(value: Value) -> str:
    """`value` on one line, unable to command a terminal: what cannot be printed is written as an escape."""
    match value:
        case None:
            return ""
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case msgspec.Raw():
            text = bytes(value).decode()
        case _:
            text = str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class JsonLines:
    """One JSON object a row."""

    def __init__(self, columns: Sequence[Column], file: TextIO | None = None) -> None:
        self._names = [column.name for column in columns]
        self._file = file or sys.stdout
        self._line: Callable[[bytes], str] = json_line if file is None else bytes.decode

    def write(self, rows: Sequence[Sequence[Value]]) -> None:
        """Write `rows`, each with one value for every column."""
        for row in rows:
            self._file.write(self._line(msgspec.json.encode(dict(zip(self._names, row, strict=True)))) + "\n")
        self._file.flush()


class TabLines:
    """One line a row, its fields set apart by tabs.

    Args:
        columns: what each field is.
        titled: whether the first line has the names of the columns.
    """

    def __init__(self, columns: Sequence[Column], *, titled: bool = False) -> None:
        self._columns = columns
        self._titled = titled

    def write(self, rows: Sequence[Sequence[Value]]) -> None:
        """Write `rows`, each with one value for every column."""
        if self._titled:
            self._titled = False
            sys.stdout.write("\t".join(printable(each.name) for each in self._columns if each.in_lines) + "\n")
        for row in rows:
            fields = (printable(v) for c, v in zip(self._columns, row, strict=True) if c.in_lines)
            sys.stdout.write("\t".join(fields) + "\n")
        sys.stdout.flush()
