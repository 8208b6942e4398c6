"""A connection that asks by libpq's own verbs, without what psycopg does around each statement.

A statement is prepared once it is asked for the second time. Rows come in chunks, so those that are there are made
into tuples while the server is at the next.
"""

import select
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from struct import Struct
from typing import Any, Final

import psycopg
from psycopg import capabilities
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGresult

__all__ = ["Session"]

_CHUNK_ROWS: Final = 50
_PREPARED_MAX: Final = 200
_CANCEL_SECONDS: Final = 5.0
_CANCEL_AGAIN_MS: Final = 100

_BYTEA, _INT8, _TEXT = 17, 20, 25
_ARRAY_OF: Final = {_BYTEA: 1001, _INT8: 1016, _TEXT: 1009}
_ARRAY_BEGIN: Final = Struct("!iiIii").pack
_LENGTH: Final = Struct("!i").pack
_NUMBER: Final = Struct("!iq").pack
_NULL: Final = _LENGTH(-1)

_Given = tuple[bytes | None, Format, int]
"""A parameter as libpq takes it: its bytes, their format, and its type, 0 for what the statement says."""


class Session(psycopg.Connection[tuple[Any, ...]]):
    """A connection with a quicker way to ask.

    Attributes:
        prepares: whether statements are prepared: not behind a pooler that gives each transaction another session.
    """

    prepares: bool = True

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._known: dict[bytes, bytes | None] = {}  # statements that were asked, and their names once prepared
        self._numbers = count(1)
        self._poll = select.poll()
        self._poll.register(self.pgconn.socket, select.POLLIN)
        self._transformer = Transformer(self)

    def ask(self, statement: bytes, given: Sequence[Any] = (), bytes_max: int | None = None) -> list[tuple[Any, ...]]:
        """All rows of a statement, whose parameters are `$1`, `$2`, …: numbers, texts, bytes, None, and lists of these.

        Args:
            statement: what is asked.
            given: the parameters.
            bytes_max: for rows of events: if their data and meta have so many bytes together, the rest is not waited
                for. The session is of no more use then.
        """
        with self._letting_go():
            values = _Values(given)
            self._send(statement, values, self._name(statement, values))
            if bytes_max is not None and capabilities.has_stream_chunked():
                self.pgconn.set_chunked_rows_mode(_CHUNK_ROWS)
            rows, failed = self._answer(bytes_max)
        if failed is not None:
            raise failed
        return rows

    def ask_all(self, statements: Sequence[tuple[bytes, Sequence[Any]]]) -> list[list[tuple[Any, ...]]]:
        """The rows of each of some statements, which go to the server together; after one that fails none is done."""
        pgconn = self.pgconn
        with self._letting_go():
            given = [(statement, _Values(values)) for statement, values in statements]
            named = [(*each, self._name(*each)) for each in given]
            pgconn.enter_pipeline_mode()
            for each in named:
                self._send(*each)
            pgconn.pipeline_sync()
            answers = [self._answer(None) for _ in statements]
            self._result()  # that of the end
            pgconn.exit_pipeline_mode()
        for _, failed in answers:
            if failed is not None:
                raise failed
        return [rows for rows, _ in answers]

    def said_something(self) -> bool:
        """Whether there is something to read."""
        return bool(self._poll.poll(0))

    @contextmanager
    def _letting_go(self) -> Iterator[None]:
        """An interrupted thread leaves nothing running on the server."""
        try:
            yield
        except psycopg.Error:
            raise
        except BaseException:
            self._stop()
            raise

    def _stop(self) -> None:
        """Have what runs cancelled.

        The server passes over a request that overtakes its statement: it is made again, until the server has begun to
        answer before one.
        """
        poll = select.poll()
        poll.register(self.pgconn.socket, select.POLLIN)
        end = time.monotonic() + _CANCEL_SECONDS
        while self.pgconn.transaction_status == TransactionStatus.ACTIVE and (left := end - time.monotonic()) > 0:
            begun = bool(poll.poll(0))
            self.cancel_safe(timeout=left)
            if begun:
                return
            poll.poll(_CANCEL_AGAIN_MS)

    def _send(self, statement: bytes, given: "_Values", name: bytes | None) -> None:
        if name is None:
            self.pgconn.send_query_params(statement, given.values, given.types, given.formats, Format.BINARY)
        else:
            self.pgconn.send_query_prepared(name, given.values, given.formats, Format.BINARY)

    def _name(self, statement: bytes, given: "_Values") -> bytes | None:
        """The name that a statement was prepared under; None if it is asked for the first time."""
        if not self.prepares:
            return None
        try:
            name = self._known[statement]
        except KeyError:
            if len(self._known) < _PREPARED_MAX:
                self._known[statement] = None
            return None
        if name is None:
            name = b"act_fast_%d" % next(self._numbers)
            self.pgconn.send_prepare(name, statement, given.types)
            _, failed = self._answer(None)
            if failed is not None:
                raise failed
            self._known[statement] = name
        return name

    def _answer(self, bytes_max: int | None) -> tuple[list[tuple[Any, ...]], psycopg.Error | None]:
        """The rows of a statement, or what went wrong."""
        transformer = self._transformer
        rows: list[tuple[Any, ...]] = []
        failed: psycopg.Error | None = None
        size = 0
        while (result := self._result()) is not None:
            if result.ntuples:
                transformer.set_pgresult(result, set_loaders=not rows)
                chunk = transformer.load_rows(0, result.ntuples, tuple)
                rows += chunk
                if bytes_max is not None:
                    for row in chunk:
                        size += len(row[5]) + len(row[6])
                    if size >= bytes_max:
                        break
            elif result.status == ExecStatus.FATAL_ERROR:
                failed = failed or error_from_result(result, "utf-8")
        return rows, failed

    def _result(self) -> PGresult | None:
        """The next that there is of an answer."""
        pgconn = self.pgconn
        self._flush()
        while pgconn.is_busy():
            self._poll.poll()
            pgconn.consume_input()
        return pgconn.get_result()

    def _flush(self) -> None:
        """Send what was not sent at once; the server may have something to say meanwhile."""
        while self.pgconn.flush():
            poll = select.poll()
            poll.register(self.pgconn.socket, select.POLLIN | select.POLLOUT)
            if any(event & select.POLLIN for _, event in poll.poll()):
                self.pgconn.consume_input()


