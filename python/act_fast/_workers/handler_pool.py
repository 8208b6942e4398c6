"""A crew: those who handle leases at the same time, threads for `def` and tasks for `async def`, so many at most."""

import asyncio
import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

from act_fast._checks.error_text import error_text
from act_fast._runtime.daemon_threads import Daemons
from act_fast._runtime.logger import log
from act_fast._workers.delivery import Handling
from act_fast._workers.lease import Lease

__all__ = ["Batch", "Crew"]

_ALONE_SECONDS: Final = 0.005
_IDLE_SECONDS: Final = 0.001
"""Quick handlers gain nothing from a second thread, as one interpreter runs them all. Others join in when the first has
been idle for so long, or has ended nothing meanwhile."""

Late = Callable[[list[Lease]], None]


class Batch:
    """The leases of one cycle while they are handled.

    Attributes:
        leases: all of them.
        handling: how they are handled.
        slow: whether its handlers are known to wait for something, such as the network.
        awaited: whether some of its handlers are `async def`.
        began: when its claim began, by the monotonic clock.
        claimed: when it had been claimed.
        finished: for how many of them the store has been told what has become of them.
    """

    def __init__(self, leases: Sequence[Lease], handling: Handling, began: float = 0.0) -> None:
        self.leases = leases
        self.handling = handling
        self.began = began
        self.claimed = time.monotonic()
        self.finished = 0
        self.slow = False
        self.context = contextvars.copy_context()
        self.on_threads: deque[Lease] = deque()
        self.on_loop: deque[Lease] = deque()
        for lease in leases:
            (self.on_loop if handling.needs_loop(lease) else self.on_threads).append(lease)
        self.awaited = bool(self.on_loop)
        self._changed = threading.Condition()
        self._ended: list[Lease] = []
        self._left = len(leases)
        self._late: Late | None = None

    def end(self, lease: Lease) -> None:
        """Note that nothing more will come of a lease."""
        with self._changed:
            lease.ended = True
            self._left -= 1
            late = self._late
            if late is None:
                self._ended.append(lease)
                if not self._left:
                    self._changed.notify_all()
        if late is not None:
            late([lease])

    def wait(self, seconds: float | None) -> bool:
        """Sleep until all have ended, or the time is over; whether they have."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._left, seconds)

    def wait_moving(self, seconds: float) -> None:
        """Sleep until all have ended, none has for a moment, or the time is over."""
        end = time.monotonic() + seconds
        with self._changed:
            left = -1
            while self._left and left != self._left and time.monotonic() < end:
                left = self._left
                self._changed.wait_for(lambda: not self._left, _ALONE_SECONDS)

    def wait_slow(self) -> bool:
        """Sleep until all have ended or the handlers turn out to be slow; whether that is so."""
        with self._changed:
            left = -1
            while self._left and not self.slow and left != self._left:
                left = self._left
                self._changed.wait_for(lambda: not self._left or self.slow, _ALONE_SECONDS)
            return bool(self._left)

    def find_slow(self) -> None:
        """Note that handlers spend their time waiting, so that more threads would help."""
        with self._changed:
            self.slow = True
            self._changed.notify_all()

    def leave(self, late: Late) -> tuple[list[Lease], int]:
        """The leases that have ended, and how many have not; `late` is called with each of these when it ends."""
        with self._changed:
            self._late = late
            return self._ended, self._left

    @property
    def left(self) -> int:
        """How many leases have not ended."""
        return self._left

    def stop(self) -> None:
        """Begin no event any more."""
        for queue in (self.on_threads, self.on_loop):
            while True:
                try:
                    self.end(queue.popleft())
                except IndexError:
                    break
        for lease in self.leases:
            lease.until = 0.0


Waiting: TypeAlias = "deque[tuple[Batch, deque[Lease]]]"
"""Batches, and what of each no hand has taken yet."""


class Crew:
    """Handles batches of leases, `concurrency` leases at a time over all of them.

    A hand is a thread or a task that takes one lease after the other, of whichever batch waits longest. It is given
    back only when no lease waits, in the same step that sees so: a lease never waits while a hand is free.

    Args:
        concurrency: how many leases are handled at the same time.
        loop: gives the event loop for `async def` handlers.
        freed: called when a hand is free again after `spare` has said that there was none.
    """

    def __init__(
        self,
        concurrency: int,
        daemons: Daemons,
        loop: Callable[[], asyncio.AbstractEventLoop],
        freed: Callable[[], object] = lambda: None,
    ) -> None:
        self._lock = threading.Lock()
        self._free = concurrency
        self._missed = False
        self._daemons = daemons
        self._loop = loop
        self._freed = freed
        self._on_threads: Waiting = deque()
        self._on_loop: Waiting = deque()

    @property
    def free(self) -> int:
        """How many more leases can be handled at once."""
        return self._free

    def spare(self) -> int:
        """How many more leases can be handled at once; when there is no hand, `freed` is called once there is one."""
        with self._lock:
            self._missed = self._free <= 0
            return self._free

    def begin(self, batch: Batch) -> None:
        """Begin to handle a batch: with one thread at first, and with all that there are if that takes a while."""
        with self._lock:
            if batch.on_loop:
                self._on_loop.append((batch, batch.on_loop))
            if batch.on_threads:
                self._on_threads.append((batch, batch.on_threads))
        self._start_tasks(len(batch.on_loop))
        if batch.on_threads:
            self._start_threads(1)
            if batch.on_threads and batch.wait_slow():
                self.help(batch)

    def work(self, batch: Batch) -> None:
        """Handle a batch in this thread, and leave what remains to others once its handlers turn out to be slow."""
        if not self._take(1):
            self.begin(batch)
            return
        with self._lock:
            self._on_threads.append((batch, batch.on_threads))
        try:
            batch.context.copy().run(self._pull_here, batch, until_slow=True)
        finally:
            self._give_back()
        self.help(batch)

    def help(self, batch: Batch) -> None:
        """Handle what remains of a batch on as many threads as there are."""
        self._start_threads(len(batch.on_threads))

    def _start_threads(self, wanted: int) -> None:
        self._start(wanted, lambda: self._daemons.do(self._pull))

    def _start_tasks(self, wanted: int) -> None:
        self._start(wanted, lambda: asyncio.run_coroutine_threadsafe(self._pull_async(), self._loop()))

    def _start(self, wanted: int, start: Callable[[], object]) -> None:
        for _ in range(self._take(wanted)):
            try:
                start()
            except BaseException:  # no more threads, or the loop is closed
                with self._lock:
                    self._free += 1
                raise

    def _take(self, wanted: int) -> int:
        with self._lock:
            taken = max(0, min(wanted, self._free))
            self._free -= taken
            return taken

    def _give_back(self) -> None:
        self._next(deque())

    def _next(self, waiting: Waiting) -> Batch | None:
        """The batch whose lease a hand takes next; None when there is none, and then the hand has been given back."""
        with self._lock:
            found = _first(waiting)
            if found is not None:
                return found
            self._free += 1
            threads, tasks = _first(self._on_threads), _first(self._on_loop)
            missed, self._missed = self._missed, False
        if threads is not None:  # leases of the other kind may have waited for this hand
            self._start_threads(1)
        elif tasks is not None:
            self._start_tasks(1)
        if missed:
            self._freed()
        return None

    def _pull(self) -> None:
        while (batch := self._next(self._on_threads)) is not None:
            try:
                batch.context.copy().run(self._pull_here, batch)
            except BaseException:
                self._give_back()
                raise

    def _pull_here(self, batch: Batch, until_slow: bool = False) -> None:
        began, busy = time.monotonic(), None
        look = began + _IDLE_SECONDS
        for lease in _each(batch.on_threads):
            try:
                batch.handling.run(lease)
            except BaseException as error:
                _unforeseen(lease, error)
            batch.end(lease)
            if batch.slow or (now := time.monotonic()) < look:
                continue
            look = now + _IDLE_SECONDS
            if busy is None:  # reading this clock takes longer than many a handler
                began, busy = now, time.thread_time()
            elif now - began - time.thread_time() + busy > _IDLE_SECONDS:
                batch.find_slow()
                if until_slow:
                    return

    async def _pull_async(self) -> None:
        own = asyncio.current_task()
        while (batch := self._next(self._on_loop)) is not None:
            for lease in _each(batch.on_loop):
                task = asyncio.create_task(batch.handling.run_async(lease, own), context=batch.context.copy())
                try:
                    await task
                except BaseException as error:
                    by_handler = isinstance(error, asyncio.CancelledError) and not (own and own.cancelling())
                    _unforeseen(lease, error)
                    if not isinstance(error, Exception) and not by_handler:
                        task.cancel()
                        batch.end(lease)
                        batch.stop()
                        self._give_back()
                        raise
                batch.end(lease)


def _first(waiting: Waiting) -> Batch | None:
    """The first batch that has leases waiting; those that have none are taken out."""
    while waiting:
        batch, leases = waiting[0]
        if leases:
            return batch
        waiting.popleft()
    return None


def _each(queue: deque[Lease]) -> Iterable[Lease]:
    while True:
        try:
            yield queue.popleft()
        except IndexError:
            return


def _unforeseen(lease: Lease, error: BaseException) -> None:
    """The interpreter ends, the loop is closed, or this is a mistake of ours: the rest is left for another time."""
    if isinstance(error, Exception):
        log.exception("handling %r failed unforeseen", lease.name)
        row = next((row for row in lease.rows if row[0] > (lease.done or 0)), lease.rows[-1])
        lease.then, lease.position, lease.error = "block", row[0], error_text(error)
