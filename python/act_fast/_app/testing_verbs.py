"""`app.testing`: what tests may do with the time of a store in memory."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from threading import RLock
from typing import Final, Protocol
from weakref import WeakKeyDictionary

from act_fast._checks.arguments import milliseconds
from act_fast._checks.moments import moment
from act_fast._events.context import ambient
from act_fast._reactions.reports import Correlation, Drained, Settled
from act_fast.errors import ValidationError
from act_fast.stores.capabilities import Clock, clock_of
from act_fast.stores.port import Store
from act_fast.stores.reaction_port import ReactionPort

__all__ = ["Testing"]


class _Program(Protocol):
    """What is asked of a program's time."""

    @property
    def store(self) -> Store: ...

    def now_us(self) -> int: ...

    def port(self) -> ReactionPort: ...

    def next_ms(self, port: ReactionPort) -> int | None: ...


class Testing:
    """The clock of an app whose store is in memory."""

    def __init__(self, program: _Program, settle: Callable[[], Settled]) -> None:
        self._program = program
        self._settle = settle

    @property
    def now(self) -> datetime:
        """What time it is there, in UTC."""
        return moment(self._program.now_us())

    def advance(
        self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0, settle: bool = True
    ) -> Settled:
        """Let time pass, without waiting for it: the time of commits, deferrals, retries, timers, ticks and leases.

            app.testing.advance(days=3)

        `retire` goes by it, too.

        The app settles before, and at each moment at which something is due, in order, so all that happens within these
        three days has happened when this returns. Reactions that trigger each other without end do so here. Threads
        that call it at once take turns. Do not call it while `run` is at work: the leases on what is being handled
        would run out, and it would be handled again.

        Args:
            days: how many days.
            hours: how many hours besides.
            minutes: how many minutes besides.
            seconds: how many seconds besides.
            settle: False: move the clock in one go, and do nothing.

        Returns:
            what was done.

        Raises:
            ValidationError: the store's time is that of the machine.
        """
        clock = self._clock()
        left_ms = milliseconds("advance", timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds) / _SECOND)
        if not settle:
            clock.advance(left_ms)
            return Settled(0, Correlation(), Drained())
        with _turn(self._program.store):
            return self._pass(clock, left_ms)

    def _pass(self, clock: Clock, left_ms: int) -> Settled:
        """Let time pass, from one moment at which something is due to the next."""
        end_us = (clock.now_us() // 1000 + left_ms + 1) * 1000  # what waits is due in whole ms, rounded up
        settled = self._settle()
        stuck_ms = 1
        while (left_ms := -(-(end_us - clock.now_us()) // 1000)) > 0:
            due_ms = self._program.next_ms(self._program.port())
            stuck_ms = 1 if due_ms else stuck_ms * 2  # what is due, but not done: another worker holds it
            clock.advance(min(left_ms if due_ms is None else due_ms or stuck_ms, left_ms))
            settled = settled.and_then(self._settle())
        return settled

    def _clock(self) -> Clock:
        clock = clock_of(self._program.store)
        if clock is None:
            raise ValidationError(
                "time can only be moved where it is nobody else's: in a store in memory, Act('memory:', ...)"
            )
        return clock


def _turn(store: Store) -> AbstractContextManager[object]:
    """One after the other: leases would run out while they are worked on if others moved the clock meanwhile."""
    here = ambient.get()
    if here is not None and here.event is not None:
        return nullcontext()  # a handler's, of one whose turn it is
    return _turns.setdefault(store, RLock())  # a single step, so that no other lock is needed


_SECOND: Final = timedelta(seconds=1)
_turns: Final = WeakKeyDictionary[Store, RLock]()
