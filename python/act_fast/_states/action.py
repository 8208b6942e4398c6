"""Actions: decisions, written as methods of a state."""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

import msgspec

from act_fast._events.event import Event
from act_fast._runtime.backoff import Backoff, backoff_of
from act_fast._states.annotations import classes_in, hint_for_generic, hints_of
from act_fast._states.invariant import Invariant
from act_fast._states.parameters import Parameters
from act_fast.errors import DefinitionError

__all__ = ["Action", "Call", "action"]

S = TypeVar("S", bound=msgspec.Struct)
O = TypeVar("O", bound=msgspec.Struct)  # noqa: E741
P = ParamSpec("P")
R = TypeVar("R", bound=Event | Iterable[Event] | None)
S2 = TypeVar("S2", bound=msgspec.Struct)
P2 = ParamSpec("P2")
R2 = TypeVar("R2", bound=Event | Iterable[Event] | None)


class Instance(Protocol):
    """An instance of a state class."""

    __definition__: ClassVar[Any]


class Action(Generic[S, P, R]):
    """A decision about a state. Created by `@action`, and passed to `do` as `Account.deposit`.

    Attributes:
        name: the method's name.
        place: `State.method`, as errors and causations show it.
        state: the state class it belongs to.
        retries: how often it is decided again after something else was appended first.
        backoff: how long it waits before each retry.
        requires: the invariants that must hold before it runs; once bound, also those of the whole state, first.
        parameters: what it takes.
        returns: the event classes that its annotation names.
    """

    state: "type[S]"
    place: str
    parameters: Parameters
    returns: list[type[Event]]

    def __init__(
        self,
        function: Callable[Concatenate[S, P], R],
        retries: int = 0,
        backoff: float | Backoff = 0.0,
        requires: Sequence[Invariant[Any, Any]] = (),
    ) -> None:
        if not callable(getattr(function, "__func__", function)):
            raise DefinitionError(
                f"@action is for methods, not {function!r}; its options go by name, as in `@action(retries=3)`"
            )
        self.function = function
        self.name: str = getattr(function, "__name__", "action")
        self.place = self.name
        self.__doc__ = function.__doc__
        self.retries: int = _retries(self.name, retries)
        self.backoff: Backoff = backoff_of(f"@action on {self.name}", backoff)
        self.requires: Sequence[Invariant[Any, Any]] = _requires(self.name, requires)

    @overload
    def __get__(self, instance: None, owner: type[O]) -> "Action[O, P, R]": ...
    @overload
    def __get__(self, instance: Instance, owner: type[Any]) -> Callable[P, R]: ...
    @overload
    def __get__(self, instance: object, owner: type[Any]) -> Self: ...
    def __get__(self, instance: object, owner: type[Any]) -> Any:
        return self if instance is None else self.function.__get__(instance, owner)

    def at(self, stream: str, /, *args: P.args, **kwargs: P.kwargs) -> "Call[S]":
        """This action on a stream, with its arguments, for `do_many`: `Account.deposit.at("account-7", amount=50)`."""
        return Call(self, stream, args, kwargs)

    def __repr__(self) -> str:
        return f"<action {self.place}>"

    def _bind(self, state: type[Any], name: str, scope: Mapping[str, Any]) -> "Action[Any, P, R]":
        """This action as a member of a state, ready to run; a state that inherits it has an action of its own."""
        place = f"{name}.{self.name}"
        bound: Action[Any, P, R] = copy.copy(self)
        bound.state = state
        bound.place = place
        if hasattr(self, "parameters"):  # inherited, so its annotations have been read where it was written
            bound.parameters = self.parameters.at(place)
            return bound
        bound.parameters = Parameters(place, self.function, scope)
        bound.returns = _returned(place, hints_of(place, self.function, scope))
        return bound


class Call(msgspec.Struct, Generic[S], frozen=True, eq=False):
    """An action on a stream, with its arguments, for `do_many`. `Account.deposit.at("account-7", amount=50)` makes one.

    Attributes:
        action: the action.
        stream: the stream to run it on.
        args: the action's own arguments.
        kwargs: the action's own arguments, by name.
    """

    action: Action[S, Any, Any]
    stream: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = {}


class ActionDecorator(Protocol):
    """What `@action(...)` with options returns."""

    def __call__(self, function: Callable[Concatenate[S, P], R], /) -> Action[S, P, R]: ...


@overload
def action(function: Callable[Concatenate[S, P], R], /) -> Action[S, P, R]: ...
@overload
def action(
    *, retries: int = 0, backoff: float | Backoff = 0.0, requires: Sequence[Invariant[Any, Any]] = ()
) -> ActionDecorator: ...
def action(
    function: Callable[Concatenate[S, P], R] | None = None,
    /,
    *,
    retries: int = 0,
    backoff: float | Backoff = 0.0,
    requires: Sequence[Invariant[Any, Any]] = (),
) -> Action[S, P, R] | ActionDecorator:
    """Make a method an action: it reads the state, decides, and returns the events to append.

    It returns an event, several, or None when there is nothing to append. It does no I/O and does not change the state;
    only reducers do that. Its arguments and its return value must be annotated.

        @action(retries=3)
        def deposit(self, amount: int) -> Deposited:
            return Deposited(amount)

    Args:
        function: the method.
        retries: how often to load and decide again if something was appended in between; never if the caller pinned the
            version with `expecting`.
        backoff: seconds to wait before the first retry, or a `Backoff`.
        requires: invariants that must hold before it runs, checked in this order.
    """
    if function is not None:
        return Action(function)

    def decorate(function: Callable[Concatenate[S2, P2], R2], /) -> Action[S2, P2, R2]:
        return Action(function, retries, backoff, requires)

    return decorate


def _returned(place: str, hints: Mapping[str, Any]) -> list[type[Event]]:
    if "return" not in hints:
        raise DefinitionError(f"{place}: what the action returns is not annotated; write `-> SomeEvent`, or `-> None`")
    found = classes_in(hints["return"])
    hint = "write `-> SomeEvent`, `-> list[SomeEvent | Another]` or `-> SomeEvent | None`"
    for event in found:
        if not isinstance(event, type) or not issubclass(event, Event):
            raise DefinitionError(
                f"{place}: an action returns events, but {event.__qualname__ if isinstance(event, type) else event} is"
                f" not one; {hint_for_generic(event) or hint}"
            )
    return [event for event in found if event is not Event]


def _retries(name: str, given: int) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise DefinitionError(f"@action on {name}: retries= must be a whole number from 0, not {given!r}")
    return given


def _requires(name: str, given: Sequence[Invariant[Any, Any]]) -> tuple[Invariant[Any, Any], ...]:
    if not isinstance(given, Sequence) or not all(isinstance(each, Invariant) for each in given):
        raise DefinitionError(
            f"@action on {name}: requires= must be a list of invariants, defined above with `@invariant(...)`"
        )
    return tuple(given)
