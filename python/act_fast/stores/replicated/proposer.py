"""Proposing: what the threads of a process want goes to the ordered log as records, several of them under way at once.

A thread adds its proposal to what waits, and sleeps. One thread takes what waits, as much as a record may have, and
submits it; so the proposals of many threads share a record while the engine is busy. Another one waits until a record
that the engine has taken was applied here, looks up what became of its proposals, and wakes who wants to know.

A record whose acknowledgement is lost is submitted again as it was: it has a number in its session, so that it counts
once however often it is there.
"""

import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Final, TypeAlias

from act_fast._core import Appended, Log, body_record, commits_record
from act_fast._rows import EventPair, GuardedProposal, Proposal, ProposedPart
from act_fast._runtime.forks import tell_in_child
from act_fast.errors import (
    ConcurrencyError,
    ConflictError,
    EngineAwayError,
    OutcomeUnknownError,
    StoreClosedError,
    StoreError,
    StoreFullError,
    ValidationError,
)
from act_fast.stores.given import Guards
from act_fast.stores.once import Repeated
from act_fast.stores.ordered.port import OrderedLog
from act_fast.stores.replicated.state import State

__all__ = ["Part", "Proposed", "Proposer"]

Part: TypeAlias = ProposedPart
"""A stream, its events, and the version that it is expected at."""

_UNDER_WAY: Final = 2
"""So many records are under way at once. What comes meanwhile shares the next one, as each record costs its own."""

_UNDER_WAY_MAX: Final = 16
"""So many are, if they are full."""

_AHEAD_MAX: Final = 48
"""So far may the numbers of a session's records that are under way be apart; then another session begins. The core
knows the last 64 numbers of a session, and takes a record that is further back for one that has been applied."""

_PATIENCE_SECONDS: Final = 30.0
"""How long a record may take: a fail-over of the engine takes less."""

_RETRY_SECONDS: Final = 0.2
_LOOK_SECONDS: Final = 1.0
_BATCH_BYTES_MAX: Final = 1024 * 1024
"""A record is no larger than this, unless a single commit is."""

_TIME_MAX_MS: Final = 1 << 46
"""The largest time that a record may have."""

_OVERHEAD_BYTES: Final = 128
_PART_BYTES: Final = 32
_EVENT_BYTES: Final = 16
_TAG_BYTES: Final = 4


@dataclass(slots=True)
class Proposed:
    """The outcomes of the commits that this process has proposed so far.

    Attributes:
        commits: those whose outcome is known, or will never be known.
        records: the records that carried them; fewer, if many threads append at once.
        refused: those that were refused: a stream was at another version.
        failed: those that the engine did not take.
        unknown: those whose outcome is not known.
        seconds: how long all of them took, from the call until it was answered.
    """

    commits: int = 0
    records: int = 0
    refused: int = 0
    failed: int = 0
    unknown: int = 0
    seconds: float = 0.0


class _Wanted:
    """What one caller wants in the ordered log, and what became of it.

    Attributes:
        began: when it was asked for.
        size: how many bytes it takes in a record, at most.
        outcome: where the parts of a commit are, the place of another record, or an error. None while it is open.
        taken: whether it is in a record, which can no longer be called back.
    """

    __slots__ = ("_told", "began", "outcome", "size", "taken")

    def __init__(self, size: int) -> None:
        self.began: float = time.monotonic()
        self.size: int = size
        self.outcome: list[Appended] | int | Exception | None = None
        self.taken = False
        self._told = threading.Lock()
        self._told.acquire()

    def tell(self, outcome: "list[Appended] | int | Exception") -> None:
        """Give it its outcome, and wake who waits for it."""
        if self.outcome is None:
            self.outcome = outcome
            self._told.release()

    def wait_for(self, seconds: float) -> None:
        """Sleep until there is an outcome, or so many seconds."""
        if seconds and self._told.acquire(timeout=seconds):
            self._told.release()

    def wait(self) -> "list[Appended] | int":
        """Sleep until there is an outcome; raises it where it is an error."""
        while self.outcome is None:
            if self._told.acquire(timeout=_LOOK_SECONDS):
                self._told.release()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class _Commit(_Wanted):
    """A commit that a caller wants."""

    __slots__ = ("created", "guards", "meta", "parts")

    def __init__(
        self, parts: Sequence[Part], meta: bytes, created: int | None = None, guards: Guards | None = None
    ) -> None:
        size = _OVERHEAD_BYTES + len(meta) + sum(_PART_BYTES + len(stream.encode()) for stream, _, _ in parts)
        size += sum(_size_of(event) for _, events, _ in parts for event in events)
        super().__init__(size + (0 if guards is None else _size_of_guards(guards)))
        self.created = time.time_ns() // 1000 if created is None else created
        self.parts = parts
        self.meta = meta
        self.guards = guards


