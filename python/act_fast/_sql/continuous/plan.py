"""From a question to what is kept for it: what each group of events holds, and the question asked of that.

DuckDB takes the question apart and puts it together again. What stands within aggregates is what groups hold; the
columns outside of them are what events are grouped by, times as coarsely as the question looks at them. The question
itself is then asked of the groups: it groups them once more, and its counts become sums of counts. So whatever it does
with keys and sums besides is for DuckDB to work out.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import msgspec

from act_fast._checks.sql_text import quoted_name
from act_fast._sql.continuous.condition import Conditions, Node, column_of, refused
from act_fast._sql.continuous.source import KEPT_KINDS, NUMBERS, TIMES, Column, columns_in
from act_fast._sql.relations import EventClassRelation, EventsRelation

__all__ = ["Plan", "Source", "plan_of", "source_of"]

Source = EventClassRelation | EventsRelation

_FORMAT: Final = 1
_KEPT: Final = frozenset({"count", "count_star", "sum", "min", "max", "avg", "mean"})
_KINDS: Final = {"count": "count", "count_star": "count", "sum": "sum", "min": "minimum", "max": "maximum"}
_SECOND_US: Final = 1_000_000
_DAY_US: Final = 86_400 * _SECOND_US
_GRAINS: Final = {
    "second": _SECOND_US,
    "minute": 60 * _SECOND_US,
    "hour": 3600 * _SECOND_US,
    **dict.fromkeys(
        (
            *("day", "dayofmonth", "dayofweek", "dayofyear", "dow", "doy", "isodow", "weekday", "week", "weekofyear"),
            *("isoyear", "yearweek", "month", "quarter", "year", "decade", "century", "dayname", "monthname"),
        ),
        _DAY_US,
    ),
}
"""How coarsely a function, or a part of a time that is asked for by name, looks at times in UTC, in µs."""


@dataclass(frozen=True)
class Plan:
    """What is kept for a question.

    Attributes:
        query: the question.
        source: what it is about.
        columns: the columns of that which are read.
        question: what is kept, as the core reads it.
        names: of the columns that come out of the core.
        select: the question, asked of these.
        mark: of all that decides what is kept.
    """

    query: str
    source: Source
    columns: tuple[str, ...]
    question: str
    names: tuple[str, ...]
    select: str
    mark: str


def source_of(connection: duckdb.DuckDBPyConnection, query: str, sources: Mapping[str, Source]) -> Source:
    """What a question is about.

    Raises:
        DefinitionError: it is about nothing that can be kept.
    """
    name = _table(_parsed(connection, query)["statements"][0]["node"])["table_name"]
    source = sources.get(name.casefold())
    if source is None:
        raise refused(f"{name} is no event class, and not `events`")
    if isinstance(source, EventClassRelation) and not source.is_kept:
        raise refused(
            f"an upcaster of {name} may be given personal values, which can be forgotten; let it take a class without"
            " any, which is not a dict either"
        )
    return source


def plan_of(connection: duckdb.DuckDBPyConnection, query: str, source: Source, kept: str, names: Sequence[str]) -> Plan:
    """What is kept for a question that DuckDB has found to be sound.

    Args:
        connection: DuckDB's.
        query: the question.
        source: what it is about.
        kept: what it is to read from.
        names: what the columns of its answer are called.

    Raises:
        DefinitionError: it is none that can be kept.
    """
    tree = _parsed(connection, query)
    node = tree["statements"][0]["node"]
    table = _table(node)
    planner = _Planner(connection, columns_in(source), table["alias"] or table["table_name"])
    planner.plan(node)
    _name(node["select_list"], names)
    table["alias"] = planner.alias
    table["table_name"], table["qualified_name"] = kept, {"path": [kept]}
    question = planner.question()
    [(select,)] = connection.execute(
        "select json_deserialize_sql($tree::json)", {"tree": msgspec.json.encode(tree).decode()}
    ).fetchall()
    columns = tuple(planner.conditions.numbers)
    whole = msgspec.json.encode([_FORMAT, source.mark, columns, question])
    return Plan(query, source, columns, question, planner.names, select, hashlib.sha256(whole).hexdigest()[:32])


def _parsed(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    [(text,)] = connection.execute("select json_serialize_sql($query::varchar)", {"query": query}).fetchall()
    tree = msgspec.json.decode(text)
    if tree["error"]:
        raise refused(f"it is no select ({tree.get('error_message')})")
    return tree


def _table(node: Node) -> Node:
    """What a question is about; it must be one relation, without more around it."""
    table: Node | None = node.get("from_table")
    if node["type"] != "SELECT_NODE" or table is None or table["type"] != "BASE_TABLE":
        raise refused("it is about more than one relation, or about none")
    if node["cte_map"]["map"] or table["column_name_alias"] or table["at_clause"] or table["schema_name"]:
        raise refused("it has a `with`, or names its columns anew")
    if node["sample"] or table["sample"]:
        raise refused("it is about a sample")
    return table


def _name(selected: list[Node], names: Sequence[str]) -> None:
    """Call the columns of the answer what they were called before the question was changed."""
    for each, name in zip(selected, names, strict=True):
        if not each["alias"] and each["class"] != "COLUMN_REF":
            each["alias"] = name


class _Planner:
    """Takes one question apart, and changes it to one about groups."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, columns: Mapping[str, Column], alias: str) -> None:
        self.alias = alias
        self.conditions = Conditions(connection, columns, alias)
        self._connection = connection
        self._keys: dict[str, int | None] = {}
        self._cells: dict[bytes, int] = {}
        self._test: Any = None
        self._aggregates = 0
        self._windows = 0
        self._aliases: frozenset[str] = frozenset()

    def plan(self, node: Node) -> None:
        if node["where_clause"] is not None:
            self._test = self.conditions.test(node["where_clause"])
            node["where_clause"] = None
        aliases = frozenset(each["alias"].casefold() for each in node["select_list"] if each["alias"])
        node["select_list"] = [self._changed(each) for each in node["select_list"]]
        node["group_expressions"] = [self._changed(each) for each in node["group_expressions"]]
        self._aliases = aliases
        for part in ("having", "qualify"):
            if node[part] is not None:
                node[part] = self._changed(node[part])
        distinct = False
        for modifier in node["modifiers"]:
            if modifier["type"] == "DISTINCT_MODIFIER":
                distinct = not modifier.get("distinct_on_targets")
            for order in modifier.get("orders", ()):
                if not _names_one_of(order["expression"], aliases):
                    order["expression"] = self._changed(order["expression"])
        groups = node["group_expressions"] or node["aggregate_handling"] == "FORCE_AGGREGATES"
        if not (self._aggregates or groups or distinct) or not (self._keys or self._cells):
            raise refused("it does not group anything")
        if self._windows and not (self._aggregates or groups):
            raise refused("a window (`over`) is over groups, and there is no `group by`")

    def question(self) -> str:
        """What is kept, as the core reads it."""
        keys = [
            {"column": self.conditions.number(self.conditions.columns[name]), "grain_us": grain}
            for name, grain in self._keys.items()
        ]
        cells = [msgspec.json.decode(each) for each in self._cells]
        return msgspec.json.encode({"keys": keys, "cells": cells, "test": self._test}).decode()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns that come out of the core."""
        keys = [self.conditions.columns[name].name for name in self._keys]
        return (*keys, *(f"cell {number}" for number in range(len(self._cells))))

    def _changed(self, node: Any) -> Any:
        """An expression with what groups hold in the place of its aggregates."""
        if isinstance(node, list):
            return [self._changed(each) for each in node]
        if not isinstance(node, dict):
            return node
        match node.get("class"):
            case "COLUMN_REF":
                column = column_of(node, self.conditions.columns, self.alias)
                if column is not None:
                    self._key(column, None)
                elif _names_one_of(node, {self.alias.casefold()} - self._aliases):
                    raise refused(f"{self.alias} stands for all columns")
                return node
            case "WINDOW":
                self._windows += 1
            case "SUBQUERY":
                raise refused("it has a question within it")
            case "STAR":
                raise refused("it asks for all columns")
            case "PARAMETER":
                raise refused("it has a parameter; write the value in its place")
            case "FUNCTION":
                return self._function(node)
            case "CAST" if node["type_expr"].get("type_name", "").casefold() == "date":
                column = column_of(node["child"], self.conditions.columns, self.alias)
                if column is not None and column.kind in TIMES:
                    self._key(column, _DAY_US)
                    return node
        return self._within(node)

    def _within(self, node: Node) -> Node:
        return {name: self._changed(value) for name, value in node.items()}

    def _function(self, node: Node) -> Node:
        name = node["function_name"].casefold()
        if name in _KEPT:
            self._aggregates += 1
            # Of what is distinct the groups have each value once, so there is nothing to add up.
            return self._within(node) if node["distinct"] else self._aggregate(node, name)
        if self._is_aggregate(name):
            raise refused(f"{name}() is not kept")
        if self._is_volatile(name):
            raise refused(f"{name}() differs each time it is asked")
        found = self._coarse_time(node, name)
        if found is None:
            return self._within(node)
        self._key(*found)
        return node

    def _coarse_time(self, node: Node, name: str) -> tuple[Column, int] | None:
        """The time that a function looks at, and how coarsely."""
        arguments = [each["expression"] for each in node["arguments"]]
        if name in ("date_trunc", "date_part", "datetrunc", "datepart") and len(arguments) == 2:
            name = arguments[0].get("literal", {}).get("text", "").casefold()
            arguments = arguments[1:]
        name = name.removesuffix("s") if name.removesuffix("s") in _GRAINS else name
        if name not in _GRAINS or len(arguments) != 1:
            return None
        column = column_of(arguments[0], self.conditions.columns, self.alias)
        return None if column is None or column.kind not in TIMES else (column, _GRAINS[name])

    def _aggregate(self, node: Node, name: str) -> Node:
        arguments = [each["expression"] for each in node["arguments"]]
        test = None if node["filter"] is None else self.conditions.test(node["filter"])
        column: Column | None = None
        if name == "count" and arguments[0]["class"] == "CONSTANT":
            if arguments[0]["literal"]["kind"] == "NULL_LITERAL":
                raise refused("it counts nothing")
        elif name != "count_star":
            column = column_of(arguments[0], self.conditions.columns, self.alias) if len(arguments) == 1 else None
            if column is None:
                raise refused(f"{name}() takes one column here, and nothing that is computed")
            self._check(column, name)
        if name in ("avg", "mean"):
            total, count = self._cell("sum", column, test), self._cell("count", column, test)
            text = f"cast(sum({total}) as double) / sum({count})"
        elif name in ("count", "count_star"):
            text = f"coalesce(cast(sum({self._cell('count', column, test)}) as bigint), 0)"
        else:
            text = f"{name}({self._cell(_KINDS[name], column, test)})"
        changed: Node = _parsed(self._connection, f"select {text}")["statements"][0]["node"]["select_list"][0]
        changed["alias"] = node["alias"]
        return changed

    def _check(self, column: Column, name: str) -> None:
        if column.kind not in KEPT_KINDS:
            raise refused(f"{column.name} is a list, an object, a duration or the like")
        if name in ("sum", "avg", "mean") and column.kind not in NUMBERS:
            raise refused(f"{name}() takes numbers, and {column.name} holds none")

    def _cell(self, kind: str, column: Column | None, test: Any) -> str:
        number = None if column is None else self.conditions.number(column)
        cell = msgspec.json.encode({"kind": kind, "column": number, "test": test})
        name = quoted_name(f"cell {self._cells.setdefault(cell, len(self._cells))}")
        # The core has no whole numbers that are as large; decimals of no digits behind the point are.
        huge = kind == "sum" and column is not None and column.kind == "long"
        return f"cast({name} as hugeint)" if huge else name

    def _key(self, column: Column, grain: int | None) -> None:
        if column.kind not in KEPT_KINDS:
            raise refused(f"{column.name} is a list, an object, a duration or the like")
        if grain is None and column.name in ("position", "created"):
            raise refused(f"{column.name} differs from event to event; group by date_trunc('hour', created) or coarser")
        name = column.name.casefold()
        known = self._keys.get(name, grain)
        self._keys[name] = None if known is None or grain is None else min(known, grain)

    def _is_aggregate(self, name: str) -> bool:
        """Whether a function is an aggregate, or stands for an expression with one in it."""
        asked = "select function_type, macro_definition from duckdb_functions() where function_name = $name"
        found = self._connection.execute(asked, {"name": name}).fetchall()
        if any(kind == "aggregate" for kind, _ in found):
            return True
        meant = [_parsed(self._connection, f"select {macro}") for kind, macro in found if kind == "macro"]
        return any(each != name and self._is_aggregate(each) for each in _functions_in(meant))

    def _is_volatile(self, name: str) -> bool:
        asked = "select 1 from duckdb_functions() where stability = 'VOLATILE' and function_name = $name limit 1"
        return self._connection.execute(asked, {"name": name}).fetchone() is not None


def _functions_in(tree: Any) -> Iterator[str]:
    """The names of all functions in an expression."""
    if isinstance(tree, dict) and "function_name" in tree:
        yield tree["function_name"].casefold()
    for each in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _functions_in(each)


def _names_one_of(node: Node, aliases: Set[str]) -> bool:
    return (
        node["class"] == "COLUMN_REF"
        and len(node["column_names"]) == 1
        and node["column_names"][0].casefold() in aliases
    )
