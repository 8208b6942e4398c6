"""What the core checks in fields that no declaration asks for, so that it folds exactly what Python folds.

A check names, for each kind of JSON, what a value of that kind must be; where it says nothing, anything will do. What
the core cannot judge is doubted, and read by the class.
"""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import inspect

from act_fast._events.sealing import personal_fields

__all__ = ["ANY", "ARRAY", "BOOL", "NULL", "NUMBER", "OBJECT", "STRING", "check_of", "kinds_of"]

NULL, BOOL, NUMBER, STRING, ARRAY, OBJECT, ANY = 1, 2, 4, 8, 16, 32, 63
"""Kinds of JSON; a set of them is their sum."""

_MEMBERS_MAX: Final = 64
_INT_MAX: Final = 2**63 - 1
_HASHABLE: Final = (inspect.StrType, inspect.IntType, inspect.FloatType, inspect.UUIDType, inspect.DateType)
_Json = dict[str, Any]


def kinds_of(kind: inspect.Type) -> int:
    """Which kinds of JSON a value of a type may be."""
    match kind:
        case inspect.Metadata():
            return kinds_of(kind.type)
        case inspect.UnionType():
            found = 0
            for each in kind.types:
                found |= kinds_of(each)
            return found
        case inspect.NoneType():
            return NULL
        case inspect.BoolType():
            return BOOL
        case inspect.IntType() | inspect.FloatType():
            return NUMBER
        case inspect.StrType() | inspect.DateTimeType() | inspect.DateType() | inspect.TimeType() | inspect.UUIDType():
            return STRING
        case inspect.TimeDeltaType() | inspect.LiteralType() | inspect.EnumType() if _is_text(kind):
            return STRING
        case inspect.ListType() | inspect.SetType() | inspect.FrozenSetType() | inspect.VarTupleType():
            return ARRAY
        case inspect.DictType():
            return OBJECT
        case inspect.StructType(array_like=False):
            return OBJECT
        case inspect.DecimalType():
            return NUMBER | STRING
        case _:
            return ANY


def check_of(kind: inspect.Type, within: Sequence[type] = ()) -> _Json:
    """What a value of a type must be.

    Args:
        kind: the type.
        within: the classes that it is a field of, from the outside in.
    """
    match kind:
        case inspect.Metadata():
            return check_of(kind.type, within)
        case inspect.UnionType():
            return _either([(kinds_of(each), check_of(each, within)) for each in kind.types])
        case inspect.AnyType() | inspect.RawType() | inspect.NoneType() | inspect.BoolType():
            return {}
        case inspect.IntType(multiple_of=None):
            low = [bound for bound in (kind.ge, None if kind.gt is None else kind.gt + 1) if bound is not None]
            high = [bound for bound in (kind.le, None if kind.lt is None else kind.lt - 1) if bound is not None]
            if any(abs(bound) > _INT_MAX for bound in low + high):
                return {"doubt": NUMBER}
            return {"number": {"int": {"low": max(low, default=None), "high": min(high, default=None)}}}
        case inspect.FloatType(gt=None, ge=None, lt=None, le=None, multiple_of=None):
            return {"number": "float"}
        case inspect.DecimalType():
            return {"number": "float", "text": "decimal"}
        case (
            inspect.ListType(min_length=None | 0, max_length=None)
            | inspect.VarTupleType(min_length=None | 0, max_length=None)
        ):
            return {"elements": _each(kind.item_type, within)}
        case (
            inspect.SetType(min_length=None | 0, max_length=None)
            | inspect.FrozenSetType(min_length=None | 0, max_length=None)
        ) if isinstance(kind.item_type, _HASHABLE):
            return {"elements": _each(kind.item_type, within)}
        case inspect.DictType(min_length=None | 0, max_length=None) if _plain_text(kind.key_type):
            return {"values": _each(kind.value_type, within)}
        case inspect.StructType():
            return _members(kind, within)
        case _:
            return _text(kind)


def _text(kind: inspect.Type) -> _Json:
    match kind:
        case inspect.StrType(min_length=None, max_length=None, pattern=None):
            return {}
        case inspect.LiteralType() if _is_text(kind):
            return {"text": {"one_of": list(kind.values)}}
        case inspect.EnumType() if _is_text(kind):
            return {"text": {"one_of": [each.value for each in kind.cls]}}
        case inspect.DateTimeType():
            return {"text": {"instant": {"zone": kind.tz}}}
        case inspect.DateType():
            return {"text": "date"}
        case inspect.TimeType() if kind.tz is not True:
            return {"text": "time"}
        case inspect.TimeDeltaType():
            return {"text": "duration"}
        case inspect.UUIDType():
            return {"text": "uuid"}
        case _:
            return {"doubt": ANY}


def _is_text(kind: inspect.Type) -> bool:
    match kind:
        case inspect.LiteralType():
            return all(isinstance(each, str) for each in kind.values)
        case inspect.EnumType():
            return all(isinstance(each.value, str) for each in kind.cls)
        case _:
            return True


def _plain_text(kind: inspect.Type) -> bool:
    match kind:
        case inspect.AnyType() | inspect.StrType(min_length=None, max_length=None, pattern=None):
            return True
        case _:
            return False


def _each(kind: inspect.Type, within: Sequence[type]) -> _Json:
    return {"kinds": kinds_of(kind), "check": check_of(kind, within)}


def _members(kind: inspect.StructType, within: Sequence[type]) -> _Json:
    plain = kind.tag is None and not kind.array_like and not kind.forbid_unknown_fields
    if not plain or hasattr(kind.cls, "__post_init__") or kind.cls in within or len(kind.fields) > _MEMBERS_MAX:
        return {"doubt": ANY}
    sealed = personal_fields(kind.cls)  # whatever the store holds in their place
    members: list[_Json] = [
        {
            "key": field.encode_name,
            "kinds": ANY if field.name in sealed else kinds_of(field.type),
            "check": {} if field.name in sealed else check_of(field.type, (*within, kind.cls)),
            "missing": None if field.required else [],
        }
        for field in kind.fields
    ]
    return {"object": {"members": members}}


def _either(parts: Sequence[tuple[int, _Json]]) -> _Json:
    """A check for a value that is of one of several types; where two of them are of one kind, only Python can tell."""
    found: _Json = {"doubt": 0}
    taken = 0
    for kinds, check in parts:
        found["doubt"] |= check.get("doubt", 0) & kinds | taken & kinds
        found |= {name: each for name, each in check.items() if name != "doubt"}
        taken |= kinds
    return found
