"""Doing things once: keys, how long they are kept, and whether a repetition asks for what was asked the first time."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import islice
from time import time_ns
from typing import Final

import msgspec

from act_fast._checks import arguments
from act_fast._core import Appended, Log
from act_fast._events.committed import Committed
from act_fast._events.gone import GONE, REWRITINGS
from act_fast._rows import EventPair, OnceRow, ProposedPart
from act_fast.errors import KeyReusedError, ValidationError
from act_fast.stores.given import Guards
from act_fast.stores.port import Store

__all__ = ["Keeping", "Repeated", "append_once", "commit_of", "key_tag", "same_again"]

_FOREVER_US: Final = -(1 << 63)
_DAY: Final = timedelta(days=1)
_MICROSECOND: Final = timedelta(microseconds=1)


def _now_us() -> int:
    return time_ns() // 1000


class Repeated(Exception):
    """A key was used before, and nothing was written. It is not raised to users: they get the first outcome.

    Attributes:
        first: the position of the first event of the commit that the key was used for.
        last: the position of its last event.
    """

    def __init__(self, first: int, last: int) -> None:
        super().__init__(first, last)
        self.first = first
        self.last = last


class Keeping:
    """How long a store keeps keys.

    Args:
        keys_for: as long as this; None: forever.
    """

    def __init__(self, keys_for: timedelta | None) -> None:
        if keys_for is not None and (not isinstance(keys_for, timedelta) or keys_for < _DAY):
            raise ValidationError("keys_for must be a timedelta of at least one day, or None to keep keys forever")
        self._us: int | None = None if keys_for is None else keys_for // _MICROSECOND

    def once(self, key: str, now_us: Callable[[], int] = _now_us) -> OnceRow:
        """A key as the core takes it: with the time since when its uses count.

        Args:
            key: the key.
            now_us: the clock that commits are stamped with.
        """
        since = _FOREVER_US if self._us is None else max(_FOREVER_US, now_us() - self._us)
        return arguments.text("key", key), since

    def used(self, log: Log, key: str) -> tuple[int, int] | None:
        """The positions of the first and the last event of the commit that a key was used for; None without one."""
        return log.used(*self.once(key, log.now_us))

    def append(
        self, log: Log, parts: Sequence[ProposedPart], key: str, meta: bytes, guards: Guards | None
    ) -> list[Appended]:
        """Append to a log under a key.

        Raises:
            Repeated: the key was used before.
        """
        once = self.once(key, log.now_us)
        if guards is None:
            found = log.append_once(parts, once, meta)
        else:
            found = log.append_once(parts, once, meta, *guards[:2])
        if isinstance(found, tuple):
            raise Repeated(*found)
        return found


class _Redaction(msgspec.Struct):
    """What the event that tells of a redaction says."""

    positions: list[tuple[int, int]]
    fields: list[str] | None = None


def key_tag(key: str) -> str:
    """The tag that a key is kept as."""
    return f"key={key}"


def commit_of(store: Store, repeated: Repeated) -> list[Committed[bytes]]:
    """The events of the commit that a key was used for."""
    return list(store.query(after=repeated.first - 1, before=repeated.last + 1))


def append_once(store: Store, key: str, parts: Sequence[ProposedPart], repeated: Repeated) -> list[Appended]:
    """Where the events are that were appended under a key the first time, if they are the same.

    Raises:
        KeyReusedError: they are not.
    """
    found = commit_of(store, repeated)
    offered = [(stream, event) for stream, events, _ in parts for event in events]
    if len(found) != len(offered) or not all(
        event.stream == stream and _is_same(event, key, given, store)
        for event, (stream, given) in zip(found, offered, strict=True)
    ):
        raise KeyReusedError(key, repeated.first)
    return same_again(found, [len(events) for _, events, _ in parts])


def same_again(found: Sequence[Committed[bytes]], counts: Sequence[int]) -> list[Appended]:
    """Where the parts of a commit are, which have so many events each."""
    events = iter(found)
    parts = [list(islice(events, count)) for count in counts]
    return [Appended(own[0].version, own[-1].version, own[0].position, own[-1].position) for own in parts]


def _is_same(event: Committed[bytes], key: str, given: EventPair, store: Store) -> bool:
    """Whether an event is the one offered; what is gone is taken for the same, since nothing tells otherwise."""
    own = [tag for tag in event.tags if tag != key_tag(key)]
    tags = given[2] if len(given) == 3 else ()
    return (
        event.name == given[0]
        and own == [*dict.fromkeys(tags)]
        and (event.data in GONE or event.data == given[1] or _is_same_data(event, given[1], store))
    )


def _is_same_data(event: Committed[bytes], given: bytes, store: Store) -> bool:
    """Whether an event's data is the same JSON, but for fields that were redacted."""
    there, offered = _value(event.data), _value(given)
    if there == offered:
        return True
    if not isinstance(there, dict) or not isinstance(offered, dict) or there.keys() != offered.keys():
        return False
    other = {name for name, value in there.items() if value != offered[name]}
    return other <= _redacted_fields(store, event.position)


def _redacted_fields(store: Store, position: int) -> set[str]:
    """The fields of an event that were given other values, as the log tells."""
    found: set[str] = set()
    for each in store.query(stream=REWRITINGS, names=["$redacted"], after=position):
        told = msgspec.json.decode(each.data, type=_Redaction)
        if any(first <= position <= last for first, last in told.positions):
            found.update(told.fields or ())
    return found


def _value(data: bytes) -> object:
    try:
        return msgspec.json.decode(data)
    except msgspec.MsgspecError:
        return data
