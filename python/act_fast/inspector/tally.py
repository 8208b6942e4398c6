"""All targets added up: how many are in each state, how far the frontiers are, and who is furthest behind."""

import threading
import time
from collections import Counter
from heapq import nsmallest
from typing import Final

import msgspec

from act_fast._reactions.targets import STATES, Target, TargetState, cursors, state_of, targets
from act_fast.stores.reaction_port import ReactionPort

__all__ = ["Tallies", "Tally"]

BUCKETS: Final = 60
_FRESH_S: Final = 1.0
_COUNTED_MAX: Final = 20_000
_WORST: Final = 12


class Tally(msgspec.Struct):
    """All targets added up.

    Attributes:
        states: how many are in each state.
        lag: how many events they still have to process.
        leading: the highest watermark.
        lagging: the lowest watermark of a target that has work; None if none has.
        caught_up: how many targets without work stand in each part of the log.
        behind: how many with work stand in each part of the log.
        worst: those that are blocked, then those furthest behind.
        by_reaction: for each reaction how many targets are in each state, and their lag.
        uncorrelated: for each reaction how many positions were not looked at yet.
        complete: whether all targets are counted, and not only the first ones.
        head: the position of the last event at the time.
    """

    head: int
    states: Counter[TargetState]
    caught_up: list[int]
    behind: list[int]
    worst: list[Target]
    by_reaction: dict[str, Counter[str]]
    uncorrelated: dict[str, int]
    lag: int = 0
    leading: int = 0
    lagging: int | None = None
    complete: bool = True

    @property
    def total(self) -> int:
        """How many targets there are."""
        return sum(self.states.values())


class Tallies:
    """The last tally, while it is fresh."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: tuple[float, Tally] | None = None

    def look(self, port: ReactionPort, head: int) -> Tally:
        """The targets added up, as they were a moment ago."""
        with self._lock:
            if self._last is None or time.monotonic() > self._last[0]:
                began = time.monotonic()
                tally = _count(port, head)
                took = time.monotonic() - began
                self._last = time.monotonic() + max(_FRESH_S, 10 * took), tally
            return self._last[1]

    def forget(self) -> None:
        """Count anew next time: something was changed by hand."""
        self._last = None


def _count(port: ReactionPort, head: int) -> Tally:
    known = cursors(port)
    tally = Tally(
        head=head,
        states=Counter(dict.fromkeys(STATES, 0)),
        caught_up=[0] * BUCKETS,
        behind=[0] * BUCKETS,
        worst=[],
        by_reaction={each.reaction: Counter() for each in known},
        uncorrelated={each.reaction: max(0, head - each.position) for each in known},
    )
    busy = []
    for number, target in enumerate(targets(port, limit=_COUNTED_MAX)):
        tally.complete = number + 1 < _COUNTED_MAX
        state = state_of(target)
        tally.states[state] += 1
        tally.lag += target.lag
        tally.leading = max(tally.leading, target.watermark)
        bucket = min(BUCKETS - 1, target.watermark * BUCKETS // max(1, head))
        (tally.behind if target.lag else tally.caught_up)[bucket] += 1
        for name in target.reactions:
            counts = tally.by_reaction.setdefault(name, Counter())
            counts[state] += 1
            counts["lag"] += target.lag
        if target.lag:
            tally.lagging = target.watermark if tally.lagging is None else min(tally.lagging, target.watermark)
        if target.lag or target.blocked:
            busy.append(target)
    tally.worst = nsmallest(_WORST, busy, key=lambda each: (not each.blocked, -each.lag))
    return tally
