"""An event loop on a thread of its own, for `async def` handlers of apps that have none."""

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from act_fast._runtime.logger import log

if TYPE_CHECKING:
    import asyncio

__all__ = ["LoopThread"]


class LoopThread:
    """A loop that runs from when it is first asked for until it is closed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: _Running | None = None

    def loop(self) -> "asyncio.AbstractEventLoop":
        """The loop, running."""
        with self._lock:
            if self._running is None:
                self._running = _Running()
            return self._running.loop

    def abandon(self) -> None:
        """End the loop without taking a lock or waiting: for when its owner is collected."""
        running = self._running
        if running is not None:
            with suppress(RuntimeError):  # closed already
                running.ask_to_end()

    def close(self) -> None:
        """End the loop; tasks that are still at work on it are cancelled."""
        with self._lock:
            running, self._running = self._running, None
        if running is not None:
            running.end()


class _Running:
    """A loop and its thread. Only `end` stops it: others have handlers on it too, which would wait forever."""

    def __init__(self) -> None:
        import asyncio  # takes longer to import than all else together

        self.loop = asyncio.new_event_loop()
        self._ended = False
        with suppress(AttributeError):  # a loop of another kind may not let it be replaced; `_run` starts it again
            self.loop.stop = _refuse_to_stop  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._run, name="act-fast-loop", daemon=True)
        self._thread.start()

    def ask_to_end(self) -> None:
        """Stop the loop, soon."""
        self._ended = True
        self.loop.call_soon_threadsafe(type(self.loop).stop, self.loop)

    def end(self) -> None:
        """Stop the loop, and wait for the thread."""
        self.ask_to_end()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        import asyncio

        asyncio.set_event_loop(self.loop)
        try:
            while not self._ended:
                try:
                    self.loop.run_forever()
                except BaseException:  # SystemExit in a task that a handler has left behind
                    log.exception("a task of a handler ended the event loop; the loop is started again")
            with suppress(AttributeError):
                del self.loop.stop
            tasks = asyncio.all_tasks(self.loop)
            for task in tasks:
                task.cancel()
            self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
        finally:
            self.loop.close()


def _refuse_to_stop() -> None:
    raise RuntimeError("a handler cannot stop the event loop that it runs on, as other handlers run there too")
