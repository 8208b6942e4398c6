"""Projections into servers: PostgreSQL by psycopg and by SQLAlchemy, MariaDB by SQLAlchemy."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy
from sqlalchemy.orm import Session

from act_fast import Act, Committed, DefinitionError, Lane, LogStore, SqlProjection, StateProjection, on
from tests.projections.test_sql_projections import Sensor
from tests.support.bank import Account, Deposited
from tests.support.databases import MariaDatabase, Place, PostgresSchema, execute
from tests.support.heard import deposit
from tests.support.mariadb import MariaDbServer
from tests.support.processes import Tell, started, until
from tests.support.servers import PostgresServer
from tests.support.totals import Totals

SECRET = "s3cret"


def totals(place: Place) -> dict[str, tuple[int, int]]:
    found = place.ask("select stream, amount, events from totals")
    return {str(stream): (int(amount), int(events)) for stream, amount, events in found}


def blocked(app: Act) -> str:
    (found,) = app.blocked()
    return str(found.error)


@contextmanager
def projecting(*projections: SqlProjection, store: Any = "memory:", **options: Any) -> Iterator[Act]:
    with Act(store, Account, *projections, **options) as app:
        yield app
    for each in projections:
        each.close()


# Rows.


def test_rows_and_watermark_are_there_together(place: Place) -> None:
    with projecting(Totals(place.connect), StateProjection(Account, place.connect, table="accounts")) as app:
        deposit(app, "a", "b", "a", amount=5)
        until(
            lambda: app.settle() and not any(each.lag for each in app.targets())
        )  # one may wait for the other's tables
        assert totals(place) == {"a": (10, 2), "b": (5, 1)}
        assert place.ask("select stream, version, balance from accounts order by stream") == [("a", 2, 10), ("b", 1, 5)]
        assert place.ask("select * from act_fast_watermarks order by projection") == [("accounts", 3), ("totals", 3)]


def test_fields_are_columns_of_their_types(place: Place) -> None:
    with Act("memory:", sensors := StateProjection(Sensor, place.connect, table="sensors")) as app:
        app.do(Sensor.measure, "s", at=datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=2))))
        app.settle()
        assert not list(app.blocked())
    sensors.close()
    (row,) = place.ask("select stream, version_, at, ratio, good, note from sensors")
    assert row == ("s", "v1", datetime(2026, 1, 31, 10), 0.5, True, None)


def test_names_that_differ_only_in_case_or_at_their_end_have_rows_of_their_own(place: Place) -> None:
    streams = ["a", "A", "a ", "ä", "a\u0308"]
    with projecting(StateProjection(Account, place.connect, table="accounts")) as app:
        deposit(app, *streams)
        app.settle()
        app.rebuild("accounts")
    assert sorted(str(stream) for (stream,) in place.ask("select stream from accounts")) == sorted(streams)


@pytest.mark.parametrize("name", ['to%tal?s:a"b`c', "Totals"])
def test_tables_may_have_any_name(place: Place, name: str) -> None:
    class Named(SqlProjection, name="named?:%"):
        tables = (name,)

        def setup(self, db: Any) -> None:
            self.run(db, f"create table if not exists {self.table(name)} (amount bigint)")

        @on(Deposited)
        def deposited(self, event: Committed[Deposited], db: Any) -> None:
            self.run(db, f"insert into {self.table(name)} values ({event.data.amount})")

        def run(self, db: Any, sql: str) -> None:
            if isinstance(db, sqlalchemy.Connection):
                db.execute(sqlalchemy.text(sql.replace(":", r"\:")))
            else:
                db.execute(sql)

    with projecting(Named(place.connect)) as app:
        deposit(app, "a", "b")
        app.settle()
        assert not list(app.blocked())
        assert app.rebuild("named?:%") == 2
    assert name in place.tables()


def test_a_name_that_would_be_cut_off_in_a_rebuild_is_refused(place: Place) -> None:
    with projecting(StateProjection(Account, place.connect, table="t" * 60)) as app:
        deposit(app, "a")
        app.settle()
        assert "bytes; a rebuild adds" in blocked(app)


def test_a_method_that_commits_by_itself_is_found_out(place: Place) -> None:
    class Committing(Totals, retries=0):
        @on(Deposited)
        def deposited(self, event: Committed[Deposited], db: Any) -> None:
            super().deposited(event, db)
            execute(db, "commit")

    with projecting(Committing(place.connect)) as app:
        deposit(app, "a")
        app.settle()
        assert "ended the transaction" in blocked(app)


def test_what_fails_is_told_without_the_data_of_events(place: Place) -> None:
    class Failing(Totals, retries=0):
        def _add(self, stream: str, amount: int, db: Any) -> None:
            execute(db, f"insert into {self.table('totals')} values (?, ?, null)", [f"{stream}-{SECRET}", amount])

    with projecting(Failing(place.connect)) as app:
        deposit(app, "a")
        app.settle()
        told = blocked(app)
    if not isinstance(place, PostgresSchema) or place.by == "sqlalchemy":
        assert "parameters" in told
        assert f"'p0': 'a-{SECRET}'" not in told


def test_a_store_and_its_projections_may_share_a_database(postgres: PostgresServer, postgres_url: str) -> None:
    place = PostgresSchema(postgres)
    with projecting(
        Totals(place.connect), StateProjection(Account, place.connect, table="accounts"), store=postgres_url
    ) as app:
        deposit(app, "a", "b", "a", amount=5)
        app.settle()
        assert app.rebuild("totals") == 3
        deposit(app, "b", amount=5)
        app.settle()
        assert totals(place) == {"a": (10, 2), "b": (10, 2)}
        assert place.ask("select stream, balance from accounts order by stream") == [("a", 10), ("b", 10)]
    place.remove()


def test_a_transaction_that_is_open_is_joined_and_one_that_failed_is_given_up(postgres: PostgresServer) -> None:
    place = PostgresSchema(postgres)
    with closing(place.connect()) as connection, projecting(Totals(connection)) as app:
        connection.execute("create table noted (line text)")
        deposit(app, "a")
        app.settle()
        assert place.tables() >= {"noted", "totals"}
        with pytest.raises(psycopg.Error):
            connection.execute("select nonsense")
        deposit(app, "a")
        app.settle()
        assert totals(place) == {"a": (2, 2)}
    place.remove()


@pytest.mark.parametrize("autocommit", [False, True])
def test_sqlalchemy_and_psycopg_may_commit_by_themselves(postgres: PostgresServer, autocommit: bool) -> None:
    place = PostgresSchema(postgres, "sqlalchemy")
    engine = place.connect().execution_options(isolation_level="AUTOCOMMIT" if autocommit else "READ COMMITTED")
    by_psycopg = PostgresSchema(postgres)
    plain = by_psycopg.connect()
    plain.autocommit = autocommit

    class Failing(Totals, retries=0, name="totals"):
        fails_on = 13

    for where, address in ((place, engine), (by_psycopg, plain)):
        with projecting(failing := Failing(address)) as app:
            deposit(app, "a", amount=5)
            deposit(app, "a", amount=13)
            app.settle()
            assert totals(where) == {"a": (5, 1)}
            failing.fails_on = None
            app.unblock()
            app.settle()
            assert totals(where) == {"a": (18, 2)}
        where.remove()
    engine.dispose()
    plain.close()


def test_sqlite_can_be_reached_by_sqlalchemy_too(tmp_path: Path) -> None:
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'reports.sqlite'}")
    with projecting(Totals(engine)) as app:
        deposit(app, "a", "b", "a", amount=5)
        app.settle()
        app.rebuild("totals")
    with engine.connect() as connection:
        assert connection.execute(sqlalchemy.text("select * from totals order by stream")).fetchall() == [
            ("a", 10, 2),
            ("b", 5, 1),
        ]
    engine.dispose()


# Readers, and others that do the same.


def test_a_reader_sees_a_whole_table_while_it_is_rebuilt(place: Place) -> None:
    with projecting(Totals(place.connect)) as app:
        deposit(app, *"abc" * 10, amount=1)
        app.settle()
        seen: list[Any] = []
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                seen.append(place.ask("select count(*), sum(amount), sum(events) from totals"))

        reader = threading.Thread(target=read)
        reader.start()
        for _ in range(8):
            assert app.rebuild("totals") == 30
        done.set()
        reader.join()
    assert len(seen) > 3  # how many there is time for is up to the machine
    assert {tuple(map(int, row)) for rows in seen for row in rows} == {(3, 30, 30)}


def test_no_position_is_said_of_rows_that_are_to_be_made_again(place: Place) -> None:
    """Making tables again ends a transaction of MariaDB, so that what was done in it before stays if the rest fails."""
    with projecting(Totals(place.connect)) as app:
        deposit(app, "a", amount=5)
        app.settle()
        app.reset("totals")
        with place.locked():
            app.correlate()
            app.drain(concurrency=1)
            assert totals(place) in ({"a": (5, 1)}, {})
            said = place.ask("select position from act_fast_watermarks")
            assert said == [(1,)] if totals(place) else not said
        until(lambda: app.settle() and _come_to(app, 1))
        assert totals(place) == {"a": (5, 1)}


def test_a_process_that_comes_to_itself_after_another_has_taken_over_doubles_nothing(
    place: Place, tmp_path: Path
) -> None:
    path, lanes = tmp_path / "bank.act", [Lane("default", lease=0.3)]

    class Slow(Totals, name="totals"):
        def __init__(self, connection: Any, tell: Tell) -> None:
            super().__init__(connection)
            self.tell = tell

        @on(Deposited)
        def deposited(self, event: Committed[Deposited], db: Any) -> None:
            super().deposited(event, db)
            self.tell("in the middle")
            # To this thread: of a process, another one may be chosen to stop it, and this one goes on meanwhile.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)

    def work(tell: Tell) -> None:
        with (
            LogStore(path, durability="os") as store,
            Act(store, Account, Slow(place.connect, tell), lanes=lanes) as app,
        ):
            app.settle()

    with LogStore(path, durability="os") as store:
        with projecting(Totals(place.connect), store=store) as app:
            deposit(app, "b")
            app.settle()  # the tables are there
        with Act(store, Account) as app:
            deposit(app, "a", amount=5)
    with started(work) as (process,):
        assert process.next_line() == "in the middle"
        with (
            LogStore(path, durability="os") as store,
            projecting(Totals(place.connect), store=store, lanes=lanes) as app,
        ):
            until(lambda: app.settle() and _waits(app))
            assert totals(place) == {"b": (1, 1)}
            os.kill(process.pid, signal.SIGCONT)
            assert process.wait() == 0
            until(lambda: _come_to(app, 2))
            assert totals(place) == {"a": (5, 1), "b": (1, 1)}


def _come_to(app: Act, position: int) -> bool:
    app.settle()
    return all(target.watermark >= position for target in app.targets())


def _waits(app: Act) -> bool:
    """Whether a target waits for what another process holds."""
    return any(target.error is not None for target in app.targets())


# Connections that are lost, and addresses that are wrong.


def test_a_server_that_is_restarted_is_connected_to_again(own_postgres: PostgresServer) -> None:
    for by in ("psycopg", "sqlalchemy"):
        place = PostgresSchema(own_postgres, by)
        with projecting(Totals(place.connect)) as app:
            deposit(app, "a")
            app.settle()
            own_postgres.restart(crash=True)
            deposit(app, "a")
            until(lambda app=app: app.settle() and not next(app.targets()).lag)  # type: ignore[misc]
            assert not list(app.blocked())
        assert totals(place) == {"a": (2, 2)}


def test_a_server_that_is_down_is_waited_for_and_a_rebuild_says_so(own_postgres: PostgresServer) -> None:
    place = PostgresSchema(own_postgres)
    with projecting(Totals(place.connect)) as app:
        deposit(app, "a")
        own_postgres.stop()
        app.settle()
        assert not list(app.blocked())
        own_postgres.start()
        until(lambda: app.settle() and not next(app.targets()).lag)
    assert totals(place) == {"a": (1, 1)}


def test_a_connection_that_was_handed_over_and_closed_is_waited_for(postgres: PostgresServer) -> None:
    place = PostgresSchema(postgres)
    connection = place.connect()
    with projecting(Totals(connection)) as app:
        deposit(app, "a")
        connection.close()
        app.settle()
        assert not list(app.blocked())
        assert "pass a function that connects" in str(next(app.targets()).error)
    place.remove()


def test_a_wrong_password_is_told_without_it(own_postgres: PostgresServer) -> None:
    own_postgres.ask_for_passwords()
    address = own_postgres.url().replace("postgres@", f"postgres:{SECRET}@")
    engine = sqlalchemy.create_engine(address.replace("postgresql:", "postgresql+psycopg:"))
    for connect in (lambda: psycopg.connect(address), engine):
        with projecting(Totals(connect)) as app:
            deposit(app, "a")
            app.settle()
            app.settle()
            told = blocked(app)
            assert "password authentication failed" in told
            assert SECRET not in told
            with pytest.raises((psycopg.Error, sqlalchemy.exc.DBAPIError), match="password authentication failed"):
                app.rebuild("totals")
    engine.dispose()


def test_a_password_that_is_taken_for_a_host_is_not_repeated(postgres: PostgresServer) -> None:
    address = f"postgresql://postgres:se@{SECRET}@127.0.0.1/postgres"
    with projecting(Totals(lambda: psycopg.connect(address))) as app:
        deposit(app, "a")
        app.settle()
        told = blocked(app)
        assert "%40 for @" in told
        assert SECRET not in told


def test_whoever_may_not_make_tables_is_told_so(postgres: PostgresServer) -> None:
    place = PostgresSchema(postgres)
    role = f"reader_of_{place.schema}"
    place.ask(f"create role {role} login")
    url = place.url.replace("postgres@", f"{role}@")
    place.ask(f"grant usage on schema {place.schema} to {role}")
    mine = Totals(lambda: psycopg.connect(url, options=place.options))
    with projecting(mine) as app:
        deposit(app, "a")
        app.settle()
        app.settle()
        assert "permission denied" in blocked(app)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.rebuild("totals")
    place.remove()


def test_whoever_may_only_write_rows_can_keep_up_tables_that_are_there(postgres: PostgresServer) -> None:
    place = PostgresSchema(postgres)
    role = f"writer_of_{place.schema}"
    with LogStore.memory() as store:
        with projecting(StateProjection(Account, place.connect, table="accounts"), store=store) as app:
            deposit(app, "a")
            app.settle()
        place.ask(f"create role {role} login")
        place.ask(f"grant usage on schema {place.schema} to {role}")
        place.ask(f"grant select, insert, update on all tables in schema {place.schema} to {role}")
        url = place.url.replace("postgres@", f"{role}@")
        mine = StateProjection(Account, lambda: psycopg.connect(url, options=place.options), table="accounts")
        with projecting(mine, store=store) as app:
            deposit(app, "a")
            app.settle()
            assert not list(app.blocked())
    assert place.ask("select stream, version from accounts") == [("a", 2)]
    place.remove()


def test_who_may_read_a_table_may_do_so_after_it_was_rebuilt_or_made_again(postgres: PostgresServer) -> None:
    place = PostgresSchema(postgres)
    role = f"Reader of {place.schema}"
    place.ask(f'create role "{role}"')

    def may_read() -> bool:
        return place.ask(f"select has_table_privilege('{role}', 'totals', 'select')") == [(True,)]

    with projecting(Totals(place.connect)) as app:
        deposit(app, "a")
        app.settle()
        assert not may_read()
        place.ask(f'grant select on totals to "{role}"')
        app.rebuild("totals")
        assert may_read()
        app.reset("totals")
        app.settle()
        assert may_read()
    place.remove()


# What is refused, and what is imported.


def test_what_cannot_be_written_to_is_refused(postgres: PostgresServer) -> None:
    engine = sqlalchemy.create_engine(postgres.url().replace("postgresql:", "postgresql+psycopg:"))
    other = sqlalchemy.create_mock_engine("mssql+pyodbc://", lambda *_: None)
    with Session(engine) as session:
        for wrong in (session, other, postgres.url().replace("postgres@", f"postgres:{SECRET}@")):
            with pytest.raises(DefinitionError, match="needs a connection of") as told:
                Totals(wrong)
            assert SECRET not in str(told.value)
    engine.dispose()


def test_clients_that_are_not_in_use_are_not_imported() -> None:
    program = (
        "import sys, sqlite3, act_fast\n"
        "class P(act_fast.SqlProjection): tables = ()\n"
        "P(sqlite3.connect(':memory:', check_same_thread=False))\n"
        "assert not {'sqlalchemy', 'psycopg', 'pymysql'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_lock_that_a_reader_holds_is_not_queued_behind_for_long(mariadb: MariaDbServer) -> None:
    place = MariaDatabase(mariadb)
    with projecting(Totals(place.connect)) as app:
        deposit(app, "a")
        app.settle()
        with place.reading("totals") as reader:
            rebuilding = threading.Thread(target=lambda: app.rebuild("totals"))
            rebuilding.start()
            until(lambda: "totals__fresh" in place.tables())
            assert totals(place) == {"a": (1, 1)}
            reader.rollback()
        rebuilding.join()
        assert place.tables() == {"totals", "act_fast_watermarks", "act_fast_projections"}
    place.remove()
