"""What an app is made of: its states, events, actions, reactions and projections, and how they hang together."""

from collections.abc import Iterable

import msgspec

from act_fast._app.act import Act
from act_fast._checks.components import each_of
from act_fast._events.event import Event
from act_fast._projections.projection import Projection

__all__ = ["ActionPart", "EventPart", "ReactionPart", "StatePart", "Structure", "structure_of"]


class ActionPart(msgspec.Struct, frozen=True):
    """An action: its name, the events that it may return, and the invariants that must hold before."""

    name: str
    events: list[str]
    requires: list[str]
    doc: str


class EventPart(msgspec.Struct, frozen=True):
    """An event: its name, the name it is stored under, its fields, and its version."""

    name: str
    stored: str
    fields: list[tuple[str, str]]
    doc: str


class StatePart(msgspec.Struct, frozen=True):
    """A state: its name, its fields, its actions, and the events that it folds."""

    name: str
    fields: list[tuple[str, str]]
    actions: list[ActionPart]
    events: list[str]
    snapshot_every: int | None
    doc: str


class ReactionPart(msgspec.Struct, frozen=True):
    """A reaction, or a projection: what it is for, and where it goes."""

    name: str
    events: list[str]
    to: str
    source: str
    tags: list[str]
    lane: str
    retries: int
    projection: bool
    place: str


class Structure(msgspec.Struct, frozen=True):
    """All of an app."""

    states: list[StatePart]
    events: list[EventPart]
    reactions: list[ReactionPart]


def structure_of(app: Act) -> Structure:
    """What an app is made of."""
    registry = app._engine.registry
    states = [
        StatePart(
            name=definition.name,
            fields=_fields(definition.state),
            actions=[
                ActionPart(
                    action.name,
                    [each.__name__ for each in action.returns],
                    [rule.name for rule in action.requires],
                    _summary(action.__doc__),
                )
                for action in definition.actions.values()
            ],
            events=[each.__name__ for each in definition.reducers],
            snapshot_every=definition.snapshot_every,
            doc=_summary(definition.state.__doc__),
        )
        for definition in (model.definition for model in registry.models.values())
    ]
    events: dict[type[Event], None] = dict.fromkeys(registry.owners)
    for reaction in app.reactions:
        events.update(dict.fromkeys(reaction.events))
    projections = {each.name for each in _projections(registry.components)}
    return Structure(
        states,
        [EventPart(each.__name__, each.__stored_name__, _fields(each), _summary(each.__doc__)) for each in events],
        [
            ReactionPart(
                name=each.name,
                events=[event.__name__ for event in each.events],
                to=each.to if isinstance(each.to, str) else f"{getattr(each.to, '__name__', 'a function')}()",
                source=each.source or "",
                tags=[*each.tags],
                lane=each.lane,
                retries=each.retries,
                projection=each.name in projections,
                place=each.place,
            )
            for each in app.reactions
        ],
    )


def _projections(components: Iterable[object]) -> list[Projection]:
    return [each for each in each_of(components) if isinstance(each, Projection)]


def _fields(cls: type[msgspec.Struct]) -> list[tuple[str, str]]:
    return [(each.name, _told(each.type)) for each in msgspec.structs.fields(cls)]


def _told(kind: object) -> str:
    """A type as people write it."""
    if isinstance(kind, type) and not hasattr(kind, "__args__"):
        return kind.__name__
    if hasattr(kind, "__metadata__"):
        return _told(kind.__origin__)  # type: ignore[attr-defined]
    return str(kind).replace("typing.", "")


def _summary(doc: str | None) -> str:
    """The first sentence of a docstring."""
    return (doc or "").strip().split("\n\n")[0].split("\n")[0]
