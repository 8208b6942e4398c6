"""PostgreSQL: its SQL, and what its errors mean. Which client it is reached by is another matter."""

import hashlib
from collections.abc import Sequence
from typing import ClassVar, Final

from act_fast._projections.databases.dialect import Dialect, Statements

__all__ = ["PostgresDialect", "is_busy", "is_lost", "is_no_savepoint", "state_of"]

_LOCK_WAIT: Final = "5s"
_BUSY: Final = ("40001", "40P01", "53300", "55006", "55P03")
"""Two have collided, there are too many connections, or a lock was waited for too long."""
_ENDED: Final = ("25P03", "25P04", "40003", "57P01", "57P02", "57P03", "57P04", "57P05")
"""The server shuts down, has crashed, is starting, or has ended the session."""
_NO_SAVEPOINT: Final = ("3B001", "25P01")
_REFUSED: Final = (
    "authentication failed", "password supplied", "does not exist", "pg_hba.conf", "not permitted", "permission denied",
    "certificate", "connection option", "must be superuser",
)  # fmt: skip
"""What is said, without a code, to who may not connect, or asks for what is not there."""


class PostgresDialect(Dialect):
    """What SQL is like in PostgreSQL."""

    number: ClassVar[str] = "double precision"
    name_bytes_max: ClassVar[int | None] = 63

    def there(self, db: Statements, tables: Sequence[str]) -> set[str]:
        """See `Dialect`."""
        asked = ", ".join("to_regclass(cast(? as text)) is not null" for _ in tables)
        (row,) = db.rows(f"select {asked}", [self.quoted(each) for each in tables])
        return {table for table, there in zip(tables, row, strict=True) if there}

    def hold(self, db: Statements, keys: Sequence[str]) -> None:
        """See `Dialect`. From here on nothing waits for a lock for long, since others would queue behind it."""
        for each in keys:
            db.rows(
                "select case when current_setting('lock_timeout') = '0'"
                f" then set_config('lock_timeout', '{_LOCK_WAIT}', true) end, pg_advisory_xact_lock(cast(? as bigint))",
                (_number(each),),
            )

    def rights(self, db: Statements, tables: Sequence[str]) -> list[str]:
        """See `Dialect`."""
        found: list[str] = []
        for each in tables:
            name = self.quoted(each)
            rows = db.rows(
                "select 'grant ' || given.privilege_type || ' on ' || cast(? as text) || ' to ' ||"
                " case when given.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(given.grantee)) end ||"
                " case when given.is_grantable then ' with grant option' else '' end"
                " from pg_class as known, aclexplode(known.relacl) as given"
                " where known.oid = to_regclass(cast(? as text)) and given.grantee <> known.relowner",
                (name, name),
            )
            found.extend(str(statement) for (statement,) in rows)
        return found

    def drop(self, db: Statements, tables: Sequence[str]) -> None:
        """See `Dialect`."""
        self.drop_together(db, tables)


def state_of(error: BaseException) -> str:
    """The five letters that PostgreSQL puts on an error, by whichever client; empty where there are none."""
    found = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    return found if isinstance(found, str) else ""


def is_busy(error: BaseException) -> bool:
    """Whether waiting helps."""
    return state_of(error) in _BUSY


def is_lost(error: BaseException) -> bool:
    """Whether the connection was lost, or none could be made, so that another one may do."""
    state = state_of(error)
    if state:
        return state[:2] == "08" or state in _ENDED
    if not any(each.__name__ in ("OperationalError", "InterfaceError") for each in type(error).__mro__):
        return False
    text = str(error)
    return not any(each in text for each in _REFUSED)


def is_no_savepoint(error: BaseException) -> bool:
    """Whether there is no such savepoint, or no transaction."""
    return state_of(error) in _NO_SAVEPOINT


def _number(key: str) -> int:
    """What stands for a key among locks, which are numbers."""
    digest = hashlib.sha256(f"act_fast projection\0{key}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)
