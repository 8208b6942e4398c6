"""Each test ends: one that hangs fails where it hangs, and the others go on.

`faulthandler_timeout` in pyproject.toml says how long a test may take with all its fixtures. Shortly before, the test
is failed by a signal, which says where it was. One that no signal reaches, as it hangs in native code, ends the whole
run: pytest prints where each thread is, and exits.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

import pytest

_EARLIER: Final = 0.8


class NotEnded(BaseException):
    """A test has not ended in time. No `Exception`: whoever takes failures as examples to shrink goes on for longer."""


@contextmanager
def bounded(item: pytest.Item) -> Iterator[None]:
    """Fail what the block does once it has taken four fifths of the time that a test has."""
    seconds = float(item.config.getini("faulthandler_timeout") or 0) * _EARLIER

    def fail(number: int, frame: FrameType | None) -> None:
        raise NotEnded(f"after {seconds:g} seconds the test is here")

    before: Any = signal.signal(signal.SIGALRM, fail)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
