"""Reading: pages of events by stream, position, name, tag and correlation, over one cut of the log.

A page ends with a number of rows or of bytes, whichever comes first; the next one goes on behind its last row.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, LiteralString, Protocol, TypeAlias

from act_fast._core import Pattern, check_name
from act_fast._rows import Filter, Row
from act_fast.stores.database.connections import COLUMNS, Connections
from act_fast.stores.database.tags import row_of
from act_fast.stores.database.wanted import Wanted, wanted_by

__all__ = ["PAGE_BYTES", "Bounds", "EventQuery", "load_each", "load_page", "query_of"]

PAGE_BYTES: Final = 4 * 1024 * 1024
"""A page has no more data than this, unless its first event alone has more."""

_STREAMS_KNOWN_MAX: Final = 100_000
_PAGE_MAX: Final = 1000
_MERGED_MAX: Final = 64
"""More names than this are not merged from their indexes: most events have one of them."""

_ALSO: Final = " and exists (select 1 from {schema}.tags as t where t.tag = %s and t.position = e.position)"
"""The event of a row `e` has a tag besides."""

Places: TypeAlias = tuple[list[Row], bool]
"""rows, and whether there may be more"""


class Bounds(Protocol):
    """How a database finds between which positions to look, both exclusive; for a stream between which versions."""

    def __call__(
        self, after: int, before: int | None, later_us: int | None, earlier_us: int | None, stream: str | None
    ) -> tuple[int, int]:
        """Those of events with `after` < position < `before` and `later_us` < created < `earlier_us`, as of now."""
        ...


def load_page(
    connections: Connections[Any], stream: str, after: int, before: int | None, limit: int, *, backwards: bool = False
) -> Places:
    """A page of one stream's events with `after` < version < `before`."""
    where: LiteralString = "stream = %s and version > %s"
    given: list[Any] = [stream, after]
    if before is not None:
        where += " and version < %s"
        given.append(before)
    return _page(connections, where, given, "version", limit, backwards)


def load_each(connections: Connections[Any], streams: Sequence[str], limit: int) -> dict[str, list[Row]]:
    """The events of several streams, each whole: of as many as fit into a page."""
    some = (
        f"select {COLUMNS} from {{schema}}.events where {connections.among('stream')} order by stream, version limit %s"
    )
    rows, more = _fetched(connections, some, [list(streams), limit], "stream, version", limit)
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row[1], []).append(row)
    if more:
        found.popitem()  # it may go on behind the page
    return found


