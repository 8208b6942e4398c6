"""Writing events: statements of many rows each, none of them larger than the server takes."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from act_fast.stores.database.plan import EventRow
from act_fast.stores.mysql.connections import Connections

__all__ = ["ROWS_MAX", "inserts", "size_of", "start_of"]

ROWS_MAX: Final = 500
"""A statement has no more rows than this."""

_NAMES_MAX: Final = 8 * 1024
"""Names, five times in all, whose letters may each need to be escaped, numbers, and the statements themselves."""

_ROW: Final = "(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"


def inserts(connections: Connections, rows: Iterable[EventRow]) -> Iterator[tuple[str, list[Any]]]:
    """The statements that write events, each with what it is given."""
    begin = connections.question(
        "insert into {schema}.events (position, commit_position, stream, version, name, created_us, data, meta,"
        " correlation, correlation_start) values "
    ).text
    for some in _some(rows, connections.packet_max):
        given = [value for row in some for value in (*row, start_of(row[-1]))]
        yield begin + ",".join([_ROW] * len(some)), given


def size_of(data: bytes, meta: bytes, correlation: bytes | None) -> int:
    """At most how large the statement that writes an event is: bytes become hexadecimal digits."""
    return 2 * (len(data) + len(meta) + len(correlation or b"")) + _NAMES_MAX


def start_of(correlation: bytes | None) -> bytes | None:
    """What an index leads to a correlation by."""
    return None if correlation is None else correlation[:64]


def _some(rows: Iterable[EventRow], packet_max: int) -> Iterator[list[EventRow]]:
    some: list[EventRow] = []
    size = 0
    for row in rows:
        own = size_of(row[6], row[7], row[8])
        if some and (size + own > packet_max or len(some) >= ROWS_MAX):
            yield some
            some, size = [], 0
        some.append(row)
        size += own
    if some:
        yield some
