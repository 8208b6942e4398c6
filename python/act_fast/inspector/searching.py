"""Looking for events without reading the whole log: window after window, until there are enough or time is up."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from act_fast._events.committed import Committed
from act_fast.stores.port import Store

__all__ = ["Found", "Wanted", "event_at", "newer", "older"]

_WINDOW: Final = 20_000
_GROWTH: Final = 4
_SECONDS: Final = 0.25


class Wanted(msgspec.Struct, frozen=True):
    """Which events are looked for."""

    stream: str | None = None
    pattern: str | None = None
    names: Sequence[str] | None = None
    correlation: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None

    @property
    def indexed(self) -> bool:
        """Whether the log need not be read to find them."""
        return self.stream is not None or not (self.pattern or self.names or self.correlation)

    def conditions(self) -> dict[str, Any]:
        """The conditions, as stores take them."""
        return {name: getattr(self, name) for name in self.__struct_fields__ if getattr(self, name) is not None}


class Found(msgspec.Struct, frozen=True):
    """What was found.

    Attributes:
        events: in the order that was asked for.
        more: whether there may be more.
        reached: the position that was searched up to, or down to, where that took too long; None: all the way.
    """

    events: list[Committed[bytes]]
    more: bool
    reached: int | None = None


def older(store: Store, wanted: Wanted, before: int, limit: int, after: int = 0) -> Found:
    """Events below a position and above another, the newest first."""
    return _search(store, wanted, after, before, limit, backwards=True)


def newer(store: Store, wanted: Wanted, after: int, limit: int, before: int) -> Found:
    """Events above a position and below another, the oldest first."""
    return _search(store, wanted, after, before, limit, backwards=False)


def event_at(store: Store, position: int) -> Committed[bytes] | None:
    """The event at a position."""
    return next(iter(store.query(after=position - 1, before=position + 1, limit=1)), None) if position else None


def _search(store: Store, wanted: Wanted, after: int, before: int, limit: int, *, backwards: bool) -> Found:
    conditions, until, window = wanted.conditions(), time.monotonic() + _SECONDS, _WINDOW
    events: list[Committed[bytes]] = []
    low, high = after, before
    while high - low > 1:
        size = high - low if wanted.indexed else window
        start, end = (max(low, high - size - 1), high) if backwards else (low, min(high, low + size + 1))
        asked = limit + 1 - len(events)
        events += store.query(after=start, before=end, limit=asked, backwards=backwards, **conditions)
        if len(events) > limit:
            return Found(events[:limit], True)
        low, high = (low, start + 1) if backwards else (end - 1, high)
        window *= _GROWTH
        if time.monotonic() > until and high - low > 1:
            return Found(events, True, high if backwards else low)
    return Found(events, False)
