"""Threads that start together, so that none works before the clock does."""

import threading
from collections.abc import Callable, Sequence

from bench.harness.duel import Body

__all__ = ["in_threads"]


def in_threads(works: Sequence[Callable[[], None]]) -> Body:
    """Threads that stand at the start line already; the body lets them go and waits for the last."""
    start = threading.Barrier(len(works) + 1)
    failures: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        start.wait()
        try:
            work()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()

    def body() -> None:
        start.wait()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    return body
