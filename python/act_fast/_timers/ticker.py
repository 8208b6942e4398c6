"""Ticking: who notices first that a moment has come appends its tick; everyone else finds it there."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

import msgspec

from act_fast._checks.moments import microseconds_of, moment
from act_fast._events.committed import Committed
from act_fast._runtime.logger import log
from act_fast._timers.facts import Began, Ticked, ticked_as
from act_fast._timers.names import BEGAN, TICK_STREAM
from act_fast._timers.recurrence import Recurrence, latest_before
from act_fast.errors import ConcurrencyError
from act_fast.stores.port import Store

__all__ = ["Ticker"]

_EACH_MAX = 1000
"""How many ticks a commit has at most, and up to how many missed ones are counted."""
_LOOK_AGAIN = timedelta(minutes=5)


class Ticker:
    """Appends the ticks of what recurs. Any number of workers, in any number of processes, may do so.

    A tick expects the version at which its stream was seen, so only one worker can append it.

    Args:
        store: where the ticks go.
        now_us: what time it is, in µs since 1970.
        recurring: what recurs, by the name of its reaction.
    """

    def __init__(self, store: Store, now_us: Callable[[], int], recurring: Iterable[tuple[str, Recurrence]]) -> None:
        self._store = store
        self._now_us = now_us
        self._all = [_Recurring(name, each) for name, each in recurring]
        self._next_us = 0

    def tick(self) -> None:
        """Append what is due."""
        now_us = self._now_us()
        if now_us < self._next_us:
            return
        now = moment(now_us)
        for each in self._all:
            each.tick(self._store, now)
        self._next_us = min((microseconds_of(each.due) for each in self._all), default=2**63)

    def next_ms(self) -> int | None:
        """How many ms until something is due; None if nothing ever is."""
        if not self._all:
            return None
        return max(0, -(-(self._next_us - self._now_us()) // 1000))


class _Recurring:
    """One thing that recurs.

    Attributes:
        due: when to look at it next.
    """

    def __init__(self, name: str, recurrence: Recurrence) -> None:
        self.due = datetime.min
        self._stream = f"{TICK_STREAM}{name}"
        self._event = ticked_as(name)
        self._name = name
        self._recurrence = recurrence
        self._begun = False

    def tick(self, store: Store, now: datetime) -> None:
        """Append what is due, unless someone else did, and work out when the next moment comes."""
        if self._begun and now < self.due:
            return
        while not self._attempt(store, now):
            pass

    def _attempt(self, store: Store, now: datetime) -> bool:
        """Look at what is there, and append what is missing; whether nobody was faster."""
        version = store.version(self._stream)
        rule, last = _seen(store.load(self._stream, after=version - 1)) if version else ("", None)
        if rule != self._recurrence.text:
            if self._begun:
                self.due = now + _LOOK_AGAIN
                log.warning(
                    "%r recurs by another rule since a newer program began: %s; this one no longer ticks",
                    self._name,
                    rule,
                )
                return True
            return self._begin(store, version)
        self._begun = True
        assert last is not None
        ticks = list(self._due(last, now))
        if not ticks:
            return True
        if not self._append(store, version, ticks):
            return False
        return self._recurrence.missed == "once" or self.due > now

    def _begin(self, store: Store, version: int) -> bool:
        self._append(store, version, [Began(self._recurrence.text)])
        return False  # what is due is counted from when it was committed

    def _due(self, last: datetime, now: datetime) -> Iterator[Ticked]:
        """The ticks that are due; and when the next one is."""
        rule, text = self._recurrence.rule, self._recurrence.text
        due, found = rule.next_after(last), list[datetime]()
        while due is not None and due <= now and len(found) < _EACH_MAX:
            found.append(due)
            due = rule.next_after(due)
        if self._recurrence.missed == "each":
            yield from (self._event(each, 0, text) for each in found)
        elif found:
            if due is not None and due <= now:
                found.append(latest_before(rule, now))
                due = rule.next_after(now)
            yield self._event(found[-1], len(found) - 1, text)
        self.due = datetime.max.replace(tzinfo=now.tzinfo) if due is None else due

    def _append(self, store: Store, version: int, events: Sequence[Began | Ticked]) -> bool:
        try:
            store.append(self._stream, events, expected_version=version)
        except ConcurrencyError:
            return False
        return True


def _seen(events: Iterable[Committed[bytes]]) -> tuple[str, datetime | None]:
    """By which rule the last event of a stream came, and the moment that it stands for."""
    for each in events:
        if each.name == BEGAN:
            return msgspec.json.decode(each.data, type=Began).rule, each.created
        found = msgspec.json.decode(each.data, type=Ticked)
        return found.rule, found.due
    return "", None
