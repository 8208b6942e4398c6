"""Connections and engines of SQLAlchemy, to any database whose SQL is known here.

Whoever hands one over has SQLAlchemy, so it is imported where one is looked at, and never before.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from act_fast._projections.databases import mysql, postgres, sqlite
from act_fast._projections.databases.dialect import Dialect
from act_fast._projections.databases.marks import named
from act_fast._projections.databases.session import Savepoints, Session
from act_fast._runtime.logger import log
from act_fast.errors import DefinitionError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

__all__ = ["EngineConnected", "SqlalchemyConnected"]


class SqlalchemySession(Session):
    """A transaction by SQLAlchemy."""

    def run(self, sql: str, params: Sequence[Any] = ()) -> None:
        """See `Session`."""
        from sqlalchemy import text

        self.given.execute(text(named(sql)), _by_name(params))

    def run_each(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """See `Session`."""
        from sqlalchemy import text

        self.given.execute(text(named(sql)), [*map(_by_name, rows)])

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See `Session`."""
        from sqlalchemy import text

        return [tuple(row) for row in self.given.execute(text(named(sql)), _by_name(params))]


class SqlalchemyConnected(Savepoints):
    """A connection of SQLAlchemy.

    Raises:
        DefinitionError: it is to a database whose SQL is not known here.
    """

    def __init__(self, place: str, raw: "Connection | Engine") -> None:
        self.raw: Any = raw
        self.dialect = _dialect_of(place, raw)

    def session(self, given: Any) -> Session:
        """See `Connected`."""
        return SqlalchemySession(given, self.dialect)

    @contextmanager
    def transaction(self, place: str, keys: Sequence[str]) -> Iterator[Session]:
        """See `Connected`. Errors do not repeat parameters, which are of events."""
        from sqlalchemy.exc import StatementError

        try:
            with super().transaction(place, keys) as db:
                yield db
        except BaseException as error:
            for each in (error, error.__cause__):
                if isinstance(each, StatementError):
                    each.hide_parameters = True
            raise

    @property
    def is_usable(self) -> bool:
        """See `Connected`."""
        return not self.raw.closed

    def close(self) -> None:
        """See `Connected`."""
        self.raw.close()

    def _open(self) -> Session:
        return self.session(self.raw)

    def _in_transaction(self, db: Session) -> bool:
        given: Connection = db.given
        if given.invalidated:
            given.rollback()  # only then it can be used again
        if not given.in_transaction() or self.dialect.commits_tables:
            return False
        return bool(getattr(_driver(given), "in_transaction", True)) if _is_sqlite(self.dialect) else True

    def _begin(self, db: Session) -> None:
        if isinstance(self.dialect, postgres.PostgresDialect) and _driver(db.given).autocommit is not True:
            return  # its clients begin one by themselves
        db.run(self.dialect.begin)

    def _commit(self, db: Session) -> None:
        db.run("commit")
        db.given.commit()

    def _roll_back(self, db: Session) -> None:
        try:
            db.run("rollback")
        finally:
            db.given.rollback()

    def _is_no_savepoint(self, error: Exception) -> bool:
        cause = getattr(error, "orig", None) or error
        if _is_sqlite(self.dialect):
            return type(cause).__name__ == "OperationalError" and not sqlite.is_busy(cause)
        return mysql.is_no_savepoint(cause) or postgres.is_no_savepoint(cause)

    def _end(self, db: Session, keys: Sequence[str]) -> None:
        try:
            self.dialect.let_go(db, keys)
            if self.dialect.commits_tables:
                db.given.commit()  # asking for that has begun another transaction
        except Exception as error:  # lost, and what it held with it
            log.debug("a connection does not let go of what it holds: %s", error)
            self._let_go_for_good(db)

    def _let_go_for_good(self, db: Session) -> None:
        try:
            db.given.invalidate()
            db.given.rollback()
        except Exception as error:
            log.debug("a connection cannot be given up: %s", error)


class EngineConnected(SqlalchemyConnected):
    """An engine of SQLAlchemy: each transaction takes a connection out of its pool."""

    is_shared = False

    @property
    def is_usable(self) -> bool:
        """See `Connected`: a pool makes another connection for one that was lost."""
        return True

    def forked(self) -> bool:
        """See `Connected`."""
        self.raw.dispose(close=False)
        return True

    def close(self) -> None:
        """See `Connected`."""
        self.raw.dispose()

    def _open(self) -> Session:
        return self.session(self.raw.connect())

    def _end(self, db: Session, keys: Sequence[str]) -> None:
        try:
            super()._end(db, keys)
        finally:
            db.given.close()


def _by_name(params: Sequence[Any]) -> dict[str, Any]:
    return {f"p{number}": value for number, value in enumerate(params)}


def _driver(connection: "Connection") -> Any:
    """The connection of the client that SQLAlchemy works with."""
    return connection.connection.dbapi_connection


def _is_sqlite(dialect: Dialect) -> bool:
    return isinstance(dialect, sqlite.SqliteDialect)


def _dialect_of(place: str, raw: "Connection | Engine") -> Dialect:
    name = raw.dialect.name
    if name in ("mysql", "mariadb"):
        return mysql.MySqlDialect(lambda: bool(getattr(raw.dialect, "is_mariadb", False)))
    if name == "postgresql":
        return postgres.PostgresDialect()
    if name == "sqlite":
        return sqlite.SqliteDialect()
    raise DefinitionError(
        f"{place} cannot write to {name} by SQLAlchemy; it can to postgresql, mysql, mariadb and sqlite"
    )
