"""Connections to MySQL or MariaDB, and what goes wrong with them in our words."""

import contextlib
import socket
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any, ClassVar, Final, LiteralString, NamedTuple, TypeAlias

import pymysql
from pymysql.connections import Connection as PyMySqlConnection
from pymysql.constants import CLIENT, CR, ER, FIELD_TYPE
from pymysql.converters import conversions
from pymysql.cursors import Cursor, SSCursor

from act_fast._rows import Row
from act_fast.errors import StoreError, StoreFullError, StoreLockedError
from act_fast.stores.database import connections as shared
from act_fast.stores.database.connections import ready
from act_fast.stores.mysql.address import Place

__all__ = [
    "Connection",
    "Connections",
    "Question",
    "asking",
    "broken",
    "code_of",
    "flush",
    "may_only_read",
    "run",
    "said",
    "send",
    "walk",
]

Connection: TypeAlias = "PyMySqlConnection[Cursor]"

_KEEPALIVE: Final = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""A connection whose other end has vanished without a word is noticed within a minute, not within hours."""

_IDLE_SECONDS: Final = 600
"""After so long without a question the server ends a session, and with it what was left undone."""

_SETTINGS: Final = f"set session sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', wait_timeout = {_IDLE_SECONDS}"

_ENDED: Final = frozenset({1053, 1077, 1079, 1080, 1152, *range(1154, 1162), 1184, 1927, 3169, 4031})
"""The server shuts down, a session was killed or has done nothing for too long, or packets got lost."""

_FULL: Final = frozenset({1021, 1041, 1114})
_RIGHTS: Final = frozenset({1044, 1142, 1143, 1227, 1370, 1419})
_LOST_PART: Final = frozenset({1054, 1146})
_READS_ONLY: Final = frozenset({1290, 1792, 1836})
_ENDED_EARLY: Final = frozenset({1317, 1969, 3024})
_for_tls: Final[list[Any]] = []
_NO_SPACE: Final = "28"


class _Client(PyMySqlConnection):
    """A connection that shares what TLS needs: to read the certificates of the system takes longer than all the rest.

    Without files of one's own, TLS is used where the server offers it, and its certificate is not checked.
    """

    def _create_ssl_ctx(self, sslp: Any) -> Any:
        make: Any = super()._create_ssl_ctx  # type: ignore[misc]
        if sslp:
            return make(sslp)
        if not _for_tls:
            _for_tls.append(make(sslp))
        return _for_tls[0]


class Question(NamedTuple):
    """A statement, put together of our own text and of a prefix that has only letters, digits and underscores.

    Attributes:
        text: with a `%s` for each parameter.
        bytes_max: stop reading its rows, which are events, once they have so many bytes; 0 reads all.
    """

    text: str
    bytes_max: int = 0


class Connections(shared.Connections[Connection]):
    """The connections of one store in this process. Each is made when it is first needed.

    Attributes:
        place: where the database is.
        packet_max: the largest statement that the server takes, in bytes.
    """

    errors: ClassVar[type[Exception]] = pymysql.Error
    integer: ClassVar[LiteralString] = "signed"
    correlation_start: ClassVar[LiteralString] = "correlation_start"
    place: Place

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.packet_max = 1024 * 1024

    def new(self) -> Connection:
        """A connection of the caller's own. It raises what PyMySQL raises; see `asking`."""
        self.check()
        lock_seconds = self.place.lock_seconds
        settings = _SETTINGS if lock_seconds is None else f"{_SETTINGS}, innodb_lock_wait_timeout = {lock_seconds}"
        try:
            connection: Connection = _Client(
                **self.place.options,
                charset="utf8mb4",
                autocommit=True,
                init_command=settings,
                client_flag=CLIENT.MULTI_STATEMENTS | CLIENT.FOUND_ROWS,
                conv={**conversions, FIELD_TYPE.VAR_STRING: _text},
                program_name="act-fast",
            )
        except OSError as error:  # files for TLS that cannot be read
            raise pymysql.OperationalError(CR.CR_SSL_CONNECTION_ERROR, f"TLS cannot be set up: {error}") from error
        _keep_alive(connection)
        return connection

    def question(self, text: LiteralString) -> Question:
        """A statement as `fetch` takes it; `{schema}.` stands for the prefix of the tables."""
        return Question(text.replace("{schema}.", f"{self.place.prefix}_"))

    def among(self, column: LiteralString) -> LiteralString:
        """The condition that a column is among the values of one parameter, a list that is not empty."""
        return column + " in %s"

    def page(self, rows: LiteralString, given: Sequence[Any], order: LiteralString, bytes_max: int) -> list[Row]:
        """The rows of a question, read until they have so many bytes; they are in the order of the question."""
        found: list[Any] = self.fetch(self.question(rows)._replace(bytes_max=bytes_max), given)
        return found

    def change(self, text: LiteralString, *given: Any) -> int:
        """Run a statement that may run twice; how many rows it found to change."""
        ((count,),) = self.ask(text, *given)
        return int(count)

    def broken(self, error: BaseException) -> bool:
        """Whether a connection was lost, so that another one may do."""
        return broken(error)

    def asking(self) -> AbstractContextManager[None]:
        """Turn what PyMySQL raises into the errors of a store. None carries a password."""
        return asking(self.place)

    def ended(self, connection: Connection) -> bool:
        """Whether the server has ended a connection: it has nothing else to say to a session that does nothing."""
        return not connection.open or bool(ready((connection._sock.fileno(),), 0))  # type: ignore[attr-defined]

    def end(self, connection: Connection) -> None:
        """Close a connection."""
        with contextlib.suppress(pymysql.Error):
            connection.close()

    def _rows(self, connection: Connection, question: Question, given: Sequence[Any]) -> list[tuple[Any, ...]]:
        if question.bytes_max:
            return _read(connection, question, given)
        return run(connection, question.text, given)[-1]

    def _idles(self, connection: Connection) -> bool:
        return connection.open


