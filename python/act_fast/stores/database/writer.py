"""Appending: whatever the threads of a process want appended goes to the database in one round trip and one flush.

A thread that has something to append adds it to what is waiting. Where no other one leads, it leads: it takes all that
waits, appends it as one batch, gives each request its own outcome, wakes their threads, and then the first of those
that have come meanwhile, which leads next. So a thread that is alone never waits for another, and many share a flush.

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
from itertools import chain
from typing import Final, Generic, Protocol, TypeVar

from act_fast._core import Appended
from act_fast._rows import ConditionRow, OnceRow, ProposedPart
from act_fast._runtime.forks import tell_in_child
from act_fast.errors import ConcurrencyError, ConditionError, ConflictError, OutcomeUnknownError, StoreError
from act_fast.stores.database.connections import Connections, said
from act_fast.stores.database.tags import tags_of
from act_fast.stores.once import Repeated

__all__ = ["NEVER", "Appending", "Request", "Writer"]

C = TypeVar("C")
C_contra = TypeVar("C_contra", contravariant=True)

_EVENTS_MAX: Final = 5_000
_BYTES_MAX: Final = 32 * 1024 * 1024
"""A batch is no larger than this, unless a single request is."""

_PATIENCE_SECONDS: Final = 30.0
"""How long to ask what became of a batch whose connection broke: a restart or a fail-over takes less."""

_LOOK_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 0.02
_RETRY_SECONDS_MAX: Final = 1.0
NEVER: Final = -1
"""No stream is at this version, so what expects it is refused."""

_CLASHES_MAX: Final = 100


class Request:
    """What one caller wants appended, as one commit.

    Attributes:
        parts: a stream's events each.
        meta: what the commit carries besides; empty for nothing.
        correlation: the id in its meta by which it is found, in UTF-8.
        versions: streams that it need not write to, and the versions that they must be at.
        conditions: which events must not be there, as items and the position behind which.
        once: the key that it carries as a tag, and the time since when its uses count; None without one.
        plain: whether it has neither tags nor any of these, so that only the versions of its own streams matter.
        events: how many there are.
        size: how many bytes of data they have.
        outcome: what became of it: where its parts are, or an error. None while it waits.
        withdrawn: whether its caller was interrupted, so that it must not be appended any more.
    """

    __slots__ = (
        *("_told", "conditions", "correlation", "events", "meta", "once", "outcome", "parts", "plain", "size"),
        *("versions", "withdrawn"),
    )

    def __init__(
        self,
        parts: Sequence[ProposedPart],
        meta: bytes,
        correlation: bytes | None,
        versions: Sequence[tuple[str, int]] = (),
        conditions: Sequence[ConditionRow] = (),
        once: OnceRow | None = None,
    ) -> None:
        self.parts: Sequence[ProposedPart] = parts
        self.meta: bytes = meta
        self.correlation: bytes | None = correlation
        self.versions: Sequence[tuple[str, int]] = versions
        self.conditions: Sequence[ConditionRow] = conditions
        self.once: OnceRow | None = once
        self.plain: bool = not (versions or conditions or any(map(tags_of, chain(*(each[1] for each in parts)))))
        self.events: int = sum(len(events) for _, events, _ in parts)
        self.size: int = sum(len(event[1]) for _, events, _ in parts for event in events)
        self.outcome: list[Appended] | Exception | None = None
        self.withdrawn: bool = False
        self._told = threading.Lock()
        self._told.acquire()

    @property
    def settled(self) -> bool:
        """Whether it must not be appended any more: it has its outcome, or its caller has withdrawn it."""
        return self.withdrawn or self.outcome is not None

    def wait(self) -> None:
        """Return when it has its outcome or may lead; or after a while, in case the telling thread was interrupted."""
        self._told.acquire(timeout=_LOOK_SECONDS)

    def tell(self) -> None:
        """Wake the thread that waits for it, now or when it comes to wait."""
        with contextlib.suppress(RuntimeError):  # it was told before
            self._told.release()


class Appending(Protocol[C_contra]):
    """The statements of an append."""

    def append(self, connection: C_contra, writer: uuid.UUID, number: int, batch: Sequence[Request]) -> Sequence[int]:
        """Append requests in their order, each for itself, in one transaction that is committed.

        One that was done already, as the writer's batch of that number, is not done again.

        Returns:
            three numbers for each part: its first version, its first position and 0; or, where its request was refused,
            0, the number of the cause, and the version that its stream is at, or the position that is in its way. The
            parts, the versions, the conditions and the key of a request are numbered in this order, from 1.
        """
        ...

    def forget(self, connection: C_contra, writer: uuid.UUID) -> None:
        """Drop what is kept of a writer."""
        ...

    def clashed(self, error: BaseException) -> bool:
        """Whether the database undid a transaction because of others, so that it may be tried again."""
        ...


class Writer(Generic[C]):
    """The one writer of a store in this process.

    Args:
        connections: to the database.
        appending: how the database appends.
        appended: called with a position once the log has reached it.
    """

    def __init__(self, connections: Connections[C], appending: Appending[C], appended: Callable[[int], None]) -> None:
        self._connections = connections
        self._appending = appending
        self._appended = appended
        self._me = uuid.uuid4()
        self._lock = threading.Lock()
        # A request that is not settled is in one of these two at any moment, at which its leader may be interrupted.
        self._waiting: deque[Request] = deque()
        self._batch: tuple[int, Sequence[Request]] = 0, ()  # what is being appended, and the number of that
        self._connection: C | None = None
        tell_in_child(self)

    def forked(self) -> None:
        """The thread that held the lock stayed with the parent, and so did waiting requests."""
        self._lock = threading.Lock()

    def append(self, request: Request) -> list[Appended]:
        """Append a commit; where its parts are.

        Raises:
            ConcurrencyError: a stream is at another version; nothing was written.
            ConditionError: an event that a condition excludes is there; nothing was written.
            Repeated: its key was used before; nothing was written. Only the first position is known.
            OutcomeUnknownError: the connection broke, and the database did not come back to say what became of it.
            StoreError: the database cannot be reached, or refuses; nothing was written.
        """
        self._connections.check()
        try:
            self._waiting.append(request)
            while request.outcome is None:
                if self._lock.locked():
                    request.wait()
                    continue
                with self._lock:
                    while request.outcome is None:
                        self._append_batch()
                self._let_next_lead()
        except BaseException:
            # Interrupted. What is there already stays, without this caller hearing of it; what is not never will be.
            request.withdrawn = True
            self._waits_no_more(request)
            for each in self._batch[1]:
                each.tell()
            self._let_next_lead()
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
        with contextlib.suppress(self._connections.errors):
            self._appending.forget(connection, self._me)
        self._connections.end(connection)

    def abandon(self) -> None:
        """Let go of the connection without a word: for when the store is collected."""
        if self._connection is not None and self._connections.ours:
            self._connections.end(self._connection)

    def _append_batch(self) -> None:
        """Append what waits, or what an interrupted leader has left. Each request has its outcome afterwards."""
        number, batch = self._batch
        if all(each.settled for each in batch):
            number, batch = self._batch = number + 1, self._first_that_wait()
        for each in batch:
            self._waits_no_more(each)
        try:
            head = _tell(batch, self._outcome(number, batch))
        except StoreError as error:
            for each in batch:
                each.outcome = each.outcome or _again(error)
            head = 0
        for each in batch:
            each.tell()
        self._batch = number, ()
        if head:
            self._appended(head)

    def _let_next_lead(self) -> None:
        """Wake the first that waits."""
        with contextlib.suppress(IndexError):
            self._waiting[0].tell()

    def _first_that_wait(self) -> list[Request]:
        first: list[Request] = []
        events = size = 0
        for each in self._waiting.copy():
            if each.settled:
                self._waits_no_more(each)
                continue
            events, size = events + each.events, size + each.size
            if first and (events > _EVENTS_MAX or size > _BYTES_MAX):
                break
            first.append(each)
        return first

    def _waits_no_more(self, request: Request) -> None:
        with contextlib.suppress(ValueError):
            self._waiting.remove(request)

    def _outcome(self, number: int, batch: Sequence[Request]) -> Sequence[int]:
        """Append requests in their order, each for itself."""
        clashes, sent, waited = 0, False, 0.0
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                with self._connections.asking():
                    connection = self._connected()
                    sent = True
                    return self._appending.append(connection, self._me, number, batch)
            except StoreError as error:
                cause = error.__cause__
                if cause is not None and self._appending.clashed(cause) and clashes < _CLASHES_MAX:
                    clashes += 1
                    continue
                if cause is None or not self._connections.broken(cause) or not sent:
                    raise
                if time.monotonic() > end:
                    raise OutcomeUnknownError(
                        f"the connection to the database at {self._connections.place} broke during an append, and it"
                        f" could not be asked since whether the events are there: {said(cause)}; load the stream again"
                        " before you append again"
                    ) from error
            except BaseException:  # interrupted: an answer may be on its way
                self._drop()
                raise
            self._drop()
            time.sleep(waited)
            waited = min(max(2 * waited, _RETRY_SECONDS), _RETRY_SECONDS_MAX)

    def _connected(self) -> C:
        connection = self._connection
        # To notice that the server has ended it before anything is sent spares the question what became of it.
        if connection is not None and self._connections.ended(connection):
            self._drop()
        if self._connection is None:
            self._connection = self._connections.new()
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._connections.end(connection)


def _again(error: StoreError) -> StoreError:
    """The same error for another caller: two threads that raise one object would share its traceback."""
    copy = type(error)(*error.args)
    copy.__cause__ = error.__cause__
    return copy


def _tell(batch: Sequence[Request], found: Sequence[int]) -> int:
    """Give each request its outcome, three numbers for each part; the last position, 0 when all were refused.

    A request keeps an outcome that it already has, from a thread that was interrupted while it told them.
    """
    at = last = 0
    for request in batch:
        appended: list[Appended] = []
        refused: ConflictError | Repeated | None = None
        for _, events, _ in request.parts:
            first_version, first_position, actual = found[at : at + 3]
            at += 3
            if first_version:
                more = len(events) - 1
                last = first_position + more
                appended.append(Appended(first_version, first_version + more, first_position, last))
            else:
                refused = _refused(request, first_position, actual)
        request.outcome = request.outcome or refused or appended
    return last


def _refused(request: Request, number: int, actual: int) -> ConflictError | Repeated:
    """What stood against a request, by its number there."""
    expected = [(stream, expected or 0) for stream, _, expected in request.parts] + [*request.versions]
    if number <= len(expected):
        return ConcurrencyError(*expected[number - 1], actual)
    number -= len(expected)
    if number <= len(request.conditions):
        return ConditionError(request.conditions[number - 1][1], actual)
    return Repeated(actual, actual)
