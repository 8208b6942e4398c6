"""Bells: numbers that change with news of one kind, and those who sleep until one does."""

import contextlib
import itertools
import queue
from collections.abc import Callable
from contextlib import AbstractContextManager

__all__ = ["Bell"]


class Bell:
    """A number that changes with every piece of news of one kind. It takes no lock: a signal handler may ring it.

    Args:
        watching: sees to it that it is rung for as long as the block lasts.
    """

    def __init__(self, watching: Callable[[], AbstractContextManager[None]]) -> None:
        self._watching = watching
        self._numbers = itertools.count(1)
        self._number = 0
        self._sleepers: list[queue.SimpleQueue[None]] = []

    def mark(self) -> int:
        """What the number is now. News from now on changes it."""
        return self._number

    def ring(self) -> None:
        """Wake all who sleep."""
        self._number = next(self._numbers)
        for each in tuple(self._sleepers):
            each.put(None)

    def wait(self, seen: int, timeout_ms: int | None = None) -> int:
        """Sleep until the number is another one than `seen`, or the time is over; the number. It may return early."""
        rung: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._sleepers.append(rung)
        try:
            with self._watching():
                if self._number == seen:
                    with contextlib.suppress(queue.Empty):
                        rung.get(timeout=None if timeout_ms is None else timeout_ms / 1000)
        finally:
            self._sleepers.remove(rung)
        return self._number
