"""What cannot be kept is refused when it is declared, in a sentence that says what can."""

import pytest

from act_fast import Act, DefinitionError, Event, LogStore, State
from tests.sql.continuous.shop import Sold, Till

SUM = "select sum(amount) as total from sold"


@pytest.fixture
def app() -> Act:
    return Act(LogStore.memory(), Till)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("select stream, median(amount) from sold group by stream", r"median\(\) is not kept"),
        ("select list(amount) from sold", r"list\(\) is not kept"),
        ("select sum(amount * 2) from sold", r"sum\(\) takes one column here"),
        ("select max(upper(note)) from sold", r"max\(\) takes one column here"),
        ("select sum(length(note)) from sold", r"sum\(\) takes one column here"),
        ("select count(tags) from sold", "tags is a list"),
        ("select tags, count(*) from sold group by all", "tags is a list"),
        ("select position, count(*) from sold group by all", "position differs from event to event"),
        ("select created, count(*) from sold group by all", "created differs from event to event"),
        ("select causation, count(*) from sold group by all", "causation is a list, an object"),
        ("select s.amount, count(*) from sold s join returned r using (stream) group by all", "more than one relation"),
        ("select count(*) from sold where stream in (select stream from returned)", "comparison of a column with"),
        ("select (select max(amount) from returned), count(*) from sold", "a question within it"),
        ("select count(*) from (select amount from sold)", "more than one relation"),
        ("with s as (select amount from sold) select count(*) from s", "`with`"),
        ("select count(*) from sold union all select count(*) from returned", "more than one relation"),
        ("select * from sold", "all columns"),
        ("select amount from sold", "does not group"),
        ("select 1 from sold", "does not group"),
        ("select count(*) from till", "till is no event class"),
        ("select count(*) from streams", "streams is no event class"),
        ("select count(*) from sold where amount > 1.5", "amount is compared with something"),
        ("select count(*) from sold where amount > $low", "cannot be answered|parameter|comparison"),
        ("select count(*) from sold where upper(note) = 'A'", "comparison of a column with a constant"),
        ("select count(*) from sold where note like 'a%'", "comparison of a column with a constant"),
        ("select count(*) from sold where created > now()", "comparison of a column with a constant"),
        ("select count(*) from sold where amount + 1 > 2", "comparison of a column with a constant"),
        ("select count(*) from sold where amount > 9223372036854775808", "amount is compared with something"),
        ("select count(*) from sold where price > 1.234", "price is compared with something"),
        ("select count(*) from sold where parcel = '00000000-0000-0000-0000-000000000000'", "parcel is compared"),
        ("select count(*) from sold where price > 1e0", "price is compared with something"),
        (f"select count(*) from sold where price > 1{'0' * 37}", "price is compared with something"),
        ("select count(*) from sold where due < 'infinity'", "'infinity' is no moment"),
        ("select distinct stream, count(*) over (partition by stream) from sold", "a window"),
        ("select distinct stream from sold qualify row_number() over (order by stream) = 1", "a window"),
        ("select stream, geomean(amount) from sold group by stream", r"geomean\(\) is not kept"),
        ("select stream, wavg(amount, weight) from sold group by stream", r"wavg\(\) is not kept"),
        ("select random() < 0.5 as half, count(*) from sold group by half", r"random\(\) differs each time"),
        ("select note, uuid(), count(*) from sold group by all", r"uuid\(\) differs each time"),
        ("select note, count(distinct sold) from sold group by note", "sold stands for all columns"),
        ("select hash(s), count(*) from sold s group by all", "s stands for all columns"),
        ("select count(*) from sold using sample 10", "a sample"),
        ("select nothing from sold", "nothing"),
        ("select count(*) from nowhere", "nowhere"),
        ("selec", "selec"),
        ("select 1; select 2", "2 statements"),
        ("drop table sold", "DROP is not a question"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_a_reason(app: Act, query: str, why: str) -> None:
    with pytest.raises(DefinitionError, match=why) as refused:
        app.view("wrong", query)
    assert str(refused.value).startswith("the view 'wrong': ")
    assert "wrong" not in app.views
    assert app.sql("select count(*) from sold").fetchall() == [(0,)]


def test_a_refusal_says_what_can_be_kept(app: Act) -> None:
    with pytest.raises(DefinitionError, match="groups the events of one event class") as refused:
        app.view("wrong", "select median(amount) from sold")
    assert "count, sum, min, max and avg" in str(refused.value)


@pytest.mark.parametrize("name", ["", "two words", "1st", "a-b", 'a"b', "\u0130"])
def test_a_name_is_a_word(app: Act, name: str) -> None:
    with pytest.raises(DefinitionError, match="must be a word"):
        app.view(name, SUM)


@pytest.mark.parametrize("name", ["sold", "Sold", "events", "STREAMS", "till_at", "duckdb_tables", "Pg_Catalog"])
def test_a_name_that_is_taken_is_refused(app: Act, name: str) -> None:
    with pytest.raises(DefinitionError, match="a relation is; call it something else"):
        app.view(name, SUM)


def test_a_view_may_take_the_place_of_one_of_the_same_name(app: Act) -> None:
    app.view("total", SUM)
    with pytest.raises(DefinitionError):
        app.view("total", "select median(amount) from sold")
    assert app.views["total"].query == SUM
    app.view("TOTAL", "select count(*) as n from sold")
    assert list(app.views) == ["TOTAL"]
    assert app.views["TOTAL"].rows() == [{"n": 0}]


def test_a_view_that_was_defined_once_more_says_which_question_it_answers(app: Act) -> None:
    app.store.append("till-1", [Sold(2), Sold(3)])
    before = app.view("total", SUM)
    after = app.view("Total", "select count(*) as n from sold")
    assert before.rows() == after.rows() == [{"n": 2}]
    assert (before.name, before.query) == (after.name, after.query) == ("Total", "select count(*) as n from sold")


def test_a_view_that_was_defined_once_more_was_brought_up_to_nothing_yet(app: Act) -> None:
    app.store.append("till-1", [Sold(2), Sold(3)])
    view = app.view("mine", "select stream, count(*) as n from sold group by stream")
    assert view.position == 0
    view.rows()
    assert view.position == app.store.head > 0
    app.view("mine", "select stream, max(amount) as n from sold group by stream")
    assert view.position == 0
    view.rows()
    assert view.position == app.store.head
    app.view("mine", "select stream, max(amount) as n from sold group by stream order by n")
    assert view.position == 0
    assert view.keep() == view.position == app.store.head


def test_columns_may_be_called_as_the_relation_is(app: Act) -> None:
    app.store.append("till-1", [Sold(2), Sold(3)])
    view = app.view(
        "sums", "select stream, sum(amount) as sold from sold group by stream having sold > 4 order by sold"
    )
    assert view.rows() == [{"stream": "till-1", "sold": 5}]


def test_windows_over_groups_are_kept(app: Act) -> None:
    app.store.append("till-1", [Sold(2), Sold(3)])
    app.store.append("till-2", [Sold(9)])
    asked = "select stream, rank() over (order by sum(amount) desc) as rank, count(*) over () as n from sold group by 1"
    assert sorted(app.view("ranks", asked).rows(), key=repr) == [
        {"stream": "till-1", "rank": 2, "n": 2},
        {"stream": "till-2", "rank": 1, "n": 2},
    ]


def test_a_class_that_is_called_as_a_view_is_refused(app: Act) -> None:
    class Noted(Event):
        text: str

    class Note(State, events=[Noted]): ...

    app.view("noted", SUM)
    with pytest.raises(DefinitionError, match="a view cannot be called 'noted'"):
        app.include(Note)
    assert app.views["noted"].rows() == [{"total": None}]
