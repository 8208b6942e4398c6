"""What a question says of where the few events are that it wants, for who chooses where they are read from.

A hint, and no more: the log and what was written down of it have the same rows, and a condition that is overlooked or
misunderstood here costs time, but changes no answer. Only `newest` has to be right: it adds a condition to a question.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

import duckdb
import msgspec

from act_fast._sql.question import check_question, known_of, nodes_in
from act_fast._sql.scan import Condition

__all__ = ["FLOOR", "Mentions", "Newest", "Understood", "understood", "with_floor"]

Mentions: TypeAlias = Mapping[str, Sequence[Sequence[Condition]]]
"""For each relation that is named, in small letters, the conditions that it is under: once for each time it is."""

_OPS: Final = {
    "COMPARE_EQUAL": "=",
    "COMPARE_LESSTHAN": "<",
    "COMPARE_LESSTHANOREQUALTO": "<=",
    "COMPARE_GREATERTHAN": ">",
    "COMPARE_GREATERTHANOREQUALTO": ">=",
}
_TURNED: Final = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_WHERE: Final = "where_clause"
_SELECT_PARTS: Final = frozenset({"type", "modifiers", "select_list", "from_table", _WHERE, "aggregate_handling"})
_PLACE: Final = frozenset({"type", "alias", "query_location", "query_location_length"})
_TABLE_PARTS: Final = _PLACE | {"table_name", "qualified_name"}
_STAR_PARTS: Final = _PLACE | {"class", "relation_name"}
_ROW_BY_ROW: Final = frozenset({"COLUMN_REF", "CONSTANT", "CAST", "COMPARISON", "CONJUNCTION", "BETWEEN", "PARAMETER"})
_NEWEST_MAX: Final = 1000

FLOOR: Final = "act_fast_floor"
"""The parameter that `with_floor` adds."""

Node: TypeAlias = dict[str, Any]

_parsed: Final[dict[str, Node | None]] = {}
_floored: Final[dict[str, str]] = {}
_understood: Final[dict[str, "Understood"]] = {}


@dataclass(frozen=True)
class Newest:
    """A question about the newest events of a relation.

    Attributes:
        relation: its name in small letters.
        count: how many of them.
        conditions: all that it asks of them.
    """

    relation: str
    count: int
    conditions: Sequence[Condition]


class Understood(NamedTuple):
    """What a question says.

    Attributes:
        tree: as DuckDB's parser takes it apart.
        mentions: which relations it names, and under which conditions.
        names: what it names as tables and as functions, in small letters.
        newest: what it asks about the newest events, if it is plainly about these.
    """

    tree: Node
    mentions: Mentions
    names: frozenset[str]
    newest: Newest | None


def understood(connection: duckdb.DuckDBPyConnection, query: str, params: Mapping[str, Any]) -> Understood | None:
    """What a question says; None where DuckDB's parser does not take it apart. Asked again, it is known."""
    tree = parsed(connection, query)
    if tree is None:
        return None

    def understand() -> Understood:
        return Understood(tree, mentions_in(tree, params), names_in(tree), newest(tree, params))

    return understand() if params else known_of(_understood, query, understand)


def parsed(connection: duckdb.DuckDBPyConnection, query: str) -> Node | None:
    """A question as DuckDB's parser takes it apart; None where that does not say. Asked again, it is known."""

    def parse() -> Node | None:
        [(text,)] = connection.execute("select json_serialize_sql($query::varchar)", {"query": query}).fetchall()
        tree: Node = msgspec.json.decode(text)
        return None if tree.get("error") else tree

    return known_of(_parsed, query, parse)


def names_in(tree: Node) -> frozenset[str]:
    """What a question names as tables and as functions, in small letters."""
    named = (node.get(part) for node in nodes_in(tree) for part in ("table_name", "function_name"))
    return frozenset(name.casefold() for name in named if isinstance(name, str))


def mentions_in(tree: Node, params: Mapping[str, Any]) -> Mentions:
    """Which relations a question names, and under which conditions."""
    found: dict[str, list[Sequence[Condition]]] = {}
    for node in nodes_in(tree):
        if node.get("type") != "SELECT_NODE":
            continue
        conditions = [*_conditions(node.get(_WHERE), params)]
        for table in _tables(node.get("from_table")):
            called = {table["alias"].casefold(), table["table_name"].casefold()} - {""}
            own = [each for qualifier, each in conditions if qualifier is None or qualifier in called]
            found.setdefault(table["table_name"].casefold(), []).append(own)
    return found


def newest(tree: Node, params: Mapping[str, Any]) -> Newest | None:
    """What a question asks about the newest events, if it is plainly about these and nothing else."""
    match tree:
        case {
            "statements": [
                {
                    "node": {
                        "type": "SELECT_NODE",
                        "aggregate_handling": "STANDARD_HANDLING",
                        "from_table": {
                            "type": "BASE_TABLE",
                            "table_name": str(relation),
                            "qualified_name": {"path": [_]},
                            "alias": str(alias),
                        } as table,
                        "select_list": list(selected),
                        "modifiers": [
                            {
                                "type": "ORDER_MODIFIER",
                                "orders": [{"type": "DESCENDING", "expression": ordered}, *_],
                            },
                            {
                                "type": "LIMIT_MODIFIER",
                                "limit_type": "ROW_COUNT",
                                "limit": limit,
                                "offset": offset,
                            },
                        ],
                    } as node
                }
            ]
        } if _has_only(node, _SELECT_PARTS) and _has_only(table, _TABLE_PARTS):
            pass
        case _:
            return None
    conjuncts = [[*_condition(each, params)] for each in _conjuncts(node.get(_WHERE))]
    conditions = [each for conjunct in conjuncts for each in conjunct]
    named = [_column(ordered), *((qualifier, each.column) for qualifier, each in conditions)]
    taken = {str(each.get("alias")).casefold() for each in selected}
    counts = [_count(limit, params), 0 if offset is None else _count(offset, params)]
    # Of the newest that meet some of the conditions, too few might meet all: so each has to be understood.
    plain = (
        all(conjuncts)
        and all(map(_is_row_by_row, selected))
        and None not in named
        and _column(ordered) in ((None, "position"), (alias.casefold() or relation.casefold(), "position"))
        and all(each[0] in (None, alias.casefold() or relation.casefold()) for each in named if each is not None)
        and taken.isdisjoint(each[1] for each in named if each is not None)
    )
    count = sum(each for each in counts if each is not None)
    if not plain or None in counts or not 0 < count <= _NEWEST_MAX:
        return None
    return Newest(relation.casefold(), count, [each for _, each in conditions])


