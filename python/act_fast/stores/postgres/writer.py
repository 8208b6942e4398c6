"""Appending: whatever the threads of a process want appended goes to the database in one round trip and one flush.

A thread that has something to append adds it to what is waiting. The first to get the lock takes all that waits,
appends it as one batch, and hands each request its own outcome; the others find theirs when the lock is free. So a
thread that is alone never waits for another, and many share a flush.

Each batch has a number of its writer's. The database keeps the outcome of a writer's last batch in the same
transaction, so one that is sent again, because its connection broke, is not appended again: it gets the outcome that it
had.
"""

import contextlib
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import psycopg
from psycopg import Connection, sql

from act_fast._core import Appended
from act_fast._runtime.forks import tell_in_child
from act_fast.errors import ConcurrencyError, OutcomeUnknownError, StoreError
from act_fast.stores.postgres.connections import Connections, asking, broken, ready, said

__all__ = ["Part", "Request", "Writer"]

Part: TypeAlias = tuple[str, Sequence[tuple[str, bytes]], int | None]
"""A stream, its events as pairs of name and JSON, and the version that it is expected at."""

_EVENTS_MAX: Final = 5_000
_BYTES_MAX: Final = 32 * 1024 * 1024
"""A batch is no larger than this, unless a single request is."""

_PATIENCE_SECONDS: Final = 30.0
"""How long to ask what became of a batch whose connection broke: a restart or a fail-over takes less."""

_RETRY_SECONDS: Final = 0.02
_RETRY_SECONDS_MAX: Final = 1.0
_NEVER: Final = -1
"""No stream is at this version, so what expects it is refused."""

_CLASHES_MAX: Final = 100
_CLASH: Final = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)
"""With these the transaction was undone: a role may have another isolation level than the usual one."""


class Request:
    """What one caller wants appended, as one commit.

    Attributes:
        parts: a stream's events each.
        meta: what the commit carries besides; empty for nothing.
        correlation: the id in its meta by which it is found, in UTF-8.
        events: how many there are.
        size: how many bytes of data they have.
        outcome: what became of it: where its parts are, or an error. None while it waits.
        withdrawn: whether its caller was interrupted, so that it must not be appended any more.
    """

    __slots__ = ("correlation", "events", "meta", "outcome", "parts", "size", "withdrawn")

    def __init__(self, parts: Sequence[Part], meta: bytes, correlation: bytes | None) -> None:
        self.parts: Sequence[Part] = parts
        self.meta: bytes = meta
        self.correlation: bytes | None = correlation
        self.events: int = sum(len(events) for _, events, _ in parts)
        self.size: int = sum(len(data) for _, events, _ in parts for _, data in events)
        self.outcome: list[Appended] | Exception | None = None
        self.withdrawn: bool = False


