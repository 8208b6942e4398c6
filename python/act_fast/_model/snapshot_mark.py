"""The mark of a snapshot: a word for everything that a state was folded by."""

import hashlib
from typing import Any, Final

import msgspec

from act_fast._declared.tree import trees_as_data
from act_fast._events.event import Event
from act_fast._events.fields import structs_in
from act_fast._model.function_code import code_of
from act_fast._states.definition import Definition

__all__ = ["mark_of"]

_json: Final = msgspec.json.Encoder(order="sorted")


def mark_of(definition: Definition[Any], names: list[str]) -> str:
    """A word for everything that the states of a class are folded by.

    Args:
        definition: the state class's own.
        names: the stored names that are folded.
    """
    folded = sorted(
        (
            event.__stored_name__,
            _shape(event),
            _upcasts(event, ()),
            code_of(reduce, (definition.state, event)),
            definition.copied.get(event, []),
        )
        for event, reduce in definition.reducers.items()
    )
    said = [definition.snapshot_version, _shape(definition.state), _begun(definition.state), folded, sorted(names)]
    if definition.plan is not None:
        said.append(trees_as_data(definition.plan.trees))
    return hashlib.sha256(_json.encode(said)).hexdigest()[:16]


def _upcasts(event: type[Event], path: tuple[type[Event], ...]) -> Any:
    """The upcasters of an event, and those that come before them."""
    found = []
    for name, each in sorted(event.__upcasts__.items()):
        takes, _ = each._hints()
        before: Any = None
        if isinstance(takes, type) and issubclass(takes, msgspec.Struct):
            before = [_shape(takes), []]
            if issubclass(takes, Event) and takes not in (event, *path):
                before[1] = _upcasts(takes, (*path, event))
        found.append([name, code_of(each.function, (takes,) if before else ()), before])
    return found


def _begun(state: type[Any]) -> str:
    """The state of a stream without events, which is what its fields' defaults make."""
    try:
        return _json.encode(state()).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        return ""


def _shape(cls: type[Any]) -> Any:
    """What JSON of a class looks like, whatever the class is called and wherever it lives, and what completes it."""
    schema = msgspec.json.schema(cls)
    return [_unnamed(schema, schema.get("$defs", {}), {}), [_completed(each) for each in structs_in(cls)]]


def _completed(cls: type[Any]) -> Any:
    """What is in no schema, and yet in every instance: what factories make, and what `__post_init__` does."""
    made = [
        [field.encode_name, code_of(field.default_factory)]
        for field in msgspec.structs.fields(cls)
        if field.default_factory is not msgspec.NODEFAULT
    ]
    after = getattr(cls, "__post_init__", None)
    return [made, None if after is None else code_of(after, (cls,))]


def _unnamed(schema: Any, definitions: dict[str, Any], met: dict[str, int]) -> Any:
    """A JSON schema with its definitions in their places, without names, and without what docstrings say."""
    if isinstance(schema, list):
        return [_unnamed(each, definitions, met) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(reference := schema.get("$ref"), str):
        name = reference.removeprefix("#/$defs/")
        if name in met:
            return met[name]
        met[name] = len(met)
        return _unnamed(definitions[name], definitions, met)
    return {
        key: _unnamed(value, definitions, met)
        for key, value in schema.items()
        if not (key == "$defs" or (key in ("title", "description") and isinstance(value, str)))
    }
