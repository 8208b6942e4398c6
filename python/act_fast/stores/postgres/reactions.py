"""What reactions have come to, in PostgreSQL: the lines of a mirror, and what is asked of events for it.

A section is a transaction of two round trips: one that locks and reads what is new, one that writes and commits. It
does not wait for the disk: a crash of the server loses the last moments, and those events are delivered again, as after
a power cut on the embedded log. What a mirror has beyond the server then is noticed by the mark.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, LiteralString, TypeAlias

import psycopg

from act_fast._rows import Row
from act_fast.errors import StoreError
from act_fast.stores.database.lines import Page
from act_fast.stores.database.mirrored import Away, MirroredReactions, Seen
from act_fast.stores.database.news import News
from act_fast.stores.database.positions import events_at, events_named, streams_named
from act_fast.stores.postgres.connections import Connections, asking, broken
from act_fast.stores.postgres.schema import prepare_reactions
from act_fast.stores.postgres.session import Session

__all__ = ["open_reactions"]

_KEPT_CHANGES: Final = 5_000
"""So many changes stay after their lines are lines of their own: for mirrors that have not taken them over yet."""

_PAGES_AT_ONCE: Final = 1_000
"""How many pages are fetched at once."""

_Asked: TypeAlias = tuple[LiteralString, Sequence[Any]]
"""A statement, and what is given for its places"""

_BEGIN: Final[tuple[_Asked, ...]] = (
    ("begin isolation level read committed", ()),
    ("set local synchronous_commit to off", ()),
    ("select from {schema}.reactions for update", ()),
)
_LOOK: Final[LiteralString] = """
select r.number, r.mark, r.folded, l.position, floor(extract(epoch from clock_timestamp()) * 1000)::bigint,
    (r.number = %s and r.mark = %s) or exists (select 1 from {schema}.reaction_changes where number = %s and mark = %s)
