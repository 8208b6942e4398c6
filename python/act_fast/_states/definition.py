"""What a state class says about itself, gathered and checked once, when the class is made."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from act_fast._checks.plain_code import unplain
from act_fast._declared.plan import Plan
from act_fast._declared.python_fold import steps_of
from act_fast._events.event import Event
from act_fast._events.versions import replaced
from act_fast._states.action import Action
from act_fast._states.default_reducer import passthrough, shared_fields
from act_fast._states.invariant import Invariant, check_invariant
from act_fast._states.reducer import Reducer, events_of
from act_fast.errors import DefinitionError

if TYPE_CHECKING:
    from act_fast._states.retire import Retire
    from act_fast._states.snapshot import Snapshot

__all__ = ["Definition", "define", "set_retire"]

S = TypeVar("S", bound=msgspec.Struct)


class Definition(Generic[S]):
    """A state class in the terms of those who run it.

    Attributes:
        state: the class.
        name: what it is called in causations and errors.
        reducers: for each event class of the state, what folds it: `reduce(state, event)`.
        actions: by name.
        rules: the invariants by name.
        invariants: those that must hold before every action.
        replaced: event classes that only reduce, each with the one that has replaced it.
        plan: the declared fields, or None.
        declared: for each event that concerns a declared field, what brings these up to date.
        coded: the events that a reducer folds, their own or that of a class they derive from.
        copied: for each event without one, the fields that it copies.
        snapshot_every: how many versions lie between snapshots, or None.
        snapshot_when: says of a new snapshot whether it is to be stored, or None.
        snapshot_version: what the author counts up when reducers change their mind.
        snapshots: whether any are stored without being asked for.
        retire: when the books of a stream are closed, or None.
    """

    def __init__(self, state: type[S], name: str) -> None:
        self.state = state
        self.name = name
        self.reducers: dict[type[Event], Callable[[S, Any], object]] = {}
        self.actions: dict[str, Action[S, Any, Any]] = {}
        self.rules: dict[str, Invariant[S, Any]] = {}
        self.invariants: list[Invariant[S, Any]] = []
        self.replaced: dict[type[Event], type[Event]] = {}
        self.plan: Plan | None = None
        self.declared: dict[type[Event], Callable[[S, Any], None]] = {}
        self.coded: frozenset[type[Event]] = frozenset()
        self.copied: dict[type[Event], list[str]] = {}
        self.snapshot_every: int | None = None
        self.snapshot_when: Callable[[Snapshot[S]], bool] | None = None
        self.snapshot_version = 1
        self.snapshots = False
        self.retire: Retire | None = None


def define(
    state: "type[Any]",
    name: str | None,
    events: Sequence[type[Event]],
    snapshot_every: int | None,
    snapshot_when: "Callable[[Snapshot[Any]], bool] | None",
    snapshot_version: int | None,
    scope: Mapping[str, Any],
    plan: Plan | None,
) -> Definition[Any]:
    """Gather what a state class defines and what it inherits, or say what is wrong with it."""
    definition: Definition[Any] = Definition(state, _name(state, name))
    definition.plan = plan
    _set_snapshots(definition, snapshot_every, snapshot_when, snapshot_version)
    _check_config(state)
    _check_defaults(state)
    _add_members(definition, _members(state), scope)
    _add_unreduced(definition, events)
    _add_declared(definition)
    _check_replaced(definition)
    return definition


def set_retire(definition: Definition[Any], given: "Retire | None") -> None:
    """Take when streams are retired, or what a base says of that."""
    if given is not None:
        from act_fast._states.retire import Retire

        if not isinstance(given, Retire):
            where = definition.state.__qualname__
            raise DefinitionError(f"{where}: retire= takes a Retire, not {type(given).__name__}")
    definition.retire = given
    for base in _bases(definition.state):
        definition.retire = base.retire if definition.retire is None else definition.retire


def _add_members(definition: Definition[Any], members: Mapping[str, Any], scope: Mapping[str, Any]) -> None:
    state = definition.state
    for member in members.values():
        if isinstance(member, Reducer):
            _add_reducer(definition, member, scope)
        elif isinstance(member, Invariant):
            check_invariant(f"{state.__qualname__}.{member.name}", member, scope)
            definition.rules[member.name] = member
            if member.always:
                definition.invariants.append(member)
    for member in members.values():
        if isinstance(member, Action):
            bound = member._bind(state, definition.name, scope)
            own = [_own(bound, each, members) for each in member.requires]
            bound.requires = tuple(dict.fromkeys([*definition.invariants, *own]))
            definition.actions[member.name] = bound
            setattr(state, member.name, bound)


def _members(state: type) -> dict[str, Any]:
    """The decorated methods of a class and its bases by name, in the order they are written, bases first."""
    members: dict[str, Any] = {}
    for cls in reversed(state.__mro__):
        for name, member in vars(cls).items():
            if name in members:
                _check_override(state, name, members[name], member)
            if isinstance(member, Action | Reducer | Invariant):
                members[name] = member
    return members


def _check_override(state: type, name: str, before: object, member: object) -> None:
    """What takes the place of a member must be of its kind, or it would be gone without a word."""
    if type(member) is not type(before):
        kind = type(before).__name__.lower()
        raise DefinitionError(
            f"{state.__qualname__}.{name} hides the {kind} of that name that it inherits; decorate it as"
            f" {kind} too, or rename it"
        )


def _bases(state: type) -> list[Definition[Any]]:
    """The definitions of the states that a state inherits from, the nearest first."""
    return [vars(base)["__definition__"] for base in state.__mro__[1:] if "__definition__" in vars(base)]


def _own(action: Action[Any, Any, Any], each: Invariant[Any, Any], members: Mapping[str, Any]) -> Invariant[Any, Any]:
    """The invariant that an action requires, or what a subclass has put in its place."""
    found = members.get(each.name)
    if not isinstance(found, Invariant):
        raise DefinitionError(
            f"{action.place} requires {each.name!r}, which is not an invariant of {action.state.__qualname__};"
            " define it in the class, above the action"
        )
    return found


def _add_reducer(definition: Definition[Any], reducer: Reducer[Any, Any], scope: Mapping[str, Any]) -> None:
    place = f"{definition.state.__qualname__}.{reducer.name}"
    for event in events_of(place, reducer, scope):
        if event in definition.reducers:
            other = definition.reducers[event].__name__
            raise DefinitionError(f"{place} and {other} both fold {event.__qualname__}; leave it to one of them")
        definition.reducers[event] = reducer.function


def _add_unreduced(definition: Definition[Any], events: Sequence[type[Event]]) -> None:
    """Events without a reducer of their own are folded by that of a class they derive from, else by copying fields."""
    where = f"{definition.state.__qualname__}: events="
    known = isinstance(events, Sequence) and not isinstance(events, str | bytes)
    known = known and all(isinstance(each, type) and issubclass(each, Event) for each in events)
    if not known:
        raise DefinitionError(f"{where} must be a list of event classes, such as [Deposited], not {events!r}")
    returned = [event for action in definition.actions.values() for event in action.returns]
    inherited = [event for base in _bases(definition.state) for event in base.reducers]
    named = definition.plan.events if definition.plan else []
    declared = definition.plan.fields if definition.plan else ()
    written = dict(definition.reducers)
    for event in (*events, *returned, *inherited, *named):
        base = next((each for each in event.__mro__ if each in written), None)
        if base is not None:
            definition.reducers[event] = written[base]
        elif event not in definition.reducers:
            names = definition.copied[event] = shared_fields(definition.state, event, declared)
            definition.reducers[event] = passthrough(names)
    definition.coded = frozenset(definition.reducers) - definition.copied.keys()


def _add_declared(definition: Definition[Any]) -> None:
    """Bring declared fields up to date before an event's reducer runs, so that it sees what they are with the event."""
    if definition.plan is None:
        return
    definition.declared = steps_of(definition.name, definition.plan)
    for event, step in definition.declared.items():
        alone = event not in definition.coded and not definition.copied[event]
        definition.reducers[event] = step if alone else _both(step, definition.reducers[event])


