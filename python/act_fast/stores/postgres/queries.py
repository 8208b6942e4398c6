"""Reading: pages of events by stream, position, name and correlation, over one cut of the log.

A page ends with a number of rows or of bytes, whichever comes first; the next one goes on behind its last row.
"""

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from psycopg import sql

from act_fast._core import Pattern, check_name
from act_fast._rows import Filter, Row
from act_fast.stores.postgres.connections import Connections, Question

__all__ = ["PAGE_BYTES", "EventQuery", "load_each", "load_page", "query_of"]

PAGE_BYTES: Final = 4 * 1024 * 1024
"""A page has no more data than this, unless its first event alone has more."""

_STREAMS_KNOWN_MAX: Final = 100_000
_PAGE_MAX: Final = 1000
_MERGED_MAX: Final = 64
"""More names than this are not merged from their indexes: most events have one of them."""

Places: TypeAlias = tuple[list[Row], bool]
"""rows, and whether there may be more"""


def load_page(
    connections: Connections, stream: str, after: int, before: int | None, limit: int, *, backwards: bool = False
) -> Places:
    """A page of one stream's events with `after` < version < `before`."""
    where: sql.Composable = sql.SQL("stream = %s and version > %s")
    given: list[Any] = [stream, after]
    if before is not None:
        where += sql.SQL(" and version < %s")
        given.append(before)
    return _page(connections, where, given, "version", limit, backwards)


def load_each(connections: Connections, streams: Sequence[str], limit: int) -> dict[str, list[Row]]:
    """The events of several streams, each whole: of as many as fit into a page."""
    question = sql.SQL(_EACH).format(schema=sql.Identifier(connections.place.schema), bytes=sql.Literal(PAGE_BYTES))
    found: dict[str, list[Row]] = {}
    count = size = 0
    row: Any
    for row in connections.fetch(question, (list(streams), limit)):
        found.setdefault(row[1], []).append(row)
        count += 1
        size += len(row[5]) + len(row[6])
    if count == limit or size >= PAGE_BYTES:
        found.popitem()  # it may go on behind the page
    return found


class EventQuery:
    """A query that is running: one cut of the log, handed out page by page. `query_of` begins one.

    Args:
        connections: to the database.
        bounds: positions, both exclusive; versions for a stream.
        stream: of this stream only.
        names: with one of these names; None: with any.
        pattern: of streams that it is found in.
        correlation: of commits with this one.
        backwards: from the last to the first.
    """

    def __init__(
        self,
        connections: Connections,
        bounds: tuple[int, int],
        stream: str | None,
        names: Sequence[str] | None,
        pattern: Pattern | None,
        correlation: str | None,
        backwards: bool,
    ) -> None:
        self._connections = connections
        self._after, self._before = bounds
        self._stream = stream
        self._names = None if names is None else [*dict.fromkeys(names)]
        self._pattern = pattern
        self._correlation = None if correlation is None else correlation.encode()
        self._backwards = backwards
        self._found_in: dict[str, bool] = {}
        self._ended = names is not None and not self._names

    def next_page(self, limit: int) -> list[Row] | None:
        """At most `limit` rows; may be empty while there is more to look through; None at the end."""
        if self._ended or self._after + 1 >= self._before:
            return None
        size = limit if self._pattern is None else _PAGE_MAX
        key = "position" if self._stream is None else "version"
        rows, more = self._ask(key, size)
        if rows:
            self._go_on_from(rows[-1])
        self._ended = not more
        if self._pattern is None:
            return rows
        wanted = [row for row in rows if self._fits(row[1], self._pattern)]
        if len(wanted) > limit:  # the others are for the next page
            wanted = wanted[:limit]
            self._go_on_from(wanted[-1])
            self._ended = False
        return wanted

    def _go_on_from(self, row: Row) -> None:
        last = row[0] if self._stream is None else row[2]
        if self._backwards:
            self._before = last
        else:
            self._after = last

    def _ask(self, key: str, limit: int) -> Places:
        low, high = self._after, self._before
        where: sql.Composable = sql.SQL("{key} > %s and {key} < %s").format(key=sql.Identifier(key))
        given: list[Any] = [low, high]
        if self._correlation is not None:
            where += sql.SQL(" and correlation = %s and substring(correlation from 1 for 64) = %s")
            given += [self._correlation, self._correlation[:64]]
        if self._stream is not None:
            where += sql.SQL(" and stream = %s")
            given.append(self._stream)
        names = self._names
        if names is None:
            return _page(self._connections, where, given, key, limit, self._backwards)
        if self._stream is not None or self._correlation is not None or len(names) > _MERGED_MAX:
            where += sql.SQL(" and name = any(%s)")
            return _page(self._connections, where, [*given, names], key, limit, self._backwards)
        # Each name has an index that is sorted by position already; all together have none.
        each = where + sql.SQL(" and name = %s")
        parts = [(each, [*given, name]) for name in names]
        return _merged(self._connections, parts, limit, self._backwards)

    def _fits(self, stream: str, pattern: Pattern) -> bool:
        found = self._found_in.get(stream)
        if found is None:
            if len(self._found_in) >= _STREAMS_KNOWN_MAX:
                self._found_in.clear()
            found = self._found_in[stream] = pattern.found_in(stream)
        return found


