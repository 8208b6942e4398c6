"""What an ordered log is: the verbs that any engine's adapter offers."""

from concurrent.futures import Future
from types import TracebackType
from typing import Final, NamedTuple, Protocol, Self

__all__ = ["PAGE_BYTES", "Entry", "OrderedLog"]

PAGE_BYTES: Final = 4 * 1024 * 1024
"""How many bytes of records a page has unless asked otherwise."""


class Entry(NamedTuple):
    """A record, and where it is.

    Attributes:
        place: from 1; larger than that of every record before it, and not always by one.
        record: what was appended.
    """

    place: int
    record: bytes


class OrderedLog(Protocol):
    """A log of byte records that has one order for everybody. Any number of programs and threads may use it at once.

    A record that was acknowledged stays, at its place, until it is trimmed. Nothing is ever put before a record that a
    reader has seen.

    Any verb raises `EngineAwayError` when the engine cannot be reached, within some ten seconds, `EngineRefusedError`
    when it does not let us, and `StoreClosedError` after `close` and in a forked child. Errors carry no credentials.
    """

    @property
    def name(self) -> str:
        """Where it is, for people: without credentials."""
        ...

    @property
    def dense(self) -> bool:
        """Whether each place is one more than that before it."""
        ...

    @property
    def max_record(self) -> int:
        """How many bytes a record may have."""
        ...

    def submit(self, record: bytes) -> Future[int]:
        """Append a record without waiting; the future has its place once it is durable.

        Any number may be in flight; the caller bounds it. They land in the order in which one handle was given them,
        unless a connection breaks or one of them fails: then those in flight may land in any order. One submitted after
        the future of another was done with a place always lands behind it.

        The future raises:
            OutcomeUnknownError: the record may have landed, and it may still land later, even twice. So records carry
                an id, and readers ignore one that they have seen.
            EngineError: it did not land, and never will.
            StoreFullError: the engine has no room; it did not land.

        A callback of the future runs on a thread of the adapter, and must neither wait nor use the log.

        Args:
            record: 1 byte to `max_record`.

        Raises:
            RecordTooLargeError: it has more than `max_record` bytes.
        """
        ...

    def append(self, record: bytes) -> int:
        """Append a record and wait until it is durable; its place. Raises what the future of `submit` raises."""
        ...

    def read(self, after: int = 0, *, bytes_max: int = PAGE_BYTES, timeout: float = 0.0) -> list[Entry]:
        """The records behind a place, in order, without a gap.

        Cheapest for a reader that goes on from where its last page ended. An empty page does not prove that there is
        nothing: what others append becomes visible a moment later. `head` says what there is.

        Args:
            after: the place before the first; 0 for the beginning.
            bytes_max: when a page has so many bytes it ends; it has one record at least.
            timeout: how long to wait for a record when there is none, in seconds.

        Raises:
            TrimmedError: a record behind `after` was trimmed.
        """
        ...

    def skip(self, place: int) -> None:
        """Say up to where the one reader of this handle has the records without reading them, as they are its own.

        From now on a read after an earlier place, also one that waits, goes on behind this one. It may be called again
        with a smaller place, by a reader that begins again.
        """
        ...

    def head(self) -> int:
        """The place of the last record; 0 before the first, and no smaller after trimming.

        Asked of the engine: everything that was acknowledged to anybody before the call is within it.
        """
        ...

    def first(self) -> int:
        """One behind the last place that was trimmed; 1 when none was. A read after any place before it is refused.

        So `read(first() - 1)` begins at the first record that is there.
        """
        ...

    def trim(self, below: int) -> None:
        """Let the engine drop the records at smaller places than `below`, for everybody. It may keep some of them.

        Args:
            below: the smallest place to keep; no larger than one behind the head.
        """
        ...

    def close(self) -> None:
        """Let go of the engine. Reads that wait raise `StoreClosedError`; closing again does nothing.

        The futures of what is in flight end with its outcome within some seconds, or with `OutcomeUnknownError`.
        """
        ...

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
