"""Waiting for a target, to read what was just written."""

import math
import time

from act_fast._reactions.targets import Target, holding, progress
from act_fast._timers.names import is_own
from act_fast._workers.runner import Program
from act_fast.errors import ValidationError
from act_fast.stores.capabilities import trouble_of

__all__ = ["wait_for"]


def wait_for(program: Program, position: int, target: str, seconds: float | None) -> Target:
    """Sleep until everything up to a position that may come to a target has been handled.

    Raises:
        ValidationError: no reaction may ever run under this name.
        TimeoutError: it has not come so far, after so many seconds.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        port = program.port()
        seen = port.expect_moves()  # before looking, so that what comes in between is not slept through
        found = progress(port, target)
        if found is None or _is_of_timers_alone(found):
            raise ValidationError(
                f"no reaction of this app can run under a target {target!r}, and no other program's does; check the"
                " name against to= of the reaction that you wait for"
            )
        if found.watermark >= position:
            return found
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            trouble = trouble_of(program.store)
            raise TimeoutError(_late(target, position, found, _holding(program, found), trouble))
        port.wait_moves(seen, None if left is None else math.ceil(left * 1000))


def _is_of_timers_alone(found: Target) -> bool:
    """Whether nothing may run there but what does timers: by a function, it names targets that begin with a $."""
    return not is_own(found.name) and bool(found.reactions) and all(map(is_own, found.reactions))


def _late(target: str, position: int, found: Target, holding: Target | None, trouble: str) -> str:
    why = f"; it is blocked: {found.error}" if found.blocked else f"; it waits until {found.due}" if found.due else ""
    if not why and holding is not None:
        why = f"; the targets of the event at position {holding.failing} cannot be found: {holding.error}"
    if trouble:
        why = f"; nothing new arrives on this machine: {trouble}"
    why = why or "; is a worker running?"
    return f"target {target!r} has come to position {found.watermark}, not yet to {position}{why}"


def _holding(program: Program, found: Target) -> Target | None:
    """A reaction of a target that holds right behind what the target has processed."""
    for reaction in found.reactions:
        hold = holding(program.port(), reaction)
        if hold is not None and hold.watermark == found.watermark:
            return hold
    return None
