"""All targets added up: how many are in each state, how far the frontiers are, and who is furthest behind."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from heapq import nsmallest
from typing import Final, cast

import msgspec

from act_fast._reactions.targets import STATES, Target, TargetState, cursors, state_of, targets
from act_fast._rows import TargetTally
from act_fast.errors import ValidationError
from act_fast.stores.reaction_port import ReactionPort

__all__ = ["Tallies", "Tally", "tally_of"]

PARTS: Final = 60
_FRESH_S: Final = 1.0
_STRETCH: Final = 20_000
"""So many targets are added up at a time: for so long no worker gets on."""
_COUNTED_MAX: Final = 20_000
"""So many are, in a store that does not add them up by itself."""
_WORST: Final = 12


class Tally(msgspec.Struct):
    """All targets added up.

    Attributes:
        head: the position of the last event at the time.
        states: how many are in each state.
        caught_up: how many targets without work stand in each part of the log.
        behind: how many with work stand in each part of the log.
        by_reaction: for each reaction how many targets are in each state, and their lag.
        uncorrelated: for each reaction how many positions were not looked at yet.
        worst: those that are blocked, then those furthest behind.
        lag: how many events they still have to process.
        leading: the highest watermark.
        lagging: the lowest watermark of a target that has work; None if none has.
        complete: whether all targets are counted, and not only the first ones.
    """

    head: int
    states: Counter[TargetState]
    caught_up: list[int]
    behind: list[int]
    by_reaction: dict[str, Counter[str]]
    uncorrelated: dict[str, int]
    worst: list[Target] = []
    lag: int = 0
    leading: int = 0
    lagging: int | None = None
    complete: bool = True

    @property
    def total(self) -> int:
        """How many targets there are."""
        return sum(self.states.values())


class Tallies:
    """The last tally, while it is fresh. The longer one takes, the longer it is used."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: tuple[float, Tally] | None = None

    def look(self, port: ReactionPort, head: int) -> Tally:
        """The targets added up, as they were a moment ago."""
        with self._lock:
            if self._last is None or time.monotonic() > self._last[0]:
                began = time.monotonic()
                tally = tally_of(port, head)
                took = time.monotonic() - began
                self._last = time.monotonic() + max(_FRESH_S, 10 * took), tally
            return self._last[1]

    def forget(self) -> None:
        """Count again next time: something was changed by hand."""
        self._last = None


def tally_of(port: ReactionPort, head: int) -> Tally:
    """The targets added up now."""
    known = cursors(port)
    tally = Tally(
        head=head,
        states=Counter(dict.fromkeys(STATES, 0)),
        caught_up=[0] * PARTS,
        behind=[0] * PARTS,
        by_reaction={each.reaction: Counter() for each in known},
        uncorrelated={each.reaction: max(0, head - each.position) for each in known},
    )
    own = getattr(port, "tally", None)
    if callable(own):
        _add_stretches(tally, port, cast("Callable[..., TargetTally]", own))
    else:
        _add_targets(tally, port)
    return tally


def _add_stretches(tally: Tally, port: ReactionPort, own: "Callable[..., TargetTally]") -> None:
    """What the store adds up by itself, stretch by stretch."""
    worst: list[tuple[bool, int, str]] = []
    start: int | None = 0
    while start is not None:
        start, states, lag, leading, lagging, caught_up, behind, reactions, named = own(
            start, _STRETCH, tally.head, PARTS, _WORST
        )
        tally.states.update(dict(zip(STATES, states, strict=True)))
        tally.lag += lag
        tally.leading = max(tally.leading, leading)
        tally.lagging = min((each for each in (tally.lagging, lagging) if each is not None), default=None)
        tally.caught_up = [a + b for a, b in zip(tally.caught_up, caught_up, strict=True)]
        tally.behind = [a + b for a, b in zip(tally.behind, behind, strict=True)]
        for name, counts, reaction_lag in reactions:
            found = tally.by_reaction.setdefault(name, Counter())
            found.update(dict(zip(STATES, counts, strict=True)))
            found["lag"] += reaction_lag
        worst = nsmallest(_WORST, [*worst, *named], key=lambda each: (not each[0], -each[1]))
    for *_, name in worst:
        try:
            tally.worst += targets(port, name)
        except ValidationError:  # it was forgotten meanwhile
            continue


def _add_targets(tally: Tally, port: ReactionPort) -> None:
    """What is told of targets, one after the other; of the first ones, where there are many."""
    busy = []
    for number, target in enumerate(targets(port, limit=_COUNTED_MAX)):
        tally.complete = number + 1 < _COUNTED_MAX
        state = state_of(target)
        tally.states[state] += 1
        tally.lag += target.lag
        tally.leading = max(tally.leading, target.watermark)
        part = min(PARTS - 1, target.watermark * PARTS // max(1, tally.head))
        (tally.behind if target.lag else tally.caught_up)[part] += 1
        for name in target.reactions:
            counts = tally.by_reaction.setdefault(name, Counter())
            counts[state] += 1
            counts["lag"] += target.lag
        if target.lag:
            tally.lagging = target.watermark if tally.lagging is None else min(tally.lagging, target.watermark)
        if target.lag or target.blocked:
            busy.append(target)
    tally.worst = nsmallest(_WORST, busy, key=lambda each: (not each.blocked, -each.lag))
