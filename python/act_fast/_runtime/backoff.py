"""How long to wait before trying again."""

import random

import msgspec

from act_fast.errors import DefinitionError

__all__ = ["Backoff", "backoff_of"]


class Backoff(msgspec.Struct, frozen=True):
    """Waits that grow from one attempt to the next.

    Attributes:
        first: the wait before the second attempt, in seconds.
        factor: how many times longer each wait is than the one before.
        longest: no wait is longer than this, in seconds.
        jitter: the share of each wait that is left to chance, 0 to 1, so that those who collided spread out.
    """

    first: float = 0.0
    factor: float = 2.0
    longest: float = 30.0
    jitter: float = 0.5

    def __post_init__(self) -> None:
        if not (self.first >= 0 and self.factor >= 1 and self.longest >= 0 and 0 <= self.jitter <= 1):
            raise DefinitionError(
                f"{self} cannot be a backoff: first and longest are seconds from 0, factor is 1 or more,"
                " and jitter is from 0 to 1"
            )

    def wait(self, attempt: int) -> float:
        """Seconds to wait after so many attempts, 1 or more, have failed."""
        full = min(self.first * self.factor ** min(attempt - 1, 64), self.longest)
        return full * (1 - self.jitter * random.random())


def backoff_of(place: str, given: float | Backoff) -> Backoff:
    """A backoff as a person gives it: itself, or the seconds of its first wait."""
    if isinstance(given, Backoff):
        return given
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise DefinitionError(f"{place}: backoff= must be seconds or a Backoff, not {type(given).__name__}")
    return Backoff(first=given)
