"""Databases that projections write to: `sqlite3` and DuckDB connections, by the transaction."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias
from weakref import WeakValueDictionary

from act_fast._runtime.logger import log
from act_fast.errors import DefinitionError

__all__ = ["Address", "Database"]

Address: TypeAlias = Any | Callable[[], Any]
"""A connection of `sqlite3` or DuckDB, or a function that makes one."""


class Turn:
    """Those who share a connection take turns."""

    __slots__ = ("__weakref__", "lock")

    def __init__(self) -> None:
        self.lock = threading.RLock()


_turns: Final[WeakValueDictionary[int, Turn]] = WeakValueDictionary()
_SAVEPOINT: Final = "act_fast"
_turns_lock: Final = threading.Lock()


class Database:
    """A database, connected to when it is first needed.

    Args:
        place: whose it is, for errors.
        address: the connection, or what makes it.
    """

    def __init__(self, place: str, address: Address) -> None:
        self._place = place
        self._address = address
        self._connection: Any = None
        self._turn = Turn()
        self._lock = threading.Lock()
        if not callable(address) or is_sqlite(address):  # a connection of sqlite3 can be called, too
            self._connect(address)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is SQLite, otherwise it is DuckDB."""
        return is_sqlite(self._connected())

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """A cursor whose work is committed at the end of the block, or undone if that raises."""
        connection = self._connected()
        with self._turn.lock:
            cursor = connection.cursor()
            try:
                _begin(connection, cursor)
                try:
                    yield cursor
                    _commit(self._place, connection, cursor)
                except BaseException:
                    _undo(cursor)
                    raise
            finally:
                cursor.close()

    def close(self) -> None:
        """Close the connection if it was made here."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None and connection is not self._address:
            with self._turn.lock:
                connection.close()
        elif connection is not None:
            self._connection = connection

    def _connected(self) -> Any:
        with self._lock:
            if self._connection is None:
                self._connect(self._address())
            return self._connection

    def _connect(self, connection: Any) -> None:
        if is_sqlite(connection):
            _check_shared(self._place, connection)
        elif type(connection).__name__ != "DuckDBPyConnection":
            raise DefinitionError(
                f"{self._place} needs a connection of sqlite3 or duckdb, or a function that makes one, not"
                f" {type(connection).__name__}"
            )
        self._connection = connection
        with _turns_lock:
            self._turn = _turns.setdefault(id(connection), self._turn)


def is_sqlite(connection: object) -> bool:
    """Whether this is a connection of `sqlite3`."""
    return isinstance(connection, sqlite3.Connection)


def _begin(connection: Any, cursor: Any) -> None:
    if not is_sqlite(connection):
        cursor.execute("begin")
        return
    if not connection.in_transaction:
        cursor.execute("begin immediate")  # the watermark that is read next must be true until the end
    cursor.execute(f"savepoint {_SAVEPOINT}")


def _commit(place: str, connection: Any, cursor: Any) -> None:
    if is_sqlite(connection):
        try:
            cursor.execute(f"release {_SAVEPOINT}")  # gone when the transaction is another one by now
        except sqlite3.OperationalError:
            raise DefinitionError(
                f"{place} has ended the transaction that it was called in; it must neither commit, nor roll back, nor"
                " use executescript(), which commits"
            ) from None
    cursor.execute("commit")


def _undo(cursor: Any) -> None:
    try:
        cursor.execute("rollback")
    except Exception as error:  # it was ended already; what matters is what has been raised before
        log.debug("nothing to roll back: %s", error)


def _check_shared(place: str, connection: sqlite3.Connection) -> None:
    """Make sure that other threads may use a connection: workers have several."""
    refused: list[sqlite3.ProgrammingError] = []

    def use() -> None:
        try:
            connection.cursor().close()
        except sqlite3.ProgrammingError as error:
            refused.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    if refused:
        raise DefinitionError(
            f"{place}: its connection works in one thread only, and workers have several; write"
            " sqlite3.connect(path, check_same_thread=False)"
        )
