"""Settling: correlating and draining until there is nothing left to do here and now."""

from collections.abc import Sequence

from act_fast._checks.error_text import error_text
from act_fast._reactions.reports import Correlation, Drained, Settled
from act_fast._reactions.targets import targets
from act_fast._runtime.apart import check_interrupted
from act_fast._runtime.observers import Failure
from act_fast._workers.cycle import Cycle
from act_fast._workers.runner import Pass
from act_fast.errors import ActError

__all__ = ["settle", "settle_or_raise"]


def settle_or_raise(cycle: Cycle, passes: int | None, lanes: Sequence[str] | None) -> Settled:
    """Settle, and raise what a handler, a resolver or a decoder raised meanwhile and no later attempt made good.

    Raises:
        Exception: the first of these errors, with a note that says where it was raised.
        ActError: it was no `Exception`, or a target was blocked without one.
    """
    with cycle.program.observers.hearing() as heard:
        settled = settle(cycle, passes, lanes)
    left = _left(cycle, heard)
    if left:
        _raise(left)
    if settled.drained.blocked and not heard:
        raise ActError("a target was blocked because none of its attempts has ended; app.blocked() says which one")
    return settled


def _left(cycle: Cycle, heard: list[Failure]) -> list[Failure]:
    """The failures that no later attempt has made good."""
    names = dict.fromkeys(each.target for each in heard if each.target is not None)
    found = targets(cycle.program.port(), list(names)) if names else ()
    failing = {each.name for each in found if each.blocked or each.failing is not None}
    return [each for each in heard if each.target is None or each.target in failing]


def _raise(failures: list[Failure]) -> None:
    first = failures[0]
    error = first.error
    others = len({(each.doing, type(each.error)) for each in failures}) - 1
    note = f"{first.doing} failed" + (f", and so did {others} more" if others else "")
    if not isinstance(error, Exception):
        raise ActError(f"{note}: {error_text(error)}") from error
    error.add_note(f"{note}; settle(raises=False) goes on in spite of failures")
    raise error


def settle(cycle: Cycle, passes: int | None, lanes: Sequence[str] | None) -> Settled:
    """Correlate and drain until neither finds anything, or so many passes are done.

    Args:
        cycle: what drains.
        passes: None: as many as it takes.
        lanes: the lanes that it drains; None: all.
    """
    program = cycle.program
    under_way = program.begin_pass()
    try:
        settled = _settle(cycle, passes, lanes, under_way)
    finally:
        program.end_pass(under_way)
    program.observers.tell("settled", settled)
    return settled


def _settle(cycle: Cycle, passes: int | None, lanes: Sequence[str] | None, under_way: Pass) -> Settled:
    program = cycle.program
    correlation, drained = Correlation(), Drained()
    done = 0
    stuck_at = -1
    while passes is None or done < passes:
        check_interrupted()
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
    if drained.leased:
        cycle.let_go()
    return Settled(done, correlation, drained, under_way.stopped)
