"""What an action inherits from where it is called: the actor, the correlation, the event being handled."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

from act_fast._meta import Actor, EventCause

__all__ = ["Ambient", "ambient", "within"]


class Ambient(msgspec.Struct, frozen=True):
    """What holds in the current context; each part is None when nothing was said.

    Attributes:
        actor: who acts.
        correlation: the id of the request that all this belongs to.
        event: the event that a reaction is handling.
    """

    actor: Actor | None = None
    correlation: str | None = None
    event: EventCause | None = None


ambient: ContextVar[Ambient | None] = ContextVar("act_fast_ambient", default=None)
"""Tasks inherit it from where they are made, as all context variables; so does what `asyncio.to_thread` runs."""


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
    token = ambient.set(inner)
    try:
        yield inner
    finally:
        ambient.reset(token)
