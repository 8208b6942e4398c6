"""What a view is kept of: the columns of a relation of events, and what can be made of each."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from act_fast._sql.relations import EventClassRelation, EventsRelation

__all__ = ["KEPT_KINDS", "NUMBERS", "TIMES", "Column", "columns_in"]

NUMBERS: Final = frozenset({"long", "double", "decimal"})
TIMES: Final = frozenset({"instant", "local"})
"""Times with a zone, which are in UTC, and times without one."""
KEPT_KINDS: Final = NUMBERS | TIMES | {"bool", "text", "date", "time", "uuid"}

_OWN: Final = {
    "position": "long",
    "version": "long",
    "stream": "text",
    "name": "text",
    "created": "instant",
    "correlation": "text",
    "actor": "text",
    "error": "text",
}
_BY_SHAPE: Final = {
    "int": "long",
    "number": "long",
    "float": "double",
    "bool": "bool",
    "text": "text",
    "word": "text",
    "date": "date",
    "time": "time",
    "decimal": "decimal",
    "uuid": "uuid",
}


class Column(NamedTuple):
    """A column of a relation.

    Attributes:
        name: what it is called.
        kind: what its values are; one of `KEPT_KINDS`, or `other`.
        scale: how many digits a decimal has behind its point.
    """

    name: str
    kind: str
    scale: int = 0


def columns_in(relation: EventClassRelation | EventsRelation) -> Mapping[str, Column]:
    """The columns of a relation, by their names in small letters."""
    fields = _fields(relation)
    found = {}
    for name, what in relation.outputs:
        column = Column(name, _OWN.get(what, "other")) if isinstance(what, str) else _of_shape(name, fields[what])
        found[name.casefold()] = column
    return found


def _fields(relation: EventClassRelation | EventsRelation) -> list[Any]:
    if isinstance(relation, EventsRelation):
        return []
    fields: list[Any] = msgspec.json.decode(relation.shape.json)["fields"]
    return fields


def _of_shape(name: str, field: Any) -> Column:
    shape = field["of"]
    if shape["kind"] == "instant":
        return Column(name, "local" if shape["zone"] is False else "instant")
    return Column(name, _BY_SHAPE.get(shape["kind"], "other"), shape.get("scale", 0))
