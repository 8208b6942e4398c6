"""Invariants: named rules that must hold before an action runs."""

from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

import msgspec

from act_fast._checks.plain_code import is_unrun
from act_fast._events.meta import Actor, own_actor
from act_fast._states.annotations import classes_in, hints_of, parameters_of
from act_fast.errors import DefinitionError

__all__ = ["Invariant", "check_invariant", "invariant"]

S = TypeVar("S", bound=msgspec.Struct)
P = ParamSpec("P")


class Invariant(Generic[S, P]):
    """A rule about a state. Created by `@invariant`.

    Attributes:
        description: the rule in words, as an `InvariantError` shows it.
        always: whether it must hold before every action of the state.
        checked: whether its class has been created.
        takes_actor: whether it takes the actor; known once it is checked.
    """

    def __init__(self, function: Callable[Concatenate[S, P], bool], description: str, always: bool) -> None:
        self.function = function
        self.name: str = getattr(function, "__name__", "invariant")
        self.__doc__ = function.__doc__
        self.description = description
        self.always = always
        self.checked = False
        self.takes_actor = False
        self._ask: Callable[..., object] = function

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> Callable[P, bool]: ...
    def __get__(self, instance: object, owner: type) -> Any:
        return self if instance is None else self.function.__get__(instance, owner)

    def __repr__(self) -> str:
        return f"<invariant {getattr(self.function, '__qualname__', self.name)}: {self.description}>"

    def holds(self, state: S, actor: "Actor | None") -> bool:
        """Whether the rule holds in this state, for this actor."""
        found = self._ask(state, actor and own_actor(actor)) if self.takes_actor else self._ask(state)
        if found is True or found is False:
            return found
        return self._truth(found)

    def _truth(self, found: object) -> bool:
        """Whether something that is neither True nor False says that the rule holds.

        Raises:
            DefinitionError: it is true whatever the rule is, such as a method that was not called.
        """
        if callable(found) or is_unrun(found):
            raise DefinitionError(
                f"the invariant {self.name!r} returned {type(found).__name__}, which is always true; let it return a"
                " bool, and call what it names"
            )
        return bool(found)


def invariant(
    description: str, *, always: bool = False
) -> Callable[[Callable[Concatenate[S, P], bool]], Invariant[S, P]]:
    """Make a method a rule that must hold before an action runs.

    The method takes the state, and also the actor if it has a second parameter (`Actor | None`), and returns whether
    the rule holds. Actions that need it name it in `requires=`; with `always=True` it is checked before every action of
    the state.

        @invariant("the account is open")
        def is_open(self) -> bool:
            return self.owner != ""

        @action(requires=[is_open])
        def deposit(self, amount: int) -> Deposited: ...

    Args:
        description: the rule in words; an `InvariantError` carries it.
        always: whether it must hold before every action of the state.
    """
    if not isinstance(description, str) or not description:
        raise DefinitionError('an invariant is described in words: write `@invariant("the account is open")`')

    def decorate(function: Callable[Concatenate[S, P], bool]) -> Invariant[S, P]:
        return Invariant(function, description, always)

    return decorate


def _is_actor(parameter: Parameter, hints: Mapping[str, Any]) -> bool:
    """Whether a parameter is meant for the actor: as it says, or as it is called where it says nothing."""
    if parameter.name not in hints:
        return "actor" in parameter.name.lower() or parameter.name.startswith("_")
    found = classes_in(hints[parameter.name])
    return any(each in (Any, object) or (isinstance(each, type) and issubclass(each, Actor)) for each in found)


def check_invariant(place: str, each: Invariant[Any, Any], scope: Mapping[str, Any]) -> None:
    """Refuse what cannot be a rule, and note whether it wants to be told who acts."""
    if each.checked:
        return
    parameters = parameters_of(place, each.function)
    hint = f"write `def {each.name}(self) -> bool`, or with `actor: Actor | None` as its only argument"
    if len(parameters) > 1 or any(parameter.kind is not parameter.POSITIONAL_OR_KEYWORD for parameter in parameters):
        raise DefinitionError(f"{place}: an invariant takes the state, and the actor at most; {hint}")
    hints = hints_of(place, each.function, scope)
    if hints.get("return") is not bool:
        raise DefinitionError(f"{place}: an invariant says whether a rule holds; {hint}")
    if parameters and not _is_actor(parameters[0], hints):
        raise DefinitionError(
            f"{place}: the second parameter of an invariant is the actor, but {parameters[0].name!r} is not one; {hint}"
        )
    each.takes_actor = bool(parameters)
    each.checked = True
