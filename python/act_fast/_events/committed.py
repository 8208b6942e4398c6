"""An event as a store holds it."""

from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from act_fast._events.handling import handling
from act_fast._events.meta import Meta

__all__ = ["Committed"]

T_co = TypeVar("T_co", covariant=True)


class Committed(msgspec.Struct, Generic[T_co], frozen=True):
    """An event as the store holds it: a fact, and where and when it was committed.

    Attributes:
        data: the event; from a store, its encoded JSON.
        name: the event's name.
        stream: the stream it belongs to.
        version: its place in that stream, from 1.
        position: its place in the whole log, from 1.
        created: when it was committed, in UTC, to the microsecond; never runs backwards along the log.
        meta: why it happened.
        tags: whom it is about, such as `course:maths`; empty for most events.
    """

    data: T_co
    name: str
    stream: str
    version: int
    position: int
    created: datetime
    meta: Meta
    tags: tuple[str, ...] = ()

    @property
    def attempt(self) -> int:
        """In a handler: how many times handling this event may have been started, this time included; 1 the first time.

        It is more than 1 after a failure, even of another reaction of the same event, and after the process that had
        started it has died. Outside of handlers it is 1.
        """
        here = handling()
        return 1 if here is None else here.begun_at(self.position)

    @property
    def target(self) -> str | None:
        """In a handler, the target that it runs under; None elsewhere."""
        here = handling()
        return here.name if here is not None and here.has(self.position) else None