def query_of(connections: Connections, conditions: Filter, backwards: bool) -> EventQuery:
    """Begin a query, with conditions as the core takes them; it is answered for the log as it is now.

    Raises:
        ValidationError: a condition cannot be.
    """
    stream, names, pattern = conditions.get("stream"), conditions.get("names"), conditions.get("pattern")
    if stream is not None:
        check_name("stream", stream)
    for name in names or ():
        check_name("event name", name)
    found_in = None if pattern is None else Pattern(pattern)
    connections.check()
    bounds = _bounds(connections, conditions)
    if stream is not None and found_in is not None:
        bounds = bounds if found_in.found_in(stream) else (0, 0)
        found_in = None
    return EventQuery(connections, bounds, stream, names, found_in, conditions.get("correlation"), backwards)


def _bounds(connections: Connections, conditions: Filter) -> tuple[int, int]:
    """Between which positions to look, both exclusive; for a stream between which versions."""
    schema = sql.Identifier(connections.place.schema)
    after, before, stream = conditions.get("after") or 0, conditions.get("before"), conditions.get("stream")
    later, earlier = conditions.get("created_after_us"), conditions.get("created_before_us")
    # What is not above `low` is too early, what is above `high` too late.
    low: Question = sql.SQL("%s::bigint")
    high: Question = sql.SQL("position")
    given: list[Any] = [after]
    if later is not None:
        low = sql.SQL("greatest(%s, {}.position_before(%s))").format(schema)
        given.append(later + 1)
    if before is not None:
        high = sql.SQL("least({}, %s)").format(high)
        given.append(max(before - 1, 0))
    if earlier is not None:
        high = sql.SQL("least({}, {}.position_before(%s))").format(high, schema)
        given.append(earlier)
    question = sql.SQL("select {low} as low, {high} as high from {schema}.log").format(
        low=low, high=high, schema=schema
    )
    if stream is not None:
        question = sql.SQL("select {0}.version_at(%s, low), {0}.version_at(%s, high) from ({1}) as found").format(
            schema, question
        )
        given = [stream, stream, *given]
    ((found_low, found_high),) = connections.fetch(question, given)
    return found_low, found_high + 1


_ROWS: Final = """
select position, stream, version, name, created_us, data, meta from (
    select *, sum(octet_length(data) + octet_length(meta)) over (order by {key} {order} rows unbounded preceding)
        - octet_length(data) - octet_length(meta) as bytes_before
    from ({rows}) as page
) as page where bytes_before < {bytes} order by {key} {order}
"""
_EACH: Final = """
select position, stream, version, name, created_us, data, meta from (
    select *, sum(octet_length(data) + octet_length(meta)) over (order by stream, version rows unbounded preceding)
        - octet_length(data) - octet_length(meta) as bytes_before
    from (select * from {schema}.events where stream = any(%s) order by stream, version limit %s) as page
) as page where bytes_before < {bytes} order by stream, version
"""
_SOME: Final = "select * from {schema}.events where {where} order by {key} {order} limit %s"


def _page(
    connections: Connections, where: sql.Composable, given: Sequence[Any], key: str, limit: int, backwards: bool
) -> Places:
    rows = sql.SQL(_SOME).format(
        schema=sql.Identifier(connections.place.schema), where=where, key=sql.Identifier(key), order=_order(backwards)
    )
    return _fetched(connections, rows, [*given, limit], key, limit, backwards)


def _merged(
    connections: Connections, parts: Sequence[tuple[sql.Composable, list[Any]]], limit: int, backwards: bool
) -> Places:
    schema, order = sql.Identifier(connections.place.schema), _order(backwards)
    some = [
        sql.SQL("({})").format(
            sql.SQL(_SOME).format(schema=schema, where=where, key=sql.Identifier("position"), order=order)
        )
        for where, _ in parts
    ]
    union = sql.SQL(" union all ").join(some)
    rows = sql.SQL("select * from ({}) as page order by position {} limit %s").format(union, order)
    given = [each for _, own in parts for each in (*own, limit)]
    return _fetched(connections, rows, [*given, limit], "position", limit, backwards)


def _fetched(
    connections: Connections, rows: Question, given: Sequence[Any], key: str, limit: int, backwards: bool
) -> Places:
    question = sql.SQL(_ROWS).format(
        rows=rows, key=sql.Identifier(key), order=_order(backwards), bytes=sql.Literal(PAGE_BYTES)
    )
    found: list[Any] = connections.fetch(question, given)
    size = 0
    for row in found:
        size += len(row[5]) + len(row[6])
    return found, len(found) == limit or size >= PAGE_BYTES


def _order(backwards: bool) -> sql.SQL:
    return sql.SQL("desc" if backwards else "asc")
