"""Deciding: the rules are checked, the action runs, and what it returns is checked and encoded. Touches no store."""

from collections.abc import Iterable
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from act_fast._checks.msgspec_errors import misfit
from act_fast._checks.own_values import own
from act_fast._checks.round_trip import difference
from act_fast._events.context import deciding
from act_fast._events.event import Event, known_wire, tagged
from act_fast._events.finite import check_finite
from act_fast._events.meta import Actor
from act_fast._events.sealing import wire_of
from act_fast._rows import EventPair
from act_fast._states.action import Action
from act_fast.errors import ActError, DefinitionError, InvariantError

if TYPE_CHECKING:
    from act_fast._model.fold import Fold

__all__ = ["Decision", "check_declared", "check_folded", "check_unchanged", "decide", "misfitting"]

_encode: Final = msgspec.json.Encoder().encode
_encode_sorted: Final = msgspec.json.Encoder(order="deterministic").encode


class Decision(msgspec.Struct, gc=False):
    """What an action decided.

    Attributes:
        events: the events as they will be read again, which is as they are folded.
        encoded: their stored names and data, with their tags if they have any.
    """

    events: list[Event]
    encoded: list[EventPair]


def decide(
    fold: "Fold[Any]",
    action: Action[Any, Any, Any],
    state: Any,
    stream: str,
    version: int,
    actor: Actor | None,
    values: tuple[Any, ...],
    watched: bool = False,
) -> Decision:
    """Run an action on a state.

    Args:
        fold: the state class as the app runs it.
        action: what to run.
        state: a state that belongs to this call alone, so that a wrongdoer's changes go nowhere.
        stream: its stream, for errors.
        version: its version, for errors.
        actor: who acts.
        values: the arguments, bound.
        watched: whether an action that does something to the store is refused, as rules always are.

    Raises:
        InvariantError: a rule does not hold.
        DefinitionError: what the action returned cannot be appended.
        ValidationError: the same, and an argument is to blame.
    """
    if action.requires:
        _check_rules(fold, action, state, stream, version, actor)
    parameters = action.parameters
    if parameters.changing:
        values = own(values)
    if watched:
        found = _watched(action, state, values)
    elif parameters.positional == len(values):
        found = action.function(state, *values)
    else:
        found = parameters.call(action.function, state, values)
    if found is None:
        return Decision([], [])
    try:
        if type(found) in fold.decoders or isinstance(found, Event):
            event, pair = _checked(fold, action, stream, found)
            return Decision([event], [pair])
        events, encoded = [], []
        for each in _several(action, found):
            event, pair = _checked(fold, action, stream, each)
            events.append(event)
            encoded.append(pair)
    except DefinitionError:
        parameters.check_storable(values)
        raise
    return Decision(events, encoded)


def _check_rules(
    fold: "Fold[Any]", action: Action[Any, Any, Any], state: Any, stream: str, version: int, actor: Actor | None
) -> None:
    for rule in action.requires:
        before = deciding.get()
        try:
            deciding.set(f"the invariant {rule.name!r}")
            # Each has a state of its own: the next one, and the action, see what was folded and nothing else.
            holds = rule.holds(fold.copy(state), actor)
        finally:
            deciding.set(before)
        if not holds:
            raise InvariantError(action.place, stream, rule.description, version)


def _watched(action: Action[Any, Any, Any], state: Any, values: tuple[Any, ...]) -> Any:
    before = deciding.get()
    try:
        deciding.set(action.place)  # not before: Ctrl-C may come between any two calls
        found = action.parameters.call(action.function, state, values)
        # What an action yields is run here, and not when the events are checked.
        return list(found) if isinstance(found, GeneratorType) else found
    finally:
        deciding.set(before)


def check_unchanged(action: Action[Any, Any, Any], state: Any, before: Any) -> None:
    """Refuse an action that has changed the state it was given."""
    if not _same(state, before):
        raise DefinitionError(
            f"{action.place} changed the state; an action returns events, and reducers change the state"
        )


