"""Personal values stay where they are sealed: what would put them elsewhere is refused."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from act_fast._declared.tree import Leaf, Node
from act_fast._events.event import Event, known_wire
from act_fast._events.sealing import Found, Sealer, personal_fields, texts_in, wire_of
from act_fast._states.definition import Definition
from act_fast.errors import DefinitionError

__all__ = ["check_kept", "check_sealable", "kept_in_clear", "moved_in_clear"]

_encode: Final = msgspec.json.Encoder().encode


def check_sealable(classes: Iterable[type], sealer: Sealer | None) -> None:
    """Refuse classes with personal fields in an app that has no keys to seal them with.

    Raises:
        DefinitionError: there is one, or its marks cannot mean anything.
    """
    for cls in classes:
        if wire_of(cls) is not None and sealer is None:
            raise DefinitionError(
                f"{cls.__module__}.{cls.__qualname__} has personal fields, but the app has no key store; open it with"
                ' keys=FileKeyStore("some.keys"), or keys=MemoryKeyStore() in tests'
            )


def check_kept(definition: Definition[Any]) -> None:
    """Refuse states that take personal values into fields that are not.

    Raises:
        DefinitionError: one does.
    """
    state = definition.state
    sealed = personal_fields(state)
    for event, names in definition.copied.items():
        for name in names:
            if name in personal_fields(event) and name not in sealed:
                raise DefinitionError(_unsealed(state, name, f"{event.__qualname__}.{name}"))
    for name, kept in definition.plan.kept.items() if definition.plan else ():
        for feed in kept.accumulator.feeds:
            taken = None if feed.value is None else _personal_leaf(feed.event, feed.value)
            if taken is not None and name not in sealed:
                raise DefinitionError(_unsealed(state, name, taken))


def kept_in_clear(state: Any, events: Iterable[Event]) -> str | None:
    """In words, what of the personal values of some events a state that has folded them holds in clear."""
    wires = ((event, known_wire(type(event))) for event in events)
    return _in_clear(state, (found for event, wire in wires if wire is not None for found in wire.values(event)))


def moved_in_clear(state: Any) -> str | None:
    """In words, what of its own personal values a state also holds in clear."""
    wire = wire_of(type(state))
    return None if wire is None else _in_clear(state, wire.values(state))


def _in_clear(state: Any, values: Iterable[Found]) -> str | None:
    texts = {text: found.leaf.place for found in values for text in texts_in(found.value)}
    if not texts:
        return None
    shown = wire_of(type(state))
    data = _encode(state) if shown is None else shown.blank(state)
    place = next((place for text, place in texts.items() if _encode(text) in data), None)
    return place and (
        f"{type(state).__qualname__} holds the value of {place} in a field that is not personal; write `Personal[...]`"
        " there, too, beside a Subject"
    )


def _personal_leaf(event: type, node: Node) -> str | None:
    if isinstance(node, Leaf):
        personal = node.path and node.path[0] in personal_fields(event)
        return f"{event.__qualname__}.{'.'.join(node.path)}" if personal else None
    inner = [getattr(node, name, None) for name in ("of", "left", "right")]
    return next((found for each in inner if each is not None and (found := _personal_leaf(event, each))), None)


def _unsealed(state: type, name: str, taken: str) -> str:
    return (
        f"{state.__qualname__}.{name} takes the personal value {taken}, but is not personal itself, so snapshots would"
        f" hold it in clear; write `{name}: Personal[...]` there, too, beside a Subject"
    )
