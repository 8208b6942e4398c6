"""Target templates, such as `"audit-{stream}"` and `"{data.customer}"`, checked against their events."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import inspect

from act_fast._events.committed import Committed
from act_fast._events.event import Event
from act_fast.errors import DefinitionError

__all__ = ["TARGET_BYTES_MAX", "Resolver", "check_target", "resolver_of", "template_pieces"]

Resolver: TypeAlias = Callable[[Committed[Any]], object]
"""Finds the targets of an event: one name, several, or None."""

TARGET_BYTES_MAX: Final = 512
_PIECE: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")
_TEXTS: Final = (
    inspect.StrType
    | inspect.IntType
    | inspect.BoolType
    | inspect.EnumType
    | inspect.LiteralType
    | inspect.UUIDType
    | inspect.DateTimeType
    | inspect.DateType
    | inspect.TimeType
    | inspect.DecimalType
)


def check_target(place: str, name: object) -> str:
    """A target's name, or what is wrong with it."""
    if not isinstance(name, str):
        raise DefinitionError(f"{place} returned {type(name).__name__}, which names no target; return text")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise DefinitionError(
            f"{place} returned a target's name with a lone surrogate, which cannot be stored"
        ) from None
    if not 0 < size <= TARGET_BYTES_MAX:
        raise DefinitionError(f"{place} returned a target's name of {size} bytes; it has 1 to {TARGET_BYTES_MAX}")
    if "\0" in name or "\n" in name or "\r" in name:
        raise DefinitionError(f"{place} returned a target's name with NUL or a line break in it; leave them out")
    return name


def template_pieces(place: str, template: str) -> list[tuple[str, tuple[str, ...]]]:
    """The pieces of a template: text and no path, or no text and the path of a field.

    Raises:
        DefinitionError: its braces do not match, or it names what there is not.
    """
    pieces: list[tuple[str, tuple[str, ...]]] = []
    for found in _PIECE.finditer(template):
        piece, field = found[0], found[1]
        if field is not None:
            path = tuple(field.split("."))
            if path not in (("stream",), ("name",)) and not (path[0] == "data" and len(path) > 1 and all(path)):
                raise DefinitionError(
                    f"{place} names {{{field}}}; there is {{stream}}, {{name}} and {{data.field}}; {{{{ is a brace"
                )
            pieces.append(("", path))
        elif piece in ("{", "}"):
            raise DefinitionError(f"{place} has a {piece} without its partner; write {piece * 2} for a brace")
        else:
            pieces.append((piece[0] if piece in ("{{", "}}") else piece, ()))
    text = "".join(text for text, _ in pieces)
    if text or not pieces:
        check_target(place, text)
    return pieces


def resolver_of(place: str, template: str, events: tuple[type[Event], ...], upcasted: bool) -> str | Resolver:
    """How the targets of a template are found: by the core, which gets the template itself, or by a function.

    The core looks at the data as it is stored. Where that may be older than the event's class, or leave out what the
    class has a default for, the event has to be decoded first.

    Args:
        place: how to call the template in an error.
        template: the template.
        events: the event classes that it is for.
        upcasted: whether some of their events are stored in an older form.

    Raises:
        DefinitionError: an event has no such field, or the field's type cannot name a target.
    """
    pieces = template_pieces(place, template)
    paths = [path[1:] for _, path in pieces if path[:1] == ("data",)]
    always = [_always_stored(place, event, path) for event in events for path in paths]
    if not paths or (all(always) and not upcasted):
        return template
    return _filler(place, pieces)


def _filler(place: str, pieces: list[tuple[str, tuple[str, ...]]]) -> Resolver:
    def fill(event: Committed[Any]) -> str:
        data: Any = msgspec.to_builtins(event.data)
        return "".join(text if not path else _value(event, data, path) for text, path in pieces)

    def _value(event: Committed[Any], data: Any, path: tuple[str, ...]) -> str:
        if path[0] != "data":
            return event.stream if path[0] == "stream" else event.name
        for part in path[1:]:
            data = data.get(part) if isinstance(data, dict) else None
        if isinstance(data, bool):
            return "true" if data else "false"
        if not isinstance(data, str | int):
            raise DefinitionError(f"{event.name} has no {'.'.join(path[1:])} to build the target's name from")
        return str(data)

    fill.__qualname__ = place
    return fill


def _always_stored(place: str, event: type[Event], path: tuple[str, ...]) -> bool:
    """Whether each event of a class has this field in its data as it is stored."""
    kind: inspect.Type = inspect.type_info(event)
    always = True
    for depth, part in enumerate(path):
        here = list(_alternatives(kind))
        always = always and len(here) == 1
        structs = [each for each in here if isinstance(each, inspect.StructType | inspect.TypedDictType)]
        if any(isinstance(each, inspect.AnyType | inspect.DictType) for each in here):
            return False  # a dict may hold anything
        fields = [field for each in structs for field in each.fields if field.encode_name == part]
        if not fields:
            known = ", ".join(field.encode_name for each in structs for field in each.fields) or "no fields"
            inside = "".join(f".{each}" for each in path[:depth])
            raise DefinitionError(
                f"{place} names {{data.{'.'.join(path)}}}, but {event.__qualname__}{inside} has {known}"
            )
        always = always and fields[0].required
        kind = fields[0].type
    leaves = list(_alternatives(kind))
    if not any(isinstance(leaf, _TEXTS | inspect.AnyType) for leaf in leaves):
        raise DefinitionError(
            f"{place}: {event.__qualname__}.{'.'.join(path)} is of a type that cannot name a target; it takes text,"
            " a whole number or a truth value"
        )
    return always and len(leaves) == 1


def _alternatives(kind: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(kind, inspect.Metadata):
        yield from _alternatives(kind.type)
    elif isinstance(kind, inspect.UnionType):
        for each in kind.types:
            yield from _alternatives(each)
    else:
        yield kind
