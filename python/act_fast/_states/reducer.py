"""Reducers: the only code that changes a state."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, Self, TypeVar, overload

import msgspec

from act_fast._checks.repeatable import asks_for
from act_fast._events.event import Event
from act_fast._states.annotations import classes_in, hint_for_generic, hints_of, parameters_of
from act_fast.errors import DefinitionError

__all__ = ["Reducer", "events_of", "reducer"]

S = TypeVar("S", bound=msgspec.Struct)
E = TypeVar("E", bound=Event)


class Reducer(Generic[S, E]):
    """A method of a state that folds one kind of event into it. Created by `@reducer`.

    Attributes:
        function: the method.
        name: its name.
        events: the events that it folds, known once its class is created.
    """

    events: list[type[E]]

    def __init__(self, function: Callable[[S, E], None]) -> None:
        self.function = function
        self.name: str = getattr(function, "__name__", "reducer")
        self.__doc__ = function.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> Callable[[E], None]: ...
    def __get__(self, instance: object, owner: type) -> Any:
        return self if instance is None else self.function.__get__(instance, owner)

    def __repr__(self) -> str:
        return f"<reducer {getattr(self.function, '__qualname__', self.name)}>"


def reducer(function: Callable[[S, E], None]) -> Reducer[S, E]:
    """Make a method the reducer of the event that its argument is annotated with.

    It changes `self` and returns nothing. It must give the same result every time it runs, so it must not use the time
    or random numbers, and does no I/O. If the annotation is a union of events, it is the reducer of each of them.

        @reducer
        def deposited(self, event: Deposited) -> None:
            self.balance += event.amount
    """
    return Reducer(function)


def events_of(place: str, each: Reducer[Any, Any], scope: Mapping[str, Any]) -> list[type[Event]]:
    """The events that a reducer folds, as its annotation says; read where it was written, not where it is inherited."""
    if not hasattr(each, "events"):
        each.events = _annotated(place, each, scope)
    return each.events


def _annotated(place: str, each: Reducer[Any, Any], scope: Mapping[str, Any]) -> list[type[Event]]:
    parameters = parameters_of(place, each.function)
    hint = f"write `def {each.name}(self, event: SomeEvent) -> None`"
    if len(parameters) != 1 or parameters[0].kind in (parameters[0].VAR_POSITIONAL, parameters[0].VAR_KEYWORD):
        raise DefinitionError(f"{place}: a reducer takes one event and nothing else; {hint}")
    if (asked := asks_for(each.function)) is not None:
        raise DefinitionError(
            f"{place} asks {asked}, so the state would differ at each fold; let the action put what is needed"
            " into the event"
        )
    hints = hints_of(place, each.function, scope)
    if parameters[0].name not in hints:
        raise DefinitionError(f"{place}: the reducer's event is not annotated; {hint}")
    if hints.get("return", None) not in (None, type(None)):
        raise DefinitionError(f"{place}: a reducer changes self and returns nothing; {hint}")
    events = classes_in(hints[parameters[0].name])
    for event in events:
        if not isinstance(event, type) or not issubclass(event, Event) or event is Event:
            raise DefinitionError(f"{place}: {_called(event)} is not an event class; {hint_for_generic(event) or hint}")
    if not events:
        raise DefinitionError(f"{place}: None is not an event; {hint}")
    return events


def _called(what: object) -> str:
    return what.__qualname__ if isinstance(what, type) else repr(what)
