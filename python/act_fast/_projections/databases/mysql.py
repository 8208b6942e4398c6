"""MySQL and MariaDB: their SQL, and what their errors mean. Which client they are reached by is another matter."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import ClassVar, Final

from act_fast._projections.databases.dialect import Dialect, Statements, insert

__all__ = ["BusyError", "MySqlDialect", "code_of", "is_busy", "is_lost", "is_no_savepoint"]

_LOCK_WAIT_SECONDS: Final = 5
_BUSY: Final = (1040, 1203, 1205, 1213, 3572)
"""There are too many connections, a lock was waited for too long, or two have collided."""
_ENDED: Final = frozenset(
    {2002, 2003, 2006, 2013, 2055, 1053, 1077, 1079, 1080, 1152, *range(1154, 1162), 1184, 1927, 3169, 4031}
)
"""The server cannot be reached, shuts down, or has ended the session."""
_NO_SAVEPOINT: Final = 1305
_OLD: Final = "__old"


class BusyError(Exception):
    """Another transaction has held a lock for too long."""


class MySqlDialect(Dialect):
    """What SQL is like in MySQL or MariaDB, where a statement that changes tables commits what came before it.

    Args:
        is_mariadb: tells whether it is MariaDB, once connected. They call the collation otherwise that takes each text
            for what it is.
    """

    text: ClassVar[str] = "longtext"
    time: ClassVar[str] = "datetime(6)"
    name_bytes_max: ClassVar[int | None] = 64
    begin: ClassVar[str] = "start transaction"
    commits_tables: ClassVar[bool] = True

    def __init__(self, is_mariadb: Callable[[], bool]) -> None:
        self._is_mariadb = is_mariadb

    @property
    def key(self) -> str:
        """See `Dialect`."""
        collation = "utf8mb4_nopad_bin" if self._is_mariadb() else "utf8mb4_0900_bin"
        return f"varchar(512) character set utf8mb4 collate {collation}"

    def quoted(self, name: str) -> str:
        """See `Dialect`."""
        return "`" + name.replace("`", "``") + "`"

    def upsert(self, table: str, key: str, columns: Sequence[str]) -> str:
        """See `Dialect`."""
        changes = ", ".join(f"{each} = values({each})" for each in columns)
        return f"{insert(table, [key, *columns])} on duplicate key update {changes}"

    def there(self, db: Statements, tables: Sequence[str]) -> set[str]:
        """See `Dialect`."""
        marks = ", ".join("?" * len(tables))
        rows = db.rows(
            "select table_name, @@lower_case_table_names from information_schema.tables"
            f" where table_schema = database() and table_name in ({marks})",
            tables,
        )
        known = {str(name) for name, _ in rows}
        folded = {str(name).casefold() for name, folds in rows if folds}
        return {each for each in tables if each in known or each.casefold() in folded}

    def hold_first(self, db: Statements, keys: Sequence[str]) -> None:
        """See `Dialect`. A session holds these across its transactions, since each change of a table ends one."""
        for each in keys:
            wait = f"least({_LOCK_WAIT_SECONDS}, @@innodb_lock_wait_timeout)"
            ((held,),) = db.rows(f"select get_lock({_lock(each)}, {wait})", (each,))
            if held != 1:
                raise BusyError("another process writes the same rows")

    def let_go(self, db: Statements, keys: Sequence[str]) -> None:
        """Let others have some keys."""
        for each in keys:
            db.rows(f"select release_lock({_lock(each)})", (each,))

    def drop(self, db: Statements, tables: Sequence[str]) -> None:
        """See `Dialect`."""
        self.drop_together(db, tables)

    def replace(self, db: Statements, tables: Mapping[str, str]) -> None:
        """See `Dialect`: one statement, so that readers see all the tables of before, or all the others."""
        old = {live: live + _OLD for live in tables.values()}
        self.clear(db, [*old])
        missing = {old[live] for live in {*old} - self.there(db, [*old])}
        pairs = [pair for fresh, live in tables.items() for pair in ((live, old[live]), (fresh, live))]
        renamed = [f"{self.quoted(one)} to {self.quoted(other)}" for one, other in pairs if other not in missing]
        if renamed:
            with _impatient(db):
                db.run(f"rename table {', '.join(renamed)}")
        self.clear(db, [*old])

    def clear(self, db: Statements, tables: Sequence[str]) -> None:
        """See `Dialect`."""
        self.drop(db, [each + _OLD for each in tables])


@contextmanager
def _impatient(db: Statements) -> Iterator[None]:
    """Wait for no reader of a table for long, since all other readers would queue behind this."""
    ((before,),) = db.rows("select @@lock_wait_timeout")
    db.run(f"set session lock_wait_timeout = {min(before, _LOCK_WAIT_SECONDS)}")
    after = f"set session lock_wait_timeout = {before}"
    try:
        yield
    except BaseException:
        with suppress(Exception):  # of a connection that was lost nothing is left
            db.run(after)
        raise
    db.run(after)


def code_of(error: BaseException) -> int:
    """The number of an error; 0 without one."""
    found = error.args[0] if error.args else 0
    return found if isinstance(found, int) else 0


def is_busy(error: BaseException) -> bool:
    """Whether waiting helps."""
    return code_of(error) in _BUSY


def is_lost(error: BaseException) -> bool:
    """Whether the connection was lost, or none could be made, so that another one may do."""
    code = code_of(error)
    return code in _ENDED or (code == 0 and type(error).__name__ == "InterfaceError")


def is_no_savepoint(error: BaseException) -> bool:
    """Whether there is no such savepoint."""
    return code_of(error) == _NO_SAVEPOINT


def _lock(key: str) -> str:
    """The name of the lock on a key, as an expression of one parameter: locks are those of a server, not a database."""
    return "concat('act-fast:', left(sha2(concat(database(), ':', ?), 256), 48))"
