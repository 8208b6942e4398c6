"""What cannot be kept is refused when it is declared, in a sentence that says what can."""

import pytest

from act_fast import Act, DefinitionError, LogStore
from tests.sql.continuous.shop import Till

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


@pytest.mark.parametrize("name", ["", "two words", "1st", "a-b", 'a"b'])
def test_a_name_is_a_word(app: Act, name: str) -> None:
    with pytest.raises(DefinitionError, match="called by a word"):
        app.view(name, SUM)


@pytest.mark.parametrize("name", ["sold", "Sold", "events", "STREAMS", "till", "till_at"])
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
