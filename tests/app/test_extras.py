"""The package with nothing but msgspec: what works, and what is said of what does not. All else is hidden."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from act_fast import MissingExtraError
from tests.support.extras import hide_extras

PROGRAM = """
import asyncio, sqlite3, sys
from act_fast import *

class Deposited(Event):
    amount: int

class Account(State):
    amount: int = 0

    @reducer
    def deposited(self, event: Deposited) -> None:
        self.amount += event.amount

    @action
    def deposit(self, amount: int) -> Deposited:
        return Deposited(amount)

class Totals(SqlProjection):
    tables = ("totals",)

    def setup(self, db):
        db.execute(f"create table if not exists {self.table('totals')} (amount integer)")

    @on(Deposited)
    def deposited(self, event, db):
        db.execute(f"insert into {self.table('totals')} values (?)", [event.data.amount])

database = sqlite3.connect("totals.db", check_same_thread=False)
app = Act("bank.act", Account, Totals(database))
app.do(Account.deposit, "account-1", amount=5)
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Runs a program after the one above, and gives the last line that it has printed."""
    hide_extras(tmp_path / "hidden", monkeypatch)

    def run_program(rest: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", f"{PROGRAM}\n{rest}"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert not done.returncode, done.stderr
        return done.stdout.splitlines()[-1]

    return run_program


def test_acting_reading_reacting_and_moving_need_nothing_else(run: Callable[[str], str]) -> None:
    assert (
        run(
            """
async def later():
    async with AsyncAct(app) as other:
        return (await other.do(Account.deposit, "account-1", amount=6)).version

app.settle()
app.export("events.jsonl"); app.export("events.csv")
app.restore("events.csv", dry_run=True)
app.backup("copy.act")
assert database.execute("select sum(amount) from totals").fetchall() == [(5,)]
assert app.store.verify().healthy
assert [(stream, found.version) for stream, found in app.replay(Account, progress=True)] == [("account-1", 1)]
print(asyncio.run(later()))
"""
        )
        == "2"
    )


@pytest.mark.parametrize(
    ("verb", "what"),
    [
        ("app.sql('select 1')", "SQL needs duckdb"),
        ("connect('bank.act')", "SQL needs duckdb"),
        ("connect(app)", "SQL needs duckdb"),
        ("asyncio.run(AsyncAct(app).sql('select 1'))", "SQL needs duckdb"),
        ("app.arrow(Deposited)", "arrow(Deposited) needs duckdb"),
        ("app.export('events.parquet')", "exporting to Parquet needs duckdb"),
        ("app.store.export('parts', partition_by='name')", "exporting to Parquet needs duckdb"),
        ("app.export('answer.csv', 'select 1')", "exporting the answer of a query needs duckdb"),
        ("app.restore('parts.parquet')", "restoring from Parquet needs duckdb"),
        ("restore_path('new.act', 'parts.parquet')", "restoring from Parquet needs duckdb"),
    ],
)
def test_what_needs_duckdb_says_what_to_install(run: Callable[[str], str], verb: str, what: str) -> None:
    told = run(
        f"""
open("parts.parquet", "w").close()
try:
    {verb}
except MissingExtraError as error:
    print(error.module, error.extra, error)
"""
    )
    assert told == f"duckdb sql {what}, which is not installed; pip install 'act-fast[sql]'"


@pytest.mark.parametrize(
    ("address", "client", "extra"),
    [("postgresql://nobody@nowhere/bank", "psycopg", "postgres"), ("mysql://nobody@nowhere/bank", "pymysql", "mysql")],
)
def test_the_store_in_a_database_says_what_to_install(
    run: Callable[[str], str], address: str, client: str, extra: str
) -> None:
    told = run(
        f"""
try:
    Act({address!r}, Account)
except MissingExtraError as error:
    print(error)
"""
    )
    scheme = address.partition(":")[0]
    assert told == f"a store at {scheme}:// needs {client}, which is not installed; pip install 'act-fast[{extra}]'"


def test_the_error_is_an_import_error_and_travels_between_processes() -> None:
    error = MissingExtraError("SQL needs duckdb", "duckdb", "sql")
    assert isinstance(error, ImportError)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.module, again.extra) == ("SQL needs duckdb", "duckdb", "sql")


def test_metrics_need_nothing_and_meters_say_what_to_install(run: Callable[[str], str]) -> None:
    told = run(
        """
from act_fast.monitoring import check_health, instrument, metrics_text
assert check_health(app).healthy and "act_fast_head 1" in metrics_text("bank.act")
try:
    instrument(app)
except MissingExtraError as error:
    print(error)
"""
    )
    assert told == ("instrument() needs opentelemetry.metrics, which is not installed; pip install 'act-fast[otel]'")


def test_lazy_frames_say_what_to_install(run: Callable[[str], str]) -> None:
    told = run(
        """
try:
    app.lazy()
except MissingExtraError as error:
    print(error)
"""
    )
    assert told == "lazy() needs polars, which is not installed; pip install 'act-fast[polars]'"


def test_what_works_over_http_says_what_to_install(run: Callable[[str], str]) -> None:
    told = run(
        """
from act_fast.serving import api
from act_fast.webhooks import Webhook, verify_webhook
for call in (lambda: api(app), lambda: Webhook("https://shop.example/", secret=b"x" * 24)):
    try:
        call()
    except MissingExtraError as error:
        print(error, end="; ")
"""
    )
    assert told == (
        "api() needs starlette, which is not installed; pip install 'act-fast[serve]'; "
        "Webhook() needs httpx, which is not installed; pip install 'act-fast[webhooks]'; "
    )
