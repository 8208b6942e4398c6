"""Deciding across streams: views and states are folded, a function decides, the append is guarded by what was seen."""

import inspect
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Concatenate, Final, Generic, ParamSpec, TypeAlias, TypeVar, overload

import msgspec

from act_fast._app.once import Once, append_all
from act_fast._checks import arguments
from act_fast._core import Appended
from act_fast._events.codec import Codec
from act_fast._events.context import deciding
from act_fast._events.event import Event, known_tagging, known_wire
from act_fast._events.gone import GONE
from act_fast._events.meta import Actor
from act_fast._events.tags import tags_of
from act_fast._loading.by_tag import view_now
from act_fast._loading.loader import Loader
from act_fast._runtime.backoff import Backoff
from act_fast._runtime.observers import Done
from act_fast._states.state import State
from act_fast._states.view import Seen
from act_fast.errors import ConflictError, DefinitionError, StoreClosedError, StreamClosedError
from act_fast.stores.append_condition import Condition, Query, QueryItem
from act_fast.stores.once import Repeated, same_again
from act_fast.stores.values import Append

if TYPE_CHECKING:
    from act_fast._app.pipeline import Engine

__all__ = [
    "Decided",
    "Decider1",
    "Decider2",
    "Decider3",
    "Decider4",
    "Decider5",
    "Decider6",
    "DecisionFunction",
    "Outcome",
    "decide",
    "decision",
]

P = ParamSpec("P")
A = TypeVar("A", bound=State)
B = TypeVar("B", bound=State)
C = TypeVar("C", bound=State)
D = TypeVar("D", bound=State)
G = TypeVar("G", bound=State)
H = TypeVar("H", bound=State)

Outcome: TypeAlias = Event | Append | Iterable[Event | Append] | None
"""What a decision returns: events, which go to the stream of what was seen first, or appends to streams it names"""

F = TypeVar("F", bound=Callable[..., Outcome])
F_co = TypeVar("F_co", bound=Callable[..., Outcome], covariant=True)
_BACKOFF: Final = Backoff(first=0.002, longest=0.2, jitter=1.0)


class DecisionFunction(Generic[F_co]):
    """A decision function, and how often it decides again if someone else was faster; see `decision`.

    Attributes:
        retries: how often.
    """

    def __init__(self, function: F_co, retries: int) -> None:
        self._function = function
        self.retries: int = retries

    def retrying(self, retries: int) -> "DecisionFunction[F_co]":
        """The same decision, which decides again this often: `app.decide(enrol.retrying(20), ...)`."""
        return DecisionFunction(self._function, arguments.count("retries", retries))

    @property
    def function(self) -> F_co:
        """The function itself, for tests."""
        return self._function


