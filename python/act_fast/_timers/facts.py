"""The events that timers and recurring ticks are made of. They lie in streams of their own, and belong to no state."""

from datetime import datetime
from functools import cache
from typing import Any

from act_fast._events.event import Event
from act_fast._timers.names import BEGAN, CANCELLED, DONE, SCHEDULED, TICKED

__all__ = ["Began", "Cancelled", "Done", "Scheduled", "Ticked", "scheduled_as", "ticked_as"]


class Scheduled(Event):
    """An action is to be done later.

    Attributes:
        action: `State.method`.
        stream: the stream to do it on.
        arguments: the action's own, by name.
        due: when.
        after: how many seconds that was from when it was scheduled, if it was said so.
    """

    action: str
    stream: str
    arguments: dict[str, Any]
    due: datetime
    after: float | None = None


class Done(Event):
    """A timer has done its action: this is in the same commit as the action's events."""


class Cancelled(Event):
    """A timer will not do its action."""


class Began(Event):
    """From now on, something recurs.

    Attributes:
        rule: when it does.
    """

    rule: str


class Ticked(Event):
    """A moment that `every` was waiting for has come.

    Attributes:
        due: the moment; `created` is when a worker noticed, which is a little later, or much later if none was running.
        missed: how many moments before it passed without a tick of their own, because no worker was running.
        rule: the rule that it follows.
    """

    due: datetime
    missed: int = 0
    rule: str = ""


for _event, _name in ((Done, DONE), (Cancelled, CANCELLED), (Began, BEGAN)):
    _event.__stored_name__ = _name


@cache
def scheduled_as(state: str) -> type[Scheduled]:
    """The class of the timers that do actions of a state, by the state's name."""

    class Named(Scheduled):
        pass

    Named.__name__ = Named.__qualname__ = "Scheduled"
    Named.__stored_name__ = f"{SCHEDULED}{state}"
    return Named


@cache
def ticked_as(reaction: str) -> type[Ticked]:
    """The class of the ticks of a reaction, by its name."""

    class Named(Ticked):
        pass

    Named.__name__ = Named.__qualname__ = "Ticked"
    Named.__stored_name__ = f"{TICKED}{reaction}"
    return Named
