"""Events as a lazy frame of Polars: the same rows as without laziness, and nothing is read that is not needed."""

import operator
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars import Expr, col, lit
from polars.testing import assert_frame_equal

from act_fast import Act, AsyncAct, DefinitionError, Event, LogStore, State, Tag, ValidationError, action
from act_fast._rows import Filter
from act_fast._sql import lazy_frame as lazily
from act_fast._sql.relations import EventsRelation
from act_fast.stores.conditions import filter_of
from tests.stores.exchange.bank import Account, Deposited, Opened, fill


class Noted(Event):
    city: Tag[str]
    correlation: str
    position: int


class Notes(State):
    @action
    def note(self, city: str, correlation: str, position: int) -> Noted:
        return Noted(city, correlation, position)


class Rated(Event):
    stars: int


@pytest.fixture(scope="module")
def app() -> Iterator[Act]:
    with Act("memory:", Account, Notes) as app:
        fill(app, accounts=4, deposits=6)
        for number in range(9):
            app.do(Notes.note, f"n-{number % 2}", "Rome" if number % 3 else "Oslo", f"c-{number}", -number)
        yield app


class Recorded:
    """A log that remembers what it was asked for."""

    def __init__(self, app: Act) -> None:
        assert isinstance(app.store, LogStore)
        self._log: Any = app.store.columns()
        self.filters: list[Filter] = []
        self.columns_asked: list[list[str]] = []

    @property
    def head(self) -> int:
        return int(self._log.head)

    def columns(self, columns: Any, *rest: Any, filter: Filter) -> Any:
        self.filters.append(filter)
        self.columns_asked.append([name for name, _ in columns])
        return self._log.columns(columns, *rest, filter=filter)


def recorded(app: Act, **conditions: Any) -> tuple[polars.LazyFrame, Recorded]:
    log = Recorded(app)
    frame = lazily.lazy_frame(EventsRelation(), lambda: log, filter_of(conditions))  # type: ignore[arg-type,return-value]
    log.filters.clear()
    log.columns_asked.clear()
    return frame, log


@pytest.mark.parametrize("event", [None, Deposited, Opened, Noted])
@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_it_has_the_rows_and_columns_of_arrow(app: Act, event: type[Event] | None, engine: Any) -> None:
    frame = app.lazy(event)
    expected = polars.DataFrame(app.arrow(event))
    assert frame.collect_schema() == expected.schema
    assert_frame_equal(frame.collect(engine=engine), expected)
    assert frame.select(polars.len()).collect(engine=engine).item() == len(expected)
    assert_frame_equal(AsyncAct(app).lazy(event).collect(), expected)


def test_it_is_read_as_the_log_is_when_it_is_collected() -> None:
    with Act("memory:", Account) as app:
        frame = app.lazy(Deposited).select(polars.len())
        assert frame.collect().item() == 0
        fill(app, accounts=1, deposits=3)
        assert frame.collect().item() == 3
        app.do(Account.deposit, "account-0", amount=4)
        assert frame.collect().item() == 4


constants = st.integers(-2, 45)
times = st.integers(-3, 3).map(lambda minutes: datetime.now(UTC) + timedelta(minutes=minutes))
compared = st.sampled_from([operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne])
streams = st.sampled_from(["account-0", "account-1", "n-0", "none", "", "a\nb"])
correlations = st.sampled_from(["c-0", "c-4", "no"])
closed = st.sampled_from(["both", "left", "right", "none"])


def comparisons() -> st.SearchStrategy[Expr]:
    of_position = st.builds(lambda op, value: op(col("position"), value), compared, constants)
    turned = st.builds(lambda op, value: op(lit(value), col("position")), compared, constants)
    of_time = st.builds(lambda op, value: op(col("created"), value), compared, times)
    of_stream = st.builds(lambda op, value: op(col("stream"), value), compared, streams)
    in_streams = st.lists(streams, max_size=3).map(lambda each: col("stream").is_in(each))
    between = st.builds(lambda one, two, how: col("position").is_between(one, two, how), constants, constants, closed)
    of_name = st.sampled_from(["Opened", "Deposited", "Noted", "x"]).map(lambda name: col("name") == name)
    of_correlation = correlations.map(lambda each: col("correlation") == each)
    return st.one_of(of_position, turned, of_time, of_stream, in_streams, between, of_name, of_correlation)


