"""The names under which events are stored: how many there are, what they decode as, and whether they do."""

import time
from typing import Final

import msgspec

from act_fast._app.act import Act
from act_fast._events.codec import Codec
from act_fast._events.gone import GONE
from act_fast.inspector.searching import Wanted, older
from act_fast.stores.port import Store

__all__ = ["StoredName", "stored_names"]

_SAMPLE: Final = 50
_NAMES_MAX: Final = 200
_SECONDS: Final = 0.3


class StoredName(msgspec.Struct, frozen=True):
    """A stored name.

    Attributes:
        name: the name.
        events: how many events have it.
        event: the class they decode as; empty if no class claims the name.
        old: whether it is an older name of that class.
        looked: of how many of the latest it was tried.
        failed: how many of these do not decode.
        first: the position of the first of these, and why.
    """

    name: str
    events: int
    event: str
    old: bool
    looked: int
    failed: int
    first: tuple[int, str] | None


def stored_names(store: Store, app: Act | None, position: int) -> list[StoredName]:
    """All names, the most frequent first; of each the latest events are decoded, as far as there is time."""
    codec = None if app is None else app._codec
    until = time.monotonic() + _SECONDS
    named = sorted(store.names().items(), key=lambda item: -item[1])[:_NAMES_MAX]
    return [_looked_at(store, codec, name, events, position, until) for name, events in named]


def _looked_at(store: Store, codec: Codec | None, name: str, events: int, position: int, until: float) -> StoredName:
    cls = None if codec is None else codec.classes.get(name)
    if codec is None or cls is None:
        return StoredName(name, events, "", False, 0, 0, None)
    looked = failed = 0
    first: tuple[int, str] | None = None
    if time.monotonic() < until:
        for event in older(store, Wanted(names=[name]), position + 1, _SAMPLE).events:
            looked += 1
            if event.data in GONE:
                continue
            try:
                codec.committed(event)
            except Exception as error:  # an upcaster may raise anything
                failed += 1
                first = event.position, str(error)
    return StoredName(name, events, cls.__qualname__, name != cls.__stored_name__, looked, failed, first)
