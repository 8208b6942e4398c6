"""Threads that work for an event loop: what may wait for the disk waits there."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from act_fast._runtime.forks import tell_in_child
from act_fast.errors import StoreClosedError

__all__ = ["Threads", "apart"]

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """At most `threads_max` threads, begun when they are first needed."""

    def __init__(self, threads_max: int) -> None:
        self._threads_max = threads_max
        self._pool = ThreadPoolExecutor(threads_max, "act-fast")
        self._closed = False
        tell_in_child(self)

    def forked(self) -> None:
        """The threads stayed with the parent, and so may the pool's locks."""
        self._pool = ThreadPoolExecutor(self._threads_max, "act-fast")

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function on a thread, within this task's context variables.

        A task that is cancelled while waiting leaves nothing half done: work that has not begun never begins, and work
        that has begun is waited for before the cancellation takes effect.
        """
        if self._closed:
            raise StoreClosedError("this app was closed; open another one")
        context = contextvars.copy_context()
        work = self._pool.submit(lambda: context.run(function, *args, **kwargs))
        waiting = asyncio.wrap_future(work)
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            if not work.cancel():
                await _ended(waiting)
            raise

    async def close(self) -> None:
        """Wait for work that has begun, and end the threads. Closing again does nothing."""
        await apart(self.end)

    def end(self) -> None:
        """`close`, for callers that may block."""
        self._closed = True
        self._pool.shutdown()


async def apart(work: Callable[[], object]) -> None:
    """Do something on a thread of its own, and wait until it is done, also when cancelled meanwhile."""
    waiting = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(waiting)
    except asyncio.CancelledError:
        await _ended(waiting)
        raise


async def _ended(waiting: "asyncio.Future[Any]") -> None:
    while not waiting.done():
        try:
            await asyncio.wait((waiting,))
        except asyncio.CancelledError:
            continue  # cancelled once more; the answer is the same
    if not waiting.cancelled():
        waiting.exception()  # retrieved, so that asyncio does not warn that it was not