predicates = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        st.builds(operator.and_, inner, inner), st.builds(operator.or_, inner, inner), inner.map(operator.invert)
    ),
    max_leaves=6,
)
conditions = st.fixed_dictionaries(
    {},
    optional={
        "after": st.integers(0, 40),
        "before": st.integers(0, 50),
        "stream": st.sampled_from(["account-1", "n-1"]),
        "tags": st.sampled_from([["city:Rome"], ["city:Oslo"]]),
    },
)


@settings(deadline=None)
@given(
    predicate=predicates,
    conditions=conditions,
    at_once=st.sampled_from([1, 7, 1000]),
    rows=st.none() | st.integers(0, 9),
)
def test_what_is_filtered_is_what_filtering_all_rows_gives(
    app: Act, predicate: Expr, conditions: dict[str, Any], at_once: int, rows: int | None
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lazily, "_EVENTS_MAX", at_once)
        whole = polars.DataFrame(app.arrow(**conditions))
        expected, found = whole.filter(predicate), app.lazy(**conditions).filter(predicate)
        if rows is not None:
            expected, found = expected.head(rows), found.head(rows)
            assert_frame_equal(
                app.lazy(**conditions).head(rows).filter(predicate).collect(), whole.head(rows).filter(predicate)
            )
        assert_frame_equal(found.collect(), expected)
        assert_frame_equal(found.select("name").collect(), expected.select("name"))


def test_fields_that_are_called_like_what_the_log_has_are_not_taken_for_it(app: Act) -> None:
    frame = app.lazy(Noted)
    whole = polars.DataFrame(app.arrow(Noted))
    for name, dtype in whole.schema.items():
        for value in ("c-4",) if dtype == polars.String else (-4, 28) if dtype == polars.Int64 else ():
            assert_frame_equal(frame.filter(col(name) == value).collect(), whole.filter(col(name) == value))


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        (col("position") > 20, {"after": 20}),
        (lit(20) >= col("position"), {"before": 21}),
        (col("position").is_between(5, 9), {"after": 4, "before": 10}),
        (col("position") == 7, {"after": 6, "before": 8}),
        ((col("position") > 3) & (col("stream") == "account-1"), {"after": 3, "stream": "account-1"}),
        (col("stream").is_in(["account-1", "n-0"]), {"pattern": r"^(?:account\-1|n\-0)$"}),
        (col("name") == "Opened", {"names": ("Opened",)}),
        ((col("name") == "Opened") & (col("name") == "Noted"), {"names": ()}),
        (col("correlation") == "c-1", {"correlation": "c-1"}),
        (col("created") < datetime(2020, 1, 1, tzinfo=UTC), {"created_before_us": 1_577_836_800_000_000}),
        ((col("position") > 20) | (col("stream") == "n-0"), {"after": 0, "stream": None}),
        (col("position") + 1 > 20, {"after": 0}),
    ],
)
def test_the_log_is_asked_only_for_what_can_be_meant(app: Act, predicate: Expr, expected: dict[str, Any]) -> None:
    frame, log = recorded(app)
    frame.filter(predicate).collect()
    asked = log.filters[0] if log.filters else {}
    assert {name: asked.get(name) for name in expected} == expected


def test_columns_that_a_query_leaves_out_are_not_asked_for(app: Act) -> None:
    frame, log = recorded(app)
    frame.filter(col("version") > 1).select("stream").collect()
    assert {*map(tuple, log.columns_asked)} == {("stream", "version")}


def test_what_is_wanted_of_the_beginning_leaves_the_rest_unread(app: Act, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lazily, "_EVENTS_MAX", 5)
    frame, log = recorded(app)
    assert frame.head(7).collect().height == 7
    assert [each["after"] for each in log.filters if each["before"] in (6, 11)] == [0, 5]


def test_what_is_wrong_is_said_at_once(app: Act) -> None:
    with pytest.raises(DefinitionError, match="not an event of this app"):
        app.lazy(Rated)
    with pytest.raises(DefinitionError, match=r"'Deposited' is not an event of this app; .* without quotes"):
        app.lazy("Deposited")  # type: ignore[call-overload]
    with pytest.raises(ValidationError):
        app.lazy(after=-1)