def check_folded(action: Action[Any, Any, Any], state: Any) -> None:
    """Refuse what reducers made of a state, if it is not of the types that the state's fields declare."""
    kind = action.state
    try:
        wire = wire_of(kind)
        back = wire.again(state, "")[0] if wire is not None else msgspec.json.decode(_encode(state), type=kind)
    except msgspec.MsgspecError as error:
        what, path = misfit(error, kind)
        raise DefinitionError(
            f"after {action.place}, {kind.__qualname__}{f'.{path}' if path else ''} is not as declared: {what};"
            " fix the reducer"
        ) from None
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise DefinitionError(f"after {action.place}, {kind.__qualname__} cannot be stored: {error}") from None
    if (changed := difference(state, back, kind.__qualname__)) is not None:
        raise DefinitionError(
            f"after {action.place}, {changed} from JSON, so a snapshot would not be what was folded; let the field's"
            " type say what it holds, or let the reducer store something that JSON can hold"
        )


def check_declared(fold: "Fold[Any]", state: Any, after: Any, events: Iterable[Event]) -> None:
    """Refuse a reducer that has changed a declared field, given the state before the events and after them."""
    plan = fold.definition.plan
    if plan is None:
        return
    for event in events:
        if (step := fold.definition.declared.get(type(event))) is not None:
            step(state, event)
    for name in plan.fields:
        if getattr(state, name) != getattr(after, name):
            raise DefinitionError(
                f"{fold.definition.name}.{name} is declared, so only its declaration may change it; remove it"
                " from the reducer that assigns to it, or give it a plain default"
            )


def _same(state: Any, other: Any) -> bool:
    """Whether two states hold the same, also where their classes or those of fields leave out `__eq__`."""
    try:
        return _encode_sorted(state) == _encode_sorted(other)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return bool(state == other)


def _several(action: Action[Any, Any, Any], found: object) -> Iterable[Any]:
    if not isinstance(found, Iterable) or isinstance(found, str | bytes | dict):
        raise DefinitionError(
            f"{action.place} returned {type(found).__name__}; an action returns an event, several, or None"
        )
    return found


def _checked(fold: "Fold[Any]", action: Action[Any, Any, Any], stream: str, event: Event) -> tuple[Event, EventPair]:
    """An event encoded, and decoded again: what does not come back would not come back from the log either."""
    kind = type(event)
    decode = fold.decoders.get(kind)
    if decode is None:
        raise DefinitionError(_foreign(action, fold, kind))
    try:
        wire = kind.__wire__ and known_wire(kind)
        if wire:
            return fold.codec.sealed(event, wire, stream)
        data = _encode(event)
        if kind in fold.floating:
            check_finite(event, data)
        pair = tagged(event, data) if kind.__tagging__ else (kind.__stored_name__, data)
        return decode(data), pair
    except ActError:
        raise
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise DefinitionError(f"{action.place} returned {misfitting(kind, error)}") from None


def _foreign(action: Action[Any, Any, Any], fold: "Fold[Any]", kind: type) -> str:
    definition = fold.definition
    if kind in definition.replaced:
        newest = definition.replaced[kind].__qualname__
        return f"{action.place} returned {kind.__qualname__}, which {newest} has replaced; return that one"
    known = ", ".join(each.__qualname__ for each in definition.reducers) or "none"
    return (
        f"{action.place} returned {kind.__qualname__}, which is not an event of {definition.state.__qualname__}; it has"
        f" {known}; add a reducer for it, or name it in events=[...]"
    )


def misfitting(kind: type, error: Exception) -> str:
    """What is wrong with an event that does not come back from its own JSON."""
    if isinstance(error, msgspec.MsgspecError):
        what, path = misfit(error, kind)
        return f"{kind.__qualname__} with a wrong value: {f'field {path!r}: ' if path else ''}{what}"
    return f"{kind.__qualname__} that cannot be encoded as JSON: {type(error).__name__}"