from {schema}.reactions as r, {schema}.log as l
"""
_CHANGES: Final[LiteralString] = (
    "select number, mark, lines from {schema}.reaction_changes where number > %s order by number"
)
_BEGIN_READING: Final[_Asked] = ("begin isolation level repeatable read", ())
_MAY_ONLY_READ: Final = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)
_CLASH: Final = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)


def open_reactions(connections: Connections, news: News) -> MirroredReactions:
    """Open what is kept of reactions, for one program.

    Raises:
        StoreError: the database cannot be reached, or refuses.
    """
    keeper = PostgresKeeper(connections, news)
    try:
        return MirroredReactions(keeper)
    except BaseException:
        keeper.close()
        raise


class PostgresKeeper:
    """Keeps the lines of one program's mirror in a schema."""

    def __init__(self, connections: Connections, news: News) -> None:
        self._connections = connections
        self._connection: Session | None = None
        self._refused: StoreError | None = None  # why this transaction may only read
        self.tell: Final = news.tell
        self.expect_news: Final = news.work.mark
        self.wait_news: Final = news.work.wait
        self.expect_moves: Final = news.moves.mark
        self.wait_moves: Final = news.moves.wait
        self.check: Final = connections.check
        with asking(connections.place), contextlib.closing(connections.new()) as connection:
            prepare_reactions(connection, connections.place.schema)

    def look(self, number: int, mark: int) -> Seen:
        """What there is since a change, without a lock."""
        return self._seen(self._run(*_look(number, mark)))

    def begin(self, number: int, mark: int) -> Seen:
        """Begin a transaction, alone in it until it ends; what there is since a change."""
        self._refused = None
        try:
            return self._seen(self._run(*_BEGIN, *_look(number, mark)))
        except StoreError as error:
            if not isinstance(error.__cause__, _MAY_ONLY_READ):
                raise
            self._refused = error
        self.roll_back()
        return self._seen(self._run(_BEGIN_READING, *_look(number, mark)))

    def pages(self) -> Iterator[list[Page]]:
        """All pages of lines of their own; within a transaction."""
        last = -1
        question: LiteralString = (
            "select address, page from {schema}.reaction_lines where address > %s order by address limit %s"
        )
        pages: Any
        while pages := self._run((question, (last, _PAGES_AT_ONCE)))[0]:
            yield pages
            last = pages[-1][0]

    def changes(self, number: int) -> Iterable[tuple[int, int, bytes]]:
        """All changes after the one with a number; within a transaction."""
        found: Any = self._run((_CHANGES, (number,)))[0]
        changes: Iterable[tuple[int, int, bytes]] = found
        return changes

    def fold(self, number: int, addresses: Sequence[int], pages: Sequence[bytes]) -> None:
        """Write pages of lines of their own: with these, all changes up to a number are."""
        self._run(
            (
                "insert into {schema}.reaction_lines select * from unnest(%s::bigint[], %s::bytea[])"
                " on conflict (address) do update set page = excluded.page",
                (addresses, pages),
            ),
            ("update {schema}.reactions set folded = %s", (number,)),
            ("delete from {schema}.reaction_changes where number <= %s", (number - _KEPT_CHANGES,)),
        )

    def commit(self, number: int, mark: int, lines: bytes, lasting: bool) -> int:
        """Write a change, and commit; its number."""
        if self._refused is not None:
            raise self._refused
        waits: tuple[_Asked, ...] = (("set local synchronous_commit to on", ()),) if lasting else ()
        self._run(
            *waits,
            ("insert into {schema}.reaction_changes (number, mark, lines) values (%s, %s, %s)", (number, mark, lines)),
            ("update {schema}.reactions set number = %s, mark = %s", (number, mark)),
            ("commit", ()),
        )
        return number

    def end(self) -> None:
        """End a transaction in which nothing was written."""
        self._run(("rollback", ()))

    def roll_back(self) -> None:
        """Undo a transaction: by letting go of its connection, whatever state that is in."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def events(self, positions: Sequence[int]) -> list[Row]:
        """The events at positions, in order; those that are there."""
        return events_at(self._connections, positions)

    def events_of(
        self, names: Sequence[str], after: int, upto: int, limit: int, data: bool
    ) -> tuple[list[tuple[int, str, str, bytes]], list[Row], bool]:
        """Events with these names between two positions."""
        if not data:
            slim, more = streams_named(self._connections, names, after, upto, limit)
            return slim, [], more
        rows, more = events_named(self._connections, names, after, upto, limit)
        return [(row[0], row[1], row[3], row[5]) for row in rows], rows, more

    def flush(self) -> None:
        """Return when all that was committed would survive a crash of the server."""
        with asking(self._connections.place), contextlib.closing(self._connections.new()) as connection:
            connection.execute("set synchronous_commit to on")
            connection.execute("select pg_current_xact_id()")

    def close(self) -> None:
        """Let go of the connection."""
        if self._connections.ours:
            self.roll_back()

    def _seen(self, found: Sequence[Sequence[tuple[Any, ...]]]) -> Seen:
        state: Any
        changes: Any
        (state,), changes = found[-2:]
        number, mark, folded, head, now_ms, known = state
        return Seen(known, number, mark, folded, head, now_ms, changes if known else ())

    def _run(self, *asked: _Asked) -> list[list[tuple[Any, ...]]]:
        """Some statements in one round trip; the rows of each."""
        statements = [(self._connections.question(text).text, given) for text, given in asked]
        with self._using() as connection:
            return connection.ask_all(statements)

    @contextlib.contextmanager
    def _using(self) -> Iterator[Session]:
        """The connection of this program, made when it is needed.

        Raises:
            Away: it was lost, or there is none to be had.
            StoreError: the database refuses.
        """
        try:
            with asking(self._connections.place):
                if self._connection is None or self._connection.closed:
                    self._connection = self._connections.new()
                yield self._connection
        except StoreError as error:
            cause = error.__cause__
            if cause is not None and (broken(cause) or isinstance(cause, _CLASH)):
                self.roll_back()
                raise Away(*error.args) from cause
            raise


def _look(number: int, mark: int) -> tuple[_Asked, _Asked]:
    return (_LOOK, (number, mark, number, mark)), (_CHANGES, (number,))
