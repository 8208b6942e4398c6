"""What msgspec found wrong with a value, without the value."""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import inspect

__all__ = ["misfit"]

_PLACE: Final = re.compile(r"^(?P<what>.*?)(?: - at `(?P<key>key` in `)?\$\.?(?P<path>.*)`)?$", re.DOTALL)
_NULL: Final = re.compile(r"\bnull\b(?=[^`]*`(?:[^`]*`[^`]*`)*[^`]*$)")
_STEP: Final = re.compile(r"\[[^\]]*\]|[^.\[\]]+")
_ENUM: Final = "Invalid enum value"
_CHOICES_MAX: Final = 20
_VALUE: Final = re.compile(r"^(Invalid (?:enum )?value) .*$", re.DOTALL)


def misfit(error: msgspec.MsgspecError, kind: Any = None) -> tuple[str, str]:
    """What was wrong, and the path of the field where, `""` for the whole. No payload is in either.

    Args:
        error: what msgspec raised.
        kind: the type that the value was to be of, so that the values of an enum or a literal can be named.
    """
    found = _PLACE.match(str(error))
    if found is None:
        return "is not valid", ""
    path = found["path"] or ""
    what = _VALUE.sub(r"\1", found["what"]).removeprefix("Object contains ").removeprefix("Object ")
    what = _NULL.sub("None", what)
    if what == _ENUM and kind is not None:
        known = _choices(kind, path, found["key"] is not None)
        what += f"; it is one of {', '.join(map(repr, known))}" if known else ""
    # "Expected `int`" stands in the middle of a sentence; JSON stays JSON.
    return what if what[1:2].isupper() else what[:1].lower() + what[1:], path


def _choices(kind: Any, path: str, key: bool) -> list[Any]:
    """The values that there are at a path within a type; none when it is another kind of type."""
    try:
        kinds = list(_alternatives(inspect.type_info(kind)))
    except (TypeError, NameError):
        return []
    for step in _STEP.findall(path):
        kinds = [found for each in kinds for inner in _inner(each, step) for found in _alternatives(inner)]
    if key:
        kinds = [
            found for each in kinds if isinstance(each, inspect.DictType) for found in _alternatives(each.key_type)
        ]
    values: list[Any] = []
    for each in kinds:
        if isinstance(each, inspect.EnumType):
            values += [member.value for member in each.cls]
        elif isinstance(each, inspect.LiteralType):
            values += each.values
    return values[:_CHOICES_MAX]


def _inner(kind: inspect.Type, step: str) -> list[inspect.Type]:
    if step.startswith("["):
        match kind:
            case inspect.DictType():
                return [kind.value_type]
            case inspect.TupleType():
                return list(kind.item_types)
            case inspect.ListType() | inspect.VarTupleType() | inspect.SetType() | inspect.FrozenSetType():
                return [kind.item_type]
    fields = getattr(kind, "fields", ())
    return [field.type for field in fields if getattr(field, "encode_name", field.name) == step]


def _alternatives(kind: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(kind, inspect.Metadata):
        yield from _alternatives(kind.type)
    elif isinstance(kind, inspect.UnionType):
        for each in kind.types:
            yield from _alternatives(each)
    else:
        yield kind
