"""What the handles of all ordered logs share: checked arguments, and what holds once they are closed."""

import os
from concurrent.futures import Future
from types import TracebackType
from typing import Final, Self

from act_fast._checks import arguments
from act_fast._runtime.forks import tell_in_child
from act_fast.errors import RecordTooLargeError, StoreClosedError, TrimmedError, ValidationError
from act_fast.stores.ordered.port import PAGE_BYTES, Entry

__all__ = ["Handle"]

_TIMEOUT_SECONDS_MAX: Final = 365 * 24 * 3600.0


class Handle:
    """An open ordered log. An adapter gives `_submit`, `_read`, `_head`, `_first`, `_trim` and `_close`.

    Args:
        name: where it is, for people: without credentials.
        max_record: how many bytes a record may have.
    """

    def __init__(self, name: str, max_record: int) -> None:
        self._name = name
        self._max_record = max_record
        self._process = os.getpid()
        self._is_closed = False
        self._skipped = 0
        tell_in_child(self)

    def forked(self) -> None:
        """Take new locks: this is a child, where nothing can be asked of the engine."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}>"

    @property
    def name(self) -> str:
        """Where it is, for people: without credentials."""
        return self._name

    @property
    def dense(self) -> bool:
        """Whether each place is one more than that before it."""
        return False

    @property
    def max_record(self) -> int:
        """How many bytes a record may have."""
        return self._max_record

    def submit(self, record: bytes) -> Future[int]:
        """Append a record without waiting; the future has its place once it is durable."""
        if not isinstance(record, bytes):
            raise ValidationError(f"a record must be bytes, not {type(record).__name__}")
        if not record:
            raise ValidationError("a record must have at least one byte")
        if len(record) > self._max_record:
            raise RecordTooLargeError(
                f"a record of {len(record)} bytes is too large for {self._name}, which takes up to {self._max_record};"
                " append less at once, or let the engine take larger ones"
            )
        self._check_open()
        return self._submit(record)

    def append(self, record: bytes) -> int:
        """Append a record and wait until it is durable; its place."""
        return self.submit(record).result()

    def read(self, after: int = 0, *, bytes_max: int = PAGE_BYTES, timeout: float = 0.0) -> list[Entry]:
        """The records behind a place, in order, without a gap."""
        arguments.count("after", after)
        arguments.count("bytes_max", bytes_max)
        if not 0 <= timeout <= _TIMEOUT_SECONDS_MAX:
            raise ValidationError("timeout must be a number of seconds from 0 to a year")
        self._check_open()
        return self._read(after, bytes_max, timeout)

    def skip(self, place: int) -> None:
        """Say up to where the one reader of this handle has the records without reading them, as they are its own."""
        self._skipped = place

    def head(self) -> int:
        """The place of the last record; 0 before the first, and no smaller after trimming."""
        self._check_open()
        return self._head()

    def first(self) -> int:
        """One behind the last place that was trimmed; 1 when none was."""
        self._check_open()
        return self._first()

    def trim(self, below: int) -> None:
        """Let the engine drop the records at smaller places than `below`, for everybody."""
        arguments.count("below", below)
        head = self.head()
        if below > head + 1:
            raise ValidationError(f"{self._name} ends at {head}; it cannot be trimmed below {below}")
        self._trim(below)

    def close(self) -> None:
        """Let go of the engine. Closing again does nothing."""
        closed, self._is_closed = self._is_closed, True
        if not closed and self._process == os.getpid():
            self._close()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._is_closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreClosedError(f"the log at {self._name} was closed")
        if self._process != os.getpid():
            raise StoreClosedError(
                f"the log at {self._name} was opened by the process that this one was forked from; open it again"
            )

    def _trimmed(self, after: int, first: int) -> TrimmedError:
        return TrimmedError(self._name, after, first)

    def _submit(self, record: bytes) -> Future[int]:
        raise NotImplementedError

    def _read(self, after: int, bytes_max: int, timeout: float) -> list[Entry]:
        raise NotImplementedError

    def _head(self) -> int:
        raise NotImplementedError

    def _first(self) -> int:
        raise NotImplementedError

    def _trim(self, below: int) -> None:
        raise NotImplementedError

    def _close(self) -> None:
        raise NotImplementedError