class _Values:
    """Parameters as libpq takes them: the bytes, the format and the type of each."""

    __slots__ = ("formats", "types", "values")

    def __init__(self, given: Sequence[Any]) -> None:
        encoded = [_encoded(value) for value in given]
        self.values: list[bytes | None] = [value for value, _, _ in encoded]
        self.formats: list[int] = [form for _, form, _ in encoded]
        self.types: list[int] = [kind for _, _, kind in encoded]


def _encoded(value: Any) -> _Given:
    match value:
        case None:
            return None, Format.TEXT, 0
        case str():
            return value.encode(), Format.TEXT, 0
        case int():
            return b"%d" % value, Format.TEXT, 0
        case bytes():
            return value, Format.BINARY, _BYTEA
        case list():
            return _encoded_list(value)
    raise TypeError(f"a statement takes no {type(value).__name__}")


def _encoded_list(values: list[Any]) -> _Given:
    kind = next((type(value) for value in values if value is not None), None)
    if kind is None:
        return b"{%b}" % b",".join([b"NULL"] * len(values)), Format.TEXT, 0
    if kind is int:
        of, each = _INT8, [_NULL if value is None else _NUMBER(8, value) for value in values]
    else:
        of = _BYTEA if kind is bytes else _TEXT
        encoded = values if kind is bytes else [None if value is None else value.encode() for value in values]
        each = [_NULL if value is None else _LENGTH(len(value)) + value for value in encoded]
    return b"".join((_ARRAY_BEGIN(1, None in values, of, len(values), 1), *each)), Format.BINARY, _ARRAY_OF[of]
