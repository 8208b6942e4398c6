"""Tags that events take from their fields: `course: Tag[str]` is stored as `course:maths` beside the data."""

from types import NoneType, UnionType
from typing import Annotated, Any, Final, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec

from act_fast.errors import DefinitionError

__all__ = ["UNKNOWN", "Tag", "TagKey", "Tagging", "tagging_of", "tags_of"]

T = TypeVar("T")

Tagging: TypeAlias = tuple[tuple[str, str], ...]
"""The fields of a class that are tags, each with the key before its value"""

UNKNOWN: Final[Tagging] = (("", ""),)
"""Of a class whose annotations name what is not there yet"""

_KINDS: Final = (str, int, UUID)


class TagKey(msgspec.Struct, frozen=True):
    """Says of a field of an event that its value is a tag, and under which key; `Tag` is the short form.

        source: Annotated[str, TagKey("account")]  # stored as account:7

    Attributes:
        key: what stands before the colon; None: the field's name.
    """

    key: str | None = None


Tag = Annotated[T, TagKey()]
"""A field of an event whose value is also a tag: `course: Tag[str]` is stored as `course:maths`.

It may be text, a whole number or a UUID, or None for no tag."""


def tagging_of(event: type) -> Tagging:
    """The fields of an event class that are tags.

    Raises:
        DefinitionError: one of them can be no tag.
        NameError: an annotation names what is not there yet.
    """
    found = []
    for name, hint in get_type_hints(event, include_extras=True).items():
        if _within(hint):
            raise DefinitionError(
                f"event {event.__qualname__}: the field `{name}` holds tags within another type, where they would not"
                " be found; a tag is a field of its own, so append an event for each of them"
            )
        for key in _keys(hint):
            found.append((name, _checked(event, name, name if key.key is None else key.key)))
            _check_kind(event, name, hint)
    return tuple(found)


def tags_of(event: Any, tagging: Tagging) -> list[str]:
    """The tags of an event."""
    values = ((key, getattr(event, field)) for field, key in tagging)
    return [*dict.fromkeys(f"{key}:{value}" for key, value in values if value is not None)]


def _keys(hint: Any) -> list[TagKey]:
    if get_origin(hint) is Annotated:
        inner, *extras = get_args(hint)
        return [each for each in extras if isinstance(each, TagKey)] + _keys(inner)
    return [key for each in _options(hint) for key in _keys(each)]


def _within(hint: Any) -> bool:
    """Whether a type has a tag in a container, where it is none."""
    if get_origin(hint) is Annotated:
        return _within(get_args(hint)[0])
    if _options(hint):
        return any(map(_within, _options(hint)))
    return any(_keys(each) or _within(each) for each in get_args(hint) if not isinstance(each, str | int))


def _options(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else ()


def _plain(hint: Any) -> set[Any]:
    if get_origin(hint) is Annotated:
        return _plain(get_args(hint)[0])
    options = _options(hint)
    return {kind for each in options for kind in _plain(each)} if options else {hint}


def _checked(event: type, name: str, key: str) -> str:
    if isinstance(key, str) and key and ":" not in key and not set(key) & set("\0\n\r"):
        return key
    raise DefinitionError(
        f"event {event.__qualname__}: the key {key!r} of the tag `{name}` must be text without a colon or a line break"
    )


def _check_kind(event: type, name: str, hint: Any) -> None:
    if not _plain(hint) - {NoneType} <= set(_KINDS):
        raise DefinitionError(
            f"event {event.__qualname__}: the field `{name}` is a tag, so it must be a str, an int or a UUID, or None"
        )
