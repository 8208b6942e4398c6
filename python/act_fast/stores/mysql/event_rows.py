"""Writing events and their tags: statements of many rows each, none of them larger than the server takes."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from act_fast.stores.database.plan import EventRow
from act_fast.stores.database.tags import joined
from act_fast.stores.mysql.connections import Connections

__all__ = ["ROWS_MAX", "inserts", "size_of", "start_of"]

ROWS_MAX: Final = 500
"""A statement has no more rows than this."""

_NAMES_MAX: Final = 8 * 1024
"""Names, five times in all, whose letters may each need to be escaped, numbers, and the statements themselves."""

_ROW: Final = "(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"


def inserts(connections: Connections, rows: Iterable[EventRow]) -> Iterator[tuple[str, list[Any]]]:
    """The statements that write events, each with what it is given."""
    begin = connections.question(
        "insert into {schema}.events (position, commit_position, stream, version, name, created_us, data, meta,"
        " correlation, correlation_start, tags) values "
    ).text
    tag = connections.question("insert into {schema}.tags (tag, position) values ").text
    for some in _some(rows, connections.packet_max):
        given = [value for row in some for value in (*row[:9], start_of(row[8]), joined(row[9]))]
        yield begin + ",".join([_ROW] * len(some)), given
        tags = [(each, row[0]) for row in some for each in row[9]]
        for at in range(0, len(tags), ROWS_MAX):
            page = tags[at : at + ROWS_MAX]
            yield tag + ",".join(["(%s, %s)"] * len(page)), [value for pair in page for value in pair]


def size_of(data: bytes, meta: bytes, correlation: bytes | None, tags: Sequence[str] = ()) -> int:
    """At most how large the statement that writes an event is: bytes become digits, letters may need to be escaped."""
    letters = sum(len(tag.encode()) + 1 for tag in tags)
    return 2 * (len(data) + len(meta) + len(correlation or b"") + letters) + _NAMES_MAX


def start_of(correlation: bytes | None) -> bytes | None:
    """What an index leads to a correlation by."""
    return None if correlation is None else correlation[:64]


def _some(rows: Iterable[EventRow], packet_max: int) -> Iterator[list[EventRow]]:
    some: list[EventRow] = []
    size = 0
    for row in rows:
        own = size_of(row[6], row[7], row[8], row[9])
        if some and (size + own > packet_max or len(some) >= ROWS_MAX):
            yield some
            some, size = [], 0
        some.append(row)
        size += own
    if some:
        yield some
