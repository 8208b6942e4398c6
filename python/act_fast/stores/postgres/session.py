"""A connection that asks by libpq's own verbs, without what psycopg does around each statement.

A statement is prepared once it is asked for the second time. Rows come in chunks, so those that are there are made
into tuples while the server is at the next.
"""

import select
from collections.abc import Sequence
from itertools import count
from struct import Struct
from typing import Any, Final

import psycopg
from psycopg import capabilities
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, Format

__all__ = ["Session"]

_CHUNK_ROWS: Final = 50
_PREPARED_MAX: Final = 200
_CANCEL_SECONDS: Final = 5.0

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
            bytes_max: if the last two columns of its rows, which are bytes, have so many together, the rest is not
                waited for. The session is of no more use then.
        """
        try:
            self._send(statement, given)
            if bytes_max is not None and capabilities.has_stream_chunked():
                self.pgconn.set_chunked_rows_mode(_CHUNK_ROWS)
            return self._answer(bytes_max)
        except psycopg.Error:
            raise
        except BaseException:  # interrupted
            self.cancel_safe(timeout=_CANCEL_SECONDS)
            raise

    def said_something(self) -> bool:
        """Whether there is something to read."""
        return bool(self._poll.poll(0))

    def _send(self, statement: bytes, given: Sequence[Any]) -> None:
        values, formats, types = zip(*map(_encoded, given), strict=True) if given else ((), (), ())
        name = self._name(statement, types) if self.prepares else None
        if name is None:
            self.pgconn.send_query_params(statement, values, types, formats, Format.BINARY)
        else:
            self.pgconn.send_query_prepared(name, values, formats, Format.BINARY)

    def _name(self, statement: bytes, types: Sequence[int]) -> bytes | None:
        """The name that a statement was prepared under; None if it is asked for the first time."""
        try:
            name = self._known[statement]
        except KeyError:
            if len(self._known) < _PREPARED_MAX:
                self._known[statement] = None
            return None
        if name is None:
            name = b"act_fast_%d" % next(self._numbers)
            self.pgconn.send_prepare(name, statement, types)
            self._answer(None)
            self._known[statement] = name
        return name

    def _answer(self, bytes_max: int | None) -> list[tuple[Any, ...]]:
        pgconn, transformer = self.pgconn, self._transformer
        self._flush()
        rows: list[tuple[Any, ...]] = []
        failed: psycopg.Error | None = None
        size = 0
        while True:
            while pgconn.is_busy():
                self._poll.poll()
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:
                break
            if result.ntuples:
                transformer.set_pgresult(result, set_loaders=not rows)
                chunk = transformer.load_rows(0, result.ntuples, tuple)
                rows += chunk
                if bytes_max is not None:
                    for row in chunk:
                        size += len(row[-1]) + len(row[-2])
                    if size >= bytes_max:
                        return rows
            elif result.status == ExecStatus.FATAL_ERROR:
                failed = failed or error_from_result(result, "utf-8")
        if failed is not None:
            raise failed
        return rows

    def _flush(self) -> None:
        """Send what was not sent at once; the server may have something to say meanwhile."""
        while self.pgconn.flush():
            poll = select.poll()
            poll.register(self.pgconn.socket, select.POLLIN | select.POLLOUT)
            if any(event & select.POLLIN for _, event in poll.poll()):
                self.pgconn.consume_input()


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
