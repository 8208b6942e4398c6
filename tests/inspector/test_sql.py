"""SQL in the browser: an answer as a table, a chart or a file, what was asked before, and bounds."""

import io

import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from act_fast import Act
from tests.inspector.conftest import Browser

BY_NAME = "select name, count(*) as n from events group by name order by name"


@pytest.fixture
def client(shop: Act, browser: Browser) -> TestClient:
    return browser(shop)


def test_an_answer_is_a_table_with_a_permalink_to_its_position(client: TestClient, shop: Act) -> None:
    text = client.get("/sql", params={"q": BY_NAME}).text
    assert '<td class="cell">Settled</td><td class="right num">6</td>' in text
    assert f"at={shop.store.head}" in text.partition(">Permalink<")[0].rpartition("<a ")[2]


def test_an_answer_can_be_about_an_earlier_moment(client: TestClient) -> None:
    text = client.get("/sql", params={"q": "select count(*) as n from events", "at": "5"}).text
    assert '<td class="right num">5</td>' in text
    assert "as of position 5" in text


def test_an_answer_is_drawn(client: TestClient) -> None:
    bars = client.get("/sql", params={"q": BY_NAME, "view": "chart"}).text
    assert bars.count('class="bar"') == 6
    line = client.get("/sql", params={"q": "select position, version from events", "view": "chart"}).text
    assert "<polyline" in line


def test_an_answer_without_numbers_is_not_drawn(client: TestClient) -> None:
    text = client.get("/sql", params={"q": "select name from events", "view": "chart"}).text
    assert ">Chart<" not in text
    assert "<table" in text


def test_an_answer_is_downloaded_as_csv_and_parquet(client: TestClient, shop: Act) -> None:
    csv = client.get("/sql.csv", params={"q": BY_NAME})
    assert csv.text.splitlines()[0] == "name,n"
    assert "Settled,6" in csv.text
    assert "attachment" in csv.headers["content-disposition"]
    parquet = client.get("/sql.parquet", params={"q": "from events"})
    table = pq.read_table(io.BytesIO(parquet.content))
    assert table.num_rows == shop.store.head
    assert "stream" in table.column_names


def test_what_was_asked_is_listed_once_the_newest_first(client: TestClient) -> None:
    for query in ("select 1 as one", "select 2 as two", "select 1 as one"):
        client.get("/sql", params={"q": query})
    listed = client.get("/sql").text.partition("Asked before")[2]
    assert listed.index("select 1 as one") < listed.index("select 2 as two")
    assert listed.count("select 1 as one") == 1


def test_relations_are_listed_with_their_columns(client: TestClient) -> None:
    text = client.get("/sql").text
    for word in ("events", "targets", "skipped", "Order", "Paid", "cents"):
        assert f">{word}<" in text


def test_only_the_first_rows_are_shown(client: TestClient) -> None:
    text = client.get("/sql", params={"q": "select unnest(range(2000)) as n"}).text
    assert "500 rows, and more" in text
    assert client.get("/sql.csv", params={"q": "select unnest(range(2000)) as n"}).text.count("\n") == 2001


def test_a_question_that_takes_too_long_is_stopped(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("act_fast.inspector.questions.SECONDS_MAX", 0.2)
    query = "select count(*) from range(1000000) a, range(1000000) b where a.range * b.range % 7 = 3"
    answer = client.get("/sql", params={"q": query})
    assert answer.status_code == 400
    assert "was stopped after" in answer.text


def test_a_cell_is_escaped(client: TestClient) -> None:
    text = client.get("/sql", params={"q": "select '<script>alert(1)</script>' as x"}).text
    assert "<script>alert" not in text