class EventQuery:
    """A query that is running: one cut of the log, handed out page by page. `query_of` begins one.

    Args:
        connections: to the database.
        bounds: positions, both exclusive; versions for a stream.
        stream: of this stream only.
        wanted: the alternatives of names and tags.
        pattern: of streams that it is found in.
        correlation: of commits with this one.
        backwards: from the last to the first.
    """

    def __init__(
        self,
        connections: Connections[Any],
        bounds: tuple[int, int],
        stream: str | None,
        wanted: Sequence[Wanted],
        pattern: Pattern | None,
        correlation: str | None,
        backwards: bool,
    ) -> None:
        self._connections = connections
        self._after, self._before = bounds
        self._stream = stream
        self._wanted = wanted
        self._pattern = pattern
        self._correlation = None if correlation is None else correlation.encode()
        self._backwards = backwards
        self._found_in: dict[str, bool] = {}
        self._ended = not wanted

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to look through."""
        return self._ended or self._after + 1 >= self._before

    def next_page(self, limit: int) -> list[Row] | None:
        """At most `limit` rows; may be empty while there is more to look through; None at the end."""
        if self.ended:
            return None
        size = limit if self._pattern is None else _PAGE_MAX
        key: LiteralString = "position" if self._stream is None else "version"
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

    def _ask(self, key: LiteralString, limit: int) -> Places:
        where: LiteralString = f"{key} > %s and {key} < %s"
        given: list[Any] = [self._after, self._before]
        if self._correlation is not None:
            where += f" and correlation = %s and {self._connections.correlation_start} = %s"
            given += [self._correlation, self._correlation[:64]]
        if self._stream is not None:
            where += " and stream = %s"
            given.append(self._stream)
        alone = self._stream is None and self._correlation is None  # so that what is wanted leads to it
        if len(self._wanted) == 1 and not self._wanted[0].tags:
            names = self._wanted[0].names
            if names is None:
                return _page(self._connections, where, given, key, limit, self._backwards)
            if not alone or len(names) > _MERGED_MAX:
                where += f" and {self._connections.among('name')}"
                return _page(self._connections, where, [*given, list(names)], key, limit, self._backwards)
            # Each name has an index that is sorted by position already; all together have none.
            where += " and name = %s"
            return _merged(self._connections, where, given, names, limit, self._backwards)
        if alone and sum(1 if each.tags else len(each.names or ()) for each in self._wanted) <= _MERGED_MAX:
            return _found(self._connections, self._wanted, (self._after, self._before), limit, self._backwards)
        where += f" and ({' or '.join(_holds(self._connections, each, given) for each in self._wanted)})"
        return _page(self._connections, where, given, key, limit, self._backwards)

    def _fits(self, stream: str, pattern: Pattern) -> bool:
        found = self._found_in.get(stream)
        if found is None:
            if len(self._found_in) >= _STREAMS_KNOWN_MAX:
                self._found_in.clear()
            found = self._found_in[stream] = pattern.found_in(stream)
        return found


def query_of(connections: Connections[Any], bounds_of: Bounds, conditions: Filter, backwards: bool) -> EventQuery:
    """Begin a query, with conditions as the core takes them; it is answered for the log as it is now.

    Raises:
        ValidationError: a condition cannot be.
    """
    stream, pattern = conditions.get("stream"), conditions.get("pattern")
    if stream is not None:
        check_name("stream", stream)
    wanted = wanted_by(conditions)
    found_in = None if pattern is None else Pattern(pattern)
    connections.check()
    bounds = bounds_of(
        conditions.get("after") or 0,
        conditions.get("before"),
        conditions.get("created_after_us"),
        conditions.get("created_before_us"),
        stream,
    )
    if stream is not None and found_in is not None:
        bounds = bounds if found_in.found_in(stream) else (0, 0)
        found_in = None
    return EventQuery(connections, bounds, stream, wanted, found_in, conditions.get("correlation"), backwards)


def _page(
    connections: Connections[Any],
    where: LiteralString,
    given: Sequence[Any],
    key: LiteralString,
    limit: int,
    backwards: bool,
) -> Places:
    order = key + _direction(backwards)
    some = f"select {COLUMNS} from {{schema}}.events as e where {where} order by {order} limit %s"
    return _fetched(connections, some, [*given, limit], order, limit)


def _holds(connections: Connections[Any], wanted: Wanted, given: list[Any]) -> LiteralString:
    """The condition that an event `e` is wanted; its values go behind those that are given."""
    found: LiteralString = "true"
    if wanted.names is not None:
        found = connections.among("name")
        given.append(list(wanted.names))
    for tag in wanted.tags:
        found += _ALSO
        given.append(tag)
    return f"({found})"


def _merged(
    connections: Connections[Any],
    where: LiteralString,
    given: Sequence[Any],
    last: Sequence[Any],
    limit: int,
    backwards: bool,
) -> Places:
    """A page of all rows together for which `where` holds, whose last parameter is one of `last`."""
    order = "position" + _direction(backwards)
    some: LiteralString = f"(select {COLUMNS} from {{schema}}.events where {where} order by {order} limit %s)"
    every = some + (" union all " + some) * (len(last) - 1)
    rows: LiteralString = f"select {COLUMNS} from ({every}) as page order by {order} limit %s"
    values = [value for each in last for value in (*given, each, limit)]
    return _fetched(connections, rows, [*values, limit], order, limit)


def _found(
    connections: Connections[Any], wanted: Sequence[Wanted], bounds: tuple[int, int], limit: int, backwards: bool
) -> Places:
    """A page of what any of some alternatives takes, each of which is found by an index, in order, by itself."""
    order = "position" + _direction(backwards)
    within: LiteralString = f"position > %s and position < %s order by {order} limit %s"
    each: list[LiteralString] = []
    given: list[Any] = []
    for one in wanted:
        for question, values in _questions(connections, one):
            each.append(f"({question} and {within})")
            given += [*values, *bounds, limit]
    positions: LiteralString = " union ".join(each)
    rows: LiteralString = (
        f"select {COLUMNS} from (select position from ({positions}) as found order by {order} limit %s) as page"
        f" join {{schema}}.events as e using (position) order by {order}"
    )
    return _fetched(connections, rows, [*given, limit], order, limit)


def _questions(connections: Connections[Any], wanted: Wanted) -> Iterator[tuple[LiteralString, list[Any]]]:
    """What finds the positions of an alternative: its first tag, or else each of its names."""
    if not wanted.tags:
        for name in wanted.names or ():
            yield "select position from {schema}.events where name = %s", [name]
        return
    first, *others = wanted.tags
    question: LiteralString = "select position from {schema}.tags as e where tag = %s"
    given: list[Any] = [first]
    for tag in others:
        question += _ALSO
        given.append(tag)
    if wanted.names is not None:
        question += (
            " and exists (select 1 from {schema}.events as n where n.position = e.position and"
            f" {connections.among('n.name')})"
        )
        given.append(list(wanted.names))
    yield question, given


def _fetched(
    connections: Connections[Any], rows: LiteralString, given: Sequence[Any], order: LiteralString, limit: int
) -> Places:
    found = connections.page(rows, given, order, PAGE_BYTES)
    size = 0
    for row in found:
        size += len(row[5]) + len(row[6])
    return [row_of(row) for row in found], len(found) == limit or size >= PAGE_BYTES


def _direction(backwards: bool) -> LiteralString:
    return " desc" if backwards else " asc"
