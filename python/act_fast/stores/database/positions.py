"""Events for reactions: those at some positions, and those with some names between two."""

from collections.abc import Sequence
from typing import Any, Final, LiteralString

from act_fast._rows import Row
from act_fast.stores.database.connections import COLUMNS, Connections
from act_fast.stores.database.queries import EventQuery
from act_fast.stores.database.tags import row_of
from act_fast.stores.database.wanted import Wanted

__all__ = ["events_at", "events_named", "streams_named"]

_MERGED_MAX: Final = 16
"""More names than this are not merged from their index: most events have one of them."""


def events_at(connections: Connections[Any], positions: Sequence[int]) -> list[Row]:
    """The events at positions, in order; those that are there."""
    if not positions:
        return []
    question = f"select {COLUMNS} from {{schema}}.events where {connections.among('position')} order by position"
    return [row_of(row) for row in connections.ask(question, list(positions))]


def events_named(
    connections: Connections[Any], names: Sequence[str], after: int, upto: int, limit: int
) -> tuple[list[Row], bool]:
    """Up to `limit` events with these names, after a position and up to another, and whether there may be more.

    There are fewer where they are large.
    """
    query = EventQuery(connections, (after, upto + 1), None, [Wanted(names)], None, None, False)
    rows = query.next_page(limit) or []
    return rows, not query.ended


def streams_named(
    connections: Connections[Any], names: Sequence[str], after: int, upto: int, limit: int
) -> tuple[list[tuple[int, str, str, bytes]], bool]:
    """The same without their data: position, stream, name, and nothing."""
    some: LiteralString = "select position, stream, name from {schema}.events where position > %s and position <= %s"
    if len(names) > _MERGED_MAX:
        question = some + f" and {connections.among('name')} order by position limit %s"
        given: list[Any] = [after, upto, list(names), limit]
    else:
        each: LiteralString = f"({some} and name = %s order by position limit %s)"
        every = each + (" union all " + each) * (len(names) - 1)
        question = f"select position, stream, name from ({every}) as page order by position limit %s"
        given = [value for name in names for value in (after, upto, name, limit)] + [limit]
    found: list[Any] = connections.ask(question, *given)
    return [(*row, b"") for row in found], len(found) == limit
