"""Wakes asyncio code when the log's head moves: one thread for all that wait on a store, however many they are."""

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from act_fast._core import Log
from act_fast._runtime.forks import tell_in_child

if TYPE_CHECKING:
    import asyncio

__all__ = ["News"]

_IDLE_SECONDS = 10.0
_LOOK_MS = 500
"""How long the thread of a store that was dropped without being closed may stay."""


class News:
    """The waiters of one store, and the thread that sleeps in the core on their behalf.

    The thread starts with the first waiter, stays a while after the last one has gone, and ends with the store.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self.forked()
        tell_in_child(self)

    def forked(self) -> None:
        """Begin without waiters: they, and the thread, stayed with the parent, which may have held the lock."""
        # Taken by itself: the methods of a condition are written in Python, so Ctrl-C in one could keep the lock.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._waiters: dict[asyncio.Future[int], int] = {}
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def above(self, after: int) -> "Iterator[asyncio.Future[int]]":
        """A future of the running loop that gets the next head above `after`; look at the head once you have it."""
        import asyncio

        future = asyncio.get_running_loop().create_future()
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="act-fast-news", daemon=True)
                thread.start()  # it may not be possible now, and then it is tried again by the next
                self._thread = thread
            self._waiters[future] = after
            self._changed.notify()
        try:
            yield future
        finally:
            with self._lock:
                self._waiters.pop(future, None)

    def abandon(self) -> None:
        """End the thread, soon and without waiting for it: for when the store is collected."""
        self._thread = None
        with self._lock:
            self._waiters.clear()
            self._changed.notify()

    def close(self) -> None:
        """End the thread. The log must be closed already, so that the core has let go of it."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._changed.notify()
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        log, head = None, 0
        while self._wanted():
            try:
                log = log or self._log.pin()  # a restored log has positions of its own
                head = log.wait(head, _LOOK_MS)
            except BaseException as error:
                log, head = None, 0
                self._tell(self._take_all(), error)
            else:
                self._tell(self._take_below(head), head)

    def _wanted(self) -> bool:
        """Sleep while there are no waiters; False when this thread is to end."""
        me = threading.current_thread()
        with self._lock:
            self._changed.wait_for(lambda: self._waiters or self._thread is not me, _IDLE_SECONDS)
            if not self._waiters and self._thread is me:
                self._thread = None
            return bool(self._waiters)

    def _take_below(self, head: int) -> "list[asyncio.Future[int]]":
        with self._lock:
            taken = [future for future, after in self._waiters.items() if after < head]
            for future in taken:
                del self._waiters[future]
            return taken

    def _take_all(self) -> "list[asyncio.Future[int]]":
        with self._lock:
            taken = list(self._waiters)
            self._waiters.clear()
            return taken

    def _tell(self, futures: "list[asyncio.Future[int]]", outcome: int | BaseException) -> None:
        for future in futures:
            with contextlib.suppress(RuntimeError):  # a loop that was closed has no one left to tell
                future.get_loop().call_soon_threadsafe(_resolve, future, outcome)


def _resolve(future: "asyncio.Future[int]", outcome: int | BaseException) -> None:
    if future.done():
        return
    if isinstance(outcome, BaseException):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
