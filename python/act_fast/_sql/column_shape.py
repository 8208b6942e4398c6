"""Shapes: from a class to what its JSON must look like to become typed columns as it stands."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import inspect

from act_fast._events.sealing import personal_fields

__all__ = ["Shape", "shape_of"]

DECIMAL_SCALE: Final = 9
"""How many digits behind the point a decimal column has, where its `Meta(extra={"scale": ...})` does not say."""

_INT_MAX: Final = 2**63 - 1
_EMPTY_FACTORIES: Final = (list, dict, set, frozenset, tuple)
_ANYTHING: Final = {"kind": "json", "of": []}

ShapeJson = dict[str, Any]


class Shape(NamedTuple):
    """The shape of a class.

    Attributes:
        json: as the core reads it.
        fields: the names of the fields, in the order of their numbers.
        durations: which of them are durations: whole numbers of microseconds in a column.
        exact: whether whatever has this shape decodes as the class, and to the same values. Where it is not, the class
            has to be asked.
    """

    json: str
    fields: tuple[str, ...]
    durations: frozenset[str]
    exact: bool


def shape_of(cls: type[Any], *, checked: bool = True) -> Shape:
    """The shape of an event or a state.

    Args:
        cls: the class.
        checked: whether values must keep what its annotations say beyond types. States are not checked for that.
    """
    shaper = _Shaper(checked)
    spec = shaper.members(inspect.type_info(cls))
    durations = frozenset(field["name"] for field in spec["fields"] if field["of"]["kind"] == "duration")
    names = tuple(field["name"] for field in spec["fields"])
    return Shape(msgspec.json.encode(spec).decode(), names, durations, shaper.exact)


class _Shaper:
    """Makes one shape; notices when it is not exact."""

    def __init__(self, checked: bool) -> None:
        self.exact = True
        self._checked = checked
        self._within: list[type] = []

    def members(self, kind: Any) -> ShapeJson:
        """The shape of a class with fields."""
        if hasattr(kind.cls, "__post_init__"):
            self.exact = False  # what it does, and whether it raises, only it knows
        personal = personal_fields(kind.cls)
        if personal and getattr(kind, "forbid_unknown_fields", False):
            self.exact = False  # their keys are unknown here
        fields = [self._personal(field) if field.name in personal else self._field(field) for field in kind.fields]
        spec: ShapeJson = {"kind": "struct", "fields": fields}
        if getattr(kind, "forbid_unknown_fields", False) and not personal:
            spec["closed"] = True
        if getattr(kind, "tag", None) is not None:
            if isinstance(kind.tag, str):
                spec["tag"] = [kind.tag_field, kind.tag]
            else:
                self._inexact(spec)
                spec["closed"] = False
        return spec

    def shape(self, kind: inspect.Type) -> ShapeJson:
        """The shape of a value of this type."""
        match kind:
            case inspect.Metadata():
                return self._annotated(kind)
            case inspect.UnionType():
                return self._union(kind.types)
            case inspect.StructType() | inspect.DataclassType() | inspect.TypedDictType():
                return self._object(kind)
            case inspect.ListType() | inspect.VarTupleType() | inspect.SetType() | inspect.FrozenSetType():
                return self._list(kind)
            case inspect.DictType():
                return self._map(kind)
            case inspect.EnumType():
                return self._one_of([member.value for member in kind.cls])
            case inspect.LiteralType():
                return self._one_of(list(kind.values))
            case _:
                return self._plain(kind)

    def _field(self, field: inspect.Field) -> ShapeJson:
        of = self.shape(field.type)
        if not self._checked:
            of["nullable"] = True  # nobody has checked what a reducer has put there
        spec: ShapeJson = {"name": field.name, "key": field.encode_name, "of": of}
        if field.default is not msgspec.NODEFAULT:
            spec["default"] = msgspec.json.encode(field.default).decode()
        elif field.default_factory in _EMPTY_FACTORIES:
            spec["default"] = msgspec.json.encode(field.default_factory()).decode()
        elif not field.required and field.default_factory is msgspec.NODEFAULT:
            spec["optional"] = True  # a key that a typed dict may leave out
        return spec

    def _personal(self, field: inspect.Field) -> ShapeJson:
        """A field that is null whatever the JSON holds, sealed or opened: its key is one that there never is."""
        before = self.exact
        of = self.shape(field.type)
        self.exact = before
        return {
            "name": field.name,
            "key": f"$personal {field.encode_name}",
            "of": {**of, "nullable": True},
            "default": "null",
        }

    def _plain(self, kind: inspect.Type) -> ShapeJson:
        match kind:
            case inspect.IntType():
                return self._int(kind)
            case inspect.FloatType():
                return self._float(kind)
            case inspect.BoolType():
                return {"kind": "bool"}
            case inspect.StrType():
                self._unbounded(kind.min_length, kind.max_length, kind.pattern)
                return {"kind": "text"}
            case inspect.DateTimeType():
                return {"kind": "instant", "zone": kind.tz if self._checked else None}
            case inspect.DateType():
                return {"kind": "date"}
            case inspect.TimeType() if kind.tz is not True:
                return {"kind": "time"}
            case inspect.TimeDeltaType():
                return {"kind": "duration"}
            case inspect.DecimalType():
                return {"kind": "decimal", "scale": DECIMAL_SCALE}
            case inspect.UUIDType():
                return {"kind": "uuid"}
            case inspect.BytesType() | inspect.ByteArrayType() | inspect.MemoryViewType():
                self._unbounded(kind.min_length, kind.max_length)
                return {"kind": "bytes"}
            case inspect.AnyType() | inspect.RawType():
                return {**_ANYTHING, "nullable": True}
            case inspect.NoneType():
                return {"kind": "null"}
            case _:
                return self._inexact(dict(_ANYTHING))

    def _int(self, kind: inspect.IntType) -> ShapeJson:
        if not self._checked:
            return {"kind": "int"}
        self._unbounded(kind.multiple_of)
        low = [bound for bound in (kind.ge, None if kind.gt is None else kind.gt + 1) if bound is not None]
        high = [bound for bound in (kind.le, None if kind.lt is None else kind.lt - 1) if bound is not None]
        return {
            "kind": "int",
            "low": min(max(low), _INT_MAX) if low and max(low) > -_INT_MAX else None,
            "high": max(min(high), -_INT_MAX) if high and min(high) < _INT_MAX else None,
        }

    def _float(self, kind: inspect.FloatType) -> ShapeJson:
        if not self._checked:
            return {"kind": "float"}
        self._unbounded(kind.multiple_of)
        bounds = {"at_least": kind.ge, "above": kind.gt, "at_most": kind.le, "below": kind.lt}
        return {"kind": "float", **{name: bound for name, bound in bounds.items() if bound is not None}}

    def _annotated(self, kind: inspect.Metadata) -> ShapeJson:
        spec = self.shape(kind.type)
        scale = (kind.extra or {}).get("scale")
        if spec["kind"] == "decimal" and type(scale) is int and 0 <= scale <= 38:
            spec["scale"] = scale
        return spec

    def _union(self, types: Sequence[inspect.Type]) -> ShapeJson:
        others = [each for each in types if not isinstance(each, inspect.NoneType)]
        shapes = [self.shape(each) for each in others]
        spec = shapes[0] if len(shapes) == 1 else {"kind": "json", "of": shapes}
        if any(each == _ANYTHING for each in shapes) and len(shapes) > 1:
            spec = dict(_ANYTHING)
        return {**spec, "nullable": True} if len(others) < len(types) else spec

    def _object(self, kind: inspect.StructType | inspect.DataclassType | inspect.TypedDictType) -> ShapeJson:
        if kind.cls in self._within or getattr(kind, "array_like", False):
            return self._inexact(dict(_ANYTHING))
        self._within.append(kind.cls)
        spec = self.members(kind)
        self._within.pop()
        # There are no columns without fields.
        return spec if spec["fields"] else {"kind": "json", "of": [spec]}

    def _list(
        self, kind: inspect.ListType | inspect.VarTupleType | inspect.SetType | inspect.FrozenSetType
    ) -> ShapeJson:
        self._unbounded(kind.min_length or None, kind.max_length)
        unique = isinstance(kind, inspect.SetType | inspect.FrozenSetType)
        return {"kind": "list", "of": self.shape(kind.item_type), "unique": unique}

    def _map(self, kind: inspect.DictType) -> ShapeJson:
        self._unbounded(kind.min_length or None, kind.max_length)
        keys = kind.key_type.type if isinstance(kind.key_type, inspect.Metadata) else kind.key_type
        spec: ShapeJson = {"kind": "map", "keys": "text", "of": self.shape(kind.value_type)}
        match keys:
            case inspect.StrType(min_length=None, max_length=None, pattern=None) | inspect.AnyType():
                return spec
            case inspect.IntType(gt=None, ge=None, lt=None, le=None, multiple_of=None):
                return {**spec, "keys": "int"}
            case _:
                return self._inexact(spec)

    def _one_of(self, values: list[Any]) -> ShapeJson:
        """One of some values, each a text or a number, or None."""
        texts = [value for value in values if isinstance(value, str)]
        numbers = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
        shapes: list[ShapeJson] = []
        if texts:
            shapes.append({"kind": "word", "of": texts})
        if numbers and all(abs(number) <= _INT_MAX for number in numbers):
            shapes.append({"kind": "number", "of": numbers})
        nullable = None in values
        if len(texts) + len(numbers) + nullable < len(values) or not shapes:
            return self._inexact({**_ANYTHING, "nullable": nullable})
        spec = shapes[0] if len(shapes) == 1 else {"kind": "json", "of": shapes}
        return {**spec, "nullable": nullable}

    def _unbounded(self, *bounds: Any) -> None:
        """Bounds that the core does not know of are for the class to check."""
        if self._checked and any(bound is not None for bound in bounds):
            self.exact = False

    def _inexact(self, spec: ShapeJson) -> ShapeJson:
        self.exact = False
        return spec
