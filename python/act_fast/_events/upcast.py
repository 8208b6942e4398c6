"""Upcasters: how the data of an older event becomes one of today's events."""

import sys
import typing
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, Generic, TypeVar

from act_fast._checks.plain_code import unplain
from act_fast._checks.repeatable import asks_for
from act_fast._events.fields import scope_of
from act_fast.errors import DefinitionError

__all__ = ["Upcast", "upcast"]

O = TypeVar("O")  # noqa: E741
N = TypeVar("N")


class Upcast(Generic[O, N]):
    """An upcaster. Created by `@upcast`; calling it calls the function.

    Attributes:
        from_: the stored name of the events it takes.
        target: the event class it returns; for a static method, the class that it is defined in.
    """

    target: type[Any]

    def __init__(self, function: Callable[[O], N], from_: str, scope: Mapping[str, Any]) -> None:
        self.function = function
        self.from_ = from_
        self._scope = scope
        self.__doc__ = function.__doc__

    def __call__(self, old: O) -> N:
        return self.function(old)

    def __repr__(self) -> str:
        return f"<upcast {self.function.__qualname__} from {self.from_!r}>"

    def _hints(self) -> tuple[Any, Any]:
        """What the function takes and what it returns."""
        place = f"@upcast(from_={self.from_!r}) on {self.function.__qualname__}"
        try:
            hints = typing.get_type_hints(self.function, localns={**self._scope, **self._itself()})
        except NameError as error:
            raise DefinitionError(
                f"{place}: the annotation {error.name!r} is not defined here; define it above"
            ) from None
        returned = hints.pop("return", None)
        if len(hints) != 1 or self.function.__code__.co_argcount != 1:
            raise DefinitionError(
                f"{place}: an upcaster takes the old data and returns the new event, both annotated;"
                " write `def upcast_it(old: dict[str, Any]) -> NewEvent`"
            )
        return next(iter(hints.values())), returned

    def _itself(self) -> dict[str, Any]:
        """The class that a static method stands in, which was not there yet when the scope was looked at."""
        return {self.target.__name__: self.target} if hasattr(self, "target") else {}


def upcast(*, from_: str) -> Callable[[Callable[[O], N]], Upcast[O, N]]:
    """Make a function an upcaster: it turns the data of an older event into one of today's, wherever events are read.

    As a static method of the new event's class, it returns the event, or its data as a dict:

        class Deposited(Event, name="Deposited_v2"):
            cents: int

            @upcast(from_="Deposited")
            @staticmethod
            def from_whole_euros(old: dict[str, Any]) -> dict[str, Any]:
                return {"cents": old["amount"] * 100}

    Or as a function of a module, returning the event; its annotation then says which class it belongs to. Its argument
    is decoded as annotated: a dict, or a class with the old fields. If that is an event class with upcasters of its
    own, these run first, so you can chain versions. `from_` may be the new event's own stored name: then all events of
    that name pass through, old and new.

    Args:
        from_: the stored name of the old events.
    """
    if not isinstance(from_, str) or not from_:
        raise DefinitionError(f"@upcast: from_={from_!r} must be the stored name of the old events")
    scope = scope_of(sys._getframe(1))

    def decorate(function: Callable[[O], N]) -> Upcast[O, N]:
        if isinstance(function, classmethod):
            raise DefinitionError(
                f"@upcast(from_={from_!r}) on {function.__func__.__qualname__} is a class method; make it a static one,"
                " with @staticmethod below @upcast"
            )
        plain = function.__func__ if isinstance(function, staticmethod) else function
        if not isinstance(plain, FunctionType):
            raise DefinitionError(
                f"@upcast(from_={from_!r}) is for functions, not {type(plain).__name__}; write a `def`"
            )
        if isinstance(function, staticmethod):
            return Upcast(plain, from_, scope)
        found = Upcast(function, from_, scope)
        _, target = found._hints()
        add_upcast(target, found)
        return found

    return decorate


def add_upcast(target: Any, found: Upcast[Any, Any]) -> None:
    """Note an upcaster with the event class that it makes."""
    place = f"@upcast(from_={found.from_!r}) on {found.function.__qualname__}"
    if (wrong := unplain(found.function)) is not None:
        raise DefinitionError(f"{place} is called and not awaited, but {wrong}; write it as a plain `def`")
    if (asked := asks_for(found.function)) is not None:
        raise DefinitionError(
            f"{place} asks {asked}, so an old event would mean something else each time it is read; take what is"
            " missing from the old data, or let it be None"
        )
    if not isinstance(target, type) or not hasattr(target, "__upcasts__"):
        raise DefinitionError(
            f"{place} must return the new event's class, or be a static method of it; write `-> NewEvent`"
        )
    known: dict[str, Upcast[Any, Any]] = target.__upcasts__
    if found.from_ in known and known[found.from_].function is not found.function:
        other = known[found.from_].function.__qualname__
        raise DefinitionError(f"{place}: {other} already does that for {target.__qualname__}; remove one of them")
    found.target = target
    known[found.from_] = found
