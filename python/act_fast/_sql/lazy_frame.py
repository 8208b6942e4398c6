"""Events as a lazy frame of Polars: columns, events and positions that a query leaves out are not read."""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final, TypeAlias

import polars
from polars import DataFrame, Expr, LazyFrame
from polars.io.plugins import register_io_source

from act_fast._rows import Filter
from act_fast._sql.pushdown import Bounds
from act_fast._sql.relations import EventClassRelation, EventsRelation
from act_fast._sql.scan import Condition
from act_fast.stores.capabilities import ColumnReader, cut

__all__ = ["conditions_in", "lazy_frame"]

_EVENTS_MAX: Final = 250_000
_COMPARED: Final[Mapping[str, Callable[[Expr, Expr], Any]]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TURNED: Final = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_BETWEEN: Final = {"both": (">=", "<="), "left": (">=", "<"), "right": (">", "<="), "none": (">", "<")}


Events: TypeAlias = EventsRelation | EventClassRelation


def lazy_frame(relation: Events, log: Callable[[], ColumnReader], given: Filter) -> LazyFrame:
    """A frame that is read when it is collected, each time as the log is then.

    Args:
        relation: what it shows.
        log: gives the log.
        given: which events it has.
    """
    schema = DataFrame(relation.columns(log(), {**given, "after": 0, "before": 1})).schema

    def read(
        wanted: Sequence[str] | None, predicate: Expr | None, rows_max: int | None, _batch: int | None
    ) -> Iterator[DataFrame]:
        kept = list(schema) if wanted is None else list(wanted)
        asked = {*kept, *(() if predicate is None else predicate.meta.root_names())}
        columns = [each for each in schema if each in asked] or ["position"]
        narrowed = given
        if predicate is not None and rows_max is None:  # the rows are counted before they are filtered
            narrowed = _narrowed(given, dict(relation.outputs), conditions_in(predicate))
        empty = DataFrame(schema={name: schema[name] for name in columns})
        for frame in chain(_frames(relation, log(), columns, narrowed), [empty]):
            found = frame if rows_max is None else frame.head(rows_max)
            if rows_max is not None:
                rows_max -= found.height
            if predicate is not None:
                found = found.filter(predicate)
            yield found.select(kept)
            if rows_max == 0:
                return

    return register_io_source(read, schema=schema)


def conditions_in(predicate: Expr) -> Iterator[Condition]:
    """The comparisons with constants of which each must hold. What is not understood is left out."""
    operands = predicate.meta.pop()[::-1]
    match operands:
        case [left, right] if predicate.meta.eq(left & right):
            yield from conditions_in(left)
            yield from conditions_in(right)
        case [left, right] if left.meta.is_column() and predicate.meta.eq(left.is_in(right)):
            yield from _condition(left, "in", right)
        case [left, right]:
            for op, compare in _COMPARED.items():
                if predicate.meta.eq(compare(left, right)):
                    yield from _condition(left, op, right)
                    yield from _condition(right, _TURNED[op], left)
        case [column, low, high] if column.meta.is_column():
            for closed, (above, below) in _BETWEEN.items():
                if predicate.meta.eq(column.is_between(low, high, closed=closed)):  # type: ignore[arg-type]
                    yield from _condition(column, above, low)
                    yield from _condition(column, below, high)
        case _:
            return


def _condition(column: Expr, op: str, constant: Expr) -> Iterator[Condition]:
    if not (column.meta.is_column() and constant.meta.is_literal()):
        return
    held = polars.select(constant).to_series()
    if held.dtype == polars.Datetime("us", "UTC"):
        held = held.to_physical()
    elif not (held.dtype.is_integer() or held.dtype in (polars.String, polars.List(polars.String))):
        return
    value = held.item()
    if value is not None:
        yield Condition(column.meta.output_name(), op, value.to_list() if op == "in" else value)


def _narrowed(given: Filter, holds: Mapping[str, str | int], conditions: Iterator[Condition]) -> Filter:
    """A filter, and those of the conditions on columns that the log answers by its index."""
    names = given.get("names")
    bounds = Bounds(
        after=given.get("after") or 0,
        before=given.get("before"),
        names=None if names is None else tuple(names),
        created_after_us=given.get("created_after_us"),
        created_before_us=given.get("created_before_us"),
        correlation=given.get("correlation"),
    )
    has_streams = given.get("stream") is not None or given.get("pattern") is not None
    for condition in conditions:
        what = holds.get(condition.column)
        if isinstance(what, str) and not (what == "stream" and has_streams):
            bounds = bounds.within(what, condition) or bounds
    return {**given, **bounds.for_log()}


def _frames(relation: Events, log: ColumnReader, columns: Sequence[str], filter: Filter) -> Iterator[DataFrame]:
    """The events in order, so few at once that they fit into memory."""
    filter = cut(log, filter)
    after, end = filter.get("after") or 0, filter.get("before") or 0
    while after + 1 < end:
        asked = relation.columns(log, {**filter, "after": after}, columns)
        before = end
        if asked.width > _EVENTS_MAX:
            before = min(end, after + _EVENTS_MAX + 1)
            asked = relation.columns(log, {**filter, "after": after, "before": before}, columns)
        yield DataFrame(asked)
        after = before - 1
