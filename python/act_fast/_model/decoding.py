"""What a class makes of stored JSON, as data: its shape, what completes it, and the upcasters on the way to it."""

from typing import Any

import msgspec

from act_fast._events.event import Event
from act_fast._events.fields import structs_in
from act_fast._model.function_code import code_of

__all__ = ["decoding_of", "upcasts_of"]


def upcasts_of(event: type[Event], path: tuple[type[Event], ...] = ()) -> Any:
    """The upcasters of an event, and those that come before them."""
    found = []
    for name, each in sorted(event.__upcasts__.items()):
        takes, _ = each._hints()
        before: Any = None
        if isinstance(takes, type) and issubclass(takes, msgspec.Struct):
            before = [decoding_of(takes), []]
            if issubclass(takes, Event) and takes not in (event, *path):
                before[1] = upcasts_of(takes, (*path, event))
        found.append([name, code_of(each.function, (takes,) if before else ()), before])
    return found


def decoding_of(cls: type[Any]) -> Any:
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
