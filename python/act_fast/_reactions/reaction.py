"""A reaction: code that runs because an event happened, as declared, checked as far as it can be without an app."""

import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from act_fast._checks import arguments
from act_fast._checks.plain_code import gives_async, is_async, is_generator, unplain
from act_fast._events.committed import Committed
from act_fast._events.event import Event
from act_fast._reactions.lane import DEFAULT_LANE
from act_fast._reactions.template import TARGET_BYTES_MAX, template_pieces
from act_fast._runtime.backoff import Backoff, backoff_of
from act_fast.errors import DefinitionError

if TYPE_CHECKING:  # few reactions recur
    from act_fast._timers.recurrence import Recurrence

__all__ = [
    "DEFAULT_BACKOFF",
    "Defer",
    "Reaction",
    "Start",
    "To",
    "check_derived",
    "check_events",
    "name_of",
    "reaction_of",
]

Start: TypeAlias = Literal["beginning", "now"]
To: TypeAlias = str | Callable[[Committed[Any]], str | Iterable[str] | None]
Defer: TypeAlias = timedelta | Callable[[Committed[Any]], datetime]

DEFAULT_BACKOFF: Final = Backoff(first=0.5, factor=2.0, longest=300.0)
_PRIORITY_MAX: Final = 2**31 - 1
_OWN_STREAM: Final = "{stream}"


class Reaction(msgspec.Struct, frozen=True, eq=False):
    """A reaction as declared.

    Attributes:
        name: what its progress is stored under; unique in an app.
        place: where its handler is written.
        events: the event classes it is for.
        handler: the code: of an event, and of the app when `takes_app`.
        takes_app: whether the handler is given the app too.
        asynchronous: whether the handler is `async def`.
        batch: whether the handler is given a list of events, all that were fetched for a target.
        to: a target's name, a template, or a function of the event.
        source: the stream, or the pattern of streams, that it listens to; None: all.
        lane: the lane of its targets.
        priority: of its targets; higher comes first.
        retries: how often an event that fails is tried again.
        backoff: how long is waited before.
        block: whether a target is blocked when an event has failed so often; otherwise it is tried forever.
        defer: how long after its time an event is handled, or a function that says when; None: at once.
        start: whether it sees what happened before it was first known.
        recurrence: when it is to be called again and again, if its events are the ticks of that.
        tags: the tags that its events carry, all of them; empty: any events.
    """

    name: str
    place: str
    events: tuple[type[Event], ...]
    handler: Callable[..., object]
    takes_app: bool
    asynchronous: bool
    batch: bool
    to: To
    source: str | None
    lane: str
    priority: int
    retries: int
    backoff: Backoff
    block: bool
    defer: Defer | None
    start: Start
    recurrence: "Recurrence | None" = None
    tags: tuple[str, ...] = ()


def reaction_of(
    handler: Callable[..., object],
    events: Iterable[type[Event]],
    *,
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
    batch: bool = False,
    derived: bool = True,
    recurrence: "Recurrence | None" = None,
) -> Reaction:
    """A reaction, checked. With `derived`, a base class needs the events that derive from it named too.

    Raises:
        DefinitionError: something cannot be right; the place of the handler is named.
    """
    if not callable(handler) or isinstance(handler, type):
        raise DefinitionError(f"on(): a handler must be a function, not {_called(handler)}")
    place = _place(handler)
    classes = _events(place, events)
    if derived:
        check_derived(place, classes)
    if is_generator(handler):
        raise DefinitionError(f"{place} has a `yield` in it, so that calling it runs nothing; take the `yield` out")
    asynchronous = is_async(handler)
    if not asynchronous and gives_async(handler):
        raise DefinitionError(
            f"{place} is `async def`, but what wraps it is not and does not await it, so its body would not run; write"
            " the wrapper as `async def`, with an `await`"
        )
    name = _name(place, handler, name)
    if (bind := getattr(handler, "__act_fast_bind__", None)) is not None:
        handler = bind(name)
    return Reaction(
        name=name,
        place=place,
        events=classes,
        handler=handler,
        takes_app=_takes_app(place, handler, classes, asynchronous, batch),
        asynchronous=asynchronous,
        batch=batch,
        to=_to(place, to),
        source=None if source is None else _source(place, source),
        lane=arguments.text(f"{place}: lane=", lane),
        priority=_priority(place, priority),
        retries=arguments.count(f"{place}: retries=", retries),
        backoff=backoff_of(place, backoff),
        block=arguments.flag(f"{place}: block=", block),
        defer=_defer(place, defer),
        start=_start(place, start),
        recurrence=recurrence,
        tags=() if tags is None else _tags(place, tags),
    )


def name_of(handler: Callable[..., object], given: str | None) -> str:
    """The name that a reaction has."""
    return _name(_place(handler), handler, given)


