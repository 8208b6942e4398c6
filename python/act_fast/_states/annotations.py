"""What the annotations of a decorated method mean, also when they are written as text."""

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from act_fast._checks.plain_code import gives_async, is_generator
from act_fast._events.event import Event
from act_fast.errors import DefinitionError

__all__ = ["classes_in", "hint_for_generic", "hints_of", "parameters_of"]


def hints_of(place: str, function: Callable[..., Any], scope: Mapping[str, Any]) -> dict[str, Any]:
    """The annotations of a function, by parameter, and `return`.

    Args:
        place: how to call the function in an error, `State.member`.
        function: the function.
        scope: names it can see besides those of its module.
    """
    try:
        return typing.get_type_hints(function, localns=dict(scope), include_extras=True)
    except NameError as error:
        raise DefinitionError(
            f"{place}: the annotation {error.name!r} is not defined here; define it above the class,"
            " and import it outside of `if TYPE_CHECKING`"
        ) from None
    except (TypeError, SyntaxError, AttributeError) as error:
        raise DefinitionError(f"{place}: its annotations cannot be read: {error}") from None


def parameters_of(place: str, function: Callable[..., Any], *, generator: bool = False) -> list[inspect.Parameter]:
    """The parameters after `self`. Only a function whose results are asked for may be a `generator`."""
    if isinstance(function, staticmethod | classmethod):
        kind = type(function).__name__
        raise DefinitionError(f"{place} takes no `self`, as a {kind}; remove @{kind}, and write it with `self`")
    if gives_async(function):
        raise DefinitionError(f"{place} is `async def`, but deciding and folding do no I/O; write a plain `def`")
    if is_generator(function) and not generator:
        raise DefinitionError(f"{place} has a `yield` in it, so that calling it runs nothing; take the `yield` out")
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or parameters[0].kind not in (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    ):
        raise DefinitionError(f"{place} takes no `self`; write it as a method of the state")
    return parameters[1:]


def classes_in(hint: Any) -> list[Any]:
    """The classes that an annotation is made of, looking into unions and containers: `list[A | B] | None` is A, B."""
    hint = getattr(hint, "__value__", hint)  # `type Events = A | B`
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return classes_in(arguments[0])
    if hint is None or hint is type(None) or hint is Ellipsis:
        return []
    if not arguments or any(isinstance(each, type) and issubclass(each, Event) for each in (hint, origin)):
        return [hint]
    return [found for argument in arguments for found in classes_in(argument)]


def hint_for_generic(what: object) -> str:
    """What to do with `SomeEvent[int]`, which has a name in the log only once it is a class; empty for all else."""
    origin = typing.get_origin(what)
    if not isinstance(origin, type) or not issubclass(origin, Event):
        return ""
    return f"make it one: `class SomeEvent({origin.__name__}[...])`"
