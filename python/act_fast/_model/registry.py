"""What an app knows: its states, their actions and their events, checked against each other."""

from collections.abc import Iterable, Iterator
from types import MethodType
from typing import Any, TypeVar, get_origin

from act_fast._checks.components import Bundle, each_of, is_bundle
from act_fast._declared.class_body import check_annotations
from act_fast._events.codec import Codec
from act_fast._events.constant_defaults import check_constant
from act_fast._events.event import Event
from act_fast._events.fields import check_factories, check_fields
from act_fast._events.sealing import Sealer
from act_fast._model.fold import Unknown
from act_fast._model.model import Model
from act_fast._model.personal_checks import check_kept, check_sealable
from act_fast._model.view_model import view_model
from act_fast._states.action import Action
from act_fast._states.invariant import Invariant
from act_fast._states.reducer import Reducer
from act_fast._states.state import State
from act_fast._states.view import View
from act_fast.errors import DefinitionError

__all__ = ["Registry"]

S = TypeVar("S", bound=State)


class Registry:
    """The components of an app. Never changes: including more makes a new one.

    Attributes:
        components: what it was made of.
        bundles: the slices and projections among them, and those that slices are made of.
        models: by state class.
        by_action: the model of the state that each action belongs to.
        codec: decodes every event of every state.
        owners: the state that each event class belongs to.
        events: the event classes of all states and views.
        views: by view class. They own no events: any number of them may fold one.
    """

    def __init__(self, components: Iterable[object], unknown: Unknown, sealer: Sealer | None = None) -> None:
        self.components: tuple[object, ...] = tuple(components)
        self.bundles: tuple[Bundle, ...] = tuple(filter(is_bundle, each_of(self.components)))
        self.owners: dict[type[Event], type[State]] = {}
        classes = list(dict.fromkeys(_states_in(self.components)))
        states = [each for each in classes if not issubclass(each, View)]
        for state in states:
            _check_state(state)
            self._claim_events(state)
            check_sealable((*state.__definition__.reducers, state), sealer)
            check_kept(state.__definition__)
        _check_names(states)
        self.views: dict[type[View], Model[Any]] = {}
        seen: dict[type[Event], None] = {}
        for view in (each for each in classes if issubclass(each, View) and each is not View):
            _check_state(view)
            self.views[view] = view_model(view, sealer)
            seen.update(dict.fromkeys(view.__definition__.reducers))
        for event in seen:
            check_fields(event, final=True)
            check_constant(event)
        self.codec: Codec = Codec(dict.fromkeys((*self.owners, *seen)), sealer)
        self.events: frozenset[type[Event]] = frozenset((*self.owners, *seen))
        self.models: dict[type[State], Model[Any]] = {
            state: Model(state.__definition__, self.codec, unknown) for state in states
        }
        self.by_action: dict[Action[Any, Any, Any], Model[Any]] = {
            action: model for model in self.models.values() for action in model.definition.actions.values()
        }

    def model_of(self, state: type[S]) -> Model[S]:
        """The model of a state class.

        Raises:
            DefinitionError: it is not one of this app's.
        """
        model = self.models.get(state) if isinstance(state, type) else None
        if model is None:
            if isinstance(state, type) and issubclass(state, View):
                raise DefinitionError(
                    f"{state.__qualname__} is a view, which is folded by tag and not by stream; name one of its tags,"
                    f' as in load({state.__qualname__}.of("..."))'
                )
            hint = (
                "the class itself comes first, without quotes, then the stream"
                if isinstance(state, str)
                else "pass it to the app when you create it, or include it"
            )
            raise DefinitionError(
                f"{_called(state)} is not a state of this app, which has {_listed(self.models)}; {hint}"
            )
        return model

    def model_for(self, action: Action[S, Any, Any]) -> Model[S]:
        """The model of the state that an action belongs to.

        Raises:
            DefinitionError: what was given is no action, or one of another app's states.
        """
        model = self.by_action.get(action) if type(action) is Action else None
        if model is not None:
            return model
        if not isinstance(action, Action) or not hasattr(action, "state"):
            raise DefinitionError(self._no_action(action))
        return self.model_of(action.state)

    def _no_action(self, given: object) -> str:
        if isinstance(given, Action):
            return f"{given!r} does not belong to a state; write it as a method of a class that derives from State"
        if isinstance(given, MethodType):
            name = f"{type(given.__self__).__qualname__}.{given.__name__}"
            return f"{name} is bound to an instance here; name the action by its class: `{name}`"
        if hasattr(given, "retrying") and callable(function := getattr(given, "function", None)):
            name = getattr(function, "__name__", repr(function))
            return f"{name} is a decision, not an action; decide({name}, …) makes it"
        from difflib import get_close_matches

        known = [action.place for state in self.models for action in state.__definition__.actions.values()]
        close = get_close_matches(str(given), known, 1) if isinstance(given, str) else []
        hint = f"; did you mean {close[0]}, without quotes?" if close else ""
        return f"{_called(given)} is not an action; this app has {', '.join(known) or 'none'}{hint}"

    def _claim_events(self, state: type[State]) -> None:
        for event in state.__definition__.reducers:
            check_fields(event, final=True)
            check_constant(event)
            other = self.owners.setdefault(event, state)
            if other is not state:
                raise DefinitionError(
                    f"event {event.__qualname__} is claimed by {_where(other)} and by {_where(state)};"
                    " an event belongs to one state, so give each its own"
                )


