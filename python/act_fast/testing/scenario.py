"""Given these events, when this action runs, then these events follow: test a decision without a store."""

import re
from typing import Any, Generic, ParamSpec, Self, TypeVar

from act_fast._events.event import Event
from act_fast._events.meta import Actor
from act_fast._events.sealing import InClear
from act_fast._model.decide import check_folded, check_unchanged, decide
from act_fast._model.model import Model
from act_fast._model.registry import Registry
from act_fast._states.action import Action
from act_fast._states.state import State
from act_fast.errors import ValidationError

__all__ = ["Given", "When", "given"]

S = TypeVar("S", bound=State)
P = ParamSpec("P")

_STREAM = "given"


def given(state: type[S], /, *events: Event) -> "Given[S]":
    """A stream of one state class that holds these events, or none.

        given(Account, Opened("Ada")).when(Account.deposit, amount=5).then(Deposited(5))

    Raises:
        ValidationError: an event is not the state's, or holds something that cannot be stored.
    """
    registry = Registry((state,), "raise", InClear())
    model = registry.model_of(state)
    stream = model.make()
    for version, event in enumerate(events):
        model.events(stream, _STREAM, version, [_stored(model, event)])
    return Given(registry, model, stream, len(events), None)


class Given(Generic[S]):
    """A stream as it is before an action runs."""

    def __init__(self, registry: Registry, model: Model[S], state: S, version: int, actor: Actor | None) -> None:
        self._registry = registry
        self._model = model
        self._state = state
        self._version = version
        self._actor = actor

    def acting(self, actor: Actor) -> "Given[S]":
        """The same stream, with an actor for its actions."""
        return Given(self._registry, self._model, self._state, self._version, actor)

    def when(self, action: Action[S, P, Any], /, *args: P.args, **kwargs: P.kwargs) -> "When[S]":
        """Run an action. If it raises, the exception is kept for `raises`.

        Raises:
            DefinitionError: it is not an action of this state.
        """
        return When(self._registry, self._model, self._state, self._version, self._actor, action, args, kwargs)

    def state(self, expected: S | None = None, /, **fields: object) -> Self:
        """Assert that the state equals `expected`, or that it has these fields."""
        __tracebackhide__ = True
        _assert_state(self._state, expected, fields)
        return self


class When(Generic[S]):
    """A stream after an action ran: check the outcome, or run the next action."""

    def __init__(
        self,
        registry: Registry,
        model: Model[S],
        state: S,
        version: int,
        actor: Actor | None,
        action: Action[S, Any, Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        registry.model_for(action)
        self._registry = registry
        self._model = model
        self._actor = actor
        self._action = action
        self._before = version
        self._state = model.copy(state)
        self._events: list[Event] = []
        self._error: Exception | None = None
        try:
            self._run(state, args, kwargs)
        except Exception as error:
            self._error = error

    def then(self, *events: Event) -> Self:
        """Assert that these events followed, and no others. Without arguments: that there was nothing to append."""
        __tracebackhide__ = True
        self._assert_nothing_raised()
        if self._events != list(events):
            raise AssertionError(
                f"{self._action.place} was expected to return {_listed(events)}, but returned {_listed(self._events)}"
            )
        return self

    def raises(self, error: type[Exception], /, match: str | None = None, **attributes: object) -> Self:
        """Assert that the action raised.

        Args:
            error: the class of the exception.
            match: a regular expression to find in its message.
            attributes: attributes of the exception and their values, such as `description=`.
        """
        __tracebackhide__ = True
        found = self._error
        if not isinstance(found, error):
            what = "nothing" if found is None else f"{type(found).__name__}: {found}"
            raise AssertionError(
                f"{self._action.place} was expected to raise {error.__name__}, but raised {what}"
            ) from found
        if match is not None and not re.search(match, str(found)):
            raise AssertionError(f"{str(found)!r} does not match {match!r}") from found
        for name, expected in attributes.items():
            if getattr(found, name) != expected:
                raise AssertionError(f"expected {name} to be {expected!r}, got {getattr(found, name)!r}") from found
        return self

    def state(self, expected: S | None = None, /, **fields: object) -> Self:
        """Assert that the state afterwards equals `expected`, or that it has these fields."""
        __tracebackhide__ = True
        self._assert_nothing_raised()
        _assert_state(self._state, expected, fields)
        return self

    def when(self, action: Action[S, P, Any], /, *args: P.args, **kwargs: P.kwargs) -> "When[S]":
        """Run the next action on the stream as it stands now; an action that raised has left it unchanged."""
        version = self._before + len(self._events)
        return When(self._registry, self._model, self._state, version, self._actor, action, args, kwargs)

    def _run(self, before: S, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        action, model = self._action, self._model
        values = action.parameters.bind(args, kwargs)
        given_to_action = model.copy(before)
        decision = decide(model, action, given_to_action, _STREAM, self._before, self._actor, values)
        check_unchanged(action, given_to_action, before)
        after = model.copy(before)
        model.events(after, _STREAM, self._before, decision.events)
        check_folded(action, after)
        self._state, self._events = after, decision.events

    def _assert_nothing_raised(self) -> None:
        __tracebackhide__ = True
        if self._error is not None:
            raise AssertionError(
                f"{self._action.place} raised {type(self._error).__name__}: {self._error}"
            ) from self._error


def _stored(model: Model[Any], event: Event) -> Event:
    """An event as it would be read from a log."""
    kind = type(event)
    if kind not in model.definition.reducers:
        known = ", ".join(each.__qualname__ for each in model.definition.reducers) or "none"
        raise ValidationError(
            f"{kind.__qualname__} is not an event of {model.definition.state.__qualname__}; it has {known}"
        )
    name, data, *_ = model.codec.encode(event)
    return model.codec.decoders[name](data)


def _assert_state(state: Any, expected: Any, fields: dict[str, object]) -> None:
    __tracebackhide__ = True
    if expected is not None and state != expected:
        raise AssertionError(f"expected the state to be {expected!r}, got {state!r}")
    for name, value in fields.items():
        if getattr(state, name) != value:
            raise AssertionError(f"expected {name} to be {value!r}, got {getattr(state, name)!r}")


def _listed(events: "tuple[Event, ...] | list[Event]") -> str:
    return ", ".join(map(repr, events)) or "nothing"
