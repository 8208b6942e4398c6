"""SQLite, by the module `sqlite3`."""

import sqlite3
import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, Final, TypeGuard

from act_fast._projections.databases.descriptors import at_limit
from act_fast._projections.databases.dialect import Dialect, Statements, moment
from act_fast._projections.databases.session import Savepoints, Session
from act_fast.errors import DefinitionError

__all__ = ["SqliteConnected", "SqliteDialect", "add_code", "is_busy", "is_sqlite", "named_among"]

_BUSY: Final = (5, 6)
"""The codes for "database is locked" and "database table is locked"; the higher bits say more."""
_CANNOT_OPEN: Final = 14


class SqliteDialect(Dialect):
    """What SQL is like in SQLite."""

    begin: ClassVar[str] = "begin immediate"  # the watermark that is read next must be true until the end
    time: ClassVar[str] = "text"
    json: ClassVar[str] = "text"

    def cell_of_time(self, value: datetime) -> Any:
        """See `Dialect`."""
        return moment(value).isoformat(" ")

    def text_of(self, column: str) -> str:
        """See `Dialect`: texts may go through a `text_factory`."""
        return f"cast({column} as blob)"

    def there(self, db: Statements, tables: Sequence[str]) -> set[str]:
        """See `Dialect`."""
        return named_among(db, tables, "select name from sqlite_master union all select name from sqlite_temp_master")

    def upgrade(self, db: Statements) -> None:
        """See `Dialect`."""
        add_code(db)


class SqliteSession(Session):
    """A transaction of SQLite."""

    def run(self, sql: str, params: Sequence[Any] = ()) -> None:
        """See `Session`."""
        self.given.execute(sql, params)

    def run_each(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """See `Session`."""
        self.given.executemany(sql, rows)

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See `Session`."""
        plain = sqlite3.Connection.cursor(self.given.connection)
        plain.row_factory = None
        try:
            return plain.execute(sql, params).fetchall()
        finally:
            plain.close()


class SqliteConnected(Savepoints):
    """A connection of `sqlite3`.

    Raises:
        DefinitionError: only the thread that has made it may use it.
    """

    dialect = SqliteDialect()

    def __init__(self, place: str, raw: sqlite3.Connection) -> None:
        self.raw: sqlite3.Connection = raw
        _check_shared(place, raw)

    def session(self, given: Any) -> Session:
        """See `Connected`."""
        return SqliteSession(given, self.dialect)

    def close(self) -> None:
        """See `Connected`."""
        self.raw.close()

    def _in_transaction(self, db: Session) -> bool:
        return self.raw.in_transaction

    def _open(self) -> Session:
        return self.session(self.raw.cursor())

    def _begin(self, db: Session) -> None:
        db.run(self.dialect.begin)

    def _commit(self, db: Session) -> None:
        db.run("commit")

    def _roll_back(self, db: Session) -> None:
        if self.raw.in_transaction:
            db.run("rollback")

    def _is_no_savepoint(self, error: Exception) -> bool:
        return isinstance(error, sqlite3.OperationalError) and not is_busy(error)


def is_sqlite(connection: object) -> TypeGuard[sqlite3.Connection]:
    """Whether this is a connection of `sqlite3`."""
    return isinstance(connection, sqlite3.Connection)


def is_busy(error: BaseException) -> bool:
    """Whether waiting helps: the database is locked, or this process has no descriptor left to open it with."""
    code = getattr(error, "sqlite_errorcode", None)
    if not isinstance(error, sqlite3.OperationalError) or not isinstance(code, int):
        return False
    return code & 0xFF in _BUSY or (code & 0xFF == _CANNOT_OPEN and at_limit())


def named_among(db: Statements, tables: Sequence[str], known: str) -> set[str]:
    """Which of some tables are among the names that a question answers, be they written large or small."""
    asked = " union all ".join(f"select {number} as number, ? as name" for number in range(len(tables)))
    rows = db.rows(
        f"select asked.number + 0 from ({asked}) as asked where exists"
        f" (select 1 from ({known}) as known where lower(known.name) = lower(asked.name))",
        tables,
    )
    return {tables[int(number)] for (number,) in rows}


def add_code(db: Statements) -> None:
    """Add the column that tables of earlier releases do not have."""
    asked = "select 1 from pragma_table_info('act_fast_projections') where name = 'code'"  # in DuckDB, too
    if not db.rows(asked):
        db.run("alter table act_fast_projections add column code text default ''")


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
