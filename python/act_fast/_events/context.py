"""What an action inherits from where it is called: the actor, the correlation, the event being handled."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any, TypeAlias

import msgspec

from act_fast._events import handling as _handling
from act_fast._events.committed import Committed
from act_fast._events.handling import Handling
from act_fast._events.meta import Actor, EventCause
from act_fast.errors import DefinitionError

__all__ = ["Ambient", "Here", "Reacting", "Repeated", "ambient", "deciding", "within"]


class Ambient(msgspec.Struct, frozen=True):
    """The values set in the current context; each is None unless it was set.

    Attributes:
        actor: who acts.
        correlation: the id of the request that all this belongs to.
        event: the event that a reaction is handling.
    """

    actor: Actor | None = None
    correlation: str | None = None
    event: EventCause | None = None


class Reacting(msgspec.Struct, frozen=True, gc=False):
    """The same inside a reaction, where it is set for each event: what it says is worked out when somebody asks.

    Attributes:
        actor: who acts.
        handled: the event that is being handled.
        handling: the target that handles it.
    """

    actor: Actor | None
    handled: Committed[Any]
    handling: Handling

    @property
    def correlation(self) -> str | None:
        """The id of the request that the event belongs to."""
        return self.handled.meta.correlation

    @property
    def event(self) -> EventCause:
        """The event that is being handled."""
        event = self.handled
        return EventCause(event.name, event.stream, event.position, event.version)


class Repeated(Ambient, frozen=True, kw_only=True):
    """What holds where a projection handles an event once more: it is not what causes anything.

    Attributes:
        handled: the event that is being handled.
        handling: the target whose event it is.
    """

    handled: Committed[Any]
    handling: Handling


Here: TypeAlias = Ambient | Reacting

deciding: ContextVar[str | None] = ContextVar("act_fast_deciding", default=None)
"""Whose code is folding or deciding just now, which must do nothing to a store; None when none is."""

ambient: ContextVar[Here | None] = _handling.ambient


@contextmanager
def within(
    *, actor: Actor | None = None, correlation: str | None = None, event: EventCause | None = None
) -> Iterator[Ambient]:
    """Let what is given hold inside the `with` block; what is not given stays as it was outside."""
    outer = ambient.get() or Ambient()
    inner = Ambient(
        outer.actor if actor is None else actor,
        outer.correlation if correlation is None else correlation,
        outer.event if event is None else event,
    )
    before = ambient.get()
    token = None
    try:
        token = ambient.set(inner)
        yield inner
    finally:
        if token is None:  # Ctrl-C came just as it was set
            ambient.set(before)
        else:
            _leave(token)


def _leave(token: "Token[Here | None]") -> None:
    try:
        ambient.reset(token)
    except ValueError:
        raise DefinitionError(
            "`with app.context(...)` was entered in one context and left in another, as a `def` dependency of a web"
            " framework does on its threads, so it had no effect in between; make what it stands in `async def`"
        ) from None
