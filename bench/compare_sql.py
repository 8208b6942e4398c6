"""How fast a question about the whole log is answered, beside DuckDB on a table of its own."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from act_fast import Act, LogStore
from bench.harness.duel import Body, Contender, Duel
from bench.harness.row import Measurement, Row
from bench.harness.sizes import CHECKOUT, Sizes
from bench.peers.duck import duckdb_answers, duckdb_loads
from bench.peers.extraction import duckdb_json_lines, sqlite_json
from bench.rows.sql import (
    SQL_FILTERED,
    SQL_FIRST,
    SQL_GROUPED,
    SQL_JSON,
    SQL_MEMORY,
    SQL_NEEDLE,
    SQL_NEWEST,
    SQL_STATES,
    SQL_STATES_MOVED,
    SQL_STREAMS,
    SQL_SUM,
    SQL_VIEW,
    SQL_VIEW_READ,
)
from bench.stores.settled import written_down
from bench.stores.subject import DURABILITY, SUBJECT, reader
from bench.workloads.events import stream_name
from bench.workloads.ledger import EVENTS_A_STREAM, ReducedAccount, write_ledger

SUM = "select sum(amount) from deposited"
GROUPED = "select stream, sum(amount) from deposited group by stream"
VIEW = "select stream, count(*) as n, sum(amount) as total from deposited group by stream"
NEEDLE = f"select * from deposited where stream = '{stream_name(7)}'"
NEWEST = "select * from deposited order by position desc limit 100"
STATES = "select count(*), sum(balance) from reducedaccount"
STATES_BY_TABLE = "select count(*), sum(amount) from (select sum(amount) as amount from deposited group by stream)"
STREAMS = "select max(version) from streams"
STREAMS_BY_EVENTS = "select max(version) from (select max(version) as version from events group by stream)"
CHANGED_STREAMS = 10
FILTERED = f"select sum(amount) from deposited where stream = '{stream_name(7)}'"


@dataclass(frozen=True)
class Asked:
    """A store that has been asked before, and its deposits as Parquet for the peer to make its table of."""

    app: Act
    deposits: int
    parquet: Path


@dataclass(frozen=True)
class Ledger:
    """A store that was not asked anything yet, and its deposits as Parquet for the peer."""

    path: Path
    events: int
    deposits: int
    parquet: Path


@pytest.fixture(scope="module")
def ledger(shelf: Path, sizes: Sizes) -> Ledger:
    path, parquet = shelf / "store", shelf / "deposited.parquet"
    with LogStore(path, durability="os") as store, Act(store, ReducedAccount) as app:
        events = write_ledger(store, max(sizes.open_events // EVENTS_A_STREAM, 10))
        store.flush()
        app.export(parquet, "select * from deposited")
        ((deposits,),) = app.sql("select count(*) from deposited").fetchall()
    return Ledger(path, events, deposits, parquet)


@pytest.fixture(scope="module")
def asked(ledger: Ledger) -> Iterator[Asked]:
    with LogStore(ledger.path, durability="os") as store, Act(store, ReducedAccount) as app:
        app.sql(SUM).fetchall()
        written_down(store, "deposited")
        yield Asked(app, ledger.deposits, ledger.parquet)


def bench_first_question(duel: Duel, ledger: Ledger) -> None:
    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        shutil.rmtree(ledger.path / "analytics", ignore_errors=True)
        with LogStore(ledger.path, durability="os") as store, Act(store, ReducedAccount) as app:
            yield lambda: app.sql(SUM).fetchall()

    subject = Contender(SUBJECT, DURABILITY["os"], ledger.events, prepare)
    duel.fight(SQL_FIRST, subject, *duckdb_loads(ledger.parquet, SUM, ledger.events))


def bench_sum(duel: Duel, shelf: Path, asked: Asked) -> None:
    ask(duel, SQL_SUM, shelf, asked, SUM, count=asked.deposits)


def bench_grouped(duel: Duel, shelf: Path, asked: Asked) -> None:
    ask(duel, SQL_GROUPED, shelf, asked, GROUPED, count=asked.deposits)


def bench_filtered(duel: Duel, shelf: Path, asked: Asked) -> None:
    ask(duel, SQL_FILTERED, shelf, asked, FILTERED, count=1)


def bench_needle(duel: Duel, shelf: Path, asked: Asked) -> None:
    ask(duel, SQL_NEEDLE, shelf, asked, NEEDLE, count=1)


def bench_newest(duel: Duel, shelf: Path, asked: Asked) -> None:
    ask(duel, SQL_NEWEST, shelf, asked, NEWEST, count=1)


def bench_streams(duel: Duel, asked: Asked) -> None:
    store = asked.app.store
    assert isinstance(store, LogStore)
    streams = store.stats().streams
    asked.app.sql(STREAMS_BY_EVENTS).fetchall()
    written_down(store, "events")
    duel.fight(
        SQL_STREAMS,
        reader(streams, lambda: asked.app.sql(STREAMS).fetchall()),
        reader(streams, lambda: asked.app.sql(STREAMS_BY_EVENTS).fetchall(), name=f"{SUBJECT}, from events"),
    )


def bench_states(duel: Duel, shelf: Path, asked: Asked) -> None:
    ask_again(duel, SQL_STATES, shelf, asked, changed=0)


def bench_continuous(duel: Duel, ledger: Ledger) -> None:
    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        shutil.rmtree(ledger.path / "analytics", ignore_errors=True)
        with LogStore(ledger.path, durability="os") as store, Act(store, ReducedAccount) as app:
            yield app.view("per_stream", VIEW).keep

    duel.fight(SQL_VIEW, Contender(SUBJECT, DURABILITY["os"], ledger.events, prepare))


def bench_continuous_read(duel: Duel, shelf: Path, asked: Asked) -> None:
    store = asked.app.store
    asked.app.view("per_stream", VIEW).keep()

    def read() -> None:
        store.append("another", [("Deposited", b'{"amount":1}')])
        asked.app.sql("select sum(total) from per_stream").fetchall()

    outer = f"select sum(total) from ({VIEW})"
    peers = duckdb_answers(shelf / "own.duckdb", "deposited", asked.parquet, outer, 1)
    duel.fight(SQL_VIEW_READ, reader(1, read), *peers)


def bench_json_extraction(duel: Duel, shelf: Path, asked: Asked) -> None:
    extracting = "select sum((data->>'amount')::bigint) from events where name = 'Deposited'"
    assert asked.app.sql(extracting).fetchall() == asked.app.sql(SUM).fetchall()
    duel.fight(
        SQL_JSON,
        reader(asked.deposits, lambda: asked.app.sql(SUM).fetchall()),
        reader(asked.deposits, lambda: asked.app.sql(extracting).fetchall(), name=f"{SUBJECT}, from events"),
        sqlite_json(shelf / "json", asked.app.store.query, asked.deposits),
        *duckdb_json_lines(shelf / "lines", asked.app.store.query, asked.deposits),
    )


def bench_states_moved(duel: Duel, shelf: Path, asked: Asked) -> None:
    ask_again(duel, SQL_STATES_MOVED, shelf, asked, changed=CHANGED_STREAMS)


def bench_memory_of_questions(duel: Duel, asked: Asked) -> None:
    told: dict[str, list[float]] = {}
    store = asked.app.store
    assert isinstance(store, LogStore)

    def run() -> None:
        for name, forget in (("what has settled is there", False), ("and is written down first", True)):
            if forget:
                shutil.rmtree(Path(store.path) / "analytics", ignore_errors=True)
            command = [sys.executable, "-m", "bench.stores.question", store.path]
            done = subprocess.run(command, cwd=CHECKOUT, check=True, stdout=subprocess.PIPE, text=True)
            told.setdefault(f"{SUBJECT}, {name}", []).append(float(done.stdout))

    duel.time(run, rounds=1, warmup_rounds=0)
    duel.observe(SQL_MEMORY, [Measurement(name, DURABILITY["os"], values) for name, values in told.items()])


def ask(duel: Duel, row: Row, shelf: Path, asked: Asked, question: str, count: int) -> None:
    duel.fight(
        row,
        reader(count, lambda: asked.app.sql(question).fetchall()),
        *duckdb_answers(shelf / "own.duckdb", "deposited", asked.parquet, question, count),
    )


def ask_again(duel: Duel, row: Row, shelf: Path, asked: Asked, changed: int) -> None:
    store = asked.app.store
    assert isinstance(store, LogStore)
    ((streams, _),) = asked.app.sql(STATES).fetchall()
    written_down(store, "reducedaccount")
    for number in range(changed):
        store.append(stream_name(number), [("Deposited", b'{"amount":1}')])
    duel.fight(
        row,
        reader(streams, lambda: asked.app.sql(STATES).fetchall()),
        *duckdb_answers(shelf / "own.duckdb", "deposited", asked.parquet, STATES_BY_TABLE, streams),
    )
