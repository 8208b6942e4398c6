"""SQL projections: each event counts exactly once, since the watermark is in the same transaction as the rows.

Workers are real processes, killed at random: 8 times, or as many as ACT_FAST_KILLS says.
"""

import hashlib
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from act_fast import (
    Act,
    Committed,
    DefinitionError,
    Event,
    Lane,
    LogStore,
    SqlProjection,
    State,
    StateProjection,
    action,
    on,
)
from tests.support.bank import Account, Deposited
from tests.support.heard import Heard, deposit
from tests.support.mariadb import MariaDbServer
from tests.support.servers import PostgresServer
from tests.support.totals import Totals, database_at

KILLS = int(os.environ.get("ACT_FAST_KILLS", "8"))
SEED = int(os.environ.get("ACT_FAST_SEED", random.SystemRandom().randrange(2**32)))
ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60.0

Connect = Callable[[Path], Any]


def sqlite_at(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path.with_suffix(".sqlite"), check_same_thread=False)


def duckdb_at(path: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(path.with_suffix(".duckdb"))


@pytest.fixture(params=[sqlite_at, duckdb_at, "psycopg"])
def connect(request: pytest.FixtureRequest) -> Connect:
    if request.param != "psycopg":
        return request.param
    server: PostgresServer = request.getfixturevalue("postgres")

    def psycopg_at(path: Path) -> psycopg.Connection:
        schema = "at_" + hashlib.sha256(str(path).encode()).hexdigest()[:32]
        with psycopg.connect(server.url()) as admin:
            admin.execute(f"create schema if not exists {schema}")
        options = f"-csearch_path={schema}"
        return psycopg.connect(server.url(), options=options, cursor_factory=Marked)

    return psycopg_at


class Marked(psycopg.Cursor):
    """Takes `?` for a parameter, as other clients do."""

    def execute(self, query: str, params: Any = None, **options: Any) -> "Marked":
        return super().execute(query.replace("?", "%s"), params, **options)


@pytest.fixture
def db(connect: Connect, tmp_path: Path) -> Iterator[Any]:
    connection = connect(tmp_path / "reports")
    yield connection
    connection.close()


def rows(db: Any, table: str = "totals") -> list[tuple[Any, ...]]:
    return db.execute(f"select * from {table} order by stream").fetchall()


def watermarks(db: Any) -> dict[str, int]:
    return dict(db.execute("select * from act_fast_watermarks").fetchall())


def test_rows_and_watermark_are_there_together(db: Any) -> None:
    with Act("memory:", Account, Totals(db)) as app:
        deposit(app, "a", "b", "a", amount=5)
        app.do(Account.open, "a", owner="Ada")
        app.settle()
    assert rows(db) == [("a", 10, 2), ("b", 5, 1)]
    assert watermarks(db) == {"totals": 3}


def test_what_is_delivered_again_counts_once(db: Any) -> None:
    with Act("memory:", Account, Totals(db)) as app:
        deposit(app, "a", "b")
        app.settle()
        app.reset("totals")
        deposit(app, "a")
        assert app.settle().drained.handled == 3
    assert rows(db) == [("a", 2, 2), ("b", 1, 1)]


def test_what_is_delivered_again_for_the_sake_of_another_reaction_counts_once(db: Any) -> None:
    heard = Heard()

    def fail_once(event: Committed[Deposited]) -> None:
        heard(event)
        if heard.positions == [1, 2]:
            raise ValueError("not at first")

    with Act("memory:", Account, Totals(db)) as app:
        app.on(Deposited, to="totals", name="mail", backoff=0)(fail_once)
        deposit(app, "a", "b", "a")
        app.settle()
        app.settle()
        assert heard.positions == [1, 2, 2, 3]
    assert rows(db) == [("a", 2, 2), ("b", 1, 1)]


def test_what_came_before_a_failure_is_kept_and_counts_once(db: Any) -> None:
    totals = Totals(db)
    totals.fails_on = 13
    with Act("memory:", Account, totals) as app:
        for amount in (1, 2, 13, 4):
            deposit(app, "a", amount=amount)
        app.settle()
        assert rows(db) == [("a", 3, 2)]
        assert watermarks(db) == {"totals": 2}
        (blocked,) = app.blocked()
        assert (blocked.failing, blocked.attempts, blocked.watermark) == (3, 4, 2)
        totals.fails_on = None
        app.unblock()
        app.settle()
    assert rows(db) == [("a", 20, 4)]


def test_a_database_that_was_lost_is_filled_from_the_log(connect: Connect, tmp_path: Path) -> None:
    store = LogStore(tmp_path / "bank.act", durability="os")
    for name in ("first", "second"):
        connection = connect(tmp_path / name)
        with Act(store, Account, Totals(connection)) as app:
            deposit(app, "a", "b", "a")
            app.settle()
        found = rows(connection)
        connection.close()
    store.close()
    assert found == [("a", 4, 4), ("b", 2, 2)]


def test_the_database_of_another_log_is_refused(db: Any) -> None:
    with Act("memory:", Account, Totals(db)) as app:
        deposit(app, "a", "b")
        app.settle()
    with Act("memory:", Account, Totals(db)) as other:
        deposit(other, "a")
        other.settle()
        (blocked,) = other.blocked()
        assert "come to position 2, but the log ends at 1" in str(blocked.error)
        other.rebuild("totals")
        assert not list(other.blocked())
    assert rows(db) == [("a", 1, 1)]


def test_projections_may_share_a_connection_and_work_at_the_same_time(db: Any) -> None:
    projections = [Totals(db, name="totals"), StateProjection(Account, db, table="accounts"), Other(db)]
    with Act("memory:", *projections, lanes=[Lane("default", events_max=3)]) as app:
        deposit(app, *"abc" * 20)
        app.settle()
        assert not list(app.blocked())
    assert rows(db) == [("a", 20, 20), ("b", 20, 20), ("c", 20, 20)]
    assert rows(db, "other") == [("a", 20), ("b", 20), ("c", 20)]
    assert [row[:2] for row in rows(db, "accounts")] == [("a", 20), ("b", 20), ("c", 20)]


class Other(SqlProjection):
    tables = ("other",)

    def setup(self, db: Any) -> None:
        db.execute(f"create table if not exists {self.table('other')} (stream text primary key, events bigint)")

    @on(Deposited)
    def deposited(self, event: Committed[Deposited], db: Any) -> None:
        name = self.table("other")
        db.execute(
            f"insert into {name} as live values (?, 1) on conflict (stream) do update set events = live.events + 1",
            (event.stream,),
        )


def test_a_function_connects_when_it_is_needed_and_close_disconnects(connect: Connect, tmp_path: Path) -> None:
    made: list[Any] = []

    def make() -> Any:
        made.append(connect(tmp_path / "reports"))
        return made[-1]

    totals = Totals(make)
    with Act("memory:", Account, totals) as app:
        assert made == []
        deposit(app, "a")
        app.settle()
        assert rows(made[0]) == [("a", 1, 1)]
    totals.close()
    assert len(made) == 1
    with pytest.raises((sqlite3.ProgrammingError, duckdb.ConnectionException, psycopg.OperationalError)):
        made[0].execute("select 1")


def test_a_connection_for_one_thread_only_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(":memory:")
    with pytest.raises(DefinitionError, match="check_same_thread=False"):
        Totals(connection)
    connection.close()


def test_something_else_than_a_connection_is_refused() -> None:
    with pytest.raises(DefinitionError, match="needs a connection of sqlite3, duckdb, psycopg or SQLAlchemy"):
        Totals("reports.db")


def test_a_method_that_commits_by_itself_is_found_out(tmp_path: Path) -> None:
    class Committing(Totals, retries=0):
        @on(Deposited)
        def deposited(self, event: Committed[Deposited], db: sqlite3.Cursor) -> None:
            db.connection.commit()

    connection = sqlite_at(tmp_path / "reports")
    with Act("memory:", Account, Committing(connection)) as app:
        deposit(app, "a")
        app.settle()
        (blocked,) = app.blocked()
        assert "ended the transaction" in str(blocked.error)
    connection.close()


def test_async_methods_and_tables_that_were_not_named_are_refused(db: Any) -> None:
    class Awaited(SqlProjection):
        @on(Deposited)
        async def deposited(self, event: Committed[Deposited], db: Any) -> None: ...

    with pytest.raises(DefinitionError, match="async def"):
        Act("memory:", Account, Awaited(db))
    with pytest.raises(DefinitionError, match="no table 'sums'"):
        Totals(db).table("sums")


def test_tables_must_be_named_since_a_rebuild_would_add_to_the_live_ones(db: Any) -> None:
    class Nameless(SqlProjection):
        @on(Deposited)
        def deposited(self, event: Committed[Deposited], db: Any) -> None: ...

    class Text(Nameless):
        tables = "totals"

    class Without(Nameless):
        tables = ()

    with pytest.raises(DefinitionError, match="does not name its tables"):
        Act("memory:", Account, Nameless(db))
    with pytest.raises(DefinitionError, match=r"tables = \('totals',\)"):
        Act("memory:", Account, Text(db))
    Act("memory:", Account, Without(db)).close()


def test_a_setup_that_does_not_ask_what_its_table_is_called_cannot_be_rebuilt(db: Any) -> None:
    class Fixed(SqlProjection):
        tables = ("totals",)

        def setup(self, db: Any) -> None:
            db.execute("create table if not exists totals (stream text, cents int)")

        @on(Deposited)
        def deposited(self, event: Committed[Deposited], db: Any) -> None:
            db.execute("insert into totals values (?, ?)", (event.stream, event.data.amount))

    with Act("memory:", Account, Fixed(db)) as app:
        deposit(app, "a", amount=5)
        app.settle()
        with pytest.raises(DefinitionError, match=r"self\.table\('totals'\)"):
            app.rebuild("Fixed")
        assert rows(db) == [("a", 5)]


@pytest.mark.parametrize("kind", ["sqlite", "duckdb", "psycopg", "sqlalchemy", "mariadb"])
def test_killed_in_the_middle_again_and_again_the_sums_are_exactly_right(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    print(f"ACT_FAST_SEED={SEED}")
    dice = random.Random(SEED)
    path, database = tmp_path / "bank.act", somewhere(request, tmp_path, kind)
    command = [sys.executable, "-m", "tests.support.totals", str(path), database]
    expected: dict[str, list[int]] = {}
    with Act(LogStore(path, durability="os"), Account) as app:
        for _ in range(KILLS):
            with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as worker:
                assert worker.stdout is not None
                assert worker.stdout.readline() == "ready\n"
                append_some(app, dice, expected)
                goal = dice.randrange(1, app.store.head + 1)
                await_watermark(app, database, goal)
                worker.kill()
        app.store.close()
    totals = Totals(database_at(database))
    with Act(LogStore(path, durability="os"), Account, totals) as app:
        settle_at_last(app)
        app.store.close()
    with totals._database.transaction() as db:
        found = db.rows("select amount, events from totals order by stream")
    assert [[int(amount), events] for amount, events in found] == [expected[stream] for stream in sorted(expected)]
    totals.close()


def somewhere(request: pytest.FixtureRequest, folder: Path, kind: str) -> str:
    """An empty database, as the command is told of it."""
    if kind in ("sqlite", "duckdb"):
        return str(folder / f"reports.{kind}")
    if kind == "mariadb":
        maria: MariaDbServer = request.getfixturevalue("mariadb")
        url = maria.url(maria.new_database())
        return f"sqlalchemy:{url.replace('mysql:', 'mysql+pymysql:')}"
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.url(server.new_database())
    return f"psycopg:{url}" if kind == "psycopg" else f"sqlalchemy:{url.replace('postgresql:', 'postgresql+psycopg:')}"


def append_some(app: Act, dice: random.Random, expected: dict[str, list[int]]) -> None:
    for _ in range(300):
        stream, amount = f"account-{dice.randrange(20)}", dice.randrange(100)
        app.do(Account.deposit, stream, amount=amount)
        sums = expected.setdefault(stream, [0, 0])
        sums[0] += amount
        sums[1] += 1


def await_watermark(app: Act, database: str, position: int) -> None:
    """Sleep until the projection of another process has come so far: by the database, or by what it has acknowledged
    where nobody else can look into the database meanwhile.
    """
    limit = datetime.now(UTC) + timedelta(seconds=PATIENCE_SECONDS)
    while datetime.now(UTC) < limit:
        if come_to(app, database) >= position:
            return
    raise AssertionError(f"not come to position {position} after {PATIENCE_SECONDS} seconds")


def come_to(app: Act, database: str) -> int:
    if not database.endswith(".sqlite"):
        return max((target.watermark for target in app.targets(pattern="^totals$")), default=0)
    with closing(sqlite3.connect(database)) as connection:
        try:
            found = connection.execute("select position from act_fast_watermarks").fetchone()
        except sqlite3.OperationalError:  # it has not begun
            return 0
        return found[0] if found else 0


def settle_at_last(app: Act) -> None:
    """Settle, once the lease of the one who was killed has ended."""
    app.settle()
    while next(app.targets("totals")).lag:
        app.settle()


class Measured(Event):
    at: datetime
    values: list[int]
    ratio: float
    good: bool
    note: str | None = None


class Sensor(State, events=[Measured]):
    version: str = "v1"
    at: datetime | None = None
    values: list[int] = []
    ratio: float = 0.0
    good: bool = False
    note: str | None = None

    @action
    def measure(self, at: datetime) -> Measured:
        return Measured(at, [1, 2], 0.5, True)


def test_states_are_rows_one_for_each_stream(db: Any) -> None:
    with Act("memory:", StateProjection(Account, db, table="accounts")) as app:
        app.do(Account.open, "a", owner="Ada")
        deposit(app, "b", "a", amount=5)
        app.settle()
        assert rows(db, "accounts") == [("a", 2, 3, "Ada", 5, 2), ("b", 1, 2, "", 5, 1)]
        app.do(Account.withdraw, "a", amount=2)
        app.settle()
        assert rows(db, "accounts") == [("a", 3, 4, "Ada", 3, 3), ("b", 1, 2, "", 5, 1)]


def test_fields_are_columns_of_their_types(db: Any) -> None:
    with Act("memory:", StateProjection(Sensor, db, table="sensors")) as app:
        app.do(Sensor.measure, "s", at=datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=2))))
        app.settle()
    (row,) = db.execute('select stream, version, version_, "at", "values", ratio, good, note from sensors').fetchall()
    assert (row[0], row[1], row[2], str(row[3])) == ("s", 1, "v1", "2026-01-31 10:00:00")
    assert row[4] in ("[1,2]", [1, 2])  # psycopg reads JSON
    assert (row[5], bool(row[6]), row[7]) == (0.5, True, None)


def test_the_table_of_a_state_can_be_called_something_else_than_its_target(db: Any) -> None:
    with Act("memory:", StateProjection(Account, db, table="accounts", name="people")) as app:
        deposit(app, "a")
        app.settle()
        assert [target.name for target in app.targets()] == ["people"]
    assert len(rows(db, "accounts")) == 1


def test_only_a_state_class_can_be_projected(db: Any) -> None:
    for wrong in (State, Deposited, Account()):
        with pytest.raises(DefinitionError, match="of a state class"):
            StateProjection(wrong, db, table="wrong")  # type: ignore[type-var]
