"""Declared states in the core's words: what to take from which payloads, and what becomes of it, as JSON.

What the core does not know is left to Python, as a whole: reducers that are coded, values of other types than whole
numbers, floats, booleans, text and times, events whose JSON is not a plain object.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import inspect

from act_fast._core import Declaration
from act_fast._declared.plan import Formula, Minus, Ref, Step
from act_fast._declared.tree import Binary, Constant, Leaf, Negative, Node, Not, OneOf
from act_fast._declared.value_types import COMPARISONS, type_of
from act_fast._events.codec import Codec
from act_fast._events.sealing import personal_fields
from act_fast._model.core_check import ANY, check_of, kinds_of

if TYPE_CHECKING:
    from act_fast._states.definition import Definition

__all__ = ["declaration_of"]

_MEMBERS_MAX: Final = 64

_encode: Final = msgspec.json.Encoder().encode
_Json = dict[str, Any]


class _Unknown(Exception):
    """The core does not know this."""


def declaration_of(definition: "Definition[Any]", codec: Codec, names: Sequence[str]) -> Declaration | None:
    """A state class as the core can fold it; None when only Python can.

    Args:
        definition: the state class's.
        codec: that of its app.
        names: the stored names of its events, in the order of the numbers that they go by.
    """
    config = definition.state.__struct_config__
    if definition.coded or config.tag is not None or config.array_like or hasattr(definition.state, "__post_init__"):
        return None
    state = inspect.type_info(definition.state)
    if not isinstance(state, inspect.StructType) or any(_constrained(each.type) for each in state.fields):
        return None  # what reducers make is not held against constraints, but what is decoded is
    try:
        return Declaration.read(_encode(_Writer(definition).spec(codec, names)))
    except _Unknown:
        return None


class _Writer:
    def __init__(self, definition: "Definition[Any]") -> None:
        self._definition = definition
        self._plan = definition.plan
        self._kept: dict[str, _Json] = {}
        self._computed: dict[str, Any] = {}
        self._defaults = definition.state()

    def spec(self, codec: Codec, names: Sequence[str]) -> _Json:
        if self._plan is not None:
            for name, kept in self._plan.kept.items():
                tree = kept.accumulator
                start = getattr(self._defaults, name) if tree.kind == "sum" else None
                self._kept[name] = {"kind": tree.kind, "start": _constant(start), "most": tree.most}
        copied = dict.fromkeys(field for fields in self._definition.copied.values() for field in fields)
        for name in copied:
            self._kept[name] = {"kind": "copy", "start": _constant(getattr(self._defaults, name)), "most": 0}
        if self._plan is not None:
            self._computed = {name: self._formula(each.formula) for name, each in self._plan.computed.items()}
        events = [self._event(codec.classes[name], name) for name in names]
        fields = [self._field(each) for each in msgspec.structs.fields(self._definition.state)]
        computed = list(self._computed.values())
        return {"events": events, "kept": list(self._kept.values()), "computed": computed, "fields": fields}

    def _field(self, field: Any) -> _Json:
        if field.name in self._kept:
            of: _Json = {"kept": list(self._kept).index(field.name)}
        elif field.name in self._computed:
            of = {"computed": list(self._computed).index(field.name)}
        else:
            of = {"constant": _encode(getattr(self._defaults, field.name)).decode()}
        return {"key": field.encode_name, "of": of}

    def _event(self, event: type[Any], name: str) -> _Json:
        leaves: dict[tuple[str, ...], int] = {}
        feeds = []
        places = {field: number for number, field in enumerate(self._kept)}
        for field, kept in self._plan.kept.items() if self._plan else ():
            for feed in kept.accumulator.feeds:
                if feed.event is event:
                    value = None if feed.value is None else _expression(event, feed.value, leaves)
                    where = None if feed.where is None else _expression(event, feed.where, leaves)
                    feeds.append({"kept": places[field], "value": value, "where": where, "minus": feed.minus})
        for field in self._definition.copied.get(event, ()):
            value = _expression(event, Leaf((field,)), leaves)
            feeds.append({"kept": places[field], "value": value, "where": None, "minus": False})
        return {
            "object": _object(inspect.type_info(event), leaves, ()),
            "leaves": len(leaves),
            "by_class": name != event.__stored_name__ or name in event.__upcasts__,
            "feeds": feeds,
            "computed": self._concerned(event),
        }

    def _concerned(self, event: type[Any]) -> list[int]:
        if self._plan is None:
            return []
        kept = self._plan.kept
        return [
            number
            for number, computed in enumerate(self._plan.computed.values())
            if any(event in kept[each].events for each in computed.needs)
        ]

    def _formula(self, formula: Formula) -> Any:
        match formula:
            case Ref():
                return {"kept": list(self._kept).index(formula.field)}
            case Constant():
                return {"constant": _constant(formula.value)}
            case Minus():
                return {"negative": self._formula(formula.of)}
            case Step():
                return {"arithmetic": [formula.op, self._formula(formula.left), self._formula(formula.right)]}


def _expression(event: type[Any], node: Node, leaves: dict[tuple[str, ...], int]) -> Any:
    match node:
        case Leaf():
            return {"leaf": leaves.setdefault(node.path, len(leaves))}
        case Constant():
            return {"constant": _constant(node.value)}
        case Negative():
            return {"negative": _expression(event, node.of, leaves)}
        case Not():
            return {"not": _expression(event, node.of, leaves)}
        case OneOf():
            options = [_constant(each.value) for each in node.options]
            return {"one_of": [_expression(event, node.of, leaves), options]}
        case Binary():
            if type_of("", event, node).sort == "decimal":
                raise _Unknown
            both = [_expression(event, node.left, leaves), _expression(event, node.right, leaves)]
            if node.op in ("&", "|"):
                return {"and" if node.op == "&" else "or": both}
            return {"compare" if node.op in COMPARISONS else "arithmetic": [node.op, *both]}


def _constant(value: Any) -> Any:
    if value is None:
        return "none"
    names: dict[type, str] = {bool: "bool", int: "int", str: "str", float: "float"}
    if type(value) not in names or (type(value) is int and not -(2**63) <= value < 2**63):
        raise _Unknown
    return {names[type(value)]: repr(value) if type(value) is float else value}


def _object(kind: inspect.Type, leaves: dict[tuple[str, ...], int], path: tuple[str, ...]) -> _Json:
    """The fields of an object in the order in which they are written, with the leaves that are under `path`."""
    if not isinstance(kind, inspect.StructType) or len(kind.fields) > _MEMBERS_MAX:
        raise _Unknown
    if kind.tag is not None or kind.array_like or kind.forbid_unknown_fields or hasattr(kind.cls, "__post_init__"):
        raise _Unknown
    personal = personal_fields(kind.cls)
    return {"members": [_member(each, leaves, (*path, each.name), each.name in personal) for each in kind.fields]}


def _member(field: inspect.Field, leaves: dict[tuple[str, ...], int], path: tuple[str, ...], personal: bool) -> _Json:
    some, _ = _without_none(field.type)
    inner = {each: at for each, at in leaves.items() if each[: len(path)] == path}
    if personal:
        if inner:
            raise _Unknown
        missing: Any = None if field.required else []
        return {"key": field.encode_name, "kinds": ANY, "check": {}, "leaf": None, "inside": None, "missing": missing}
    leaf = _leaf(some, leaves[path]) if path in leaves else None
    if leaf is not None and len(inner) > 1:
        raise _Unknown
    return {
        "key": field.encode_name,
        "kinds": kinds_of(field.type),
        "check": {} if inner else check_of(field.type),
        "leaf": leaf,
        "inside": _object(some, leaves, path) if inner and leaf is None else None,
        "missing": None if field.required else [[at, _default(field, each[len(path) :])] for each, at in inner.items()],
    }


def _default(field: inspect.Field, path: tuple[str, ...]) -> Any:
    found = field.default
    if found is msgspec.NODEFAULT:
        raise _Unknown  # a factory may make another one each time
    for name in path:
        found = None if found is None else getattr(found, name)
    return _constant(found)


def _leaf(kind: inspect.Type, at: int) -> _Json:
    found: _Json = {"at": at, "sort": "int", "options": None, "low": None, "high": None}
    match kind:
        case inspect.IntType(multiple_of=None):
            low = kind.ge if kind.gt is None else kind.gt + 1
            high = kind.le if kind.lt is None else kind.lt - 1
            return found | {"low": low, "high": high}
        case inspect.FloatType(gt=None, ge=None, lt=None, le=None, multiple_of=None):
            return found | {"sort": "float"}
        case inspect.BoolType():
            return found | {"sort": "bool"}
        case inspect.StrType(min_length=None, max_length=None, pattern=None):
            return found | {"sort": "str"}
        case inspect.LiteralType() if all(isinstance(each, str) for each in kind.values):
            return found | {"sort": "str", "options": list(kind.values)}
        case inspect.DateTimeType() if kind.tz is not False:
            return found | {"sort": "moment"}
        case _:
            raise _Unknown


def _constrained(kind: inspect.Type) -> bool:
    """Whether a type takes only some of the values of its class."""
    match kind:
        case inspect.Metadata():
            return _constrained(kind.type)
        case inspect.UnionType():
            return any(_constrained(each) for each in kind.types)
        case inspect.ListType():
            return kind.min_length is not None or kind.max_length is not None or _constrained(kind.item_type)
        case inspect.IntType() | inspect.FloatType():
            return any(each is not None for each in (kind.gt, kind.ge, kind.lt, kind.le, kind.multiple_of))
        case inspect.StrType():
            return any(each is not None for each in (kind.min_length, kind.max_length, kind.pattern))
        case _:
            return False


def _without_none(kind: inspect.Type) -> tuple[inspect.Type, bool]:
    if isinstance(kind, inspect.Metadata):
        return _without_none(kind.type)
    if not isinstance(kind, inspect.UnionType):
        return kind, False
    some = [each for each in kind.types if not isinstance(each, inspect.NoneType)]
    if len(some) != 1:
        return kind, len(some) < len(kind.types)
    return _without_none(some[0])[0], True
