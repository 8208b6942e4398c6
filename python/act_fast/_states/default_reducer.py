"""The default reducer: an event without one copies the fields that it shares with the state."""

import types
import typing
from collections.abc import Callable, Container
from typing import Any

from msgspec.structs import fields

from act_fast._events.event import Event
from act_fast.errors import DefinitionError

__all__ = ["passthrough", "shared_fields"]


def shared_fields(state: type[Any], event: type[Event], besides: Container[str] = ()) -> list[str]:
    """The fields that an event without a reducer copies into its state: those that both classes have.

    Args:
        state: the state class.
        event: the event class.
        besides: fields of the state that are not to be touched.
    """
    try:
        known = {field.name: field.type for field in fields(state) if field.name not in besides}
        shared = [field for field in fields(event) if field.name in known]
    except NameError as error:
        raise DefinitionError(
            f"{state.__qualname__}: {event.__qualname__} has no reducer, and it cannot be checked whether"
            f" their fields fit, because the annotation {error.name!r} is not defined yet; define it above the class"
        ) from None
    for field in shared:
        if not _fits(field.type, known[field.name]):
            raise DefinitionError(
                f"{state.__qualname__}: {event.__qualname__} has no reducer, and its field {field.name!r} does not fit"
                f" {state.__qualname__}.{field.name}, which is of another type; write a reducer"
            )
    return [field.name for field in shared]


def passthrough(names: list[str]) -> Callable[[Any, Any], None]:
    """What folds an event that has no reducer: copies fields."""

    def copy_shared_fields(state: Any, event: Any) -> None:
        for name in names:
            setattr(state, name, getattr(event, name))

    return copy_shared_fields


def _fits(given: Any, wanted: Any) -> bool:
    """Whether every value of one type is a value of another, as far as their annotations tell."""
    possible = _members(wanted)
    if float in possible:
        possible.add(int)
    return Any in possible or _members(given) <= possible


def _members(hint: Any) -> set[Any]:
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return _members(typing.get_args(hint)[0])
    if origin in (typing.Union, types.UnionType):
        return {member for each in typing.get_args(hint) for member in _members(each)}
    return {hint}