def _both(step: Callable[[Any, Any], None], reduce: Callable[[Any, Any], object]) -> Callable[[Any, Any], object]:
    def step_and_reduce(state: Any, event: Any) -> object:
        step(state, event)
        return reduce(state, event)

    return step_and_reduce


def _check_replaced(definition: Definition[Any]) -> None:
    """Of events that differ in their `_v2` only the newest is for actions; the others are there to be folded."""
    named: dict[str, type[Event]] = {}
    for event in definition.reducers:
        other = named.setdefault(event.__stored_name__, event)
        if other is not event:
            raise DefinitionError(
                f"{definition.state.__qualname__}: {_where(other)} and {_where(event)} are both stored as"
                f" {event.__stored_name__!r}; give one of them another name="
            )
    definition.replaced = replaced(definition.state.__qualname__, named)
    for action in definition.actions.values():
        for event in action.returns:
            if event in definition.replaced:
                raise DefinitionError(
                    f"{action.place} returns {event.__qualname__}, which {definition.replaced[event].__qualname__} has"
                    " replaced; return that one"
                )


def _check_defaults(state: type[msgspec.Struct]) -> None:
    fields, defaults = state.__struct_fields__, state.__struct_defaults__
    optional = dict(zip(reversed(fields), reversed(defaults), strict=False))
    for field in fields:
        if optional.get(field, msgspec.NODEFAULT) is msgspec.NODEFAULT:
            raise DefinitionError(
                f"{state.__qualname__}.{field} has no default, but the state of a new stream is made without"
                f" arguments; write `{field}: ... = <a default>`"
            )
    if state.__struct_config__.frozen:
        raise DefinitionError(f"{state.__qualname__} is frozen, but its reducers must change it; remove frozen=True")


