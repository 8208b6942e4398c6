"""`on` and `batch`: how a projection says which of its methods handles what."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Concatenate, Final, Generic, ParamSpec, Protocol, TypeVar, overload

from act_fast._checks.plain_code import called, discard, is_async, is_unrun
from act_fast._events.committed import Committed
from act_fast._events.event import Event
from act_fast._reactions.reaction import check_events, reaction_of
from act_fast.errors import DefinitionError, NonRetryableError

__all__ = ["Method", "batch", "methods_of", "on", "runs"]

A = TypeVar("A", bound=Event)
B = TypeVar("B", bound=Event)
C = TypeVar("C", bound=Event)
D = TypeVar("D", bound=Event)
E = TypeVar("E", bound=Event)
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_MARK: Final = "__act_fast_projects__"


class OnMethod(Protocol[E]):
    """What `on(...)` returns: takes a method that handles one of these events, and returns it."""

    def __call__(
        self, method: Callable[Concatenate[T, Committed[E], P], R], /
    ) -> Callable[Concatenate[T, Committed[E], P], R]: ...


class BatchMethod(Protocol[E]):
    """What `batch(...)` returns: takes a method that handles a list of these events, and returns it."""

    def __call__(
        self, method: Callable[Concatenate[T, list[Committed[E]], P], R], /
    ) -> Callable[Concatenate[T, list[Committed[E]], P], R]: ...


class Method:
    """A method of one projection, ready to be called.

    Attributes:
        events: the event classes that it handles.
        batch: whether it takes a list of them.
        asynchronous: whether it is `async def`.
        call: the method, bound.
        place: where it is written.
    """

    __slots__ = ("asynchronous", "batch", "call", "events", "place")

    def __init__(self, call: Callable[..., Any], events: tuple[type[Event], ...], batch: bool, place: str) -> None:
        self.call = call
        self.events = events
        self.batch = batch
        self.asynchronous = is_async(call)
        self.place = place

    def check(self, found: object) -> None:
        """Refuse what a call gave if it is the call itself, still to be run.

        Raises:
            NonRetryableError: it is a coroutine or a generator.
        """
        if found is not None and is_unrun(found):
            discard(found)
            raise NonRetryableError(
                f"{self.place} returned {called(found)}, so its body has not run; make it `async def`, or remove the"
                " `yield`"
            )


class Mark(Generic[E]):
    """What `on` and `batch` note on a function."""

    __slots__ = ("batch", "events")

    def __init__(self, events: tuple[type[E], ...], batch: bool) -> None:
        self.events = events
        self.batch = batch


@overload
def on(event: type[A], /) -> OnMethod[A]: ...
@overload
def on(event: type[A], second: type[B], /) -> OnMethod[A | B]: ...
@overload
def on(event: type[A], second: type[B], third: type[C], /) -> OnMethod[A | B | C]: ...
@overload
def on(event: type[A], second: type[B], third: type[C], fourth: type[D], /) -> OnMethod[A | B | C | D]: ...
@overload
def on(
    event: type[Event],
    second: type[Event],
    third: type[Event],
    fourth: type[Event],
    fifth: type[Event],
    /,
    *more: type[Event],
) -> OnMethod[Any]: ...
def on(*events: type[Event]) -> Callable[[Any], Any]:
    """Let a method of a `Projection` handle each event of these classes.

        @on(Deposited)
        def deposited(self, event: Committed[Deposited]) -> None: ...

    Args:
        events: the event classes.

    Raises:
        DefinitionError: an argument is not an event class, or what is decorated is not a function.
    """
    return _marking("on", events, False)


@overload
def batch(event: type[A], /) -> BatchMethod[A]: ...
@overload
def batch(event: type[A], second: type[B], /) -> BatchMethod[A | B]: ...
@overload
def batch(event: type[A], second: type[B], third: type[C], /) -> BatchMethod[A | B | C]: ...
@overload
def batch(event: type[A], second: type[B], third: type[C], fourth: type[D], /) -> BatchMethod[A | B | C | D]: ...
@overload
def batch(
    event: type[Event],
    second: type[Event],
    third: type[Event],
    fourth: type[Event],
    fifth: type[Event],
    /,
    *more: type[Event],
) -> BatchMethod[Any]: ...
def batch(*events: type[Event]) -> Callable[[Any], Any]:
    """Let a method of a `Projection` handle events of these classes many at a time, in the order of their positions.

        @batch(Deposited)
        def deposited(self, events: list[Committed[Deposited]]) -> None: ...

    The lane says how many there are at most, as `events_max`. An event that an `on` of the same projection handles ends
    the list, so that the order is kept.

    Args:
        events: the event classes.

    Raises:
        DefinitionError: an argument is not an event class, or what is decorated is not a function.
    """
    return _marking("batch", events, True)


def methods_of(owner: object, extra: int) -> list[Method]:
    """The methods that were marked in the classes of `owner`, checked against each other.

    Args:
        owner: the projection.
        extra: how many parameters they take besides the event, or the list of events: 0 or 1.
    """
    marks: dict[str, Mark[Any]] = {}
    for cls in reversed(type(owner).__mro__):
        for name, member in vars(cls).items():
            mark = getattr(member, _MARK, None)
            if isinstance(mark, Mark):
                marks[name] = mark
            else:
                marks.pop(name, None)  # it was overridden by something else
    methods = [_method(getattr(owner, name), mark, extra) for name, mark in marks.items()]
    _check_apart(methods)
    return methods


def runs(methods: Mapping[type[Event], Method], events: Sequence[Committed[Any]]) -> Iterator[tuple[Method, int, int]]:
    """Which method handles which part of `events`, from one index to another, in order."""
    start = 0
    while start < len(events):
        method = methods[type(events[start].data)]
        end = start + 1
        while method.batch and end < len(events) and methods[type(events[end].data)] is method:
            end += 1
        yield method, start, end
        start = end


def _marking(verb: str, events: tuple[type[Event], ...], batch: bool) -> Callable[[Any], Any]:
    if not events:
        raise DefinitionError(f"{verb}() names no event; write @{verb}(Deposited)")
    check_events(f"@{verb}", events)

    def mark(method: Any) -> Any:
        if not inspect.isfunction(method):
            raise DefinitionError(f"@{verb} is for methods of a projection, not for {type(method).__name__}")
        setattr(method, _MARK, Mark(tuple(dict.fromkeys(events)), batch))
        return method

    return mark


def _method(call: Callable[..., Any], mark: Mark[Any], extra: int) -> Method:
    checked = reaction_of(call, mark.events, batch=mark.batch, derived=False)
    if checked.takes_app != bool(extra):
        taken = "the events" if mark.batch else "the event"
        also = " and the database's cursor" if extra else ""
        raise DefinitionError(f"{checked.place}: a method of such a projection takes {taken}{also}, nothing else")
    return Method(call, checked.events, mark.batch, checked.place)


def _check_apart(methods: Sequence[Method]) -> None:
    taken: dict[type[Event], Method] = {}
    for method in methods:
        for event in method.events:
            other = taken.setdefault(event, method)
            if other is not method:
                raise DefinitionError(
                    f"{event.__qualname__} is handled by {other.place} and by {method.place}; a projection handles"
                    " each event in one place"
                )
