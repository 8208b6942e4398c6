"""What a store is: the verbs that any implementation offers, and the values they take and give back."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from types import TracebackType
from typing import Generic, Protocol, Self, TypeAlias, TypeVar

import msgspec

from act_fast._core import Appended
from act_fast._events.event import Event
from act_fast._events.meta import Meta
from act_fast._rows import Progress

__all__ = [
    "Append",
    "Appended",
    "Backup",
    "Committed",
    "Exported",
    "NewEvent",
    "Problem",
    "Progress",
    "Restored",
    "Store",
    "StoreStats",
    "StoredSnapshot",
    "StreamInfo",
    "VerifyReport",
]

T_co = TypeVar("T_co", covariant=True)

NewEvent: TypeAlias = Event | tuple[str, bytes]
"""What is appended: an event, or its name and its data already encoded as JSON."""


class Committed(msgspec.Struct, Generic[T_co], frozen=True):
    """An event as the store holds it: a fact, and where and when it became one.

    Attributes:
        data: the event; from a store, its encoded JSON.
        name: the event's name.
        stream: the stream it belongs to.
        version: its place in that stream, from 1.
        position: its place in the whole log, from 1.
        created: when it was committed, in UTC, to the microsecond; never runs backwards along the log.
        meta: why it happened.
    """

    data: T_co
    name: str
    stream: str
    version: int
    position: int
    created: datetime
    meta: Meta


class Append(msgspec.Struct, frozen=True):
    """One stream's part of an `append_many`."""

    stream: str
    events: Sequence[NewEvent]
    expected_version: int | None = None


class StreamInfo(msgspec.Struct, frozen=True):
    """What is known of a stream without reading its events.

    Attributes:
        stream: its name.
        version: the number of events ever appended to it.
        first_position: where its first event is in the log.
        last_position: where its last event is in the log.
        first_created: when its first event was committed, in UTC.
        last_created: when its last event was committed, in UTC.
        last_name: the name of its last event.
    """

    stream: str
    version: int
    first_position: int
    last_position: int
    first_created: datetime
    last_created: datetime
    last_name: str


class StoredSnapshot(msgspec.Struct, frozen=True):
    """A state as it was stored: the version it stands at, when it was stored (UTC), and its encoded bytes."""

    version: int
    created: datetime
    data: bytes


class Problem(msgspec.Struct, frozen=True):
    """Something that `verify` found wrong.

    Attributes:
        file: the damaged file, relative to the store's directory.
        offset: where in the file, in bytes.
        position: the first position that cannot be read, or None when it is not known or none is lost.
        message: what is wrong, in a sentence.
    """

    file: str
    offset: int
    position: int | None
    message: str


class VerifyReport(msgspec.Struct, frozen=True):
    """What `verify` read and what it found wrong.

    Attributes:
        events: events read and found whole.
        commits: commits read and found whole.
        snapshots: snapshots read and found whole.
        streams: streams that these events belong to.
        bytes: bytes read.
        index_checked: whether there was an index to compare with; False means that it was absent, which is no harm.
        problems: what is wrong and where; empty when all is well.
    """

    events: int
    commits: int
    snapshots: int
    streams: int
    bytes: int
    index_checked: bool
    problems: list[Problem]

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


class StoreStats(msgspec.Struct, frozen=True):
    """How much a store holds.

    Attributes:
        events: events in the log.
        streams: streams that have events.
        bytes: the space taken on disk, or in memory.
        segments: files that the log is made of.
        last_flush: when what was appended last became safe from a power cut, in UTC; None when that is not known.
    """

    events: int
    streams: int
    bytes: int
    segments: int
    last_flush: datetime | None


class Backup(msgspec.Struct, frozen=True):
    """What a backup holds.

    Attributes:
        path: where it is.
        position: the last position in it: the store as it was when this was the last.
        streams: how many streams it holds.
        bytes: how many bytes of log it has.
    """

    path: str
    position: int
    streams: int
    bytes: int


class Exported(msgspec.Struct, frozen=True):
    """What was exported: to where, and how many rows."""

    path: str
    rows: int


class Restored(msgspec.Struct, frozen=True):
    """What was restored, or would have been.

    Attributes:
        source: what it was restored from.
        events: how many events.
        commits: in how many commits.
        streams: in how many streams.
        held: how many commits were said to be older than one before them, and were given that one's time, since time
            never runs backwards along a log.
        causes_lost: how many commits were caused by an event that the source does not have; its position is now 0.
    """

    source: str
    events: int
    commits: int
    streams: int
    held: int
    causes_lost: int


