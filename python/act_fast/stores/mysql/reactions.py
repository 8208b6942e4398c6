"""What reactions have come to, in MySQL: the lines of a mirror, and what is asked of events for it.

A section is a transaction of two round trips: one that locks and reads what is new, one that writes and commits.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from act_fast._rows import Row
from act_fast.errors import StoreError
from act_fast.stores.database.lines import Page
from act_fast.stores.database.mirrored import Away, MirroredReactions, Seen
from act_fast.stores.database.news import News
from act_fast.stores.database.positions import events_at, events_named, streams_named
from act_fast.stores.mysql.appending import CLASH, NOW_US
from act_fast.stores.mysql.connections import (
    Connection,
    Connections,
    broken,
    code_of,
    flush,
    let_go,
    may_only_read,
    run,
)
from act_fast.stores.mysql.schema import prepare_reactions

__all__ = ["open_reactions"]

_KEPT_CHANGES: Final = 5_000
"""So many changes stay after their lines are lines of their own: for mirrors that have not taken them over yet."""

_PAGES_AT_ONCE: Final = 200
"""How many pages are fetched, or written, at once."""

_LOOK: Final = f"""
select r.number, r.mark, r.folded, l.position, {NOW_US} div 1000, (r.number = %s and r.mark = %s)
        or exists (select 1 from {{schema}}.reaction_changes where number = %s and mark = %s), l.moved
    from {{schema}}.reactions as r join {{schema}}.log as l where r.one = 1 and l.one = 1
"""
_CHANGES: Final = "select number, mark, packed from {schema}.reaction_changes where number > %s order by number"
_LOCK: Final = "start transaction; select one from {schema}.reactions where one = 1 for update;"
_BEGIN_READING: Final = "start transaction with consistent snapshot;"
_PAGES: Final = "select address, page from {schema}.reaction_lines where address > %s order by address limit %s"
_COMMIT: Final = """
insert into {schema}.reaction_changes (number, mark, packed) values (%s, %s, %s);
update {schema}.reactions set number = %s, mark = %s where one = 1;
commit
"""
_FOLDED: Final = """
update {schema}.reactions set folded = %s where one = 1;
delete from {schema}.reaction_changes where number <= %s
"""


def open_reactions(connections: Connections, news: News) -> MirroredReactions:
    """Open what is kept of reactions, for one program.

    Raises:
        StoreError: the database cannot be reached, or refuses.
    """
    keeper = MySqlKeeper(connections, news)
    try:
        return MirroredReactions(keeper)
    except BaseException:
        keeper.close()
        raise


class MySqlKeeper:
    """Keeps the lines of one program's mirror in a database."""

    def __init__(self, connections: Connections, news: News) -> None:
        self._connections = connections
        self._connection: Connection | None = None
        self._refused: StoreError | None = None  # why this transaction may only read
        self.tell: Final = news.tell
        self.expect_news: Final = news.work.mark
        self.wait_news: Final = news.work.wait
        self.expect_moves: Final = news.moves.mark
        self.wait_moves: Final = news.moves.wait
        self.check: Final = connections.check
        with connections.asking(), contextlib.closing(connections.new()) as connection:
            prepare_reactions(connection, connections.place.prefix)

    def look(self, number: int, mark: int) -> Seen:
        """What there is since a change, without a lock."""
        return self._seen(self._run(f"{_LOOK};{_CHANGES}", number, mark, number, mark, number))

    def begin(self, number: int, mark: int) -> Seen:
        """Begin a transaction, alone in it until it ends; what there is since a change."""
        asked = number, mark, number, mark, number
        self._refused = None
        try:
            found = self._run(f"{_LOCK}{_LOOK};{_CHANGES}", *asked)
        except StoreError as error:
            if not may_only_read(error.__cause__):
                raise
            self._refused = error
            return self._seen(self._run(f"{_BEGIN_READING}{_LOOK};{_CHANGES}", *asked))
        moved = found[-2][0][-1]
        if moved is not None:
            self.roll_back()
            raise StoreError(f"the database at {self._connections.place} refuses: this store was moved to {moved}")
        return self._seen(found)

    def pages(self) -> Iterator[list[Page]]:
        """All pages of lines of their own; within a transaction."""
        last = -1
        while found := self._run(_PAGES, last, _PAGES_AT_ONCE)[-1]:
            pages: Any = [*found]
            yield pages
            last = found[-1][0]

    def changes(self, number: int) -> Iterable[tuple[int, int, bytes]]:
        """All changes after the one with a number; within a transaction."""
        found: Any = self._run(_CHANGES, number)[-1]
        changes: Iterable[tuple[int, int, bytes]] = found
        return changes

    def fold(self, number: int, addresses: Sequence[int], pages: Sequence[bytes]) -> None:
        """Write pages of lines of their own: with these, all changes up to a number are."""
        for at in range(0, len(addresses), _PAGES_AT_ONCE):
            some = addresses[at : at + _PAGES_AT_ONCE], pages[at : at + _PAGES_AT_ONCE]
            given = [value for pair in zip(*some, strict=True) for value in pair]
            values = ",".join(["(%s, %s)"] * len(some[0]))
            self._run(
                f"insert into {{schema}}.reaction_lines (address, page) values {values}"
                " on duplicate key update page = values(page)",
                *given,
            )
        self._run(_FOLDED, number, number - _KEPT_CHANGES)

    def commit(self, number: int, mark: int, lines: bytes, lasting: bool) -> int:
        """Write a change, and commit; its number. Whether each commit is flushed, the server decides."""
        if self._refused is not None:
            raise self._refused
        self._run(_COMMIT, number, mark, bytes(lines), number, mark)
        if lasting:
            flush(self._connections)
        return number

    def end(self) -> None:
        """End a transaction in which nothing was written."""
        self._run("rollback")

    def roll_back(self) -> None:
        """Undo a transaction: by letting go of its connection, whatever state that is in."""
        connection, self._connection = self._connection, None
        if connection is not None:
            let_go(connection)

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
        flush(self._connections)

    def close(self) -> None:
        """Let go of the connection."""
        if self._connections.ours:
            self.roll_back()

    def _seen(self, found: Sequence[Sequence[tuple[Any, ...]]]) -> Seen:
        state: Any
        changes: Any
        (state,), changes = found[-2:]
        number, mark, folded, head, now_ms, known, _ = state
        return Seen(bool(known), number, mark, folded, head, now_ms, changes if known else ())

    def _run(self, statements: str, *given: Any) -> list[list[tuple[Any, ...]]]:
        """Some statements in one round trip; the rows of each.

        Raises:
            Away: the connection was lost, or there is none to be had, or the transaction was undone because of others.
            StoreError: the database refuses.
        """
        text = statements.replace("{schema}.", f"{self._connections.place.prefix}_")
        try:
            with self._connections.asking():
                if self._connection is None or self._connections.ended(self._connection):
                    self.roll_back()
                    self._connection = self._connections.new()
                return run(self._connection, text, given)
        except StoreError as error:
            self.roll_back()
            cause = error.__cause__
            if cause is not None and (broken(cause) or code_of(cause) in CLASH):
                raise Away(*error.args) from cause
            raise
        except BaseException:  # interrupted: an answer may be on its way
            self.roll_back()
            raise