class Writer:
    """The one writer of a store in this process.

    Args:
        connections: to the database.
        appended: called with a position once the log has reached it.
    """

    def __init__(self, connections: Connections, appended: Callable[[int], None]) -> None:
        self._connections = connections
        self._appended = appended
        self._schema = sql.Identifier(connections.place.schema)
        self._append = sql.SQL(
            "select {}.append_batch(%b::uuid, %b::bigint, %b::bigint[], %b::text[], %b::bigint[], %b::bigint[],"
            " %b::text[], %b::bytea[], %b::bytea[], %b::bytea[])"
        ).format(self._schema)
        self._append_one = sql.SQL(
            "select {}.append_one(%b::uuid, %b::bigint, %b::text, %b::bigint, %b::text, %b::bytea, %b::bytea,"
            " %b::bytea)"
        ).format(self._schema)
        self._me = uuid.uuid4()
        self._number = 0
        self._lock = threading.Lock()
        self._waiting: deque[Request] = deque()
        self._batch: list[Request] = []  # what is being appended; kept when its leader is interrupted
        self._connection: Connection[Any] | None = None
        tell_in_child(self)

    def forked(self) -> None:
        """Whoever held the lock stayed with the parent, and so did what waits."""
        self._lock = threading.Lock()

    def append(self, request: Request) -> list[Appended]:
        """Append a commit; where its parts are.

        Raises:
            ConcurrencyError: a stream is at another version; nothing was written.
            OutcomeUnknownError: the connection broke, and the database did not come back to say what became of it.
            StoreError: the database cannot be reached, or refuses; nothing was written.
        """
        self._connections.check()
        self._waiting.append(request)
        try:
            with self._lock:
                try:
                    while request.outcome is None:
                        self._append_batch()
                except BaseException:
                    request.withdrawn = True
                    raise
        except BaseException:
            # Interrupted. What is there already stays, without this caller hearing of it; what is not never will be.
            with contextlib.suppress(ValueError):
                self._waiting.remove(request)
            raise
        if isinstance(request.outcome, Exception):
            raise request.outcome
        return request.outcome

    def close(self) -> None:
        """Let go of the connection, and of what is kept of this writer."""
        if not self._connections.ours:
            return
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is None:
            return
        with contextlib.suppress(psycopg.Error):
            forget = sql.SQL("delete from {}.writers where writer = %s").format(self._schema)
            connection.execute(forget, (self._me,))
        connection.close()

    def abandon(self) -> None:
        """Let go of the connection without a word: for when the store is collected."""
        if self._connection is not None and self._connections.ours:
            self._connection.close()

    def _append_batch(self) -> None:
        """Append what waits, or what an interrupted leader has left. Each request has its outcome afterwards."""
        if all(each.withdrawn for each in self._batch):
            self._batch = self._take()
            self._number += 1
        batch = self._batch
        try:
            head = _tell(batch, self._outcome(batch))
        except StoreError as error:
            for each in batch:
                each.outcome = _again(error)
            head = 0
        self._batch = []
        if head:
            self._appended(head)

    def _take(self) -> list[Request]:
        taken: list[Request] = []
        events = size = 0
        while self._waiting:
            first = self._waiting[0]
            events, size = events + first.events, size + first.size
            if taken and (events > _EVENTS_MAX or size > _BYTES_MAX):
                break
            try:
                taken.append(self._waiting.popleft())
            except IndexError:  # its caller was interrupted just now
                break
        return taken

    def _outcome(self, batch: Sequence[Request]) -> Sequence[int]:
        """Append requests in their order, each for itself."""
        alone = len(batch) == 1 and batch[0].events == 1 and len(batch[0].parts) == 1
        append = self._append_one if alone else self._append
        given = (self._me, self._number, *(_single(batch[0]) if alone else _flat(batch)))
        clashes, sent, waited = 0, False, 0.0
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                with asking(self._connections.place):
                    connection = self._connected()
                    sent = True
                    row = connection.execute(append, given, binary=True).fetchone()
                assert row is not None
                found: Sequence[int] = row[0]
                return found
            except StoreError as error:
                cause = error.__cause__
                if isinstance(cause, _CLASH) and clashes < _CLASHES_MAX:
                    clashes += 1
                    continue
                if cause is None or not broken(cause) or not sent:
                    raise
                if time.monotonic() > end:
                    raise OutcomeUnknownError(
                        f"the connection to the database at {self._connections.place} broke during an append, and it"
                        f" could not be asked since whether the events are there: {said(cause)}; load the stream again"
                        " before you append again"
                    ) from error
            self._drop()
            time.sleep(waited)
            waited = min(max(2 * waited, _RETRY_SECONDS), _RETRY_SECONDS_MAX)

    def _connected(self) -> Connection[Any]:
        connection = self._connection
        # The server has nothing to say to a session that does nothing, but that it has ended. To notice it before
        # anything is sent spares the question what became of it.
        if connection is not None and (connection.closed or ready((connection.fileno(),), 0)):
            self._drop()
        if self._connection is None:
            self._connection = self._connections.new()
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _again(error: StoreError) -> StoreError:
    """The same error for another caller: two threads that raise one object would share its traceback."""
    copy = type(error)(*error.args)
    copy.__cause__ = error.__cause__
    return copy


def _single(request: Request) -> tuple[Any, ...]:
    ((stream, ((name, data),), expected),) = request.parts
    return stream, _NEVER if request.withdrawn else expected, name, data, request.meta, request.correlation


def _flat(batch: Sequence[Request]) -> tuple[list[Any], ...]:
    parts = [part for request in batch for part in request.parts]
    events = [event for _, each, _ in parts for event in each]
    return (
        [len(request.parts) for request in batch],
        [stream for stream, _, _ in parts],
        [_NEVER if request.withdrawn else expected for request in batch for _, _, expected in request.parts],
        [len(each) for _, each, _ in parts],
        [name for name, _ in events],
        [data for _, data in events],
        [request.meta for request in batch],
        [request.correlation for request in batch],
    )


def _tell(batch: Sequence[Request], found: Sequence[int]) -> int:
    """Give each request its outcome, three numbers for each part; the last position, 0 when all were refused."""
    at = last = 0
    for request in batch:
        appended: list[Appended] = []
        refused: ConcurrencyError | None = None
        for _, events, _ in request.parts:
            first_version, first_position, actual = found[at : at + 3]
            at += 3
            if first_version:
                more = len(events) - 1
                last = first_position + more
                appended.append(Appended(first_version, first_version + more, first_position, last))
            else:
                culprit, _, expected = request.parts[first_position - 1]
                refused = ConcurrencyError(culprit, expected or 0, actual)
        request.outcome = refused or appended
    return last
