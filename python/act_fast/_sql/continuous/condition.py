"""Conditions of a question that is kept, as the core evaluates them: columns that are compared with constants."""

from collections.abc import Mapping
from decimal import Context, Decimal
from typing import Any, Final, TypeAlias

import duckdb

from act_fast._sql.continuous.source import KEPT_KINDS, TIMES, Column
from act_fast.errors import DefinitionError

__all__ = ["Conditions", "Node", "column_of", "refused"]

Node: TypeAlias = dict[str, Any]
"""A part of a question, as DuckDB takes it apart."""

_HOW: Final = {
    "COMPARE_EQUAL": "=",
    "COMPARE_NOTEQUAL": "<>",
    "COMPARE_LESSTHAN": "<",
    "COMPARE_GREATERTHAN": ">",
    "COMPARE_LESSTHANOREQUALTO": "<=",
    "COMPARE_GREATERTHANOREQUALTO": ">=",
}
_TURNED: Final = {"=": "=", "<>": "<>", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
_LONG_MAX: Final = 2**63 - 1
_DECIMAL_MAX: Final = 10**38 - 1
_EXACT: Final = Context(prec=1000)
_TIME_TYPES: Final = {
    "timestamptz": "timestamptz",
    "timestamp with time zone": "timestamptz",
    "timestamp": "timestamp",
    "datetime": "timestamp",
    "date": "date",
}


def refused(why: str) -> DefinitionError:
    """The error for a question that cannot be kept."""
    return DefinitionError(
        f"this cannot be kept: {why}. What can be kept groups the events of one event class, or `events`, by columns"
        " (times by date_trunc, date_part or a cast to date) with count, sum, min, max and avg of columns, where"
        " columns are compared with constants"
    )


def column_of(node: Node, columns: Mapping[str, Column], alias: str) -> Column | None:
    """The column that an expression is; None when it is something else, such as the name of another expression."""
    if node["class"] != "COLUMN_REF":
        return None
    names = [each.casefold() for each in node["column_names"]]
    if len(names) > 1 and names[0] == alias.casefold():
        names = names[1:]
    found = columns.get(names[0])
    if len(names) > 1:
        raise refused(f"{'.'.join(names)} is {'no column' if found is None else 'a field of a field'}")
    return found


class Conditions:
    """Makes conditions, and numbers the columns that are read.

    Attributes:
        columns: those that there are, by name in small letters.
        numbers: those that are read, by name, with the numbers that they go by.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, columns: Mapping[str, Column], alias: str) -> None:
        self.columns = columns
        self.numbers: dict[str, int] = {}
        self._connection = connection
        self._alias = alias

    def number(self, column: Column) -> int:
        """The number that a column goes by."""
        return self.numbers.setdefault(column.name, len(self.numbers))

    def test(self, node: Node) -> Any:
        """A condition in the core's words.

        Raises:
            DefinitionError: the core has no words for it.
        """
        children = node.get("children", ())
        match node["type"]:
            case "CONJUNCTION_AND":
                return {"all": [self.test(each) for each in children]}
            case "CONJUNCTION_OR":
                return {"any": [self.test(each) for each in children]}
            case "OPERATOR_NOT":
                return {"not": self.test(children[0])}
            case "OPERATOR_IS_NULL":
                return {"null": self._number(children[0])}
            case "OPERATOR_IS_NOT_NULL":
                return {"not": {"null": self._number(children[0])}}
            case "COMPARE_IN":
                return self._one_of(children)
            case "COMPARE_NOT_IN":
                return {"not": self._one_of(children)}
            case "COMPARE_BETWEEN":
                both = [(">=", node["lower"]), ("<=", node["upper"])]
                return {"all": [self._compared(node["input"], how, bound) for how, bound in both]}
            case "COMPARE_DISTINCT_FROM":
                return {"any": [{"null": self._number(node["left"])}, self._with_constant(node, "<>")]}
            case "COMPARE_NOT_DISTINCT_FROM":
                return {"all": [{"not": {"null": self._number(node["left"])}}, self._with_constant(node, "=")]}
            case kind if kind in _HOW:
                return self._compared(node["left"], _HOW[kind], node["right"])
            case "COLUMN_REF" if self._column(node).kind == "bool":
                return {"true": self._number(node)}
            case "VALUE_CONSTANT" if node["literal"]["kind"] == "BOOLEAN":
                return {"all" if node["literal"]["text"] == "true" else "any": []}
            case _:
                raise refused("a condition is more than a comparison of a column with a constant")

    def _compared(self, left: Node, how: str, right: Node) -> Any:
        if left["class"] != "COLUMN_REF":
            left, how, right = right, _TURNED[how], left
        column = self._column(left)
        if right["class"] != "COLUMN_REF":
            return {"compare": [self.number(column), how, self._constant(column, right)]}
        other = self._column(right)
        if column[1:] != other[1:]:
            raise refused(f"{column.name} and {other.name} are of different types")
        return {"columns": [self.number(column), how, self.number(other)]}

    def _with_constant(self, node: Node, how: str) -> Any:
        if node["left"]["class"] != "COLUMN_REF" or node["right"]["class"] == "COLUMN_REF":
            raise refused("`is distinct from` takes a column and a constant here")
        return self._compared(node["left"], how, node["right"])

    def _one_of(self, children: list[Node]) -> Any:
        column = self._column(children[0])
        return {"one_of": [self.number(column), [self._constant(column, each) for each in children[1:]]]}

    def _number(self, node: Node) -> int:
        return self.number(self._column(node))

    def _column(self, node: Node) -> Column:
        column = column_of(node, self.columns, self._alias)
        if column is None:
            raise refused("a condition is more than a comparison of a column with a constant")
        if column.kind not in KEPT_KINDS:
            raise refused(f"{column.name} is a list, an object, a duration or the like")
        return column

    def _constant(self, column: Column, node: Node) -> Any:
        """A constant of a column's type, as the core reads it."""
        kind, text, type_name = _literal(node)
        match column.kind, kind:
            case "long", "INTEGER" if type_name is None and abs(int(text)) <= _LONG_MAX:
                return {"long": int(text)}
            case "double", "INTEGER" | "NUMERIC" if type_name is None:
                return {"double": repr(float(text))}
            case "decimal", "INTEGER" | "NUMERIC" if type_name is None and "e" not in text.casefold():
                digits = Decimal(text).scaleb(column.scale, _EXACT)
                if digits == digits.to_integral_value() and abs(digits) <= _DECIMAL_MAX:
                    return {"decimal": str(int(digits))}
            case "text", "STRING" if type_name is None:
                return {"text": text}
            case "bool", "BOOLEAN" if type_name is None:
                return {"bool": text == "true"}
            case "instant" | "local" | "date" | "time", "STRING":
                return {"long": self._time(column, text, type_name)}
        raise refused(f"{column.name} is compared with something that is no plain constant of its own type")

    def _time(self, column: Column, text: str, type_name: str | None) -> int:
        """A time in µs, or a day, in numbers."""
        own = {"instant": "timestamptz", "local": "timestamp", "date": "date", "time": "time"}[column.kind]
        given = own if type_name is None else _TIME_TYPES.get(type_name, type_name)
        if given != own and not (column.kind in TIMES and given in ("timestamptz", "timestamp", "date")):
            raise refused(f"{column.name} is compared with a {type_name}")
        value = f"cast(cast($text as {given}) as {own})"
        asked = {"date": f"{value} - date '1970-01-01'", "time": f"epoch_us({value})"}.get(own, f"epoch_us({value})")
        try:
            [(found,)] = self._connection.execute(f"select {asked}", {"text": text}).fetchall()
        except duckdb.Error as error:
            raise refused(f"{text!r} is no {given} ({str(error).splitlines()[0]})") from None
        if found is None:
            raise refused(f"{text!r} is no moment")
        return int(found)


def _literal(node: Node) -> tuple[str, str, str | None]:
    """The kind and the text of a literal, and the type that it is cast to."""
    type_name = None
    if node["class"] == "CAST" and not node["try_cast"]:
        type_name = node["type_expr"].get("type_name", "").casefold()
        node = node["child"]
    if node["class"] != "CONSTANT":
        raise refused("a condition is more than a comparison of a column with a constant")
    return node["literal"]["kind"], node["literal"].get("text", ""), type_name
