"""`on`: how you add reactions to apps and slices."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Protocol, TypedDict, TypeVar, Unpack, overload

from act_fast._events.committed import Committed
from act_fast._events.event import Event
from act_fast._reactions.lane import DEFAULT_LANE
from act_fast._reactions.reaction import (
    DEFAULT_BACKOFF,
    Defer,
    Reaction,
    Start,
    To,
    check_events,
    name_of,
    reaction_of,
)
from act_fast._runtime.backoff import Backoff

if TYPE_CHECKING:
    from act_fast._timers.facts import Ticked
    from act_fast._timers.recurrence import Missed

__all__ = ["Declares"]

A = TypeVar("A", bound=Event)
B = TypeVar("B", bound=Event)
C = TypeVar("C", bound=Event)
D = TypeVar("D", bound=Event)
E = TypeVar("E", bound=Event)
P = ParamSpec("P")
R = TypeVar("R")


class On(Protocol[E]):
    """What `on(...)` returns: takes a handler of these events, and returns it."""

    def __call__(
        self, handler: Callable[Concatenate[Committed[E], P], R], /
    ) -> Callable[Concatenate[Committed[E], P], R]: ...


class Options(TypedDict, Generic[E], total=False):
    """The options of `on`; told of there."""

    to: str | Callable[[Committed[E]], str | Iterable[str] | None] | None
    source: str | None
    tags: Sequence[str] | None
    lane: str
    priority: int
    retries: int
    backoff: float | Backoff
    block: bool
    defer: timedelta | Callable[[Committed[E]], datetime] | None
    start: Start
    name: str | None


class Declares:
    """What takes reactions."""

    def _declare(self, reaction: Reaction) -> None:
        raise NotImplementedError

    @overload
    def on(self, event: type[A], /, **options: Unpack[Options[A]]) -> On[A]: ...
    @overload
    def on(self, event: type[A], second: type[B], /, **options: Unpack[Options[A | B]]) -> On[A | B]: ...
    @overload
    def on(
        self, event: type[A], second: type[B], third: type[C], /, **options: Unpack[Options[A | B | C]]
    ) -> On[A | B | C]: ...
    @overload
    def on(
        self,
        event: type[A],
        second: type[B],
        third: type[C],
        fourth: type[D],
        /,
        **options: Unpack[Options[A | B | C | D]],
    ) -> On[A | B | C | D]: ...
    @overload
    def on(
        self,
        event: type[Event],
        second: type[Event],
        third: type[Event],
        fourth: type[Event],
        fifth: type[Event],
        /,
        *more: type[Event],
        **options: Unpack[Options[Any]],
    ) -> On[Any]: ...
    def on(
        self,
        *events: type[Event],
        to: To | None = None,
        source: str | None = None,
        tags: Sequence[str] | None = None,
        lane: str = DEFAULT_LANE,
        priority: int = 0,
        retries: int = 3,
        backoff: float | Backoff = DEFAULT_BACKOFF,
        block: bool = True,
        defer: Defer | None = None,
        start: Start = "beginning",
        name: str | None = None,
    ) -> Callable[[Any], Any]:
        r"""Call a function for each event of these classes, under a target that keeps them in order.

            @app.on(Deposited, to="audit-{stream}")
            def audit(event: Committed[Deposited]) -> None: ...

        The function takes the event, and optionally the app as its second parameter: an `Act` if it is `def`, an
        `AsyncAct` if it is `async def`. Whatever it does through the app carries the event's correlation and names the
        event as its cause. It is called at least once for each event, and never for two events of one target at the
        same time.

        Args:
            events: the event classes.
            to: the target: a name; a template with `{stream}`, `{name}` and `{data.field}`; or a function of the event
                that returns one name, several, or None. By default, the event's own stream.
            source: listen to this stream only; or, if it contains any of `^ $ . * + ? ( ) [ ] { } | \`, to streams
                whose names match this regular expression anywhere.
            tags: only events that carry all of these tags, such as `["course:maths"]`.
            lane: the lane that its targets are in.
            priority: of its targets among those that lag behind; the higher comes first.
            retries: how often an event that fails is retried before its target is blocked.
            backoff: seconds to wait before the first retry, or a `Backoff`.
            block: whether the target is blocked then. If not, the event is retried forever.
            defer: how long after its commit the event is handled, or a function of the event that says when.
            start: `"beginning"`: with the first event of the log; `"now"`: with events appended after the reaction is
                first known to the store.
            name: what its progress is stored under; by default, the function's name. Keep it when you rename or move
                the function.

        Raises:
            DefinitionError: the function's parameters are wrong, or an option is not valid.
        """
        check_events("@app.on", events)

        def decorate(handler: Callable[..., object]) -> Callable[..., object]:
            reaction = reaction_of(
                handler,
                events,
                to=to,
                source=source,
                tags=tags,
                lane=lane,
                priority=priority,
                retries=retries,
                backoff=backoff,
                block=block,
                defer=defer,
                start=start,
                name=name,
            )
            self._declare(reaction)
            return handler

        return decorate

    def every(
        self,
        when: str | timedelta,
        /,
        *,
        tz: str | tzinfo | None = None,
        missed: "Missed" = "once",
        lane: str = DEFAULT_LANE,
        priority: int = 0,
        retries: int = 3,
        backoff: float | Backoff = DEFAULT_BACKOFF,
        block: bool = True,
        name: str | None = None,
    ) -> "On[Ticked]":
        """Call a function at each moment that a cron expression names, or at a fixed interval.

            @app.every("0 3 * * *", tz="Europe/Berlin")
            def tidy_up(tick: Committed[Ticked]) -> None: ...

        The workers of the store see to it: the first one to notice that a moment has come appends a `Ticked`, once,
        however many there are. The function is a reaction to these events, on a target that has the reaction's name:
        ticks are handled in order, at least once each, retried and blocked like any other event. `tick.data.due` is the
        moment.

        Args:
            when: `"minute hour day-of-month month day-of-week"`, or a timedelta of at least a second.
            tz: the time zone that the expression is meant in, such as `"Europe/Berlin"`; by default UTC.
            missed: what to do about moments that pass while no worker is running. `"once"`: the next worker makes up
                for them with one tick, for the last of them; `tick.data.missed` says how many came before. `"each"`: it
                makes up for each of them.
            lane: as for `on`.
            priority: as for `on`.
            retries: as for `on`.
            backoff: as for `on`.
            block: as for `on`.
            name: as for `on`; the ticks are stored under it as well.

        Raises:
            DefinitionError: the function's parameters are wrong, or an option is not valid.
            MissingExtraError: cron expressions need the extra `cron`.
        """
        from act_fast._timers.facts import ticked_as
        from act_fast._timers.recurrence import recurrence_of

        recurrence = recurrence_of("@app.every", when, tz, missed)

        def decorate(handler: Any) -> Any:
            found = name_of(handler, name)
            reaction = reaction_of(
                handler,
                [ticked_as(found)],
                to=found.replace("{", "{{").replace("}", "}}"),
                lane=lane,
                priority=priority,
                retries=retries,
                backoff=backoff,
                block=block,
                name=found,
                recurrence=recurrence,
            )
            self._declare(reaction)
            return handler

        return decorate
