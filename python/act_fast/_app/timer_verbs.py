"""The verbs of timers, as `Act` has them."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

from act_fast._app.pipeline import Engine
from act_fast._checks import arguments
from act_fast._events.meta import Actor
from act_fast._reactions.reports import Settled
from act_fast._states.action import Action
from act_fast._states.state import State
from act_fast._timers.names import SCHEDULED, TIMERS
from act_fast._workers.runner import Program
from act_fast.errors import ValidationError
from act_fast.stores.reaction_port import offers_reactions

if TYPE_CHECKING:  # what few programs have a use for
    from act_fast._app.testing_verbs import Testing
    from act_fast._app.timers import When
    from act_fast._timers.timer import Timer

__all__ = ["Later", "Schedules"]

S = TypeVar("S", bound=State)
P = ParamSpec("P")


class Schedules:
    """The verbs of an app that does actions later."""

    _engine: Engine
    _program: Program
    _actor: Actor | None
    _expected: int | None
    _key: str | None

    def schedule(
        self,
        *,
        at: datetime | None = None,
        after: timedelta | None = None,
        key: str | None = None,
        replace: bool = False,
    ) -> "Later":
        """Do an action later: at a time, or after a while.

            app.schedule(after=timedelta(days=3), key="unpaid-order-7").do(Order.expire, "order-7")

        The timer is an event in a stream of its own, so it is as durable as any other. When it is due, a worker does
        the action, once: the commit with the action's events also marks the timer as done. If the action raises, it is
        retried, and finally its target is blocked, like that of any reaction. A worker that has the action's state must
        be running (`app.run()`), or you must call `settle`.

        A key that was used before, for the same action, stream, arguments and time, returns the existing timer,
        whatever its status. So it is safe to call this twice, for example in a handler that is retried.

        Args:
            at: when: a timezone-aware datetime. If it is in the past, the action is done at once.
            after: how long from now.
            key: the name of the timer, to cancel it or to find it again; random by default.
            replace: whether to replace a timer of the same key, whatever it was for, even if it is over.
        """
        from act_fast._app.timers import When

        if self._key is not None or self._expected is not None:
            used = "once(key)" if self._key is not None else "expecting(version)"
            raise ValidationError(f"{used} is not for `schedule`; a timer has a key of its own: schedule(..., key=...)")
        return Later(self, When(at, after, key, replace))

    def cancel(self, key: str) -> bool:
        """Cancel a timer, so that its action is not done.

        Args:
            key: of the timer.

        Returns:
            True: it was cancelled, now or before, and will never be done. False: it came too late, the action has been
            done. There is nothing in between, since the timer's stream decides.

        Raises:
            ValidationError: nothing was ever scheduled under this key.
        """
        from act_fast._app.timers import cancel

        timer = cancel(self._engine, key, self._actor)
        if timer.status == "cancelled" and timer.due.timestamp() * 1e6 <= self._program.now_us():
            self._program.unblock_if_known(timer.target)
        return timer.status == "cancelled"

    def timer(self, key: str) -> "Timer | None":
        """The timer of a key, whatever its status; None if there is none."""
        from act_fast._timers.timer import find_timer

        return find_timer(self._engine.store, key)

    def timers(self, *, status: Literal["waiting", "done", "cancelled"] | None = None) -> Iterator["Timer"]:
        """The timers of the store, in the order in which they were first scheduled.

        Args:
            status: only those that are waiting, done, or cancelled.
        """
        if status is not None:
            arguments.one_of("status", status, ("waiting", "done", "cancelled"))
        from act_fast._timers.timer import each_timer

        return (each for each in each_timer(self._engine.store) if status is None or each.status == status)

    @property
    def testing(self) -> "Testing":
        """Moves the clock in tests, for an app whose store is in memory."""
        from act_fast._app.testing_verbs import Testing

        return Testing(self._program, self._settle_here)

    def _settle_here(self) -> Settled:
        raise NotImplementedError

    def _take_timers(self, at_work: bool) -> None:
        """Have the reactions that do timers: for each state where workers are at work, else for those that have any."""
        declared = {each.name for each in self._program.catalog().reactions}
        states = [model.definition.name for model in self._engine.registry.models.values()]
        missing = [each for each in states if f"{TIMERS}{each}" not in declared]
        if not missing or not offers_reactions(self._engine.store):
            return
        if not at_work:
            store = self._engine.store
            if not any(store.query(names=[f"{SCHEDULED}{each}" for each in missing], limit=1)):
                return
            missing = [each for each in missing if any(store.query(names=[f"{SCHEDULED}{each}"], limit=1))]
        from act_fast._app.timers import timer_reaction

        for each in missing:
            self._program.take(timer_reaction(self._engine, each))


class Later:
    """What `schedule` returns: does actions later."""

    def __init__(self, app: Schedules, when: "When") -> None:
        self._app = app
        self._when = when

    def do(self, action: Action[S, P, Any], stream: str, /, *args: P.args, **kwargs: P.kwargs) -> "Timer":
        """Note down that an action is to be done then. Its arguments are checked now.

        Args:
            action: an action of one of the app's states, such as `Order.expire`.
            stream: the stream to do it on.
            args: the action's own arguments.
            kwargs: the action's own arguments, by name.

        Raises:
            ValidationError: an argument is wrong, or the key was used for something else.
            DefinitionError: the action is not the app's.
            StoreError: the store could not append.
        """
        from act_fast._app.timers import schedule

        app = self._app
        timer = schedule(app._engine, self._when, app._program.now_us, action, stream, args, kwargs, app._actor)
        if app._program.passing:
            app._take_timers(False)  # a handler's, which the `settle` around it does, too
        return timer