def with_floor(connection: duckdb.DuckDBPyConnection, query: str, tree: Node) -> str:
    """The same question about the events from a position on, as text: it is the parameter `FLOOR`."""

    def rewrite() -> str:
        floor = parsed(connection, f"select 1 where position >= ${FLOOR}")
        assert floor is not None
        [[node], [of_floor]] = [[each["node"] for each in one["statements"]] for one in (tree, floor)]
        where = [each for each in (node.get(_WHERE), of_floor[_WHERE]) if each is not None]
        both = {"class": "CONJUNCTION", "type": "CONJUNCTION_AND", "alias": "", "children": where}
        changed = {**tree, "statements": [{**tree["statements"][0], "node": {**node, _WHERE: both}}]}
        asked = {"tree": msgspec.json.encode(changed).decode()}
        text: str
        [(text,)] = connection.execute("select json_deserialize_sql($tree::json)", asked).fetchall()
        check_question(connection, text)
        return text

    return known_of(_floored, query, rewrite)


def _tables(tree: Any) -> Iterator[Node]:
    """The tables that a select names itself."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict) and node.get("type") != "SELECT_NODE":
            if node.get("type") == "BASE_TABLE":
                yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _conjuncts(where: Node | None) -> Iterator[Node]:
    if where is None:
        return
    if where.get("type") == "CONJUNCTION_AND":
        for each in where["children"]:
            yield from _conjuncts(each)
    else:
        yield where


def _conditions(where: Node | None, params: Mapping[str, Any]) -> Iterator[tuple[str | None, Condition]]:
    """Comparisons of columns with constants that must all hold, each with what qualifies its column."""
    for each in _conjuncts(where):
        yield from _condition(each, params)


def _condition(node: Node, params: Mapping[str, Any]) -> Iterator[tuple[str | None, Condition]]:
    match node:
        case {"class": "COMPARISON", "type": kind, "left": left, "right": right} if kind in _OPS:
            op = _OPS[kind]
            if (column := _column(left)) is not None and (value := _value(right, params)) is not None:
                yield column[0], Condition(column[1], op, value)
            elif (column := _column(right)) is not None and (value := _value(left, params)) is not None:
                yield column[0], Condition(column[1], _TURNED[op], value)
        case {"class": "BETWEEN", "input": inner, "lower": lower, "upper": upper}:
            column, low, high = _column(inner), _value(lower, params), _value(upper, params)
            if column is not None and low is not None and high is not None:
                yield column[0], Condition(column[1], ">=", low)
                yield column[0], Condition(column[1], "<=", high)
        case {"class": "OPERATOR", "type": "COMPARE_IN", "children": [inner, *constants]}:
            column, values = _column(inner), [_value(each, params) for each in constants]
            if column is not None and None not in values:
                yield column[0], Condition(column[1], "in", values)
        case _:
            return


def _column(node: Any) -> tuple[str | None, str] | None:
    """A column, and what qualifies it."""
    match node:
        case {"class": "COLUMN_REF", "column_names": [str(name)]}:
            return None, name.casefold()
        case {"class": "COLUMN_REF", "column_names": [str(table), str(name)]}:
            return table.casefold(), name.casefold()
        case _:
            return None


def _value(node: Any, params: Mapping[str, Any]) -> str | int | None:
    """A constant that is a text or a whole number."""
    match node:
        case {"class": "CONSTANT", "literal": {"kind": "STRING", "text": str(text)}}:
            return text
        case {"class": "CONSTANT", "literal": {"kind": "INTEGER", "text": str(digits)}} if digits.isdecimal():
            return int(digits)
        case {"class": "PARAMETER", "identifier": str(name)} if type(params.get(name)) in (str, int):
            found: str | int = params[name]
            return found
        case _:
            return None


def _count(node: Any, params: Mapping[str, Any]) -> int | None:
    found = _value(node, params)
    return found if isinstance(found, int) and found >= 0 else None


def _has_only(node: Node, parts: frozenset[str]) -> bool:
    """Whether nothing is said but in these parts."""
    return all(name in parts or _is_nothing(value) for name, value in node.items())


def _is_nothing(value: Any) -> bool:
    return all(map(_is_nothing, value.values())) if isinstance(value, dict) else not value


def _is_row_by_row(node: Node) -> bool:
    """Whether an expression makes one value of one row."""
    if node.get("class") == "STAR":
        return _has_only(node, _STAR_PARTS)
    return all(map(_is_plain, nodes_in(node)))


def _is_plain(node: Node) -> bool:
    kind = node.get("class")
    if kind == "FUNCTION":
        return node.get("is_operator") is True
    return kind is None or kind in _ROW_BY_ROW
