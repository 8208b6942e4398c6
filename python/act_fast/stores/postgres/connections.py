"""Connections to PostgreSQL, and what goes wrong with them in our words."""

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from itertools import count
from typing import Any, ClassVar, Final, LiteralString, NamedTuple

import psycopg
from psycopg import capabilities, sql
from psycopg.pq import TransactionStatus

from act_fast._rows import Row
from act_fast.errors import StoreError, StoreFullError, StoreLockedError
from act_fast.stores.database import connections as shared
from act_fast.stores.database.connections import said
from act_fast.stores.postgres.address import Place
from act_fast.stores.postgres.session import Session

__all__ = ["Connections", "Question", "asking", "broken"]

_PREPARED_AFTER: Final = 3
_ENDED: Final = ("57P01", "57P02", "57P03", "57P05")
"""The server shuts down, has crashed, is starting, or ended a session that did nothing."""


class Question(NamedTuple):
    """A statement, put together of our own text and of quoted names only.

    Attributes:
        text: it, in UTF-8.
        bytes_max: so many bytes of data and meta are enough; None: all rows are wanted.
    """

    text: bytes
    bytes_max: int | None = None


class Connections(shared.Connections[Session]):
    """The connections of one store in this process. Each is made when it is first needed.

    Attributes:
        place: where the database is.
    """

    errors: ClassVar[type[Exception]] = psycopg.Error
    integer: ClassVar[LiteralString] = "bigint"
    correlation_start: ClassVar[LiteralString] = "substring(correlation from 1 for 64)"
    place: Place
    _large = False  # whether events are: the last page of them was cut off

    def new(self) -> Session:
        """A connection of the caller's own. It raises what psycopg raises; see `asking`."""
        self.check()
        # Behind a pooler that gives each transaction another session, a prepared statement may be gone.
        threshold = _PREPARED_AFTER if self.place.listen else None
        session = Session.connect(self.place.conninfo, autocommit=True, prepare_threshold=threshold)
        session.prepares = self.place.listen
        return session

    def question(self, text: LiteralString) -> Question:
        """A statement as `fetch` takes it; `{schema}` stands for the schema of the tables."""
        return Question(_asked(text, self.place.schema))

    def composed(self, text: LiteralString) -> sql.Composed:
        """The same as psycopg takes it."""
        return _composed(text, self.place.schema)

    def among(self, column: LiteralString) -> LiteralString:
        """The condition that a column is among the values of one parameter, a list."""
        return column + " = any(%s)"

    def page(self, rows: LiteralString, given: Sequence[Any], order: LiteralString, bytes_max: int) -> list[Row]:
        """The rows of a question, until they have so many bytes.

        Usually that many never come, so they are counted here. Where they do, the rest would be sent for nothing and
        the connection lost, so the server counts for the next page.
        """
        if capabilities.has_stream_chunked() and not self._large:
            found: list[Any] = self.fetch(self.question(rows)._replace(bytes_max=bytes_max), given)
        else:
            found = self.ask(
                f"select {shared.COLUMNS} from ("
                f" select *, sum(octet_length(data) + octet_length(meta)) over (order by {order} rows unbounded"
                " preceding) - octet_length(data) - octet_length(meta) as bytes_before from (" + rows + ") as page"
                f") as page where bytes_before < %s order by {order}",
                *given,
                bytes_max,
            )
        self._large = sum(len(row[5]) + len(row[6]) for row in found) >= bytes_max
        return found

    def broken(self, error: BaseException) -> bool:
        """Whether a connection was lost, so that another one may do."""
        return broken(error)

    def asking(self) -> AbstractContextManager[None]:
        """Turn what psycopg raises into the errors of a store. None carries a password."""
        return asking(self.place)

    def ended(self, connection: Session) -> bool:
        """Whether the server has ended a connection: it has nothing else to say to a session that does nothing."""
        return connection.closed or connection.said_something()

    def end(self, connection: Session) -> None:
        """Close a connection."""
        connection.close()

    def _rows(self, connection: Session, question: Question, given: Sequence[Any]) -> list[tuple[Any, ...]]:
        return connection.ask(question.text, given, question.bytes_max)

    def _idles(self, connection: Session) -> bool:
        return connection.pgconn.transaction_status == TransactionStatus.IDLE


@lru_cache(maxsize=512)
def _asked(text: LiteralString, schema: str) -> bytes:
    numbers = count(1)
    numbered = re.sub("%[sb]", lambda _: f"${next(numbers)}", text)
    return numbered.format(schema=sql.Identifier(schema).as_string(None)).encode()


@lru_cache(maxsize=256)
def _composed(text: LiteralString, schema: str) -> sql.Composed:
    return sql.SQL(text).format(schema=sql.Identifier(schema))


def broken(error: BaseException) -> bool:
    """Whether a connection was lost, so that another one may do."""
    if isinstance(error, psycopg.InterfaceError):
        return True
    if not isinstance(error, psycopg.OperationalError):
        return False
    return error.sqlstate is None or error.sqlstate[:2] == "08" or error.sqlstate in _ENDED


@contextmanager
def asking(place: Place) -> Iterator[None]:
    """Turn what the database raises into the errors of a store. None carries a password."""
    try:
        yield
    except psycopg.errors.DiskFull as error:
        raise StoreFullError(f"the disk of the database at {place} is full; nothing was written") from error
    except psycopg.errors.LockNotAvailable as error:
        raise StoreLockedError(f"the database at {place} has waited too long for a lock: {said(error)}") from error
    except psycopg.Error as error:
        raise StoreError(f"the database at {place} {_why(error)}") from error


def _why(error: psycopg.Error) -> str:
    match error:
        case psycopg.errors.InsufficientPrivilege():
            return (
                f"refuses: {said(error)}; grant this role usage on the schema, select, insert, update and delete on its"
                " tables, and execute on its functions"
            )
        case psycopg.errors.UndefinedTable() | psycopg.errors.UndefinedFunction() | psycopg.errors.InvalidSchemaName():
            return f"has lost a part of the store: {said(error)}; restore the schema from a backup"
        case psycopg.errors.QueryCanceled():
            return f"ended a statement early: {said(error)}; nothing was written"
        case psycopg.errors.ReadOnlySqlTransaction():
            return (
                f"only reads: {said(error)}; write to its primary, for example with target_session_attrs=read-write in"
                " the address"
            )
        case psycopg.OperationalError() | psycopg.InterfaceError():
            return f"cannot be reached, or ended the connection: {said(error)}"
        case _:
            return f"refuses: {said(error)}"