def run(connection: Connection, text: str, given: Sequence[Any] = ()) -> list[list[tuple[Any, ...]]]:
    """Run statements in one round trip: the rows of each, or how many rows it found to change.

    Parameters are put in by the client. Where one statement fails, those after it are not run.
    """
    with connection.cursor() as cursor:
        cursor.execute(text, tuple(given) or None)
        found: list[Any] = []
        while True:
            found.append([*cursor.fetchall()] if cursor.description else [(cursor.rowcount,)])
            if not cursor.nextset():
                return found


def send(connection: Connection, statements: Iterable[tuple[str, Sequence[Any]]], packet_max: int) -> None:
    """Run statements in as few round trips as their size allows. Each alone fits into one."""
    some: list[str] = []
    size = 0
    with connection.cursor() as cursor:
        for text, given in statements:
            whole = cursor.mogrify(text, tuple(given))
            own = 4 * len(whole)  # a letter has at most so many bytes
            if some and size + own > packet_max:
                run(connection, ";".join(some))
                some, size = [], 0
            some.append(whole)
            size += own
    if some:
        run(connection, ";".join(some))


def walk(connection: Connection, text: str, given: Sequence[Any]) -> Generator[Any, None, None]:
    """The rows of a statement as they come. One that is not read to its end costs the connection."""
    cursor = SSCursor(connection)
    try:
        cursor.execute(text, tuple(given))
        while (row := cursor.fetchone()) is not None:
            yield row
        cursor.close()
    except BaseException:  # among them, that its reader has seen enough: the server would send all the rest
        let_go(connection)
        raise


def _read(connection: Connection, question: Question, given: Sequence[Any]) -> list[tuple[Any, ...]]:
    found: list[Any] = []
    size = 0
    with closing(walk(connection, question.text, given)) as rows:
        for row in rows:
            found.append(row)
            size += len(row[5]) + len(row[6])
            if size >= question.bytes_max:
                break
    return found


def flush(connections: Connections) -> None:
    """Return when everything committed so far would survive a power cut; see `MySqlStore.flush`."""
    ((each_commit,),) = connections.ask("select @@innodb_flush_log_at_trx_commit")
    if each_commit != 1:
        connections.ask("flush no_write_to_binlog engine logs")


def let_go(connection: Connection) -> None:
    """Close a connection at once, and let its client expect nothing more from it."""
    result = connection._result  # type: ignore[attr-defined]
    if result is not None:
        result.unbuffered_active = False
    connection._force_close()  # type: ignore[attr-defined]


def _text(value: bytes | str) -> str:
    """Names are kept as bytes, so that none is taken for another one."""
    return value.decode() if isinstance(value, bytes) else value


def _keep_alive(connection: Connection) -> None:
    with contextlib.suppress(OSError):  # a socket of the file system has none of these
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):
                connection._sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)  # type: ignore[attr-defined]


def code_of(error: BaseException) -> int:
    """The number of an error; 0 without one."""
    found = error.args[0] if error.args else 0
    return found if isinstance(found, int) else 0


def broken(error: BaseException) -> bool:
    """Whether a connection was lost, so that another one may do."""
    if isinstance(error, pymysql.InterfaceError):
        return True
    code = code_of(error)
    if isinstance(error, pymysql.OperationalError):
        return CR.CR_ERROR_FIRST <= code <= CR.CR_ERROR_LAST or code in _ENDED
    return isinstance(error, pymysql.Error) and (code == 0 or code in _ENDED)


def may_only_read(error: BaseException | None) -> bool:
    """Whether the server has refused to let this user, or anybody, write."""
    return error is not None and code_of(error) in _RIGHTS | _READS_ONLY


@contextmanager
def asking(place: Place) -> Iterator[None]:
    """Turn what the database raises into the errors of a store. None carries a password."""
    try:
        yield
    except pymysql.Error as error:
        code = code_of(error)
        if code in _FULL or (code in (ER.ERROR_ON_WRITE, ER.GET_ERRNO) and _NO_SPACE in said(error)):
            raise StoreFullError(f"the disk of the database at {place} is full; nothing was written") from error
        if code == ER.LOCK_WAIT_TIMEOUT:
            raise StoreLockedError(f"the database at {place} has waited too long for a lock: {said(error)}") from error
        raise StoreError(f"the database at {place} {_why(error, code)}") from error


def _why(error: pymysql.Error, code: int) -> str:
    if code in _RIGHTS:
        return f"refuses: {said(error)}; grant this user select, insert, update and delete on the store's tables"
    if code in _LOST_PART:
        return f"has lost a part of the store: {said(error)}; restore its tables from a backup"
    if code in _ENDED_EARLY:
        return f"ended a statement early: {said(error)}; nothing was written"
    if code in _READS_ONLY:
        return f"only reads: {said(error)}; write to its primary"
    if code == ER.NET_PACKET_TOO_LARGE:
        return f"takes no statement as large as this one: {said(error)}; raise max_allowed_packet on the server"
    if broken(error):
        return f"cannot be reached, or ended the connection: {said(error)}"
    return f"refuses: {said(error)}"


def said(error: BaseException) -> str:
    """The first line of what went wrong. A statement that the server does not understand is not repeated."""
    code = code_of(error)
    if code == ER.PARSE_ERROR:
        return "it does not understand a statement; is it MySQL 8 or MariaDB 10.11, or newer?"
    text = str(error.args[1]) if len(error.args) > 1 else type(error).__name__
    return f"{text.strip().partition(chr(10))[0]}{f' ({code})' if code else ''}"