def check_events(decorator: str, events: Iterable[object]) -> None:
    """Refuse what is not an event class, and the function itself where the events are to be named.

    Args:
        decorator: how the decorator is written, without its brackets.
        events: what it was given.
    """
    for each in events:
        if inspect.isroutine(each) or isinstance(each, functools.partial):
            raise DefinitionError(
                f"{decorator} takes event classes, not {getattr(each, '__qualname__', repr(each))}; it needs brackets"
                f" with the events that the function is for: write {decorator}(Deposited)"
            )
        if not isinstance(each, type) or not issubclass(each, Event) or each is Event:
            raise DefinitionError(
                f"{decorator} takes event classes, not {getattr(each, '__qualname__', repr(each))}; write"
                f" {decorator}(Deposited)"
            )


def check_derived(place: str, events: Sequence[type[Event]]) -> None:
    """Refuse a base class whose derived events are not named: each is stored under its own name, and not heard of."""
    for event in events:
        missing = [each for each in _derived(event) if each not in events]
        if missing:
            names = ", ".join(each.__qualname__ for each in missing)
            every = ", ".join(each.__qualname__ for each in (*events, *missing))
            raise DefinitionError(
                f"{place} is for {event.__qualname__}, but would receive nothing of {names}, which derive from it and"
                f" are stored under names of their own; name all of them, ({every}), and look at `type(event.data)` if"
                " only some matter"
            )


def _derived(event: type[Event]) -> list[type[Event]]:
    """The event classes that derive from one; of those that were defined again, only the last."""
    latest: dict[tuple[str, str], type[Event]] = {}
    for each in event.__subclasses__():
        for found in (each, *_derived(each)):
            latest[found.__module__, found.__qualname__] = found
    return list(latest.values())


def _place(handler: Callable[..., object]) -> str:
    module = getattr(handler, "__module__", "?")
    code = getattr(inspect.unwrap(handler), "__code__", None)
    line = f", line {code.co_firstlineno}" if isinstance(code, types.CodeType) else ""
    return f"{module}.{getattr(handler, '__qualname__', type(handler).__qualname__)}{line}"


def _name(place: str, handler: Callable[..., object], given: str | None) -> str:
    name = getattr(handler, "__name__", None) if given is None else given
    if not isinstance(name, str) or name == "<lambda>":
        raise DefinitionError(f"{place}: the reaction needs a name to store its progress under; give it name=")
    size = len(arguments.text(f"{place}: name=", name).encode())
    if not 0 < size <= TARGET_BYTES_MAX or any(each in name for each in "\0\n\r"):
        raise DefinitionError(
            f"{place}: name={name!r} cannot be a reaction's name; it has 1 to {TARGET_BYTES_MAX} bytes,"
            " without NUL or line breaks"
        )
    return name


def _events(place: str, events: Iterable[type[Event]]) -> tuple[type[Event], ...]:
    found = tuple(events)
    check_events(f"{place}: on", found)
    if not found:
        raise DefinitionError(f"{place}: on() names no event; write @app.on(Deposited)")
    return tuple(dict.fromkeys(found))


def _to(place: str, to: To | None) -> To:
    if to is None:
        return _OWN_STREAM
    if isinstance(to, str):
        template_pieces(f"{place}: to={to!r}", to)
        return to
    if not callable(to) or gives_async(to):
        raise DefinitionError(f"{place}: to= must be a name, a template or a plain function of the event, not {to!r}")
    _check_takes_event(f"{place}: to=", to)
    return to


def _source(place: str, source: str) -> str:
    if not arguments.text(f"{place}: source=", source):
        raise DefinitionError(f"{place}: source= is empty; leave it out to listen to all streams")
    return source


