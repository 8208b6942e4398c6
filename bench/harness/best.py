"""How long a turn of an inner loop takes at its best: what other work on the machine adds is left out."""

from collections.abc import Callable
from time import perf_counter_ns

__all__ = ["best_ns"]


def best_ns(
    work: Callable[[], object], tries: int, turns: int, *, before: Callable[[], object] = lambda: None
) -> float:
    """The nanoseconds of one turn, in the fastest of so many tries; a call of `work` does so many turns.

    `before` is called before each try, and is not measured.
    """
    best = 0
    for _ in range(tries):
        before()
        began = perf_counter_ns()
        work()
        took = perf_counter_ns() - began
        best = min(best or took, took)
    return best / turns