class _Body(_Wanted):
    """Another record that a caller wants."""

    __slots__ = ("body", "kind")

    def __init__(self, kind: str, body: bytes) -> None:
        super().__init__(_OVERHEAD_BYTES + len(body))
        self.kind = kind
        self.body = body


class _Record:
    """A record under way.

    Attributes:
        number: its number among those of this proposer.
        record: what it is.
        wanted: what is in it.
        applied: how far this replica was when it was first submitted: it lands behind that.
        place: where it is; 0 as long as that is not known.
        doubtful: whether it may be there although its place is not known.
        end: until when it is submitted again.
    """

    __slots__ = ("applied", "doubtful", "end", "number", "place", "record", "wanted")

    def __init__(self, number: int, record: bytes, wanted: Sequence[_Wanted], applied: int) -> None:
        self.number: int = number
        self.record: bytes = record
        self.wanted: Sequence[_Wanted] = wanted
        self.applied: int = applied
        self.place = 0
        self.doubtful = False
        self.end: float = time.monotonic() + _PATIENCE_SECONDS


class Proposer:
    """The one proposer of a store in this process.

    Args:
        ordered: the ordered log.
        log: the replica.
        state: what is kept beside it.
        store_id: of both.
        trouble: why nothing is applied, if that is so.
        offer: takes a record of ours, and its place, for it to be applied without being read.
    """

    def __init__(
        self,
        ordered: OrderedLog,
        log: Log,
        state: State,
        store_id: bytes,
        trouble: Callable[[], Exception | None],
        offer: Callable[[int, bytes], None],
    ) -> None:
        self._ordered = ordered
        self._log = log
        self._state = state
        self._store_id = store_id
        self._trouble = trouble
        self._offer = offer
        self._process = os.getpid()
        self._session = secrets.token_bytes(16)
        self._number = 0
        self._session_begins = 0  # the number before its first record
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._waiting: deque[_Wanted] = deque()
        self._waiting_bytes = 0
        self._repeated: dict[bytes, _Body] = {}  # what is said again and again, and is under way
        self._under_way: dict[int, None] = {}  # their numbers, the lowest first
        self._landed: SimpleQueue[_Record | None] = SimpleQueue()
        self._closed = False
        self.proposed: Final = Proposed()
        self._threads: Final = [
            threading.Thread(target=each, name=name, daemon=True)
            for each, name in ((self._submit_all, "act-fast-propose"), (self._settle_all, "act-fast-settle"))
        ]
        for thread in self._threads:
            thread.start()
        tell_in_child(self)

    def forked(self) -> None:
        """The thread that held the lock stayed with the parent, as did the others; nothing is proposed here."""
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)

    def append(self, parts: Sequence[Part], meta: bytes, guards: Guards | None = None) -> list[Appended]:
        """Append a commit, if what guards it holds; where its parts are.

        Raises:
            ConcurrencyError: a stream is at another version, up to which it can be read here by now; nothing was
                written.
            ConditionError: an event that a condition excludes is there; nothing was written.
            Repeated: its key was used before; nothing was written.
            ValidationError: the commit is too large for a record; nothing was written.
            OutcomeUnknownError: the engine did not say in time whether it has the record.
            StoreError: the engine cannot be reached, or refuses; nothing was written.
        """
        (found,) = self._have([_Commit(parts, meta, guards=guards)])
        assert isinstance(found, list)
        return found

    def copy(self, commits: Sequence[tuple[Sequence[Part], bytes, int]]) -> list[list[Appended]]:
        """Append commits in their order, a record after the other: parts, meta, and µs since 1970 each."""
        found: list[list[Appended]] = []
        waiting = deque(_Commit(*commit) for commit in commits)
        while waiting:
            first = self._first_of(waiting)
            found += [each for each in self._have(first) if isinstance(each, list)]
        return found

    def propose(self, kind: str, *bodies: bytes) -> None:
        """Have records of another kind in the ordered log, in any order, and applied here."""
        self._have([_Body(kind, body) for body in bodies])

    @property
    def body_bytes_max(self) -> int:
        """How large the body of such a record may be."""
        return min(self._ordered.max_record, _BATCH_BYTES_MAX) - _OVERHEAD_BYTES

    def say(self, kind: str, body: bytes, *, wait_seconds: float = 0.0) -> None:
        """Have such a record in the ordered log, sooner or later, or not at all; wait for it for a while."""
        said = _Body(kind, body)
        with self._lock:
            if self._closed:
                return
            self._waiting.append(said)
            self._waiting_bytes += said.size
            self._changed.notify_all()
        said.wait_for(wait_seconds)

    def repeat(self, body: bytes) -> bool:
        """Say something as a member again, unless it is still being said; false once nothing can be said any more."""
        with self._lock:
            if self._closed or self._process != os.getpid():
                return False
            self._repeated = {each: said for each, said in self._repeated.items() if said.outcome is None}
            if body not in self._repeated:
                self._repeated[body] = said = _Body("member", body)
                self._waiting.append(said)
                self._waiting_bytes += said.size
                self._changed.notify_all()
        return True

    def close(self) -> None:
        """Let what is under way come to its end, and refuse anything else."""
        if self._process != os.getpid():
            return
        self._refuse()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def abandon(self) -> None:
        """Come to an end, soon and without waiting for it. Takes no lock: a collecting thread may hold any."""
        self._closed = True
        self._landed.put(None)

    def _refuse(self) -> None:
        """Refuse what waits, and anything else."""
        with self._lock:
            self._closed = True
            waiting = list(self._waiting)
            self._waiting.clear()
            self._waiting_bytes = 0
            self._changed.notify_all()
        for each in waiting:
            each.tell(_closed())

    def _have(self, wanted: Sequence[_Wanted]) -> list[list[Appended] | int]:
        largest = max(each.size if isinstance(each, _Commit) else 0 for each in wanted)  # others may be compressed
        limit = self._ordered.max_record
        if largest + _OVERHEAD_BYTES > limit:
            raise ValidationError(
                f"a commit of {largest:,} bytes does not fit into a record, which may have"
                f" {limit:,} bytes in {self._ordered.name}; append it in several commits"
            )
        if self._process != os.getpid():  # the thread that held the lock stayed with the parent
            raise _closed()
        self._check_applies()
        with self._lock:
            if self._closed:
                raise _closed()
            self._waiting.extend(wanted)
            self._waiting_bytes += sum(each.size for each in wanted)
            if self._may_submit():
                self._changed.notify_all()
        try:
            return [each.wait() for each in wanted]
        except BaseException:  # interrupted: what is under way stays so, what is not never will be
            with self._lock:
                for each in wanted:
                    if not each.taken and each in self._waiting:
                        self._waiting.remove(each)
                        self._waiting_bytes -= each.size
            raise

    def _check_applies(self) -> None:
        """Refuse what would be in the ordered log, but not here. An engine that is away says so itself."""
        trouble = self._trouble()
        if trouble is not None and not isinstance(trouble, EngineAwayError):
            kind = StoreFullError if isinstance(trouble, StoreFullError) else StoreError
            raise kind(f"nothing can be applied to {self._log.path}, so nothing was appended: {trouble}") from trouble

    def _submit_all(self) -> None:
        while True:
            with self._lock:
                while not self._closed and not self._may_submit():
                    self._changed.wait()
                if self._closed:
                    break
                wanted = self._first_that_wait()
                number = self._next_number()
            try:
                record = _Record(number, self._encode(number, wanted), wanted, self._log.applied())
            except Exception as error:
                self._end(number, wanted, error)
                continue
            self._submit(record)
        self._landed.put(None)

    def _may_submit(self) -> bool:
        """Whether there is something to submit, and it need not wait for more."""
        under_way = len(self._under_way)
        if under_way < _UNDER_WAY:
            return bool(self._waiting)
        return under_way < _UNDER_WAY_MAX and self._waiting_bytes >= _BATCH_BYTES_MAX

    def _next_number(self) -> int:
        """The number of one more record under way."""
        lowest = max(next(iter(self._under_way), self._number), self._session_begins)
        if self._number - lowest >= _AHEAD_MAX:
            self._session, self._session_begins = secrets.token_bytes(16), self._number
        self._number += 1
        self._under_way[self._number] = None
        return self._number

    def _first_that_wait(self) -> list[_Wanted]:
        """What goes into the next record: commits, as many as fit, or one of another kind."""
        first = self._first_of(self._waiting)
        for each in first:
            each.taken = True
            self._waiting_bytes -= each.size
        return first

    def _first_of(self, waiting: "deque[_Wanted] | deque[_Commit]") -> list[_Wanted]:
        first: list[_Wanted] = [waiting.popleft()]
        size, limit = first[0].size + _OVERHEAD_BYTES, _BATCH_BYTES_MAX
        with suppress(StoreError):  # it cannot be reached, and is about to say so itself
            limit = min(limit, self._ordered.max_record)
        while isinstance(first[0], _Commit) and waiting and isinstance(waiting[0], _Commit):
            size += waiting[0].size
            if size > limit:
                break
            first.append(waiting.popleft())
        return first

    def _encode(self, number: int, wanted: Sequence[_Wanted]) -> bytes:
        time_ms = min(self._log.log_time(), _TIME_MAX_MS)  # one record far ahead must not end all appends
        session, number = self._session, number - self._session_begins
        (first, *_) = wanted
        if isinstance(first, _Body):
            return body_record(self._store_id, session, number, time_ms, first.kind, first.body)
        commits = [_proposal(each) for each in wanted if isinstance(each, _Commit)]
        return commits_record(self._store_id, session, number, time_ms, commits)

    def _submit(self, record: _Record) -> None:
        try:
            future = self._ordered.submit(record.record)
        except Exception as error:
            self._failed(record, error)
        else:
            future.add_done_callback(lambda done: self._submitted(record, done))

    def _submitted(self, record: _Record, done: Future[int]) -> None:
        """Called on a thread of the engine's: must not wait."""
        error = done.exception()
        if error is None:
            record.place = done.result()
            self._landed.put(record)
        else:
            self._failed(record, error if isinstance(error, Exception) else StoreError(str(error)))

    def _failed(self, record: _Record, error: Exception) -> None:
        record.doubtful = record.doubtful or isinstance(error, OutcomeUnknownError)
        if record.doubtful:  # an earlier attempt may be there, whatever became of this one
            self._landed.put(record)
        else:
            self._end(record.number, record.wanted, error)

    def _settle_all(self) -> None:
        ended = False
        again: list[tuple[float, _Record]] = []  # records whose acknowledgement was lost
        while True:
            try:
                record = self._landed.get(timeout=_RETRY_SECONDS if again or ended else None)
            except Empty:
                record = None
            else:
                if record is None and not ended:
                    ended = True
                    self._refuse()  # where it was abandoned, the other thread is told only now
            if record is not None and not record.place:
                again.append((time.monotonic() + _RETRY_SECONDS, record))
            elif record is not None:
                self._settle(record)
            now = time.monotonic()
            due = [each for at, each in again if at <= now]
            again = [(at, each) for at, each in again if at > now]
            for each in due:
                if each.end <= now or ended:
                    unknown = _unknown(self._ordered.name, "the engine has not answered")
                    self._end(each.number, each.wanted, unknown)
                else:
                    self._submit(each)
            with self._lock:
                if ended and not again and not self._under_way:
                    return

    def _settle(self, record: _Record) -> None:
        try:
            self._wait_applied(record)
            first_place = self._first_place(record)
            if isinstance(record.wanted[0], _Body):
                outcomes: Sequence[list[Appended] | int | Exception] = [first_place]
            else:
                outcomes = self._outcomes(first_place, record.wanted)
        except Exception as error:  # it is there, so that no error may say that nothing was written
            if not isinstance(error, OutcomeUnknownError):
                unknown = _unknown(self._ordered.name, f"it is there, but cannot be looked up here: {error}")
                unknown.__cause__, error = error, unknown
            self._end(record.number, record.wanted, error)
        else:
            for wanted, outcome in zip(record.wanted, outcomes, strict=True):
                wanted.tell(outcome)
            self._done(record.number, record.wanted)

    def _wait_applied(self, record: _Record) -> None:
        if record.place <= record.applied:  # what is at that place here is something else
            raise _unknown(
                self._ordered.name,
                f"it is at place {record.place}, but {self._log.path} has had place {record.applied} before: the engine"
                " has lost what it had acknowledged",
            )
        self._offer(record.place, record.record)
        while self._log.wait_applied(record.place, int(_LOOK_SECONDS * 100)) < record.place:
            trouble = self._trouble()
            if trouble is not None and (self._closed or time.monotonic() > record.end):
                raise _unknown(self._ordered.name, f"it is there, but cannot be applied here: {trouble}")
            if time.monotonic() > record.end + _PATIENCE_SECONDS:
                raise _unknown(self._ordered.name, "it is there, but was not applied here in time")

    def _first_place(self, record: _Record) -> int:
        """Where it was seen first: the place that was acknowledged, unless it is there twice."""
        first = self._state.first_place(record.place)
        if first == 0:
            raise _unknown(self._ordered.name, "it is there twice, and where it was first is no longer known")
        return record.place if first is None else first

    def _outcomes(self, place: int, wanted: Sequence[_Wanted]) -> list[list[Appended] | Exception]:
        """What became of each commit of the record at a place."""
        accepted = {index: (first, last) for index, first, last in self._log.settled(place)}
        found: list[list[Appended] | Exception] = []
        before: int | None = None
        for index, each in enumerate(wanted):
            assert isinstance(each, _Commit)
            if index in accepted:
                first, before = accepted[index]
                found.append(self._where(each.parts, first))
                continue
            if before is None:
                before = self._log.position_at(place - 1)
            found.append(self._conflict(each, before))
        return found

    def _where(self, parts: Sequence[Part], position: int) -> list[Appended]:
        found = []
        versions: dict[str, int] = {}
        for stream, events, _ in parts:
            before = versions.get(stream)
            if before is None:
                before = self._log.version_at(stream, position - 1)
            last, end = before + len(events), position + len(events) - 1
            found.append(Appended(before + 1, last, position, end))
            versions[stream], position = last, end + 1
        return found

    def _conflict(self, wanted: _Commit, position: int) -> Exception:
        once = None if wanted.guards is None else wanted.guards[2]
        if once is not None and (used := self._log.used(*once, position)) is not None:
            return Repeated(*used)
        versions: dict[str, int] = {}
        for stream, events, expected in wanted.parts:
            actual = versions.get(stream)
            if actual is None:
                actual = self._log.version_at(stream, position)
            if expected is not None and expected != actual:
                return ConcurrencyError(stream, expected, actual)
            versions[stream] = actual + len(events)
        try:
            if wanted.guards is not None:
                self._log.check_guards(position, *wanted.guards[:2])
        except ConflictError as error:
            return error
        return StoreError("the commit was refused, although its versions fit; nothing was written")

    def _end(self, number: int, wanted: Sequence[_Wanted], error: Exception) -> None:
        for each in wanted:
            each.tell(_another(error))
        self._done(number, wanted)

    def _done(self, number: int, wanted: Sequence[_Wanted]) -> None:
        with self._lock:
            self._count(wanted)
            del self._under_way[number]
            self._changed.notify_all()

    def _count(self, wanted: Sequence[_Wanted]) -> None:
        commits = [each for each in wanted if isinstance(each, _Commit)]
        found, now = self.proposed, time.monotonic()
        found.records += bool(commits)
        for each in commits:
            found.commits += 1
            found.seconds += now - each.began
            found.refused += isinstance(each.outcome, ConcurrencyError)
            found.unknown += isinstance(each.outcome, OutcomeUnknownError)
            found.failed += isinstance(each.outcome, Exception) and not isinstance(
                each.outcome, ConcurrencyError | OutcomeUnknownError | Repeated
            )


