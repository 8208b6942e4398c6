"""The mark of a snapshot: a word for everything that a state was folded by."""

from typing import Any, Final

import msgspec

from act_fast._declared.tree import trees_as_data
from act_fast._events.codec import takes_personal
from act_fast._events.sealing import wire_of
from act_fast._model.decoding import decoding_of, upcasts_of
from act_fast._model.function_code import code_of
from act_fast._states.definition import Definition

__all__ = ["mark_of"]

_json: Final = msgspec.json.Encoder(order="sorted")


_CHECKED: Final = "checked for what was sealed"
"""Said of snapshots that hold nothing in clear of what was sealed: those of earlier versions were not asked."""


def mark_of(definition: Definition[Any], names: list[str], *, sealed: bool = False) -> str:
    """A word for everything that the states of a class are folded by.

    Args:
        definition: the state class's own.
        names: the stored names that are folded.
        sealed: whether the app has keys, with which personal values are sealed and opened.
    """
    folded = sorted(
        (
            event.__stored_name__,
            decoding_of(event),
            upcasts_of(event),
            code_of(reduce, (definition.state, event)),
            definition.copied.get(event, []),
        )
        for event, reduce in definition.reducers.items()
    )
    said = [definition.snapshot_version, decoding_of(definition.state), _begun(definition.state), folded, sorted(names)]
    wires = [wire_of(each) for each in (definition.state, *definition.reducers)]
    said += [sorted(leaf.path for leaf in wire.leaves) for wire in wires if wire is not None]
    if sealed and (any(wires) or any(map(takes_personal, definition.reducers))):
        said.append(_CHECKED)
    if definition.plan is not None:
        said.append(trees_as_data(definition.plan.trees))
    from hashlib import sha256

    return sha256(_json.encode(said)).hexdigest()[:16]


def _begun(state: type[Any]) -> str:
    """The state of a stream without events, which is what its fields' defaults make."""
    try:
        return _json.encode(state()).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        return ""
