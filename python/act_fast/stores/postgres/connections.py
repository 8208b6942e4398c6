"""Connections to the database: a few for readers, some with an owner, and what goes wrong with them in our words."""

import math
import os
import select
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import psycopg
from psycopg import Connection, sql
from psycopg.pq import TransactionStatus

from act_fast.errors import StoreClosedError, StoreError, StoreFullError, StoreLockedError
from act_fast.stores.postgres.address import Place

__all__ = ["Connections", "Question", "asking", "broken", "ready", "said"]

_READERS_MAX: Final = 8
_PREPARED_AFTER: Final = 3
_ENDED: Final = ("57P01", "57P02", "57P03", "57P05")
"""The server shuts down, has crashed, is starting, or ended a session that did nothing."""

Question: TypeAlias = sql.SQL | sql.Composed
"""A statement, put together of our own text and of quoted names only."""


class Connections:
    """The connections of one store in this process. Each is made when it is first needed.

    Attributes:
        place: where the database is.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self._process = os.getpid()
        self._closed = False
        self._room = threading.BoundedSemaphore(_READERS_MAX)
        self._idle: list[Connection[Any]] = []

    def check(self) -> None:
        """Refuse to go on once closed, or in a forked child, whose connections are its parent's.

        Raises:
            StoreClosedError: the store was closed, or this process is a fork of the one that opened it.
        """
        if self._closed:
            raise StoreClosedError("this store was closed; open it again")
        if os.getpid() != self._process:
            raise StoreClosedError(
                "this process was forked from the one that opened the store, whose connections are not its own; open"
                " the store again here"
            )

    def fetch(self, question: Question, given: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a question that may be asked twice: connections that were lost meanwhile are replaced."""
        self.check()
        with self._room, asking(self.place):
            try:
                return self._fetch(self._take(), question, given)
            except psycopg.Error as error:
                if not broken(error):
                    raise
            self._let_go_of_idle()  # they are most likely lost as well
            return self._fetch(self._take(), question, given)

    def new(self) -> Connection[Any]:
        """A connection of the caller's own. It raises what psycopg raises; see `asking`."""
        self.check()
        # Behind a pooler that gives each transaction another session, a prepared statement may be gone.
        threshold = _PREPARED_AFTER if self.place.listen else None
        return psycopg.connect(self.place.conninfo, autocommit=True, prepare_threshold=threshold)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def ours(self) -> bool:
        """Whether this is the process that opened the store."""
        return os.getpid() == self._process

    def close(self) -> None:
        """Let go of all connections. Closing again does nothing."""
        self._closed = True
        if self.ours:
            self._let_go_of_idle()

    def _take(self) -> Connection[Any]:
        try:
            return self._idle.pop()
        except IndexError:
            return self.new()

    def _fetch(self, connection: Connection[Any], question: Question, given: Sequence[Any]) -> list[tuple[Any, ...]]:
        sound = False
        try:
            found = connection.execute(question, given, binary=True).fetchall()
            sound = True
            return found
        except psycopg.Error as error:
            sound = not broken(error)
            raise
        finally:
            if sound and connection.info.transaction_status is TransactionStatus.IDLE and not self._closed:
                self._idle.append(connection)
                if self._closed:  # meanwhile
                    self._let_go_of_idle()
            else:
                connection.close()

    def _let_go_of_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()


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


def ready(files: Iterable[int], seconds: float) -> set[int]:
    """Those of some files that have something to read, as soon as one has, or after some seconds."""
    poll = select.poll()  # `select` knows no file numbers above 1023
    for each in files:
        poll.register(each, select.POLLIN)
    return {file for file, _ in poll.poll(math.ceil(seconds * 1000))}


def said(error: BaseException) -> str:
    """The first line of what went wrong. Those that follow may quote rows."""
    return str(error).strip().partition("\n")[0]
