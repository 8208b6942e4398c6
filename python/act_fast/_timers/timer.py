"""A timer: what its stream says of it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from act_fast._checks import arguments
from act_fast._events.committed import Committed
from act_fast._events.gone import GONE
from act_fast._events.meta import Meta
from act_fast._timers.facts import Cancelled, Scheduled
from act_fast._timers.names import CANCELLED, DONE, SCHEDULED, TIMER_STREAM
from act_fast.errors import ConcurrencyError, ValidationError
from act_fast.stores.port import Store

__all__ = ["Timer", "cancel_timer", "each_timer", "find_timer", "since", "stream_of", "timers_before"]

_KEY_BYTES_MAX: Final = 400
_LOOKED_MAX: Final = 5000
"""So many are looked at for a page of a listing."""
_decode: Final = msgspec.json.Decoder(Scheduled).decode


class Timer(msgspec.Struct, frozen=True):
    """An action that is scheduled, was done, or was cancelled.

    Attributes:
        key: its name.
        status: `"waiting"`, `"done"` or `"cancelled"`; also `"cancelled"` if its arguments were redacted.
        due: when it is to be done.
        action: `State.method`.
        stream: the stream to do it on.
        arguments: the action's own arguments, by name, as JSON has them.
        scheduled: when it was scheduled.
        ended: when it was done or cancelled; None while it waits.
        version: how many events its own stream has.
        after: how many seconds after scheduling it is due, if it was scheduled with `after=`.
    """

    key: str
    status: Literal["waiting", "done", "cancelled"]
    due: datetime
    action: str
    stream: str
    arguments: dict[str, Any]
    scheduled: datetime
    ended: datetime | None
    version: int
    after: float | None = None

    @property
    def target(self) -> str:
        """The target that does it: its name in `app.targets` and `act-fast why` while it waits."""
        return f"{TIMER_STREAM}{self.key}@{self.version if self.ended is None else self.version - 1}"


def stream_of(key: str) -> str:
    """The stream of a timer.

    Raises:
        ValidationError: this cannot be a key.
    """
    size = len(arguments.text("key", key).encode())
    if not 0 < size <= _KEY_BYTES_MAX or any(each in key for each in "\0\n\r"):
        raise ValidationError(f"key={key!r}: a timer's key has 1 to {_KEY_BYTES_MAX} bytes, no NUL and no line breaks")
    return f"{TIMER_STREAM}{key}"


def find_timer(store: Store, key: str) -> Timer | None:
    """A timer by its key; None if nothing was ever scheduled under it."""
    return _folded(store.load(stream_of(key)))


def cancel_timer(store: Store, key: str, meta: Callable[[], Meta]) -> Timer:
    """Append that a timer is not to be done, if it still waits; the timer as it is then.

    Args:
        store: where it is.
        key: its key.
        meta: why it is cancelled, and by whom.

    Raises:
        ValidationError: nothing was ever scheduled under this key.
    """
    while True:
        known = find_timer(store, key)
        if known is None:
            raise ValidationError(f"no timer was ever scheduled under the key {key!r}")
        if known.status != "waiting":
            return known
        with suppress(ConcurrencyError):
            store.append(stream_of(key), [Cancelled()], expected_version=known.version, meta=meta())


def timers_before(store: Store, before: int, limit: int, *, waiting: bool) -> tuple[list[Timer], int | None]:
    """Timers by when they were scheduled, the last first, and the position to go on before; None at the end.

    Args:
        store: where they are.
        before: those that were scheduled before this position.
        limit: so many; fewer where others were looked at in between.
        waiting: only those that wait.
    """
    names = [name for name in store.names() if name.startswith(SCHEDULED)]
    found: list[Timer] = []
    if names:
        for looked, each in enumerate(store.query(names=names, before=before, backwards=True), 1):
            if not waiting or store.version(each.stream) == each.version:
                timer = find_timer(store, each.stream.removeprefix(TIMER_STREAM))
                # One that was scheduled again is listed where it was last.
                if timer is not None and timer.target == f"{each.stream}@{each.version}":
                    found.append(timer)
            if len(found) == limit or looked == _LOOKED_MAX:
                return found, each.position
    return found, None


def each_timer(store: Store) -> Iterator[Timer]:
    """All timers, in the order in which they were first scheduled."""
    names = [name for name in store.names() if name.startswith(SCHEDULED)]
    if not names:
        return
    known: dict[str, Timer | None] = {}
    for each in store.query(names=[*names, DONE, CANCELLED], before=store.head + 1):
        known[each.stream] = _after(known.get(each.stream), each)
    yield from (each for each in known.values() if each is not None)


def since(event: Committed[bytes]) -> datetime:
    """Since when an event waits to be handled: since it was committed; a timer, since it was due."""
    if not event.name.startswith(SCHEDULED) or event.data in GONE:
        return event.created
    return max(event.created, _decode(event.data).due)


def _folded(events: Iterable[Committed[bytes]]) -> Timer | None:
    timer: Timer | None = None
    for each in events:
        timer = _after(timer, each)
    return timer


def _after(timer: Timer | None, event: Committed[bytes]) -> Timer | None:
    """A timer after one more of its events."""
    if event.name.startswith(SCHEDULED):
        key = event.stream.removeprefix(TIMER_STREAM)
        if event.data in GONE:  # what was to be done is not known any more, so it never will be
            when = event.created
            return Timer(key, "cancelled", when, "", "", {}, when, when, event.version)
        made = _decode(event.data)
        return Timer(
            key,
            "waiting",
            made.due,
            made.action,
            made.stream,
            made.arguments,
            event.created,
            None,
            event.version,
            made.after,
        )
    if timer is None or event.name not in (DONE, CANCELLED):
        return timer
    status: Literal["done", "cancelled"] = "done" if event.name == DONE else "cancelled"
    return msgspec.structs.replace(timer, status=status, ended=event.created, version=event.version)