def _check_config(state: type[msgspec.Struct]) -> None:
    if state.__struct_config__.dict:
        raise DefinitionError(
            f"{state.__qualname__} has dict=True, but anything that is not a field is lost with each copy and"
            " snapshot; remove it, and declare fields"
        )


def _set_snapshots(definition: Definition[Any], every: Any, when: Any, version: Any) -> None:
    where = definition.state.__qualname__
    for base in _bases(definition.state):
        every = base.snapshot_every if every is None else every
        when = base.snapshot_when if when is None else when
        version = base.snapshot_version if version is None else version
    version = 1 if version is None else version
    definition.snapshot_every, definition.snapshot_when, definition.snapshot_version = every, when, version
    definition.snapshots = every is not None or when is not None
    if every is not None and (isinstance(every, bool) or not isinstance(every, int) or every < 1):
        raise DefinitionError(f"{where}: snapshot_every= must be a number of events from 1, not {every!r}")
    if when is not None and not callable(when):
        raise DefinitionError(f"{where}: snapshot_when= must be a function of a Snapshot, not {when!r}")
    if when is not None and (wrong := unplain(when)) is not None:
        raise DefinitionError(f"{where}: snapshot_when= must be a plain function of a Snapshot, but {wrong}")
    if isinstance(version, bool) or not isinstance(version, int):
        raise DefinitionError(f"{where}: snapshot_version= must be a whole number, not {version!r}")


def _name(state: type, name: str | None) -> str:
    if name is None:
        return state.__name__
    if not isinstance(name, str) or not name or name != name.strip() or "\n" in name:
        raise DefinitionError(f"{state.__qualname__}: name={name!r} cannot be a state's name; give it a word")
    return name


def _where(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
