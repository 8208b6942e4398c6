"""Views among everything else: in SQL beside other relations, over every store and every kind of event."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from act_fast import Act, Actor, AsyncAct, Event, LogStore, MemoryKeyStore, State, StoreClosedError, connect, upcast
from act_fast._sql.continuous import keeper
from tests.sql.continuous.shop import Returned, Sold, Till
from tests.sql.continuous.test_keeping import PER_STREAM
from tests.support.people import Person


@pytest.fixture
def app() -> Iterator[Act]:
    with LogStore.memory() as store, Act(store, Till) as opened:
        store.append("till-1", [Sold(5), Returned(1), Sold(7)])
        store.append("till-2", [Sold(1)])
        yield opened


def test_a_view_is_a_relation_like_the_others(app: Act) -> None:
    app.view("per_stream", PER_STREAM)
    joined = "select v.stream, total, amount from per_stream v join returned r on v.stream = r.stream where total > 1"
    assert app.sql(joined).fetchall() == [("till-1", 12, 1)]
    assert app.sql("select total from PER_STREAM where stream = $stream", stream="till-2").fetchall() == [(1,)]
    assert [(name, kind) for name, kind, *_ in app.sql("describe per_stream").fetchall()] == [
        ("stream", "VARCHAR"),
        ("n", "BIGINT"),
        ("total", "HUGEINT"),
        ("last", "BIGINT"),
    ]


def test_a_view_of_a_view_is_refused_and_a_question_about_two_is_not(app: Act) -> None:
    app.view("per_stream", PER_STREAM)
    app.view("returns", "select stream, sum(amount) as back from returned group by stream")
    both = "select total - coalesce(back, 0) from per_stream left join returns using (stream) order by 1"
    assert app.sql(both).fetchall() == [(1,), (11,)]
    with pytest.raises(Exception, match="per_stream is no event class"):
        app.view("more", "select sum(total) from per_stream")


def test_a_connection_has_views_as_of_its_position(app: Act) -> None:
    app.view("per_stream", PER_STREAM)
    with connect(app) as connection:
        app.store.append("till-2", [Sold(100)])
        asked = "select total::int from per_stream where stream = 'till-2'"
        assert connection.sql(asked).fetchall() == [(1,)]
        assert app.sql(asked).fetchall() == [(101,)]
        assert connection.sql(asked).fetchall() == [(1,)]
        assert connection.duckdb.execute(asked).fetchall() == [(1,)]
        connection.refresh()
        assert connection.sql(asked).fetchall() == [(101,)]


def test_all_events_are_grouped_by_what_the_log_holds(app: Act) -> None:
    app.acting(Actor("u-7")).store.append("till-2", [Returned(1)])
    app.view("names", "select name, count(*) as n, max(position) as last, min(version) as first from events group by 1")
    assert sorted(app.sql("select * from names").fetchall()) == [("Returned", 2, 5, 2), ("Sold", 3, 4, 1)]
    app.view("hours", "select hour(created) as h, count(*) as n from events where name <> 'Sold' group by h")
    assert [row["n"] for row in app.views["hours"].rows()] == [2]


def test_rows_have_the_names_that_the_question_gives_them(app: Act) -> None:
    view = app.view("some", "select stream, count(*), sum(amount) / count(*) as mean from sold group by stream")
    assert sorted(view.rows(), key=repr)[0] == {"stream": "till-1", "count_star()": 2, "mean": 6.0}
    assert (view.name, view.query[:6], view.position) == ("some", "select", 4)
    assert repr(view) == "ContinuousView('some', position=4)"


def test_views_are_those_of_the_app_and_of_all_that_act_in_its_place(app: Act) -> None:
    other = app.acting(Actor("u-7"))
    other.view("per_stream", PER_STREAM)
    assert list(app.views) == ["per_stream"]
    assert app.views["per_stream"].rows() == other.views["per_stream"].rows()
    with pytest.raises(TypeError):
        app.views["more"] = app.views["per_stream"]  # type: ignore[index]


def test_a_view_that_takes_the_place_of_another_is_counted_by_itself(app: Act) -> None:
    for query, expected in (
        ("select count(*) as n from sold", [{"n": 3}]),
        ("select count(*) as n from sold where amount > 1", [{"n": 2}]),
        ("select sum(amount) as n from sold where amount > 1", [{"n": 12}]),
        ("select count(*) as n from returned", [{"n": 1}]),
    ):
        assert app.view("counts", query).rows() == expected
        assert app.views["counts"].rows() == expected


def test_a_view_outlives_a_class_that_is_included(app: Act) -> None:
    class Noted(Event):
        text: str

    class Note(State, events=[Noted]): ...

    app.view("per_stream", PER_STREAM).keep()
    app.include(Note)
    app.store.append("note-1", [Noted("a")])
    assert app.views["per_stream"].position == 4
    assert app.sql("select count(*) from per_stream, noted").fetchall() == [(2,)]


async def _asynchronously() -> None:
    async with await AsyncAct.open("memory:", Till) as app:
        app.sync.store.append("till-1", [Sold(3)])
        view = await app.view("per_stream", PER_STREAM)
        assert (await app.sql("select total::int from per_stream")).fetchall() == [(3,)]
        assert view.position == 1


def test_an_asynchronous_app_keeps_views_too() -> None:
    asyncio.run(_asynchronously())


def bills(factor: int) -> type[State]:
    """Bills whose older payments are multiplied on their way."""

    class Paid(Event, name="Paid"):
        amount: int

        @upcast(from_="PaidOnce")
        @staticmethod
        def multiplied(old: dict[str, int]) -> dict[str, int]:
            return {"amount": old["amount"] * factor}

    class Bill(State, events=[Paid], name="Bill"): ...

    return Bill


def test_older_events_count_as_what_they_are_today(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_WRITE_EVENTS", 1)
    with LogStore(tmp_path / "bills.act", durability="os") as store:
        store.append("bill-1", [("Paid", b'{"amount":1}'), ("PaidOnce", b'{"amount":1}')])
        for factor in (2, 3, 3):
            with Act(store, bills(factor)) as app:
                view = app.view("sums", "select sum(amount) as total from paid")
                assert view.rows() == [{"total": 1 + factor}]
    assert len([*(tmp_path / "bills.act" / "analytics" / "views").glob("*.view")]) == 2


def test_events_that_cannot_be_read_count_as_they_do_in_sql(app: Act, caplog: pytest.LogCaptureFixture) -> None:
    app.view("counts", "select count(*) as n, count(amount) as read, sum(amount) as total from sold")
    app.store.append("till-1", [("Sold", b'{"amount":"five"}'), ("Sold", b'"redacted"')])
    with caplog.at_level(logging.WARNING):
        assert app.views["counts"].rows() == [{"n": 5, "read": 3, "total": 13}]
    assert "1 events of Sold do not decode" in caplog.text


def test_what_is_sealed_is_not_in_a_view_and_forgetting_changes_nothing_in_it() -> None:
    with Act("memory:", Person, keys=MemoryKeyStore()) as app:
        app.do(Person.register, "ada", user="ada", email="ada@example.org")
        app.do(Person.visit, "ada", pages=3)
        view = app.view("plans", "select email, plan, count(*) as n, count(name) as names from registered group by all")
        visits = app.view("visits", "select user, sum(pages) as pages from visited group by user")
        expected = [{"email": None, "plan": "free", "n": 1, "names": 0}], [{"user": "ada", "pages": 3}]
        assert (view.rows(), visits.rows()) == expected
        app.forget("ada", reason="asked for it")
        assert (view.rows(), visits.rows()) == expected


def test_a_store_for_reading_only_is_counted_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "tills.act"
    with LogStore(path, durability="os") as store:
        store.append("till-1", [Sold(3)])
    with LogStore(path, read_only=True) as store, Act(store, Till) as app:
        assert app.view("per_stream", PER_STREAM).rows()[0]["n"] == 1
    assert not (path / "analytics").exists()


def test_a_view_of_a_closed_store_says_so(tmp_path: Path) -> None:
    with LogStore(tmp_path / "tills.act") as store:
        app = Act(store, Till)
        view = app.view("per_stream", PER_STREAM)
    with pytest.raises(StoreClosedError):
        view.rows()


def test_what_is_interrupted_counts_nothing_twice(tmp_path: Path) -> None:
    interrupted = iter([False, False, True])

    class Paid(Event):
        amount: int

        @upcast(from_="PaidOnce")
        @staticmethod
        def doubled(old: dict[str, int]) -> dict[str, int]:
            if next(interrupted, False):
                raise KeyboardInterrupt
            return {"amount": old["amount"] * 2}

    class Bill(State, events=[Paid]): ...

    with LogStore(tmp_path / "bills.act") as store, Act(store, Bill) as app:
        view = app.view("sums", "select count(*) as n, sum(amount) as total from paid")
        store.append("bill-1", [Paid(1), ("PaidOnce", b'{"amount":1}')])
        assert view.rows() == [{"n": 2, "total": 3}]
        store.append("bill-1", [Paid(1), ("PaidOnce", b'{"amount":1}'), ("PaidOnce", b'{"amount":1}'), Paid(4)])
        with pytest.raises(KeyboardInterrupt):
            view.keep()
        assert view.position == 2
        assert view.rows() == [{"n": 6, "total": 12}]
