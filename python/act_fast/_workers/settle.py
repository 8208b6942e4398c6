"""Settling: correlating and draining until there is nothing left to do here and now."""

from collections.abc import Sequence

from act_fast._reactions.reports import Correlation, Drained, Settled
from act_fast._workers.cycle import Cycle

__all__ = ["settle"]


def settle(cycle: Cycle, passes: int | None, lanes: Sequence[str] | None) -> Settled:
    """Correlate and drain until neither finds anything, or so many passes are done.

    Args:
        cycle: what drains.
        passes: None: as many as it takes.
        lanes: the lanes that it drains; None: all.
    """
    program = cycle.program
    correlation, drained = Correlation(), Drained()
    done = 0
    stuck_at = -1
    while passes is None or done < passes:
        found = program.correlate(None)
        leased = cycle.once(each_lane=cycle.size.targets)
        done += 1
        correlation, drained = correlation.and_then(found), drained.and_then(leased)
        if leased.leased:
            continue
        # Ready, but not leased: its events lie above the cut. Once more, unless nothing has moved since.
        port = program.port()
        cut = port.cut()
        if not port.any_ready(lanes) or cut == stuck_at:
            break
        stuck_at = cut
    settled = Settled(done, correlation, drained)
    program.observers.tell("settled", settled)
    return settled
