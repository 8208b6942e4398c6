"""Connections of psycopg, to PostgreSQL. Whoever hands one over has psycopg."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from act_fast._projections.databases import postgres
from act_fast._projections.databases.dialect import Dialect
from act_fast._projections.databases.marks import with_percents
from act_fast._projections.databases.session import Savepoints, Session

if TYPE_CHECKING:
    import psycopg

__all__ = ["PsycopgConnected"]


class PsycopgSession(Session):
    """A transaction by psycopg. What is asked here does not come by the row factory of the user's."""

    def __init__(self, given: Any, dialect: Dialect) -> None:
        import psycopg
        from psycopg.rows import tuple_row

        super().__init__(given, dialect)
        self._own = psycopg.Cursor(given.connection, row_factory=tuple_row)

    def run(self, sql: str, params: Sequence[Any] = ()) -> None:
        """See `Session`."""
        self._execute(sql, params)

    def run_each(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """See `Session`."""
        self._own.executemany(with_percents(sql).encode(), rows)

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See `Session`."""
        self._execute(sql, params)
        return self._own.fetchall()

    def close(self) -> None:
        """See `Session`."""
        self._own.close()
        self.given.close()

    def _execute(self, sql: str, params: Sequence[Any]) -> None:
        if params:
            self._own.execute(with_percents(sql).encode(), params)
        else:
            self._own.execute(sql.encode())


class PsycopgConnected(Savepoints):
    """A connection of psycopg."""

    dialect = postgres.PostgresDialect()

    def __init__(self, raw: "psycopg.Connection[Any]") -> None:
        self.raw: psycopg.Connection[Any] = raw

    def session(self, given: Any) -> Session:
        """See `Connected`."""
        return PsycopgSession(given, self.dialect)

    @property
    def is_usable(self) -> bool:
        """See `Connected`."""
        return not self.raw.closed

    def close(self) -> None:
        """See `Connected`."""
        self.raw.close()

    def _in_transaction(self, db: Session) -> bool:
        from psycopg.pq import TransactionStatus

        if self.raw.info.transaction_status == TransactionStatus.INERROR:
            self.raw.rollback()  # nothing in it can be committed any more
        return self.raw.info.transaction_status == TransactionStatus.INTRANS

    def _open(self) -> Session:
        return self.session(self.raw.cursor())

    def _begin(self, db: Session) -> None:
        if self.raw.autocommit:
            db.run(self.dialect.begin)

    def _commit(self, db: Session) -> None:
        self.raw.commit()

    def _roll_back(self, db: Session) -> None:
        self.raw.rollback()

    def _is_no_savepoint(self, error: Exception) -> bool:
        return postgres.is_no_savepoint(error)
