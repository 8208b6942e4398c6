"""Threads that a process may end without: a handler that never comes back must not keep the interpreter from leaving."""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final, TypeAlias

__all__ = ["Daemons"]

Work: TypeAlias = Callable[[], object]

_IDLE_SECONDS: Final = 10.0


class Daemons:
    """As many threads as there is work at the same time. One that has had nothing to do for a while ends."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._queue: SimpleQueue[Work] = SimpleQueue()
        self._idle = 0

    def do(self, work: Work) -> None:
        """Have a thread do something, which must not raise."""
        with self._lock:
            if self._idle:
                self._idle -= 1
                self._queue.put(work)
                return
        threading.Thread(target=self._run, args=(work,), name=self._name, daemon=True).start()

    def _run(self, work: Work) -> None:
        while True:
            work()
            del work  # it holds on to an app
            with self._lock:
                self._idle += 1
            try:
                work = self._queue.get(timeout=_IDLE_SECONDS)
            except Empty:
                with self._lock:
                    if not self._queue.empty():  # given work at the last moment
                        work = self._queue.get()
                        continue
                    self._idle -= 1
                    return
