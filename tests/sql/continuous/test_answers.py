"""What is kept is what the same question answers when DuckDB asks it of the events: at every position, however read."""

import logging
import os
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from act_fast import Act, LogStore
from tests.sql.continuous.shop import Sold, Till, events

KEYS = (
    *("stream", "note", "method", "gift", "weight", "due", "price", "colour", "parcel", "version", "ratio"),
    *("date_trunc('day', created)", "created::date", "hour(due)", "date_trunc('month', due)", "year(due)"),
    *("upper(note)", "weight // 2", "case when gift then method end", "date_part('dow', due)", "error is null"),
)
AGGREGATES = (
    *("count(*)", "count(note)", "count(1)", "sum(amount)", "sum(weight)", "sum(ratio)", "sum(price)"),
    *("min(amount)", "max(weight)", "min(note)", "max(due)", "min(price)", "max(gift)", "min(parcel)", "max(stream)"),
    *("min(position)", "max(created)", "min(ratio)", "max(colour)", "count(distinct note)", "sum(distinct weight)"),
    *("sum(amount) filter (where gift)", "count(*) filter (where note = 'a' or weight > 0)", "max(version)"),
    *("round(avg(weight), 6)", "round(avg(ratio), 6)", "round(avg(price) filter (where weight > 0), 6)"),
    *("sum(weight) * 2 + count(*)", "coalesce(sum(weight), 0)", "count(distinct due) filter (where gift)"),
)
TESTS = (
    *("0 <= weight", "1 < weight", "0 > ratio", "'a' >= note", "1 = weight", "-1 <> weight"),
    *("amount > 0", "0 >= amount", "note = 'a'", "note <> 'a'", "note is null", "note is not null", "gift", "not gift"),
    *("weight in (1, 2)", "weight not in (1, -1)", "weight between -1 and 1", "ratio <= 0.25", "ratio = 1"),
    *("due >= '2025-12-31'", "due < timestamptz '2025-12-30 22:30:00'", "due is null"),
    *("price > 1.25", "price = 1", "method = 'card'", "colour <> 'red'", "amount < weight", "weight = amount"),
    *(
        "stream = 'till-1'",
        "version = 1",
        "note is distinct from 'b'",
        "weight is not distinct from 1",
        "error is null",
    ),
    *("created > '2020-01-01'", "true", "false", "amount = -5", "parcel is null", "amount <> 9223372036854775807"),
)


@st.composite
def conditions(draw: st.DrawFn, depth: int = 2) -> str:
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from(TESTS))
    if draw(st.integers(0, 3)) == 0:
        return f"not ({draw(conditions(depth - 1))})"
    parts = draw(st.lists(conditions(depth - 1), min_size=2, max_size=3))
    return draw(st.sampled_from([" and ", " or "])).join(f"({part})" for part in parts)


@st.composite
def questions(draw: st.DrawFn) -> str:
    keys = draw(st.lists(st.sampled_from(KEYS), max_size=3, unique=True))
    kept = draw(st.lists(st.sampled_from(AGGREGATES), min_size=0 if keys else 1, max_size=4, unique=True))
    named = [f"{each} as c{number}" for number, each in enumerate([*keys, *kept])]
    where = f" where {draw(conditions())}" if draw(st.booleans()) else ""
    having = " having count(*) > 1" if draw(st.integers(0, 4)) == 0 else ""
    group = ""
    if keys:
        numbers = ", ".join(str(number + 1) for number in range(len(keys)))
        group = " group by " + draw(st.sampled_from(["all", numbers, f"rollup ({numbers})"]))
        group = group if not having or group != " group by all" else f" group by {numbers}"
    return f"select {', '.join(named)} from sold{where}{group}{having}"


def rows(app: Act, query: str, at: int | None = None) -> list[Any]:
    return sorted(app.sql(query, at=at).fetchall(), key=repr)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Events that cannot be read are told of each time."""
    caplog.set_level(logging.ERROR, "act_fast")


@settings(
    max_examples=int(os.environ.get("ACT_FAST_VIEW_EXAMPLES", "25")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    asked=st.lists(questions(), min_size=1, max_size=4),
    commits=st.lists(st.lists(events(), min_size=1, max_size=12), min_size=1, max_size=4),
    read=st.lists(st.booleans(), min_size=4, max_size=4),
    data=st.data(),
)
def test_a_view_answers_what_the_events_answer(
    asked: list[str], commits: list[list[Any]], read: list[bool], data: st.DataObject
) -> None:
    with LogStore.memory() as store, Act(store, Till) as app:
        for number, query in enumerate(asked):
            app.view(f"v{number}", query)
        for number, commit in enumerate(commits):
            store.append(f"till-{number % 2}", commit)
            for view, query in enumerate(asked):
                if read[number]:
                    assert rows(app, f"select * from v{view}") == rows(app, query), query
        at = data.draw(st.integers(0, store.head))
        for view, query in enumerate(asked):
            kept, expected = app.sql(f"select * from v{view}"), app.sql(query)
            assert (kept.types, kept.columns) == (expected.types, expected.columns), query
            assert rows(app, f"select * from v{view}") == rows(app, query), query
            assert rows(app, f"select * from v{view}", at) == rows(app, query, at), (query, at)


def test_decimals_are_compared_digit_by_digit() -> None:
    prices = [Decimal(f"{10**28}.{cents}") for cents in (49, 50, 51)]
    with LogStore.memory() as store, Act(store, Till) as app:
        store.append("till-1", [Sold(1, price=price) for price in prices])
        for number, how in enumerate(("=", "<>", "<", ">=")):
            query = f"select max(price) as price, count(*) as n from sold where price {how} {prices[1]}"
            app.view(f"v{number}", query)
            assert rows(app, f"select * from v{number}") == rows(app, query), query
