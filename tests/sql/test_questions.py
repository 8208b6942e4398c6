"""Questions: what may be asked, what is said when it cannot be answered, and what the relations hold."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from act_fast import Act, Actor, AsyncAct, Committed, LogStore, State, action, connect
from act_fast.errors import StoreClosedError, ValidationError
from tests.support.bank import Account, Deposited


@pytest.fixture
def app(store: LogStore) -> Iterator[Act]:
    with Act(store, Account) as opened:
        for number in range(3):
            opened.do(Account.open, f"account-{number}", owner=f"owner-{number}")
            opened.acting(Actor("ada")).do(Account.deposit, f"account-{number}", amount=10 * number)
        yield opened


def rows(app: Act, query: str, **options: Any) -> list[tuple[Any, ...]]:
    return app.sql(query, **options).fetchall()


def test_an_event_class_has_a_column_for_each_of_its_fields(app: Act) -> None:
    assert rows(app, "select stream, sum(amount) from deposited group by stream order by stream") == [
        ("account-0", 0),
        ("account-1", 10),
        ("account-2", 20),
    ]
    assert rows(app, "select position, stream, version, actor, amount, error from Deposited where amount > 10") == [
        (6, "account-2", 2, "ada", 20, None)
    ]


def test_a_state_class_has_the_states_of_all_streams(app: Act) -> None:
    assert rows(app, "select stream, version, position, owner, balance from account order by stream") == [
        ("account-0", 2, 2, "owner-0", 0),
        ("account-1", 2, 4, "owner-1", 10),
        ("account-2", 2, 6, "owner-2", 20),
    ]


@pytest.mark.parametrize("moment", ["$moment", "$moment::bigint", "3"])
def test_states_are_told_as_of_a_position(app: Act, moment: str) -> None:
    params = {"moment": 3} if "$" in moment else {}
    found = rows(app, f"select stream, balance from account_at({moment}) order by stream", **params)
    assert found == [("account-0", 0), ("account-1", 0)]


def test_states_are_told_as_of_a_time(app: Act) -> None:
    when = next(event.created for event in app.query(after=2, limit=1))
    expected = sum(event.created <= when for event in app.query())
    [(count,)] = rows(app, "select sum(version)::bigint from account_at($when)", when=when)
    assert count == expected
    [(count,)] = rows(app, "select sum(version)::bigint from account_at(now() + interval 1 day)")
    assert count == 6
    assert rows(app, "from account_at(timestamp '2001-01-01 00:00:00')") == []
    assert rows(app, "from account_at('2001-01-01')") == []


@pytest.mark.parametrize("moment", ["'never'", "-1"])
def test_a_moment_that_is_none_is_refused(app: Act, moment: str) -> None:
    with pytest.raises(Exception, match="is not a moment"):
        rows(app, f"from account_at({moment})")


def test_a_moment_that_is_a_column_is_refused(app: Act) -> None:
    with pytest.raises(Exception, match=r"one moment|not found"):
        rows(app, "select * from (values (1), (2)) as moments(m), account_at(moments.m)")


def test_the_whole_question_is_about_one_moment_of_ones_choice(app: Act) -> None:
    assert rows(app, "select count(*), max(position) from events", at=4) == [(4, 4)]
    assert rows(app, "select count(*) from account", at=2) == [(1,)]
    assert rows(app, "select max(version) from account_at(6)", at=1) == [(1,)]
    assert rows(app, "select count(*) from events", at=datetime(2001, 1, 1, tzinfo=UTC)) == [(0,)]
    assert rows(app, "select count(*) from deposited", at=0) == [(0,)]


def test_streams_are_told_at_a_glance(app: Act) -> None:
    created = [event.created for event in app.query()]
    assert rows(app, "from streams order by stream limit 1") == [
        ("account-0", 2, 1, 2, created[0], created[1], "Deposited")
    ]


def test_targets_are_told(app: Act) -> None:
    @app.on(Deposited, to="audit-{stream}")
    def audit(event: Committed[Deposited]) -> None:
        """Nothing comes of it."""

    app.settle()
    assert rows(app, "select name, watermark, blocked, reactions[1] is not null from targets order by name") == [
        (f"audit-account-{number}", 6, False, True) for number in range(3)
    ]


def test_parameters_are_given_by_name(app: Act) -> None:
    assert rows(
        app, "select count(*) from deposited where amount > $least and stream = $stream", least=5, stream="account-2"
    ) == [(1,)]
    with pytest.raises(ValidationError, match="not provided"):
        app.sql("select $missing")
    with pytest.raises(ValidationError, match=r"mismatch|excess"):
        app.sql("select 1", surplus=1)


@pytest.mark.parametrize(
    "query",
    [
        "create table mine (a int)",
        "insert into events values (1)",
        "update account set balance = 0",
        "delete from events",
        "drop view events",
        "copy events to 'events.csv'",
        "export database 'everything'",
        "attach 'other.db'",
        "set threads = 1",
        "pragma version",
        "install json",
        "load json",
        "call pragma_version()",
        "begin",
        "checkpoint",
        "use memory",
        "vacuum",
    ],
)
def test_what_is_no_question_is_refused(app: Act, query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*.csv"))
    with pytest.raises(ValidationError, match=r"not a question|cannot be read"):
        app.sql(query)
    assert sorted(tmp_path.rglob("*.csv")) == before


@pytest.mark.parametrize(
    "query",
    [
        "select 1",
        "from events",
        "with found as (from events) select count(*) from found",
        "values (1)",
        "table events",
        "describe events",
        "describe select * from deposited",
        "summarize deposited",
        "show tables",
        "explain select * from account",
        "pivot deposited on stream using sum(amount)",
        "pivot deposited on stream in ('account-1') using sum(amount)",
        "unpivot (select position, version from events) on position, version into name what value number",
        "select * from (select 1) -- ; drop table events",
    ],
)
def test_whatever_changes_nothing_may_be_asked(app: Act, query: str) -> None:
    assert app.sql(query).fetchall()


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("", "no statement"),
        ("-- nothing", "no statement"),
        ("select 1; select 2", "2 statements"),
        ("selekt 1", "syntax error"),
        ("from nowhere", "there is events, streams, targets, Account"),
        ("select nothing from events", "nothing"),
        ("select stream + 1 from events where stream = {}", "cannot be"),
    ],
)
def test_what_cannot_be_answered_is_said_at_once(app: Act, query: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        app.sql(query)


def test_a_query_is_text(app: Act) -> None:
    with pytest.raises(ValidationError, match="must be text"):
        app.sql(1)  # type: ignore[arg-type]


def test_python_variables_are_no_tables(app: Act) -> None:
    events_of_mine = app.sql("from events")
    assert events_of_mine is not None
    with pytest.raises(ValidationError, match="events_of_mine"):
        app.sql("from events_of_mine")


def test_a_relation_outlives_the_call_that_made_it_and_tells_of_its_own_moment(app: Act) -> None:
    found = app.sql("select count(*) from events")
    app.do(Account.deposit, "account-1", amount=1)
    assert found.fetchall() == [(6,)]
    assert rows(app, "select count(*) from events") == [(7,)]


def test_a_closed_store_says_so(app: Act) -> None:
    found = app.sql("select count(*) from events")
    app.store.close()
    with pytest.raises(Exception, match="was closed"):
        found.fetchall()
    with pytest.raises(StoreClosedError):
        app.sql("from events")


def test_a_store_of_ones_own_making_cannot_be_asked() -> None:
    class Other:
        append = load = None

    with pytest.raises(ValidationError, match="a store, a path or an address"):
        connect(Other())  # type: ignore[arg-type]


async def test_the_app_for_event_loops_answers_too(app: Act) -> None:
    async with AsyncAct(app) as other:
        assert (await other.sql("select count(*) from events where position > $p", p=2)).fetchall() == [(4,)]


def test_a_connection_keeps_to_its_moment_until_it_is_refreshed(app: Act) -> None:
    with connect(app) as connection:
        assert connection.position == 6
        app.do(Account.deposit, "account-1", amount=1)
        assert connection.sql("select count(*) from events").fetchall() == [(6,)]
        assert connection.sql("select balance from account where stream = $s", s="account-1").fetchall() == [(10,)]
        assert connection.refresh() == 7
        assert connection.sql("select balance from account where stream = $s", s="account-1").fetchall() == [(11,)]
        assert connection.refresh(at=2) == 2
        assert connection.sql("select count(*) from deposited").fetchall() == [(1,)]


def test_relations_of_one_connection_can_be_joined_and_stored_in_tables_of_ones_own(app: Act) -> None:
    with connect(app) as connection:
        deposits = connection.sql("select stream, amount from deposited")
        states = connection.sql("select stream, owner from account")
        assert len(deposits.join(states, "stream").fetchall()) == 3
        connection.duckdb.execute("create table mine as select * from deposited")
        assert connection.duckdb.execute("select count(*) from mine").fetchall() == [(3,)]
        assert "account" in [name.casefold() for name in connection.relations]


def test_a_path_alone_has_events_streams_targets_and_skipped(app: Act, store_path: Path) -> None:
    if not store_path.exists():
        pytest.skip("a store in memory has no path")
    with connect(store_path) as connection:
        assert connection.relations == ["events", "streams", "targets", "skipped"]
        assert connection.sql("select count(*) from events").fetchall() == [(6,)]
        assert connection.sql("select count(*) from targets").fetchall() == [(0,)]
        with pytest.raises(ValidationError, match="there is events, streams, targets"):
            connection.sql("from account")


def test_importing_the_package_does_not_import_duckdb() -> None:
    program = "import sys, act_fast; sys.exit('duckdb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    "query",
    [
        "select * from nowhere",
        "select nothing from deposited",
        "select x'00' + 1",
        "select * from read_csv('/etc/passwd')",
    ],
)
def test_what_is_wrong_with_a_question_is_an_error_of_ours(store_path: Path, query: str) -> None:
    with Act(store_path, Account) as app, pytest.raises(ValidationError):
        app.sql(query)


@pytest.mark.parametrize("query", ["select stream::int from deposited", "select error('told') from deposited"])
def test_what_only_shows_while_rows_are_read_is_an_error_of_duckdb(store_path: Path, query: str) -> None:
    with Act(store_path, Account) as app:
        app.do(Account.deposit, "a", amount=1)
        found = app.sql(query)
        with pytest.raises(duckdb.Error):
            found.fetchall()


def test_a_class_that_is_called_like_a_word_of_sql_is_put_in_quotes() -> None:
    class Order(State):
        amount: int = 0

        @action
        def deposit(self, amount: int) -> Deposited:
            return Deposited(amount)

    with Act("memory:", Order) as app:
        app.do(Order.deposit, "o", amount=5)
        with pytest.raises(ValidationError, match='the relation Order, put it in double quotes: "Order"'):
            app.sql("select * from order")
        assert app.sql('select amount from "order"').fetchall() == [(5,)]
        with pytest.raises(ValidationError) as raised:
            app.sql("selekt amount from deposited")
        assert "double quotes" not in str(raised.value)


def test_a_condition_that_there_is_not_leads_to_the_one_that_is_meant(app: Act) -> None:
    for wrong in ("event", "names", "name"):
        for verb in (app.query, lambda **given: app.export("x.jsonl", **given), app.arrow):
            with pytest.raises(TypeError, match=rf"there is no condition '{wrong}'.*events=\[\.\.\.\]"):
                verb(**{wrong: ["Deposited"]})


@pytest.mark.parametrize("by", ["app", "store"])
def test_a_store_that_is_only_read_can_be_connected_to(tmp_path: Path, by: str) -> None:
    with LogStore(tmp_path / "bank.act") as written, Act(written, Account) as writer:
        writer.do(Account.open, "account-1", owner="Ada")
    with (
        LogStore(tmp_path / "bank.act", read_only=True) as store,
        Act(store, Account) as app,
        connect(app if by == "app" else store) as connection,
    ):
        assert connection.sql("select stream from streams").fetchall() == [("account-1",)]
        with pytest.raises(ValidationError, match="opened for reading only"):
            connection.sql("select * from targets")