class Store(Protocol):
    """A place that keeps events: the log on disk, the log in memory, or one of your own.

    Versions (within a stream) and positions (within the store) start at 1 and have no gaps; 0 is before everything.
    Every bound is exclusive. A `limit` of 0 gives nothing, None is unlimited. Any number of threads may use one store.
    An argument that cannot be right raises `ValidationError`, a store that is closed `StoreClosedError`, anything
    that goes wrong with the store itself another `StoreError`.
    """

    def append(
        self,
        stream: str,
        events: Sequence[NewEvent],
        *,
        expected_version: int | None = None,
        meta: Meta | None = None,
    ) -> Appended:
        """Append `events` to `stream` as one commit, all or nothing.

        Args:
            stream: the stream's name, 1 to 512 bytes, without NUL or newline.
            events: at least one.
            expected_version: the version that the stream must be at, 0 for a new one; None does not check.
            meta: why it happened; one for the whole commit.

        Returns:
            the first and last version and position of what was appended.

        Raises:
            ConcurrencyError: the stream is at another version, up to which it can be read by now; nothing was written.
            StoreFullError: there is no room; nothing was written.
        """
        ...

    def append_many(self, appends: Sequence[Append], *, meta: Meta | None = None) -> list[Appended]:
        """Append to several streams as one commit, all or nothing; each may expect a version.

        Returns:
            for each of `appends`, in their order, where its events are.

        Raises:
            ConcurrencyError: a stream is at another version than expected; nothing was written.
            StoreFullError: there is no room; nothing was written.
        """
        ...

    def load(
        self, stream: str, *, after: int = 0, before: int | None = None, limit: int | None = None
    ) -> Iterator[Committed[bytes]]:
        """The events of one stream in order, with `after` < version < `before`; none for a stream that is not there."""
        ...

    def query(
        self,
        *,
        stream: str | None = None,
        pattern: str | None = None,
        names: Sequence[str] | None = None,
        after: int = 0,
        before: int | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        correlation: str | None = None,
        limit: int | None = None,
        backwards: bool = False,
    ) -> Iterator[Committed[bytes]]:
        """The events that meet every condition, in the order of their positions, as the store is now.

        Memory stays the same however many there are.

        Args:
            stream: of this stream only, by its exact name.
            pattern: of streams whose name this regular expression is found in; anchor it yourself with ^ and $.
            names: with one of these event names; an empty sequence gives nothing.
            after: at a later position than this.
            before: at an earlier position than this.
            created_after: committed later than this; must know its time zone.
            created_before: committed earlier than this; must know its time zone.
            correlation: whose commit carries this correlation.
            limit: at most so many.
            backwards: from the last to the first.
        """
        ...

    @property
    def head(self) -> int:
        """The position of the last event, 0 when there is none."""
        ...

    def version(self, stream: str) -> int:
        """The number of events in `stream`, 0 when there is no such stream."""
        ...

    def streams(
        self, *, pattern: str | None = None, after: str | None = None, limit: int | None = None
    ) -> Iterator[StreamInfo]:
        """The streams in the order they came to be, without reading their events.

        Args:
            pattern: only those whose name this regular expression is found in.
            after: only those that came to be after this one, the last of the page before.
            limit: at most so many.
        """
        ...

    def names(self) -> dict[str, int]:
        """How many events there are of each name."""
        ...

    def save_snapshot(self, stream: str, version: int, data: bytes) -> None:
        """Keep `data` as the state of `stream` at `version`, which it must have reached. Takes no position."""
        ...

    def latest_snapshot(self, stream: str, *, at_or_below: int | None = None) -> StoredSnapshot | None:
        """The snapshot of `stream` at the highest version, or the highest up to `at_or_below`; None without one."""
        ...

    def wait(self, after: int, timeout: float | None = None) -> int:
        """Sleep until the head is above `after` or `timeout` seconds are over; return the head either way."""
        ...

    async def wait_async(self, after: int, timeout: float | None = None) -> int:
        """`wait`, awaited."""
        ...

    def flush(self) -> None:
        """Return when everything appended so far would survive a power cut."""
        ...

    def verify(self, *, progress: Progress | None = None) -> VerifyReport:
        """Read everything and report what is wrong and where."""
        ...

    def stats(self) -> StoreStats:
        """How much the store holds."""
        ...

    def close(self) -> None:
        """Let go of the store. Closing again does nothing; anything else raises `StoreClosedError` from now on."""
        ...

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
