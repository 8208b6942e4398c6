"""The database that a projection writes to, by the transaction, whatever it is connected to by."""

import ctypes
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias
from weakref import WeakValueDictionary

from act_fast._checks.sql_text import quoted_name
from act_fast._projections.databases.duckdb import DuckConnected
from act_fast._projections.databases.errors import LostError
from act_fast._projections.databases.session import Connected, Session
from act_fast._projections.databases.sqlite import SqliteConnected, is_sqlite
from act_fast._runtime.forks import tell_in_child
from act_fast._runtime.logger import log
from act_fast.errors import DefinitionError

__all__ = ["Address", "Database"]

Address: TypeAlias = Any | Callable[[], Any]
"""A connection of `sqlite3`, DuckDB, psycopg or SQLAlchemy, an engine of SQLAlchemy, or a function that makes one."""

_CUT_PASSWORD: Final = re.compile(r"host (name )?['\"][^'\"]*@")
_OFFERS: Final = (
    "a connection of sqlite3, duckdb, psycopg or SQLAlchemy, an engine of SQLAlchemy, or a function that makes one"
)


class Turn:
    """Those who share a connection take turns."""

    __slots__ = ("__weakref__", "lock")

    def __init__(self) -> None:
        self.lock = threading.RLock()


_turns: Final[WeakValueDictionary[int, Turn]] = WeakValueDictionary()
_turns_lock = threading.Lock()


def _in_child() -> None:
    """Take a new lock: a thread that is not here may have held it."""
    global _turns_lock
    _turns_lock = threading.Lock()


os.register_at_fork(after_in_child=_in_child)


class Database:
    """A database, connected to when it is first needed.

    Args:
        place: whose it is, for errors.
        address: the connection, or what makes it.
    """

    def __init__(self, place: str, address: Address) -> None:
        self._place = place
        self._address = address
        self._connection: Connected | None = None
        self._turn = Turn()
        self._lock = threading.Lock()
        self._inherited = False
        self._quoted: Callable[[str], str] = quoted_name
        tell_in_child(self)
        if not callable(address) or is_sqlite(address):  # a connection of sqlite3 can be called, too
            self._connect(address)

    def forked(self) -> None:
        """Leave a connection where it is: no client can use, or close, that of another process."""
        self._lock = threading.Lock()
        self._turn = Turn()
        if self._connection is not None and not self._connection.forked():
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._connection.raw))
            self._inherited = self._connection.raw is self._address
            self._connection = None

    def check_own(self) -> None:
        """Make sure that the connection is not that of another process.

        Raises:
            DefinitionError: this is a forked child, and its parent had been handed the connection.
        """
        if self._inherited:
            raise DefinitionError(
                f"{self._place}: its connection was made before this process was forked, and works only in the"
                " parent; pass a function that connects, or create the projection in the child"
            )

    def quoted(self, name: str) -> str:
        """The name of a table, as this database takes it."""
        return self._quoted(name)

    def session(self, given: Any) -> Session:
        """What to work with in a transaction of which only that is at hand which methods are given."""
        return self._connected().session(given)

    @contextmanager
    def transaction(self, *keys: str) -> Iterator[Session]:
        """A transaction that is committed at the end of the block, or undone if that raises.

        Args:
            keys: what no other transaction may hold meanwhile.

        Raises:
            TransactionEndedError: something in the block has ended the transaction.
        """
        connection = self._connected()
        turn = self._turn if connection.is_shared else Turn()
        with turn.lock, connection.transaction(self._place, keys) as db:
            yield db

    def close(self) -> None:
        """Close the connection if it was made here."""
        with self._lock:
            if self._connection is None or self._connection.raw is self._address:
                return
            connection, self._connection = self._connection, None
        with self._turn.lock:
            connection.close()

    def reconnect(self) -> None:
        """Have a connection that was made here made again, as this one may be of no use any more."""
        try:
            self.close()
        except Exception as error:
            log.debug("closing a connection that is of no use any more: %s", error)

    def _connected(self) -> Connected:
        with self._lock:
            self.check_own()
            found = self._connection
            if found is not None and not found.is_usable:
                if found.raw is self._address:
                    raise LostError(
                        f"{self._place}: its connection was closed, and cannot be reopened here; pass a function"
                        " that connects"
                    )
                found = None
            return self._connect(self._made()) if found is None else found

    def _made(self) -> Any:
        """What the function gives.

        Raises:
            DefinitionError: it has an address that is cut in the middle of a password.
        """
        try:
            return self._address()
        except Exception as error:
            if _CUT_PASSWORD.search(str(error)):
                raise DefinitionError(
                    f"{self._place} cannot connect: its address cannot be read (it is not repeated here, since it may"
                    " carry a password); in a password write %40 for @, %3A for :, %2F for /, %3F for ? and %23 for #"
                ) from None
            raise

    def _connect(self, raw: Any) -> Connected:
        connection = _connected(self._place, raw)
        self._quoted = connection.dialect.quoted
        self._connection = connection
        with _turns_lock:
            self._turn = _turns.setdefault(id(raw), self._turn)
        return connection


def _connected(place: str, raw: Any) -> Connected:
    """A connection as projections use it; clients that are not in use are not imported."""
    if is_sqlite(raw):
        return SqliteConnected(place, raw)
    if type(raw).__name__ == "DuckDBPyConnection":
        return DuckConnected(raw)
    packages = {each.__module__.split(".")[0] for each in type(raw).__mro__}
    if "psycopg" in packages:
        import psycopg

        from act_fast._projections.databases.psycopg import PsycopgConnected

        if isinstance(raw, psycopg.Connection):
            return PsycopgConnected(raw)
    if "sqlalchemy" in packages:
        import sqlalchemy

        from act_fast._projections.databases.sqlalchemy import EngineConnected, SqlalchemyConnected

        if isinstance(raw, sqlalchemy.Engine):
            return EngineConnected(place, raw)
        if isinstance(raw, sqlalchemy.Connection):
            return SqlalchemyConnected(place, raw)
    raise DefinitionError(f"{place} needs {_OFFERS}, not {_named(raw)}")


def _named(raw: object) -> str:
    """What was handed over instead; an address may carry a password."""
    if isinstance(raw, str):
        return "a text; for an address write lambda: psycopg.connect(address), or sqlalchemy.create_engine(address)"
    name = type(raw).__name__
    return f"{name}, since databases are not async here" if name.startswith("Async") else name
