"""Invariants: named rules that must hold before an action runs."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

import msgspec

from act_fast._states.annotations import hints_of, parameters_of
from act_fast.errors import DefinitionError

if TYPE_CHECKING:
    from act_fast._events.meta import Actor

__all__ = ["Invariant", "check_invariant", "invariant"]

S = TypeVar("S", bound=msgspec.Struct)
P = ParamSpec("P")


class Invariant(Generic[S, P]):
    """A rule about a state. Made by `@invariant`.

    Attributes:
        description: the rule in words, as an `InvariantError` says it.
        always: whether it must hold before every action of the state.
        checked: whether its class has been made.
        takes_actor: whether it is told who acts; known once it is checked.
    """

    def __init__(self, function: Callable[Concatenate[S, P], bool], description: str, always: bool) -> None:
        self.function = function
        self.name: str = getattr(function, "__name__", "invariant")
        self.__doc__ = function.__doc__
        self.description = description
        self.always = always
        self.checked = False
        self.takes_actor = False

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
        function: Callable[..., bool] = self.function
        return bool(function(state, actor) if self.takes_actor else function(state))


def invariant(
    description: str, *, always: bool = False
) -> Callable[[Callable[Concatenate[S, P], bool]], Invariant[S, P]]:
    """Make a method a rule that must hold before an action runs.

    The method takes the state, and the actor too if it has a second parameter (`Actor | None`), and returns whether
    the rule holds. It is attached to the actions that name it in `requires=`, in that order; with `always=True` it
    comes before every action of the state.

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


def check_invariant(place: str, each: Invariant[Any, Any], scope: Mapping[str, Any]) -> None:
    """Refuse what cannot be a rule, and note whether it wants to be told who acts."""
    if each.checked:
        return
    parameters = parameters_of(place, each.function)
    mend = f"write `def {each.name}(self) -> bool`, or with `actor: Actor | None` as its only argument"
    if len(parameters) > 1 or any(parameter.kind is not parameter.POSITIONAL_OR_KEYWORD for parameter in parameters):
        raise DefinitionError(f"{place}: an invariant takes the state, and the actor at most; {mend}")
    if hints_of(place, each.function, scope).get("return") is not bool:
        raise DefinitionError(f"{place}: an invariant says whether a rule holds; {mend}")
    each.takes_actor = bool(parameters)
    each.checked = True
