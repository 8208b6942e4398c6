"""What a store is: the verbs that every implementation offers."""

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self, Unpack

from act_fast._core import Appended
from act_fast._events.committed import Committed
from act_fast._events.meta import Meta
from act_fast._rows import Progress
from act_fast.stores.append_condition import Condition
from act_fast.stores.conditions import Conditions
from act_fast.stores.values import Append, NewEvent, StoredSnapshot, StoreStats, StreamInfo, VerifyReport

__all__ = ["Store"]


class Store(Protocol):
    """A place that keeps events: the log on disk, the log in memory, or an implementation of your own.

    Versions (within a stream) and positions (within the store) start at 1 and have no gaps; 0 is before everything.
    Every bound is exclusive. A `limit` of 0 gives nothing, None is unlimited. Any number of threads may use one store.
    An argument that is not valid raises `ValidationError`, a closed store `StoreClosedError`, and any problem of the
    store itself another `StoreError`.
    """

    def append(
        self,
        stream: str,
        events: Sequence[NewEvent],
        *,
        expected_version: int | None = None,
        condition: Condition | None = None,
        meta: Meta | None = None,
        key: str | None = None,
    ) -> Appended:
        """Append `events` to `stream` as one commit, all or nothing.

        Args:
            stream: the stream's name, 1 to 512 bytes, without NUL or newline.
            events: at least one.
            expected_version: the version that the stream must be at, 0 for a new one; None does not check.
            condition: which events must not be there after a position.
            meta: why it happened; one for the whole commit.
            key: append once: if this key was used before, nothing is appended, and the first answer is returned.

        Returns:
            the first and last version and position of what was appended.

        Raises:
            ConcurrencyError: the stream is at another version, up to which it can already be read; nothing was written.
            KeyReusedError: the key was used before, for other events; nothing was written.
            ConditionError: an event that the condition excludes is there, and can be read; nothing was written.
            StoreFullError: there is no room; nothing was written.
            OutcomeUnknownError: something failed after it was sent, so it may be there or not.
        """
        ...

    def append_many(
        self,
        appends: Sequence[Append],
        *,
        expected_versions: Mapping[str, int] | None = None,
        condition: Condition | None = None,
        meta: Meta | None = None,
        key: str | None = None,
    ) -> list[Appended]:
        """Append to several streams as one commit, all or nothing; each may expect a version and have a condition.

        Args:
            appends: what to append to which stream.
            expected_versions: the versions that other streams, which are not written to, must be at; 0: no such stream.
            condition: which events must not be there after a position.
            meta: why it happened; one for the whole commit.
            key: append once: if this key was used before, nothing is appended, and the first answer is returned.

        Returns:
            for each of `appends`, in their order, where its events are.

        Raises:
            ConcurrencyError: a stream is at another version than expected; nothing was written.
            KeyReusedError: the key was used before, for other events; nothing was written.
            ConditionError: an event that a condition excludes is there; nothing was written.
            StoreFullError: there is no room; nothing was written.
            OutcomeUnknownError: something failed after it was sent, so it may be there or not.
        """
        ...

    def load(
        self, stream: str, *, after: int = 0, before: int | None = None, limit: int | None = None
    ) -> Iterator[Committed[bytes]]:
        """The events of one stream in order, with `after` < version < `before`; none if the stream does not exist."""
        ...

    def query(
        self,
        *,
        names: Sequence[str] | None = None,
        limit: int | None = None,
        backwards: bool = False,
        **conditions: Unpack[Conditions],
    ) -> Iterator[Committed[bytes]]:
        """The events that meet every condition, in the order of their positions, as the store is now.

        Memory use stays the same however many there are.

        Args:
            names: only events with one of these names; an empty sequence gives nothing.
            limit: at most this many.
            backwards: from the last to the first.
            conditions: which events, as `Conditions` lists them.
        """
        ...

    @property
    def head(self) -> int:
        """The position of the last event; 0 if there are none."""
        ...

    def version(self, stream: str) -> int:
        """The number of events in `stream`; 0 if there is no such stream."""
        ...

    def streams(
        self, *, pattern: str | None = None, after: str | None = None, limit: int | None = None
    ) -> Iterator[StreamInfo]:
        """The streams in the order of their first events, without reading their events.

        Args:
            pattern: only those whose names match this regular expression anywhere.
            after: only those created after this one; for paging, pass the last of the page before.
            limit: at most this many.
        """
        ...

    def names(self) -> dict[str, int]:
        """How many events there are of each name."""
        ...

    def save_snapshot(self, stream: str, version: int, data: bytes) -> None:
        """Keep `data` as the state of `stream` at `version`, which it must have reached. Takes up no position."""
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
        """Release the store. Closing again does nothing; any other call raises `StoreClosedError` from now on."""
        ...

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