def _proposal(commit: _Commit) -> Proposal | GuardedProposal:
    if commit.guards is None:
        return commit.created, commit.meta, commit.parts
    return commit.created, commit.meta, commit.parts, *commit.guards


def _size_of(event: EventPair) -> int:
    name, data, *tags = event
    size = _EVENT_BYTES + len(name.encode()) + len(data)
    return size + sum(_TAG_BYTES + len(tag.encode()) for tag in tags[0]) if tags else size


def _size_of_guards(guards: Guards) -> int:
    versions, conditions, once = guards
    texts = [stream for stream, _ in versions]
    texts += [] if once is None else [once[0]]
    for items, _ in conditions:
        for names, tags in items:
            texts += [*names, *tags, ""]
    return _PART_BYTES * (1 + len(versions) + len(conditions)) + sum(_TAG_BYTES + len(each.encode()) for each in texts)


def _another(error: Exception) -> Exception:
    """The same error for another caller: two threads that raise one object would share its traceback."""
    if not isinstance(error, StoreError):
        return error
    copy = type(error)(*error.args)
    copy.__cause__ = error.__cause__
    return copy


def _closed() -> StoreClosedError:
    return StoreClosedError("this store was closed, or was opened by the process this one was forked from")


def _unknown(engine: str, why: str) -> OutcomeUnknownError:
    return OutcomeUnknownError(
        f"the outcome of a record that was sent to {engine} is not known: {why}; load the stream again before you"
        " append again"
    )
