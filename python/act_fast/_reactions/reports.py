"""What the verbs of reactions return, and what observers of reactions receive."""

from typing import Any

import msgspec

__all__ = ["Acked", "Blocked", "Claimed", "Correlation", "Drained", "Ran", "Settled"]


class Correlation(msgspec.Struct, frozen=True):
    """What `correlate` has done.

    Attributes:
        examined: how many events it has looked at.
        subscribed: how many targets are new.
        marked: how many events it has added to the work of targets.
        caught_up: whether it came to the end of the log.
    """

    examined: int = 0
    subscribed: int = 0
    marked: int = 0
    caught_up: bool = True

    def and_then(self, later: "Correlation") -> "Correlation":
        """Both together."""
        return Correlation(
            self.examined + later.examined,
            self.subscribed + later.subscribed,
            self.marked + later.marked,
            later.caught_up,
        )


class Drained(msgspec.Struct, frozen=True):
    """What `drain` has done.

    Attributes:
        leased: how many targets it has leased.
        handled: how many events have been handled, by all reactions that they are for.
        acked: how many targets have moved on.
        blocked: how many targets became blocked.
        retried: how many targets will retry the event that failed.
        deferred: how many targets wait for the time of their next event.
        lost: how many leases another worker took over; what was handled under them will be delivered again.
    """

    leased: int = 0
    handled: int = 0
    acked: int = 0
    blocked: int = 0
    retried: int = 0
    deferred: int = 0
    lost: int = 0

    def and_then(self, later: "Drained") -> "Drained":
        """Both together."""
        return Drained(*(a + b for a, b in zip(msgspec.structs.astuple(self), _numbers(later), strict=True)))


class Settled(msgspec.Struct, frozen=True):
    """What `settle` has done, in how many passes of correlating and draining.

    Attributes:
        passes: how many passes there were.
        correlation: what all passes together have found.
        drained: all their cycles together.
        stopped: whether `stop` was called meanwhile. That stops neither this `settle` nor a later `run`.
    """

    passes: int
    correlation: Correlation
    drained: Drained
    stopped: bool = False

    def and_then(self, other: "Settled") -> "Settled":
        """This, and then another one."""
        return Settled(
            self.passes + other.passes,
            self.correlation.and_then(other.correlation),
            self.drained.and_then(other.drained),
            self.stopped or other.stopped,
        )


class Ran(msgspec.Struct, frozen=True):
    """What `run` has done until it was stopped.

    Attributes:
        drained: all its cycles together.
        abandoned: how many handlers were still running when the grace period was over; what they do will not count.
    """

    drained: Drained
    abandoned: int = 0


class Claimed(msgspec.Struct, frozen=True):
    """A target was leased.

    Attributes:
        target: its name.
        events: how many events were fetched for it.
        attempts: how often the first of them has been started, this time included.
        lagging: whether it was taken from the lagging frontier.
    """

    target: str
    events: int
    attempts: int
    lagging: bool


class Acked(msgspec.Struct, frozen=True):
    """A target has moved on: this many of its events are handled, the last of them at a position."""

    target: str
    position: int
    events: int


class Blocked(msgspec.Struct, frozen=True):
    """A target was blocked at the event at a position, after this many attempts."""

    target: str
    position: int
    attempts: int
    error: str


def _numbers(drained: Drained) -> tuple[Any, ...]:
    return msgspec.structs.astuple(drained)
