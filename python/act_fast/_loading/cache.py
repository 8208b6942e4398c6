"""Live states, so that most loads need not start from nothing. An entry is a starting point, never the last word."""

from collections import OrderedDict
from threading import Lock
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import msgspec

from act_fast._runtime.forks import tell_in_child

__all__ = ["Cache", "CacheInfo", "Entry", "Key"]

S = TypeVar("S")

Key: TypeAlias = tuple[Any, str]
"""What was folded, and the stream."""


class Entry(msgspec.Struct, Generic[S], frozen=True, eq=False, gc=False):
    """A state and where it stands. The state is never changed in place: who wants to fold on, folds into a copy."""

    state: S
    version: int
    position: int
    closed: bool


class CacheInfo(NamedTuple):
    """The cache so far: loads that found a live state, loads that did not, states held now, and at most."""

    hits: int
    misses: int
    size: int
    size_max: int


class Cache:
    """At most `size_max` entries; the one that was not asked for the longest goes first. Any thread may use it."""

    def __init__(self, size_max: int) -> None:
        self._entries: OrderedDict[Key, Entry[Any]] = OrderedDict()
        self._lock = Lock()
        self._size_max = size_max
        self._hits = 0
        self._misses = 0
        tell_in_child(self)

    def forked(self) -> None:
        """The thread that held the lock stayed with the parent."""
        self._lock = Lock()

    def get(self, key: Key) -> Entry[Any] | None:
        """The entry, if it is there."""
        # Without the lock: each step is whole in itself, and an entry that goes in between is as good as a miss.
        try:
            entry = self._entries[key]
            self._entries.move_to_end(key)
        except KeyError:
            self._misses += 1
            return None
        self._hits += 1
        return entry

    def at_hand(self, key: Key) -> Entry[Any] | None:
        """The entry, if it is there. If not, that is no miss yet: it is asked for again by who then loads it."""
        return self.get(key) if key in self._entries else None

    def put(self, key: Key, entry: Entry[Any]) -> None:
        """Keep an entry, unless one of a later version is there already: slow threads do not undo fast ones.

        Should they all the same, in between two steps here, then somebody replays a little more than need be.
        """
        held = self._entries.get(key)
        if held is not None and held.version <= entry.version:
            self._entries[key] = entry
        elif held is None and self._size_max:
            with self._lock:
                self._entries[key] = entry
                while len(self._entries) > self._size_max:
                    self._entries.popitem(last=False)

    def drop(self, key: Key) -> None:
        """Forget an entry."""
        with self._lock:
            self._entries.pop(key, None)

    def clear(self) -> None:
        """Forget all entries."""
        with self._lock:
            self._entries.clear()

    def info(self) -> CacheInfo:
        """How it has done so far."""
        with self._lock:
            return CacheInfo(self._hits, self._misses, len(self._entries), self._size_max)
