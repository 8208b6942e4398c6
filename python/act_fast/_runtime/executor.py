"""Threads that work for an event loop: what may wait for the disk waits there."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from act_fast.errors import StoreClosedError

__all__ = ["Threads"]

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """At most `threads_max` threads, begun when they are first needed."""

    def __init__(self, threads_max: int) -> None:
        self._pool = ThreadPoolExecutor(threads_max, "act-fast")
        self._closed = False

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function on a thread, within this task's context variables.

        Whoever is cancelled while waiting leaves nothing half done behind: work that has not begun never begins, and
        work that has begun is waited for before the cancellation goes on.
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
        self._closed = True
        await asyncio.to_thread(self._pool.shutdown)


async def _ended(waiting: "asyncio.Future[Any]") -> None:
    while not waiting.done():
        try:
            await asyncio.wait((waiting,))
        except asyncio.CancelledError:
            continue  # cancelled once more; the answer is the same
    if not waiting.cancelled():
        waiting.exception()  # looked at, so that nobody warns that it was not
