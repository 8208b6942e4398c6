"""How long to wait before retrying."""

from math import isfinite
from typing import Final

import msgspec

from act_fast.errors import DefinitionError

__all__ = ["Backoff", "backoff_of"]

_LONGEST: Final = 100 * 365 * 24 * 3600


class Backoff(msgspec.Struct, frozen=True):
    """Waits that grow from one attempt to the next.

    Attributes:
        first: the wait before the second attempt, in seconds.
        factor: how many times longer each wait is than the one before.
        longest: no wait is longer than this, in seconds.
        jitter: the random share of each wait, 0 to 1, so that those who collided spread out.
    """

    first: float = 0.0
    factor: float = 2.0
    longest: float = 30.0
    jitter: float = 0.5

    def __post_init__(self) -> None:
        given = (self.first, self.factor, self.longest, self.jitter)
        numbers = all(isinstance(each, int | float) and not isinstance(each, bool) and isfinite(each) for each in given)
        if not (
            numbers and self.first >= 0 and self.factor >= 1 and 0 <= self.longest <= _LONGEST and 0 <= self.jitter <= 1
        ):
            raise DefinitionError(
                f"{self} cannot be a backoff: first and longest are seconds from 0 to a hundred years,"
                " factor is 1 or more, and jitter is from 0 to 1"
            )

    def wait(self, attempt: int) -> float:
        """Seconds to wait after so many attempts, 1 or more, have failed."""
        if not self.first:
            return 0.0
        try:
            full = min(self.first * self.factor ** min(attempt - 1, 64), self.longest)
        except OverflowError:
            full = self.longest
        from random import random

        return full * (1 - self.jitter * random())


def backoff_of(place: str, given: float | Backoff) -> Backoff:
    """A backoff as a person gives it: itself, or the seconds of its first wait."""
    if isinstance(given, Backoff):
        return given
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise DefinitionError(f"{place}: backoff= must be seconds or a Backoff, not {type(given).__name__}")
    return Backoff(first=given)
