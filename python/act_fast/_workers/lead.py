"""Who leads a lane: the thread that claims also calls the handlers, for as long as they are quick.

Handing a lease over to another thread takes longer than a quick handler does. A slow one must not hold up the others of
its lane, so the thread that leads is watched by another one, which takes over when a handler keeps it.
"""

import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final

from act_fast._runtime.daemon_threads import Daemons
from act_fast._workers.handler_pool import Batch

__all__ = ["Lead"]

_LOOK_SECONDS: Final = 0.005
"""A thread that has been kept by one handler for so long is taken over from; for twice as long at most."""
_QUIET_LOOKS: Final = 20
"""After so many looks that found no handler at work, the watch sleeps until there is one."""


class Lead:
    """A thread that leads, and what the one that watches it has to know."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._batch: Batch | None = None
        self._entered = 0
        self._over = False
        self._ended = False
        self._error: BaseException | None = None
        self._asleep = False
        self._signal: SimpleQueue[None] = SimpleQueue()

    @property
    def over(self) -> bool:
        """Whether another thread has taken over."""
        return self._over

    def begin(self, daemons: Daemons, lead: Callable[[], object]) -> None:
        """Have another thread lead, in a context like that of this one."""
        context = contextvars.copy_context()
        daemons.do(lambda: context.run(self._run, lead))

    def _run(self, lead: Callable[[], object]) -> None:
        try:
            lead()
        except BaseException as error:
            self._error = error
        finally:
            self._ended = True
            self._signal.put(None)

    def enter(self, batch: Batch) -> None:
        """In the thread that leads: from now on it calls the handlers of a batch."""
        with self._lock:
            self._batch = batch
            self._entered += 1
            asleep, self._asleep = self._asleep, False
        if asleep:
            self._signal.put(None)

    def leave(self) -> bool:
        """In the thread that leads: it has called them. Whether it still leads; if not, the batch is not its own."""
        with self._lock:
            self._batch = None
            return not self._over

    def watch(self, stopping: Callable[[], bool]) -> Batch | None:
        """Sleep until the thread that leads has ended, or does not get on. Then take over, and answer what it is at.

        Args:
            stopping: whether to take over as soon as a handler is at work.

        Raises:
            BaseException: what has ended the thread that leads.
        """
        seen = (0, 0)
        quiet = 0
        while not self._ended:
            with self._lock:
                batch = self._batch
                found = (self._entered, 0 if batch is None else batch.left)
                if batch is not None and (found == seen or stopping()):
                    self._over = True
                    return batch
                quiet = quiet + 1 if found == seen else 0
                self._asleep = quiet > _QUIET_LOOKS
                seen = found
            self._pause()
        if self._error is not None:
            raise self._error
        return None

    def _pause(self) -> None:
        with suppress(Empty):
            self._signal.get(timeout=None if self._asleep else _LOOK_SECONDS)
