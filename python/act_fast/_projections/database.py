"""Databases that projections write to: `sqlite3` and DuckDB connections, by the transaction."""

import ctypes
import errno
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias
from weakref import WeakValueDictionary

from act_fast._runtime.forks import tell_in_child
from act_fast._runtime.logger import log
from act_fast.errors import DefinitionError

__all__ = [
    "Address",
    "Database",
    "TransactionEndedError",
    "fetch",
    "is_busy",
    "is_of_database",
    "is_sqlite",
    "text_of",
]

Address: TypeAlias = Any | Callable[[], Any]
"""A connection of `sqlite3` or DuckDB, or a function that makes one."""

_SAVEPOINT: Final = "act_fast"
_BUSY: Final = (5, 6)
"""SQLite's codes for "database is locked" and "database table is locked"; the higher bits say more."""
_CANNOT_OPEN: Final = 14
_LIMITS: Final = (errno.EMFILE, errno.ENFILE)


class TransactionEndedError(DefinitionError):
    """The transaction was ended by what was called in it, so what it has done may be in the database already."""


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
        self._connection: Any = None
        self._turn = Turn()
        self._lock = threading.Lock()
        self._inherited = False
        tell_in_child(self)
        if not callable(address) or is_sqlite(address):  # a connection of sqlite3 can be called, too
            self._connect(address)

    def forked(self) -> None:
        """Leave a connection where it is: neither SQLite nor DuckDB can use, or close, that of another process."""
        self._lock = threading.Lock()
        self._turn = Turn()
        if self._connection is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._connection))
            self._inherited = self._connection is self._address
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

    @property
    def is_sqlite(self) -> bool:
        """Whether it is SQLite, otherwise it is DuckDB."""
        return is_sqlite(self._connected())

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """A cursor whose work is committed at the end of the block, or undone if that raises.

        Raises:
            TransactionEndedError: something in the block has ended the transaction.
        """
        connection = self._connected()
        with self._turn.lock:
            cursor = connection.cursor()
            transaction = SqliteTransaction(connection, cursor) if is_sqlite(connection) else DuckTransaction(cursor)
            try:
                transaction.begin()
                yield cursor
                transaction.commit(self._place)
            except BaseException:
                transaction.undo()
                raise
            finally:
                cursor.close()

    def close(self) -> None:
        """Close the connection if it was made here."""
        with self._lock:
            if self._connection is None or self._connection is self._address:
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

    def _connected(self) -> Any:
        with self._lock:
            self.check_own()
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


class SqliteTransaction:
    """A transaction of SQLite.

    One that its user has left open is joined: on success it is committed with all that is in it, otherwise it stays
    open, without what was done here.
    """

    def __init__(self, connection: sqlite3.Connection, cursor: sqlite3.Cursor) -> None:
        self._connection = connection
        self._cursor = cursor
        self._joined = connection.in_transaction
        self._saved = False

    def begin(self) -> None:
        """Begin it, or join the one that is open."""
        if not self._joined:
            self._cursor.execute("begin immediate")  # the watermark that is read next must be true until the end
        self._cursor.execute(f"savepoint {_SAVEPOINT}")
        self._saved = True

    def commit(self, place: str) -> None:
        """Commit, if it is still the same transaction."""
        try:
            self._cursor.execute(f"release {_SAVEPOINT}")  # gone when the transaction is another one by now
        except sqlite3.OperationalError as error:
            if is_busy(error):
                raise
            raise _ended(place) from None
        self._cursor.execute("commit")

    def undo(self) -> None:
        """Undo what was done in it."""
        if self._joined and not self._saved:
            return
        try:
            if self._joined:
                self._cursor.execute(f"rollback to {_SAVEPOINT}")
                self._cursor.execute(f"release {_SAVEPOINT}")
                return
        except sqlite3.Error as error:
            log.debug("the transaction that was joined is no more: %s", error)
        if self._connection.in_transaction:
            _roll_back(self._cursor)


class DuckTransaction:
    """A transaction of DuckDB."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self._number: object = None

    def begin(self) -> None:
        """Begin it."""
        self._cursor.execute("begin")
        self._number = _number(self._cursor)

    def commit(self, place: str) -> None:
        """Commit, if it is still the same transaction."""
        if _number(self._cursor) != self._number:
            raise _ended(place)
        self._cursor.execute("commit")

    def undo(self) -> None:
        """Undo what was done in it."""
        _roll_back(self._cursor)


def is_sqlite(connection: object) -> bool:
    """Whether this is a connection of `sqlite3`."""
    return isinstance(connection, sqlite3.Connection)


def is_busy(error: BaseException) -> bool:
    """Whether waiting helps: the database is locked, two have collided, or this process has no descriptor left."""
    if isinstance(error, OSError):
        return error.errno in _LIMITS
    if isinstance(error, sqlite3.OperationalError):
        code = getattr(error, "sqlite_errorcode", None)
        if not isinstance(code, int):
            return False
        return code & 0xFF in _BUSY or (code & 0xFF == _CANNOT_OPEN and _at_limit())
    kind, text = type(error), str(error).casefold()
    if "duckdb" not in kind.__module__:
        return False
    if kind.__name__ == "TransactionException":
        return "conflict" in text
    return kind.__name__ == "IOException" and ("set lock on file" in text or ("open" in text and _at_limit()))


def is_of_database(error: BaseException) -> bool:
    """Whether it is the database that has raised this."""
    return isinstance(error, sqlite3.Error) or "duckdb" in type(error).__module__


def fetch(db: Any, sql: str, params: Sequence[Any] = ()) -> list[Any]:
    """Ask on a cursor for plain tuples, whatever rows and texts its user has chosen to be given."""
    if not isinstance(db, sqlite3.Cursor):
        found: list[Any] = db.execute(sql, params).fetchall()
        return found
    plain = sqlite3.Connection.cursor(db.connection)
    plain.row_factory = None
    try:
        return plain.execute(sql, params).fetchall()
    finally:
        plain.close()


def text_of(db: Any, column: str) -> str:
    """A column of text for `fetch`, which comes as bytes or text, untouched by what its user does to texts."""
    return f"cast({column} as blob)" if isinstance(db, sqlite3.Cursor) else column


def _at_limit() -> bool:
    """Whether this process can open nothing any more, which is no fault of the database."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return error.errno in _LIMITS
    return False


def _number(cursor: Any) -> object:
    return cursor.execute("select txid_current()").fetchone()


def _ended(place: str) -> TransactionEndedError:
    return TransactionEndedError(
        f"{place} has ended the transaction that it was called in; it must neither commit, nor roll back, nor use"
        " executescript(), which commits"
    )


def _roll_back(cursor: Any) -> None:
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