class _Request(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One call of `decide`: the decision, what it is based on, its own arguments, by whom, and once."""

    decider: DecisionFunction[Any]
    seen: Sequence[Seen[Any]]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    actor: Actor | None
    once: Once | None = None

    @property
    def name(self) -> str:
        """The decision, for people."""
        return _name(self.decider)

    def bound(self) -> tuple[Any, ...]:
        """Its own arguments, the same however they are spelled: by place, by name, or left to their defaults."""
        bound = inspect.signature(self.decider.function).bind(*self.seen, *self.args, **self.kwargs)
        bound.apply_defaults()
        return bound.args[len(self.seen) :], bound.kwargs


class Decided(msgspec.Struct, frozen=True):
    """The outcome of a decision.

    Attributes:
        events: the events that it returned, in order.
        appended: where they are, for each stream; empty if nothing was appended.
        position: the position of the last of them; if there are none, the position up to which the decision looked.
        repeated: whether this is the outcome of an earlier decision under the same key; then nothing was appended now.
    """

    events: Sequence[Event]
    appended: Sequence[Appended]
    position: int
    repeated: bool = False


@overload
def decision(function: F, /) -> DecisionFunction[F]: ...
@overload
def decision(*, retries: int = 3) -> Callable[[F], DecisionFunction[F]]: ...
def decision(function: Callable[..., Outcome] | None = None, /, *, retries: int = 3) -> Any:
    """Make a function a decision: it takes views and states first, then arguments of its own, and returns events.

        @decision
        def enrol(course: Course, student: Student) -> Enrolled: ...

        app.decide(enrol, Course.of("maths"), Student.of("ada"))

    Args:
        function: the function; a plain `def` that does nothing but decide.
        retries: how often it decides again, on the newer events, if something else was appended meanwhile.
    """
    count = arguments.count("retries", retries)
    if function is None:
        return lambda given: DecisionFunction(_checked(given), count)
    return DecisionFunction(_checked(function), count)


def _checked(function: F) -> F:
    if inspect.iscoroutinefunction(function):
        name = getattr(function, "__name__", "a decision")
        raise DefinitionError(
            f"{name} is async def; a decision is a plain def that does nothing but decide: read what it needs before,"
            " and pass it as an argument"
        )
    return function


Decider1: TypeAlias = DecisionFunction[Callable[Concatenate[A, P], Outcome]]
Decider2: TypeAlias = DecisionFunction[Callable[Concatenate[A, B, P], Outcome]]
Decider3: TypeAlias = DecisionFunction[Callable[Concatenate[A, B, C, P], Outcome]]
Decider4: TypeAlias = DecisionFunction[Callable[Concatenate[A, B, C, D, P], Outcome]]
Decider5: TypeAlias = DecisionFunction[Callable[Concatenate[A, B, C, D, G, P], Outcome]]
Decider6: TypeAlias = DecisionFunction[Callable[Concatenate[A, B, C, D, G, H, P], Outcome]]


def decide(
    engine: "Engine",
    decider: DecisionFunction[Any],
    given: tuple[Any, ...],
    kwargs: dict[str, Any],
    actor: Actor | None,
    key: str | None = None,
) -> Decided:
    """Fold, decide and append; again after a conflict, as often as the decision allows."""
    if not isinstance(decider, DecisionFunction):
        raise DefinitionError("decide takes a function that is decorated with @decision, then what it is based on")
    seen = [each for each in given if isinstance(each, Seen)]
    if not seen or any(isinstance(each, Seen) for each in given[len(seen) :]):
        raise DefinitionError(
            f"{_name(decider)}: give what it is based on first, such as Course.of(...) or at(Account, ...)"
        )
    if any(map(_holds_seen, (*given[len(seen) :], *kwargs.values()))):
        raise DefinitionError(
            f"{_name(decider)}: what it is based on is folded only where it is given first, each by itself; for any"
            " number of them, let the function take *people: Person, and call decide(…, *map(Person.of, names), …)"
        )
    if deciding.get() is not None:
        raise DefinitionError(f"decide was called by {deciding.get()}, which may only fold or decide")
    request = _Request(decider, seen, given[len(seen) :], kwargs, actor)
    about = [each.tag or each.stream for each in seen]
    return engine.traced(request.name, about, lambda: _done(engine, request, key), _told)


def _told(decided: Decided) -> Done:
    return Done(decided.position, 0, len(decided.events) if decided.appended else 0, decided.repeated)


def _done(engine: "Engine", request: _Request, key: str | None) -> Decided:
    if key is None:
        return _decided(engine, request)
    asked = [(each.kind.__definition__.name, each.tag, each.stream) for each in request.seen]
    once = Once(engine.store, key, request.name, (asked, *request.bound()), engine.vault)
    try:
        once.check_new()
        return _decided(engine, msgspec.structs.replace(request, once=once))
    except Repeated as repeated:
        return _first_time(engine, request.seen, once, repeated)


def _holds_seen(value: object) -> bool:
    return isinstance(value, Seen) or (isinstance(value, list | tuple) and isinstance(next(iter(value), None), Seen))


def _decided(engine: "Engine", request: _Request) -> Decided:
    retries = request.decider.retries
    for attempt in range(retries + 1):
        if attempt:
            time.sleep(_BACKOFF.wait(attempt))
        try:
            return _on_this_log(engine, request)
        except ConflictError:
            if attempt == retries:
                raise
    raise AssertionError("a last attempt returns or raises")


def _first_time(engine: "Engine", seen: Sequence[Seen[Any]], once: Once, repeated: Repeated) -> Decided:
    """What was decided the first time; its events as far as the app and the views know them."""
    found = once.first_time(repeated)
    counts = [sum(1 for _ in own) for _, own in groupby(found, key=lambda event: event.stream)]
    codecs = [engine.registry.codec, *(engine.view_model(each.kind).codec for each in seen if each.tag)]
    events = []
    for event in found:
        codec = next((each for each in codecs if event.name in each.decoders), None)
        if codec is not None and event.data not in GONE:
            events.append(codec.committed(event).data)
    return Decided(events, same_again(found, counts), repeated.last, True)


def _on_this_log(engine: "Engine", request: _Request) -> Decided:
    """Decide on the log that is there, once more where a restored one has taken its place meanwhile."""
    while True:
        loader = engine.current()
        try:
            return _attempt(engine, loader, request)
        except StoreClosedError as closed:
            engine.begin_again(loader, closed)


def _attempt(engine: "Engine", loader: Loader, request: _Request) -> Decided:
    decider, seen, once = request.decider, request.seen, request.once
    after, states, items, versions = _look(engine, loader, seen)
    deciding.set(f"the decision {request.name}")
    try:
        outcome = decider.function(*states, *request.args, **request.kwargs)
        listed = _listed(decider, outcome)
    finally:
        deciding.set(None)
    appends = _appends(listed, seen[0].stream)
    events = [event for each in appends for event in each.events if isinstance(event, Event)]
    _check_guarded(decider, seen, events)
    if not appends:
        return Decided((), (), after)
    encoded = [_encoded(engine.registry.codec, each) for each in appends]
    condition = Condition(Query(items), after) if items else None
    meta = engine.meta_of(request.name, appends[0].stream, request.actor, once.digest if once else "")
    appended = append_all(loader.store, once, encoded, versions, condition, meta)
    return Decided(events, appended, appended[-1].last_position)


def _look(
    engine: "Engine", loader: Loader, seen: Sequence[Seen[Any]]
) -> tuple[int, list[Any], list[QueryItem], dict[str, int]]:
    """What a decision is based on, all as of one position: so it sees nothing that never was together."""
    held = [loader.cache.get((each.kind, each.tag)) if each.tag else None for each in seen]
    # Before anything is read; but what is at hand may have been seen by others meanwhile.
    after = max(loader.store.head, *(each.position for each in held if each is not None), 0)
    states, items, versions = [], [], {}
    for each, start in zip(seen, held, strict=True):
        if each.tag:
            model = engine.view_model(each.kind)
            state = model.copy(view_now(loader, model, each.tag, start, after).entry.state)
            items.append(QueryItem([*model.steps], [each.tag]))
        else:
            snapshot = engine.load(each.kind, each.stream, None, None, None)
            if snapshot.position > after and len(seen) > 1:
                snapshot = engine.load(each.kind, each.stream, None, None, after)
            if snapshot.closed:
                raise StreamClosedError(each.stream)
            state = snapshot.state
            versions[each.stream] = snapshot.version
        states.append(state)
    return after, states, items, versions


def _check_guarded(decider: DecisionFunction[Any], seen: Sequence[Seen[Any]], events: Sequence[Event]) -> None:
    """Refuse events that a view would fold for another value than the one that was looked at."""
    guarded: dict[type[State], set[str]] = {}
    for each in seen:
        if each.tag:
            guarded.setdefault(each.kind, set()).add(each.tag)
    for event in events:
        for view, tags in guarded.items():
            if type(event) not in view.__definition__.reducers:
                continue
            key = f"{view.__definition__.name}:"
            for tag in tags_of(event, known_tagging(type(event))):
                if tag.startswith(key) and tag not in tags:
                    raise DefinitionError(
                        f"{_name(decider)} returned {type(event).__qualname__} about {tag}, but looked at"
                        f" {', '.join(sorted(tags))}; give it {view.__qualname__}.of({tag.removeprefix(key)!r}), too"
                    )


def _listed(decider: DecisionFunction[Any], outcome: object) -> list[Event | Append]:
    if outcome is None:
        return []
    if isinstance(outcome, Event | Append):
        return [outcome]
    if isinstance(outcome, Iterable) and not isinstance(outcome, str | bytes | dict):
        found = list(outcome)
        if all(isinstance(each, Event | Append) for each in found):
            return found
    raise DefinitionError(
        f"{_name(decider)} returned {type(outcome).__name__}; a decision returns events, Appends, several of them, or"
        " None"
    )


def _appends(listed: Sequence[Event | Append], stream: str) -> list[Append]:
    """What goes where: events one after the other to one stream, appends as they are."""
    appends: list[Append] = []
    for each in listed:
        if isinstance(each, Append):
            appends.append(each)
        elif appends and appends[-1].stream == stream:
            appends[-1] = Append(stream, [*appends[-1].events, each])
        else:
            appends.append(Append(stream, [each]))
    return appends


def _encoded(codec: Codec, append: Append) -> Append:
    """What goes to the store: events with personal fields are sealed."""
    if not any(isinstance(each, Event) and known_wire(type(each)) for each in append.events):
        return append
    events = [codec.encode(each, append.stream) if isinstance(each, Event) else each for each in append.events]
    return Append(append.stream, events, append.expected_version, append.condition)


def _name(decider: DecisionFunction[Any]) -> str:
    return getattr(decider.function, "__name__", "a decision")