def _states_in(components: Iterable[object]) -> Iterator[type[State]]:
    for each in each_of(components):
        if isinstance(each, type) and issubclass(each, State) and each is not State:
            yield each
        elif not is_bundle(each):
            raise DefinitionError(f"{_called(each)} is not a component of an app; {_hint_for_component(each)}")


def _check_state(state: type[State]) -> None:
    plan = state.__definition__.plan
    check_fields(state, final=True, declared=plan.fields if plan else ())
    check_constant(state)
    check_factories(state)
    check_annotations(state)
    definition = state.__definition__
    attached = {each.name for action in definition.actions.values() for each in action.requires}
    for name, rule in definition.rules.items():
        if not rule.always and name not in attached:
            raise DefinitionError(
                f"{_where(state)}: the invariant {name!r} is not used by any action; name it in"
                f" `@action(requires=[{name}])`, or write `@invariant(..., always=True)`"
            )


def _check_names(states: list[type[State]]) -> None:
    named: dict[str, type[State]] = {}
    for state in states:
        other = named.setdefault(state.__definition__.name, state)
        if other is not state:
            raise DefinitionError(
                f"{_where(other)} and {_where(state)} are both called {state.__definition__.name!r};"
                " give one of them another name="
            )


def _listed(states: Iterable[type]) -> str:
    return ", ".join(state.__qualname__ for state in states) or "none"


def _hint_for_component(given: object) -> str:
    origin = get_origin(given)
    if isinstance(origin, type) and issubclass(origin, State):
        return f"make it a class: `class SomeState({origin.__name__}[...])`"
    if isinstance(given, type) and issubclass(given, Event):
        return "you need not pass events: an app knows those of its states' reducers and actions"
    if isinstance(given, type) and hasattr(given, "components"):
        return f"pass an instance of it: `{given.__qualname__}(...)`"
    if isinstance(given, State):
        return f"pass the class itself: `{type(given).__qualname__}`"
    if isinstance(given, list | tuple | set | frozenset):
        return "pass each by itself, without brackets"
    return "pass state classes, projections and slices"


def _called(what: object) -> str:
    """A thing in words that may be said: of an instance, which may hold anything, only what it is one of."""
    if isinstance(what, type):
        return what.__qualname__
    spoken = isinstance(what, str | Action | Reducer | Invariant | None) or get_origin(what) is not None
    return repr(what) if spoken else f"an instance of {type(what).__qualname__}"


def _where(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
