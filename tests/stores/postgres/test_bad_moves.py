"""Moving, copying and restoring on bad days of a server: nothing is lost, and what was begun goes on."""

import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from act_fast import Act, LogStore, Store, StoreError, connect, move
from act_fast._app.local_copy import at_hand
from act_fast.stores import copy
from act_fast.stores.capabilities import transfer_of
from act_fast.stores.postgres.address import place_of
from act_fast.stores.postgres.store import PostgresStore
from tests.stores.postgres.stores import held_append
from tests.support.bank import Account
from tests.support.servers import PostgresServer

EVENTS = 600


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "bank.act"
    with LogStore(path, durability="os") as store:
        for number in range(EVENTS // 2):
            store.append(f"s-{number % 9}", [("Counted", b'{"n":%d}' % number)] * 2)
    return path


def rows(store: Store) -> list[Any]:
    return [row for page in transfer_of(store).commits(0, store.head) for row in page]


def assert_moved(log: Path, url: str) -> None:
    with PostgresStore(url) as store, LogStore(log, read_only=True) as source:
        assert rows(store) == rows(source)
        assert store.verify().problems == []


@pytest.mark.parametrize("crash", [False, True], ids=["in good order", "by a crash"])
def test_a_server_that_restarts_in_the_middle_leaves_whole_steps_and_the_move_goes_on(
    own_postgres: PostgresServer, log: Path, crash: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy, "_STEP_EVENTS", 100)
    url = own_postgres.url()
    restarted: list[int] = []

    def progress(done: int, total: int) -> None:
        if not restarted and done >= 300:
            restarted.append(done)
            own_postgres.restart(crash=crash)

    monkeypatch.setattr("act_fast.stores.commit_pages._PAGE_EVENTS", 50)
    with pytest.raises(StoreError, match="ended the connection"):
        move(log, url, progress=progress)
    with PostgresStore(url) as store:
        assert 0 < store.head < EVENTS
        assert store.head % 100 == 0
        assert store.verify().problems == []
    move(log, url, progress=progress)
    assert_moved(log, url)


def test_a_server_that_is_away_is_an_error_and_the_source_goes_on(own_postgres: PostgresServer, log: Path) -> None:
    own_postgres.stop(signal.SIGQUIT)
    with pytest.raises(StoreError, match="cannot be reached"):
        move(log, own_postgres.url())
    with LogStore(log) as store:
        store.append("still", [("A", b"{}")])
    own_postgres.start()
    assert move(log, own_postgres.url()).events == EVENTS + 1


def test_a_transaction_that_stays_open_delays_a_hand_over_and_its_events_go_along(
    postgres_url: str, tmp_path: Path
) -> None:
    with PostgresStore(postgres_url) as store:
        store.append("s", [("Counted", b'{"number":0}')])
    moved: list[Any] = []
    mover = threading.Thread(target=lambda: moved.append(move(postgres_url, tmp_path / "there.act")))
    with held_append(postgres_url, "slow", 3) as held:
        mover.start()
        time.sleep(0.3)
        assert not moved
        held.commit()
    mover.join(60)
    assert [each.events for each in moved] == [4]
    with LogStore(tmp_path / "there.act") as there:
        assert there.version("slow") == 3


def test_time_limits_of_the_server_do_not_end_a_move(postgres_url: str, log: Path, tmp_path: Path) -> None:
    PostgresStore(postgres_url).close()
    limits = "-c%20statement_timeout%3D2000%20-c%20idle_in_transaction_session_timeout%3D2000"

    def slow(done: int, total: int) -> None:
        if done <= 400:  # longer than both limits after two pages; so that both are long on a busy machine, too
            time.sleep(1.5)

    limited = f"{postgres_url}&options={limits}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("act_fast.stores.commit_pages._PAGE_EVENTS", 200)
        move(log, limited, progress=slow)
        move(limited, tmp_path / "back.act", progress=slow)
    with LogStore(tmp_path / "back.act") as back, LogStore(log, read_only=True) as source:
        assert rows(back) == rows(source)


def test_a_role_that_only_reads_asks_in_sql_and_copies_but_does_not_hand_over(
    postgres: PostgresServer, postgres_url: str, log: Path, tmp_path: Path
) -> None:
    move(log, postgres_url)
    place = place_of(postgres_url)
    role = f"reader_{place.schema}"
    with psycopg.connect(place.conninfo, autocommit=True) as admin:
        for grant in (
            "create role {role} login",
            "grant usage on schema {schema} to {role}",
            "grant select on all tables in schema {schema} to {role}",
        ):
            admin.execute(sql.SQL(grant).format(role=sql.Identifier(role), schema=sql.Identifier(place.schema)))
    reading = postgres_url.replace("postgres@", f"{role}@")
    with connect(reading) as connection:
        assert connection.sql("select count(*) from events").fetchall() == [(EVENTS,)]
        assert connection.sql("from targets").fetchall() == []
    assert move(reading, tmp_path / "copy.act", hand_over=False).events == EVENTS
    with pytest.raises(StoreError, match="refuses: "):
        move(reading, tmp_path / "copy.act")
    with PostgresStore(postgres_url) as store:
        store.append("still", [("A", b"{}")])


def test_a_connection_that_breaks_while_a_copy_is_made_is_no_harm(
    postgres_url: str, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACT_FAST_CACHE", str(tmp_path / "copies"))
    monkeypatch.setattr("act_fast.stores.commit_pages._PAGE_EVENTS", 50)
    move(log, postgres_url)
    ended: list[int] = []

    def end(done: int, total: int) -> None:
        if not ended and done >= 200:
            with psycopg.connect(place_of(postgres_url).conninfo, autocommit=True) as admin:
                admin.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
                    " and query like %s",
                    (f'%"{place_of(postgres_url).schema}".events%',),
                )
            ended.append(done)

    with Act(postgres_url, Account) as app:
        with suppress(StoreError):  # unless all had been read by then
            at_hand(app.store, end)
        assert ended
        assert app.sql("select count(*), max(position) from events").fetchall() == [(EVENTS, EVENTS)]
        found = at_hand(app.store)
        assert rows(found) == rows(app.store)
        assert found.verify().healthy


def test_a_database_behind_a_pooler_is_copied_and_moved(postgres_url: str, log: Path, tmp_path: Path) -> None:
    pooled = f"{postgres_url}&listen=false"
    move(log, pooled)
    with connect(pooled) as connection:
        assert connection.sql("select count(*) from events").fetchall() == [(EVENTS,)]
    move(pooled, tmp_path / "back.act")
    with LogStore(tmp_path / "back.act") as back, LogStore(log, read_only=True) as source:
        assert rows(back) == rows(source)