def _tags(place: str, tags: Sequence[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(arguments.texts(f"{place}: tags=", tags)))
    if not found:
        raise DefinitionError(f"{place}: tags= is empty; leave it out to follow all events, or name the tags to follow")
    return found


def _priority(place: str, priority: int) -> int:
    if isinstance(priority, bool) or not isinstance(priority, int) or abs(priority) > _PRIORITY_MAX:
        raise DefinitionError(f"{place}: priority= must be a whole number of 32 bits, not {priority!r}")
    return priority


def _defer(place: str, defer: Defer | None) -> Defer | None:
    if isinstance(defer, timedelta):
        if defer < timedelta(0):
            raise DefinitionError(f"{place}: defer= must not be negative, but is {defer}")
        return defer
    if defer is not None:
        if not callable(defer) or unplain(defer):
            raise DefinitionError(
                f"{place}: defer= must be a timedelta or a plain function of the event, not {defer!r}"
            )
        _check_takes_event(f"{place}: defer=", defer)
    return defer


def _start(place: str, start: Start) -> Start:
    if start not in ("beginning", "now"):
        raise DefinitionError(f'{place}: start= must be "beginning" or "now", not {start!r}')
    return start


def _check_takes_event(place: str, function: Callable[..., object]) -> None:
    try:
        inspect.signature(function).bind(None)
    except TypeError as error:
        raise DefinitionError(f"{place} must take the event and nothing else: {error}") from None
    except ValueError:
        return  # a builtin that does not say what it takes


def _takes_app(
    place: str, handler: Callable[..., object], events: tuple[type[Event], ...], asynchronous: bool, batch: bool
) -> bool:
    """Whether a handler takes the app besides the event; what it takes is checked."""
    try:
        parameters = list(inspect.signature(handler).parameters.values())
    except (TypeError, ValueError):
        return False
    hints = _hints(handler)
    _check_order(place, parameters, hints, events)
    positional = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    starred = any(each.kind is each.VAR_POSITIONAL for each in parameters)
    keyword = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY and each.default is each.empty]
    required = [each for each in positional if each.default is each.empty]
    if (not positional and not starred) or len(required) > 2 or keyword:
        raise DefinitionError(
            f"{place}: a handler takes the event, and optionally the app; write"
            f" `def {getattr(handler, '__name__', 'handler')}(event: Committed[{events[0].__qualname__}])`"
        )
    if positional and positional[0].name in hints and not batch:
        _check_first(place, hints[positional[0].name], events)
    if len(positional) < 2:
        return False
    second = hints.get(positional[1].name)
    if len(required) < 2 and not _names_app(second):
        return False
    wanted = "AsyncAct" if asynchronous else "Act"
    if _names_app(second) and getattr(second, "__name__", wanted) != wanted:
        raise DefinitionError(f"{place}: a handler that is {_kind(asynchronous)} is given the app as {wanted}")
    return True


def _check_order(
    place: str, parameters: Sequence[inspect.Parameter], hints: Mapping[str, Any], events: tuple[type[Event], ...]
) -> None:
    """Refuse a handler that takes the app first and the event after it, or `self`, as far as its parameters tell."""
    first, second = ([*parameters[:2], None, None])[:2]
    if first is None:
        return
    takes = f"`(event: Committed[{events[0].__qualname__}], app: Act)`"
    if first.name == "self" and first.annotation is first.empty:
        raise DefinitionError(
            f"{place} takes `self`, but is called with the event; decorate a function, or make it a method of a"
            " Projection"
        )
    hint = hints.get(first.name)
    if _names_app(hint) or (hint is None and first.name == "app"):
        raise DefinitionError(f"{place} takes the app first, but is called with the event; write {takes}")
    if second is None or second.default is not second.empty:
        return
    hint = hints.get(second.name)
    if _is_event(hint) or (hint is None and second.name == "event"):
        raise DefinitionError(f"{place} takes the event second, but is called with the app there; write {takes}")


def _is_event(hint: Any) -> bool:
    origin = typing.get_origin(hint) or hint
    return isinstance(origin, type) and issubclass(origin, (Committed, Event))


def _called(what: object) -> str:
    return f"the class {what.__qualname__}" if isinstance(what, type) else type(what).__name__


def _hints(handler: Callable[..., object]) -> dict[str, Any]:
    function = handler if inspect.isroutine(handler) else type(handler).__call__
    try:
        return typing.get_type_hints(inspect.unwrap(function))
    except Exception:  # names that only a type checker sees; it is the one that checks them then
        return {}


def _kind(asynchronous: bool) -> str:
    return "`async def`" if asynchronous else "`def`"


def _names_app(hint: Any) -> bool:
    return isinstance(hint, type) and hint.__name__ in ("Act", "AsyncAct") and hint.__module__.startswith("act_fast.")


def _check_first(place: str, hint: Any, events: tuple[type[Event], ...]) -> None:
    """Refuse a first parameter that says it takes something else than what it will be given."""
    if isinstance(hint, type) and issubclass(hint, Event):
        raise DefinitionError(
            f"{place} takes {hint.__qualname__}, but a handler also gets where and when the event happened; write"
            f" `event: Committed[{hint.__qualname__}]`, and find it in `event.data`"
        )
    if typing.get_origin(hint) is not Committed:
        return
    (taken,) = typing.get_args(hint)
    classes = typing.get_args(taken) if typing.get_origin(taken) in (typing.Union, types.UnionType) else (taken,)
    if not all(isinstance(each, type) and issubclass(each, Event) for each in classes):
        return  # Any, or a type variable
    for event in events:
        if not issubclass(event, tuple(classes)):
            names = " | ".join(each.__qualname__ for each in classes)
            raise DefinitionError(
                f"{place} takes Committed[{names}], but will be given {event.__qualname__}; fix one of them"
            )
