"""Whether a value comes back from JSON as what it was."""

import dataclasses
from datetime import datetime, time
from decimal import Decimal
from typing import Any, Final

import msgspec

from act_fast._checks.own_values import can_change

__all__ = ["difference"]

_EXACT_MAX: Final = 2**53


def difference(value: Any, back: Any, place: str) -> str | None:
    """What came back otherwise and where, in words and without the values; None when nothing did.

    Equal is not enough: `True == 1`, a tuple in a field that may hold anything comes back as a list, and what was one
    list in two places comes back as two. An int in a field of floats does come back, as the float that it equals.

    Args:
        value: what was encoded.
        back: what it decoded as.
        place: where it is, such as `Account.balance`.
    """
    return _difference(value, back, place, {})


def _difference(value: Any, back: Any, place: str, met: dict[int, str]) -> str | None:
    kind = type(value)
    if type(back) is not kind:
        if kind is int and type(back) is float and value == back and abs(value) <= _EXACT_MAX:
            return None
        return f"{place} holds {kind.__name__}, which comes back as {type(back).__name__}"
    if can_change(value) and (other := met.setdefault(id(value), place)) is not place:
        return f"{place} holds the same {kind.__name__} as {other}, which comes back as two"
    if isinstance(value, msgspec.Struct):
        return _of_attributes(value, back, place, value.__struct_fields__, met)
    if isinstance(value, dict):
        return _of_dicts(value, back, place, met)
    if isinstance(value, list | tuple):
        return _of_sequences(value, back, place, met)
    if dataclasses.is_dataclass(value):
        return _of_attributes(value, back, place, tuple(field.name for field in dataclasses.fields(value)), met)
    if isinstance(value, set | frozenset):
        same = value == back and _kinds(value) == _kinds(back)
    elif isinstance(value, datetime | time):
        same = value == back and value.tzinfo == back.tzinfo
    elif isinstance(value, Decimal):
        same = str(value) == str(back)
    else:
        same = bool(value == back)
    return None if same else f"{place} holds {kind.__name__}, which comes back as another one"


def _of_attributes(value: Any, back: Any, place: str, names: tuple[str, ...], met: dict[int, str]) -> str | None:
    for name in names:
        if (found := _difference(getattr(value, name), getattr(back, name), f"{place}.{name}", met)) is not None:
            return found
    for name in getattr(value, "__dict__", ()):
        if name not in names:
            return f"{place} has an attribute {name!r}, which is not a field and does not come back"
    return None


def _of_dicts(value: dict[Any, Any], back: dict[Any, Any], place: str, met: dict[int, str]) -> str | None:
    if len(value) != len(back):
        return f"{place} has keys that come back as one and the same"
    for (key, each), (back_key, back_each) in zip(value.items(), back.items(), strict=True):
        if (found := _difference(key, back_key, f"a key of {place}", met)) is not None:
            return found
        if (found := _difference(each, back_each, f"{place}[...]", met)) is not None:
            return found
    return None


def _of_sequences(value: Any, back: Any, place: str, met: dict[int, str]) -> str | None:
    if len(value) != len(back):
        return f"{place} comes back with another length"
    pairs = zip(value, back, strict=True)
    return next((found for a, b in pairs if (found := _difference(a, b, f"{place}[...]", met)) is not None), None)


def _kinds(values: Any) -> list[str]:
    return sorted(type(each).__qualname__ for each in values)
