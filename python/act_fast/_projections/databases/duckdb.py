"""DuckDB, by its own client."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from act_fast._projections.databases.descriptors import at_limit
from act_fast._projections.databases.dialect import Dialect, Statements
from act_fast._projections.databases.session import Connected, Session, ended
from act_fast._projections.databases.sqlite import add_code, named_among
from act_fast._runtime.logger import log

__all__ = ["DuckConnected", "is_busy"]

_TABLES: Final = (
    "select table_name as name from information_schema.tables where table_catalog in (current_database(), 'temp')"
)


class DuckDialect(Dialect):
    """What SQL is like in DuckDB."""

    def there(self, db: Statements, tables: Sequence[str]) -> set[str]:
        """See `Dialect`."""
        return named_among(db, tables, _TABLES)

    def upgrade(self, db: Statements) -> None:
        """See `Dialect`."""
        add_code(db)


class DuckSession(Session):
    """A transaction of DuckDB."""

    def run(self, sql: str, params: Sequence[Any] = ()) -> None:
        """See `Session`."""
        self.given.execute(sql, params)

    def run_each(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """See `Session`."""
        self.given.executemany(sql, rows)

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See `Session`."""
        found: list[tuple[Any, ...]] = self.given.execute(sql, params).fetchall()
        return found


class DuckConnected(Connected):
    """A connection of DuckDB, whose transactions have no savepoints, but numbers."""

    dialect = DuckDialect()

    def __init__(self, raw: Any) -> None:
        self.raw = raw

    def session(self, given: Any) -> Session:
        """See `Connected`."""
        return DuckSession(given, self.dialect)

    @contextmanager
    def transaction(self, place: str, keys: Sequence[str]) -> Iterator[Session]:
        """See `Connected`; two transactions that write the same row collide, and one fails."""
        db = self.session(self.raw.cursor())
        try:
            db.run("begin")
            number = _number(db)
            yield db
            if _number(db) != number:
                raise ended(place)
            db.run("commit")
        except BaseException:
            try:
                db.run("rollback")
            except Exception as error:  # it was ended already; what matters is what has been raised before
                log.debug("nothing to roll back: %s", error)
            raise
        finally:
            db.close()

    def close(self) -> None:
        """See `Connected`."""
        self.raw.close()


def is_busy(error: BaseException) -> bool:
    """Whether waiting helps: another process has the file, two have collided, or no descriptor is left."""
    kind, text = type(error), str(error).casefold()
    if kind.__name__ == "TransactionException":
        return "conflict" in text
    return kind.__name__ == "IOException" and ("set lock on file" in text or ("open" in text and at_limit()))


def _number(db: Session) -> object:
    return db.rows("select txid_current()")
