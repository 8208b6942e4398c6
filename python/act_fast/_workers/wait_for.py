"""Waiting for a target, to read what was just written."""

import time
from typing import Final

from act_fast._reactions.targets import Target, targets
from act_fast._workers.runner import Program
from act_fast.errors import ValidationError

__all__ = ["wait_for"]

_LOOK_SECONDS: Final = 0.01
"""What another process acknowledges is no news of the store, so it is looked for now and then."""


def wait_for(program: Program, position: int, target: str, seconds: float | None) -> Target:
    """Sleep until a target has processed everything up to a position.

    Raises:
        TimeoutError: it has not, after so many seconds.
    """
    port = program.port()
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        try:
            found = next(targets(port, target), None)
        except ValidationError:
            found = None  # no event has concerned it so far
        if found is not None and found.watermark >= position:
            return found
        left = _LOOK_SECONDS if deadline is None else min(_LOOK_SECONDS, deadline - time.monotonic())
        if left <= 0:
            raise TimeoutError(_late(target, position, found))
        program.await_move(left)


def _late(target: str, position: int, found: Target | None) -> str:
    if found is None:
        return f"there is no target {target!r} yet, so it has not come to position {position}; is a worker running?"
    why = f"; it is blocked: {found.error}" if found.blocked else f"; it waits until {found.due}" if found.due else ""
    return f"target {target!r} has come to position {found.watermark}, not yet to {position}{why}"
