"""Correlation ids: sixteen letters and digits, unique, and in the order of time."""

import os
import random
import time
from threading import Lock
from typing import Final

__all__ = ["new_correlation"]

_DIGITS: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS: Final = [a + b for a in _DIGITS for b in _DIGITS]


class Correlator:
    """Makes the ids of one process: 60 bits of time in µs/256, never twice, and 20 bits by chance for the process."""

    def __init__(self) -> None:
        chance = random.SystemRandom()
        self._process = chance.choice(_PAIRS) + chance.choice(_PAIRS)
        self._lock = Lock()
        self._last = 0
        self._begins = 0
        self._beginning = ""

    def make(self) -> str:
        """The next id."""
        with self._lock:
            n = time.time_ns() // 1000 << 8
            if n <= self._last:  # asked again within the microsecond, or the clock was set back
                n = self._last + 1
            self._last = n
            if n >> 20 != self._begins:  # eight of the letters stay the same for 4 ms
                self._begins = n >> 20
                self._beginning = "".join(_PAIRS[n >> shift & 1023] for shift in (50, 40, 30, 20))
            return self._beginning + _PAIRS[n >> 10 & 1023] + _PAIRS[n & 1023] + self._process


_correlator = Correlator()


def new_correlation() -> str:
    """A new id. Those of one process sort in the order they were made in, those of several as their clocks agree."""
    return _correlator.make()


def _begin() -> None:
    global _correlator
    _correlator = Correlator()


os.register_at_fork(after_in_child=_begin)
