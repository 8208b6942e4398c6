"""What the errors of databases mean, whichever client has raised them."""

from typing import Final

from act_fast._projections.databases import duckdb, mysql, postgres, sqlite
from act_fast._projections.databases.descriptors import is_limit

__all__ = ["LostError", "is_busy", "is_lost", "is_of_database"]

_CLIENTS: Final = {
    "sqlite3": (sqlite.is_busy, None),
    "duckdb": (duckdb.is_busy, None),
    "_duckdb": (duckdb.is_busy, None),
    "psycopg": (postgres.is_busy, postgres.is_lost),
    "psycopg2": (postgres.is_busy, postgres.is_lost),
    "pymysql": (mysql.is_busy, mysql.is_lost),
    "MySQLdb": (mysql.is_busy, mysql.is_lost),
}
"""By the package that an error comes from: whether waiting helps, and whether a connection was lost."""

_NONE: Final = ("TimeoutError", "PendingRollbackError")
"""What SQLAlchemy says by itself: no connection of the pool is free, or it was lost before and somebody went on."""


class LostError(Exception):
    """A connection was lost that only its user can make again."""


def is_busy(error: BaseException) -> bool:
    """Whether waiting helps: others are in the way, this process has no descriptor left, or a connection was lost."""
    if isinstance(error, OSError):
        return is_limit(error)
    cause, package = _cause(error)
    asks = _CLIENTS.get(package)
    return isinstance(error, mysql.BusyError) or (asks is not None and asks[0](cause)) or is_lost(error)


def is_lost(error: BaseException) -> bool:
    """Whether the connection was lost, or none could be made, so that another one may do."""
    if isinstance(error, LostError) or getattr(error, "connection_invalidated", False) is True:
        return True
    cause, package = _cause(error)
    if package == "sqlalchemy":
        return type(cause).__name__ in _NONE
    asks = _CLIENTS.get(package)
    return asks is not None and asks[1] is not None and asks[1](cause)


def is_of_database(error: BaseException) -> bool:
    """Whether it is a database that has raised this."""
    return isinstance(error, LostError) or _package(error) == "sqlalchemy" or _cause(error)[1] in _CLIENTS


def _cause(error: BaseException) -> tuple[BaseException, str]:
    """What the client has raised, without what SQLAlchemy puts around it, and the package that it comes from."""
    found = getattr(error, "orig", None) if _package(error) == "sqlalchemy" else None
    cause = found if isinstance(found, BaseException) else error
    return cause, _package(cause)


def _package(error: BaseException) -> str:
    for cls in type(error).__mro__:
        package = cls.__module__.split(".")[0]
        if package in _CLIENTS or package == "sqlalchemy":
            return package
    return ""
