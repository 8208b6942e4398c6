"""What streams, events and reactions of timers and recurring ticks are called. A `$` begins whatever is our own."""

from typing import Final

__all__ = ["BEGAN", "CANCELLED", "DONE", "SCHEDULED", "TICKED", "TICK_STREAM", "TIMERS", "TIMER_STREAM", "is_own"]

TIMER_STREAM: Final = "$timer-"
"""What the stream of a timer is called, up to its key."""

TICK_STREAM: Final = "$every-"
"""What the stream of what recurs is called, up to the name of its reaction."""

SCHEDULED: Final = "$scheduled."
"""How a timer is stored, up to the name of the state whose action it does: each program takes those of its states."""

TIMERS: Final = "$timers."
"""What the reaction is called that does the timers of a state, up to the name of that."""

DONE: Final = "$done"
CANCELLED: Final = "$cancelled"
BEGAN: Final = "$began"

TICKED: Final = "$ticked."
"""How a tick is stored, up to the name of its reaction."""


def is_own(name: str) -> bool:
    """Whether a stored name, of an event or of a reaction, is the framework's own."""
    return name.startswith("$")
