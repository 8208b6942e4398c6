"""An ordered log that cannot be reached yet: it is tried again and again, and from then on it is the log itself."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Final, Self

from act_fast._runtime.forks import tell_in_child
from act_fast._runtime.logger import log as logger
from act_fast.errors import EngineAwayError, StoreClosedError, StoreError
from act_fast.stores.ordered.port import PAGE_BYTES, Entry, OrderedLog

__all__ = ["LateLog"]

_AGAIN_SECONDS: Final = 1.0


class LateLog:
    """See `OrderedLog`. Until it was reached, every verb says why it is not.

    Args:
        name: where it is, for people: without credentials.
        reach: opens it, and refuses one that the replica does not go with; called on a thread of its own.
        why: why it could not be opened until now.
        given: the log, if it is one that the caller has opened.
    """

    def __init__(
        self, name: str, reach: Callable[[], OrderedLog], why: StoreError, given: OrderedLog | None = None
    ) -> None:
        self._name = name
        self._reach = reach
        self._why = _bare(why)
        self._given = given
        self._found: OrderedLog | None = None
        self._closed = False
        self._skipped = 0
        self.forked()
        tell_in_child(self)
        self._thread = threading.Thread(target=self._try, name="act-fast-reach", daemon=True)
        self._thread.start()

    def forked(self) -> None:
        """The thread that held the lock stayed with the parent, as did the opening thread; nothing is reached here."""
        self._changed = threading.Condition()

    @property
    def name(self) -> str:
        """Where it is, for people: without credentials."""
        return self._name

    @property
    def dense(self) -> bool:
        """Whether each place is one more than that before it; not as long as that is not known."""
        return self._found is not None and self._found.dense

    @property
    def max_record(self) -> int:
        """How many bytes a record may have."""
        return self._engine().max_record

    @property
    def trouble(self) -> StoreError | None:
        """Why it was not reached; None once it is."""
        return self._why if self._found is None else None

    def submit(self, record: bytes) -> Future[int]:
        """See `OrderedLog`."""
        return self._engine().submit(record)

    def append(self, record: bytes) -> int:
        """See `OrderedLog`."""
        return self._engine().append(record)

    def read(self, after: int = 0, *, bytes_max: int = PAGE_BYTES, timeout: float = 0.0) -> list[Entry]:
        """See `OrderedLog`. It waits for the engine, too."""
        end = time.monotonic() + timeout
        with self._changed:
            while self._found is None and not self._closed and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)
        return self._engine().read(after, bytes_max=bytes_max, timeout=max(0.0, end - time.monotonic()))

    def skip(self, place: int) -> None:
        """See `OrderedLog`."""
        with self._changed:
            self._skipped = place
            found = self._found
        if found is not None:
            found.skip(place)

    def head(self) -> int:
        """See `OrderedLog`."""
        return self._engine().head()

    def first(self) -> int:
        """See `OrderedLog`."""
        return self._engine().first()

    def trim(self, below: int) -> None:
        """See `OrderedLog`."""
        self._engine().trim(below)

    def close(self) -> None:
        """Let go of the engine, or of trying to reach it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for each in (self._found, self._given):
            if each is not None:
                each.close()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _engine(self) -> OrderedLog:
        found, why = self._found, self._why
        if self._closed:
            raise StoreClosedError(f"the log at {self._name} was closed")
        if found is not None:
            return found
        if isinstance(why, EngineAwayError):
            raise EngineAwayError(f"{self._name} has not been reached yet, so nothing was appended: {why}") from why
        raise StoreError(f"{self._name} cannot be used, so nothing was appended: {why}") from why

    def _try(self) -> None:
        while True:
            with self._changed:
                if self._closed or self._changed.wait_for(lambda: self._closed, _AGAIN_SECONDS):
                    return
            try:
                found = self._reach()
            except Exception as error:
                if str(error) != str(self._why):
                    logger.warning("%s cannot be reached: %s", self._name, str(error))
                self._why = _bare(error)
                continue
            with self._changed:
                if not self._closed:
                    found.skip(self._skipped)
                    self._found = found
                    self._changed.notify_all()
                    return
            found.close()
            return


def _bare(error: Exception) -> StoreError:
    """The same without its traceback, whose frames would keep the store that was opened."""
    return EngineAwayError(str(error)) if isinstance(error, EngineAwayError) else StoreError(str(error))
