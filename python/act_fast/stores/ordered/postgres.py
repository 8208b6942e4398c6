"""An ordered log in a PostgreSQL database: one row for each block, inserted on the condition that there is none."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, LiteralString, TypeVar
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import Connection, sql
from psycopg.pq import TransactionStatus

from act_fast._runtime.forks import tell_in_child
from act_fast.errors import (
    EngineAwayError,
    EngineError,
    EngineRefusedError,
    NotDurableError,
    StoreClosedError,
    StoreFullError,
    ValidationError,
)
from act_fast.stores.ordered.address import Parts, parts_of, split_options
from act_fast.stores.ordered.numbered import NumberedLog

__all__ = ["PostgresOrderedLog"]

_BLOCK_BYTES_MAX: Final = 4 * 1024 * 1024
_POLL_SECONDS: Final = 0.05
_POLL_SECONDS_MIN: Final = 0.002
_OWN: Final = frozenset({"schema", "durability", "poll"})
_SCHEMA: Final = "act_fast_log"
_DEFAULTS: Final = {"connect_timeout": "5", "application_name": "act-fast", "client_encoding": "utf8"}
_REFUSALS: Final = ("authentication failed", "no password supplied", "does not exist", "no pg_hba.conf entry")

_T = TypeVar("_T")


class PostgresOrderedLog(NumberedLog):
    """A log in a table of its own, made when it is not there.

    Args:
        address: `postgresql+log://user:password@host:5432/database`. Options: `schema=` that the table is in, `poll=`,
            how many seconds at most until a new record is looked for, `durability=engine`, and those of libpq for TLS.

    Raises:
        EngineAwayError: the server cannot be reached.
        EngineRefusedError: the credentials are wrong, or lack a permission.
        NotDurableError: the server does not flush.
    """

    def __init__(self, address: str) -> None:
        parts = parts_of(address)
        rows = _Rows(parts, address)
        try:
            rows.make(parts.choice("durability", ("flushed", "engine")) == "engine")
        except BaseException:
            rows.close()
            raise
        super().__init__(rows.name, rows)


class _Rows:
    """Blocks as rows."""

    bytes_max = _BLOCK_BYTES_MAX

    def __init__(self, parts: Parts, address: str) -> None:
        if not parts.hosts or not parts.path or "/" in parts.path:
            raise ValidationError("the address names no database; write postgresql+log://user@host/database")
        longest = parts.seconds("poll", _POLL_SECONDS)
        self.poll_seconds = (min(_POLL_SECONDS_MIN, longest), longest)
        self._schema = parts.options.get("schema", _SCHEMA)
        self.name = f"{parts}?schema={self._schema}"
        libpq = urlsplit(split_options(address, frozenset(parts.options) - _OWN)[0])
        self._conninfo = urlunsplit(libpq._replace(scheme="postgresql"))
        self._lock = threading.Lock()
        self._idle: list[Connection[Any]] = []
        self._closed = False
        tell_in_child(self)

    def forked(self) -> None:
        """Threads that held a lock stayed with the parent."""
        self._lock = threading.Lock()

    def make(self, accepted: bool) -> None:
        """Make the table, and see whether what is committed is flushed."""
        ((flushes,),) = self._ask("select current_setting('fsync')")
        if flushes != "on" and not accepted:
            raise NotDurableError(
                f"the server of {self.name} does not flush, so a power cut loses what it acknowledged; set fsync to on,"
                " or accept it with ?durability=engine"
            )
        if self._ask("select 1 from pg_tables where schemaname = %s and tablename = 'blocks'", self._schema):
            return
        self._ask("create schema if not exists {schema}")
        self._ask("create table if not exists {schema}.blocks (number bigint primary key, block bytea not null)")
        self._ask("alter table {schema}.blocks alter column block set storage external")

    def put(self, number: int, block: bytes) -> bool:
        """Insert a row unless there is one of its number."""
        text: LiteralString = "insert into {schema}.blocks values (%s, %s) on conflict do nothing returning number"
        return bool(self._ask(text, number, block))

    def get(self, number: int, count: int) -> Sequence[bytes]:
        """Select rows, up to the first that is not there."""
        text: LiteralString = (
            "select number, block from {schema}.blocks where number >= %s and number < %s order by number"
        )
        found = self._ask(text, number, number + count)
        return [block for each, (at, block) in enumerate(found, number) if each == at]

    def size(self, number: int) -> int | None:
        """The size of a row."""
        found = self._ask("select octet_length(block) from {schema}.blocks where number = %s", number)
        return int(found[0][0]) if found else None

    def empty(self, first: int, below: int) -> None:
        """Leave of rows their numbers."""
        for number in range(first, below):
            self._ask("update {schema}.blocks set block = '' where number = %s", number)

    def close(self) -> None:
        """Close the connections that are idle; others when they are done."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for each in idle:
            each.close()

    def _ask(self, text: LiteralString, *given: object) -> list[tuple[Any, ...]]:
        question = sql.SQL(text).format(schema=sql.Identifier(self._schema))

        def run(connection: Connection[Any]) -> list[tuple[Any, ...]]:
            cursor = connection.execute(question, given, binary=True)
            return cursor.fetchall() if cursor.description else []

        return self._with_connection(run)

    def _with_connection(self, work: Callable[[Connection[Any]], _T]) -> _T:
        with self._lock:
            if self._closed:
                raise StoreClosedError(f"the log at {self.name} was closed")
            connection = self._idle.pop() if self._idle else None
        with _asking(self.name):
            connection = connection or self._new()
            try:
                return work(connection)
            finally:
                with self._lock:
                    keep = not self._closed and connection.info.transaction_status is TransactionStatus.IDLE
                    if keep:
                        self._idle.append(connection)
                if not keep:
                    connection.close()

    def _new(self) -> Connection[Any]:
        connection = psycopg.connect(self._conninfo, autocommit=True, **_DEFAULTS)  # type: ignore[arg-type]
        # What commits late or here only is raised to a flush; what asks for more than that is left alone.
        connection.execute(
            "select set_config('synchronous_commit', 'on', false)"
            " where current_setting('synchronous_commit') in ('off', 'local')"
        )
        return connection


@contextmanager
def _asking(name: str) -> Iterator[None]:
    """Turn what the database raises into our errors. None carries a password."""
    try:
        yield
    except psycopg.errors.DiskFull as error:
        raise StoreFullError(f"the disk of the database at {name} is full; nothing was appended") from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise EngineRefusedError(f"{name} refuses: {error.diag.message_primary}") from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        if any(word in str(error) for word in _REFUSALS):
            raise EngineRefusedError(
                f"{name} refuses the credentials in its address, or has no such database"
            ) from None
        raise EngineAwayError(f"{name} does not answer: {type(error).__name__}") from error
    except psycopg.Error as error:
        raise EngineError(f"{name} refuses: {error.diag.message_primary or type(error).__name__}") from error
