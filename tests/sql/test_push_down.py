"""A query reads no more of the log than it asks for: what the relations are asked is watched."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from act_fast import Act, Actor, connect
from act_fast._sql import duckdb_database as duckdb_side
from act_fast._sql.log_scan import LogScan
from act_fast._sql.scan import Condition
from act_fast._sql.state_scan import StateScan
from tests.support.bank import Account

Asked = list[tuple[Sequence[str] | None, list[tuple[str, str, Any]]]]


@pytest.fixture
def app() -> Iterator[Act]:
    with Act("memory:", Account) as opened:
        for number in range(20):
            opened.do(Account.open, f"account-{number}", owner="ada")
            opened.acting(Actor("ada")).do(Account.deposit, f"account-{number}", amount=number)
        yield opened


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """The columns and the conditions that relations were asked for."""
    found: Asked = []
    for scan in (LogScan, StateScan):

        def watched(
            self: Any, columns: Sequence[str] | None, conditions: Sequence[Condition], read: Any = scan.read
        ) -> Any:
            found.append((columns, [tuple(each) for each in conditions]))
            return read(self, columns, conditions)

        monkeypatch.setattr(scan, "read", watched)
    return found


def test_this_duckdb_says_what_it_wants() -> None:
    assert duckdb_side.PUSHES_DOWN, "relations are read whole: DuckDB's private names have changed"


@pytest.mark.parametrize(
    ("condition", "pushed"),
    [
        ("position > 10", [("position", ">", 10)]),
        ("position between 10 and 12", [("position", ">=", 10), ("position", "<=", 12)]),
        ("stream = 'account-7'", [("stream", "=", "account-7")]),
        ("stream in ('account-7', 'account-8')", [("stream", "in", ["account-7", "account-8"])]),
        ("name = 'Deposited'", [("name", "=", "Deposited")]),
        ("created < timestamptz '2001-01-01 00:00:00+00'", [("created", "<", 978307200000000)]),
        ("name = 'Opened' and position <= 3", [("name", "=", "Opened"), ("position", "<=", 3)]),
        ("position = 3 or stream = 'account-7'", []),
        ("position % 2 = 0", []),
        ("stream = ''", []),
        ("stream like '%7'", []),
    ],
)
def test_what_the_log_can_answer_is_left_to_the_log(
    app: Act, asked: Asked, condition: str, pushed: list[tuple[str, str, Any]]
) -> None:
    rows = app.sql(f"select position from events where {condition} order by position").fetchall()
    [(columns, conditions)] = asked
    assert sorted(conditions) == sorted(pushed)
    assert columns is not None
    assert "data" not in columns
    with connect(app) as whole:
        whole.duckdb.execute("create table copied as from events")
        assert (
            whole.duckdb.execute(f"select position from copied where {condition} order by position").fetchall() == rows
        )


@pytest.mark.parametrize(
    ("conditions", "count"),
    [
        ("stream = 'account-1' and stream in ('account-2', 'account-3')", 0),
        ("name = 'Opened' and name in ('Deposited', 'Opened')", 20),
        ("position > 5 and position > 7 and position < 10 and position < 9", 1),
        ("position > 9223372036854775000", 0),
        ("position < -5", 0),
        ("position >= 0 and position <= 9223372036854775807", 40),
        ("created > timestamptz '9999-12-31 00:00:00+00'", 0),
        ("correlation = 'none'", 0),
        ("stream in ('account-1', 'account.1', '')", 2),
    ],
)
def test_conditions_that_meet_are_all_kept(app: Act, conditions: str, count: int) -> None:
    assert app.sql(f"select count(*) from events where {conditions}").fetchall() == [(count,)]


def test_only_the_columns_that_are_named_are_made(app: Act, asked: Asked) -> None:
    app.sql("select sum(amount) from deposited").fetchall()
    app.sql("select count(*) from events").fetchall()
    assert [columns for columns, _ in asked] == [["amount"], ["position"]]


def test_an_event_class_is_read_by_its_name_and_by_what_is_asked(app: Act, asked: Asked) -> None:
    found = app.sql("select amount from deposited where stream = 'account-7' and position < 100").fetchall()
    assert found == [(7,)]
    [(columns, conditions)] = asked
    assert columns is not None
    assert sorted(conditions) == [("position", "<", 100), ("stream", "=", "account-7")]


def test_only_the_streams_that_are_meant_are_folded(app: Act, asked: Asked) -> None:
    assert app.sql("select balance from account where stream = 'account-7'").fetchall() == [(7,)]
    assert app.sql("select sum(balance) from account_at(40) where stream in ('account-7', 'account-8')").fetchall() == [
        (15,)
    ]
    assert [sorted(conditions) for _, conditions in asked] == [
        [("stream", "=", "account-7")],
        [("as of", "=", "40"), ("stream", "in", ["account-7", "account-8"])],
    ]


def test_a_duckdb_that_does_not_say_what_it_wants_answers_the_same(app: Act, monkeypatch: pytest.MonkeyPatch) -> None:
    queries = [
        "select stream, sum(amount) from deposited where position > 7 group by stream order by stream",
        "select count(*) from events where name = 'Opened'",
        "select sum(balance) from account where stream = 'account-7'",
    ]
    told = [app.sql(query).fetchall() for query in queries]
    monkeypatch.setattr(duckdb_side, "PUSHES_DOWN", False)
    assert [app.sql(query).fetchall() for query in queries] == told
