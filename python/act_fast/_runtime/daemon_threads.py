"""Threads that a process can end without: a handler that never comes back must not keep it from leaving."""

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final, TypeAlias

__all__ = ["Daemons"]

Work: TypeAlias = Callable[[], object]

_IDLE_SECONDS: Final = 10.0
_DISMISSED_SECONDS: Final = 1.0


class Daemons:
    """As many threads as there is work at the same time. One that has had nothing to do for a while ends."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._idle = 0
        self._dismissed = False
        self._threads: set[threading.Thread] = set()

    def do(self, work: Work) -> None:
        """Have a thread do something, which must not raise."""
        with self._lock:
            if self._idle and not self._dismissed:
                self._idle -= 1
                self._queue.put(work)
                return
        threading.Thread(target=self._run, args=([work],), name=self._name, daemon=True).start()

    def dismiss(self) -> None:
        """Let each thread end as soon as it has nothing to do, and wait a moment for it.

        One whose work is done may still be about to notice: what it did was told before it came back. Some libraries
        complain of threads that are there to the end.
        """
        with self._lock:
            self._dismissed = True
            threads = list(self._threads)
            idle, self._idle = self._idle, 0
            for _ in range(idle):
                self._queue.put(None)
        end = time.monotonic() + _DISMISSED_SECONDS
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, end - time.monotonic()))

    def abandon(self) -> None:
        """`dismiss`, without taking a lock or waiting: for when this is collected."""
        self._dismissed = True
        for _ in range(len(self._threads)):
            self._queue.put(None)

    def _run(self, first: list[Work]) -> None:
        thread = threading.current_thread()
        self._threads.add(thread)
        try:
            self._work(first)
        finally:
            self._threads.discard(thread)

    def _work(self, first: list[Work]) -> None:
        work: Work | None = first.pop()  # so that nothing else holds on to it: neither the thread nor a frame
        while work is not None:
            work()
            del work  # it holds on to an app
            with self._lock:
                if self._dismissed:
                    return
                self._idle += 1
            try:
                work = self._queue.get(timeout=_IDLE_SECONDS)
            except Empty:
                with self._lock:
                    try:
                        work = self._queue.get_nowait()  # given at the last moment, unless another thread has taken it
                    except Empty:
                        self._idle -= 1
                        return
