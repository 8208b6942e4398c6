"""Servers that are away, notifications that are lost, forks, full disks, clocks that are wrong."""

import contextlib
import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql

from act_fast import Act, StoreClosedError, StoreError, StoreFullError
from act_fast.stores.database import news
from act_fast.stores.database.connections import ready
from act_fast.stores.database.mirrored import Away
from act_fast.stores.postgres.address import place_of
from act_fast.stores.postgres.listener import NotificationListener, channel_of
from act_fast.stores.postgres.reactions import PostgresKeeper
from act_fast.stores.postgres.store import PostgresStore
from tests.runtime.test_inherited_locks import Holding, locks
from tests.stores.postgres.stores import numbered
from tests.support.bank import Account, Deposited
from tests.support.processes import Tell, started, until
from tests.support.servers import PostgresServer

PATIENCE = 60


@pytest.fixture
def admin(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(place_of(postgres_url).conninfo, autocommit=True) as connection:
        yield connection


def end_sessions(admin: psycopg.Connection) -> int:
    """End all sessions but this one; how many there were."""
    ended = admin.execute(
        "select pg_terminate_backend(pid, 10000) from pg_stat_activity where pid <> pg_backend_pid()"
        " and backend_type = 'client backend'"
    ).fetchall()
    return len(ended)


def test_sessions_that_were_ended_while_idle_are_replaced(postgres_url: str, admin: psycopg.Connection) -> None:
    with PostgresStore(postgres_url) as store:
        store.append("a", numbered(1))
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: store.head, range(50)))
        for turn in range(3):
            assert end_sessions(admin) >= 2
            assert store.head == turn + 1
            assert store.append("a", numbered(2)).first_version == turn + 2


def test_threads_that_let_go_of_lost_sessions_at_once_do_not_hinder_each_other(
    postgres_url: str, admin: psycopg.Connection
) -> None:
    class Emptied(list[Any]):
        """Another thread takes the last one after this one has looked whether there is any."""

        def __len__(self) -> int:
            count = super().__len__()
            if count == 1:
                self.pop()
            return count

    with PostgresStore(postgres_url) as store:
        store._connections._idle = Emptied([store._connections.new() for _ in range(3)])
        end_sessions(admin)
        assert store.head == 0


def test_a_listener_whose_session_is_ended_listens_again(
    postgres_url: str, admin: psycopg.Connection, news_threads: Callable[[], int]
) -> None:
    with PostgresStore(postgres_url) as follower, PostgresStore(postgres_url) as other, ThreadPoolExecutor(1) as pool:
        for turn in range(3):
            waiting = pool.submit(follower.wait, turn, PATIENCE)
            until(lambda: news_threads() and follower._news._waiters)
            end_sessions(admin)
            other.append("a", numbered(1))
            assert waiting.result(PATIENCE) == turn + 1


def test_an_event_of_which_nothing_is_told_is_found_within_a_second_or_so(postgres_url: str) -> None:
    silent = f"{postgres_url}&listen=false"
    with PostgresStore(postgres_url) as follower, PostgresStore(silent) as other, ThreadPoolExecutor(1) as pool:
        for turn in range(2):
            waiting = pool.submit(follower.wait, turn, PATIENCE)
            until(lambda: follower._news._waiters)
            other.append("a", numbered(1))
            assert waiting.result(PATIENCE) == turn + 1


def test_when_the_server_is_away_those_who_wait_are_told_and_when_it_is_back_all_goes_on(
    own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "_PATIENCE_SECONDS", 0.3)
    with PostgresStore(own_postgres.url()) as store, ThreadPoolExecutor(1) as pool:
        store.append("a", numbered(1))
        waiting = pool.submit(store.wait, 1, PATIENCE)
        until(lambda: store._news._waiters)
        own_postgres.stop()
        with pytest.raises(StoreError, match="cannot be reached"):
            waiting.result(PATIENCE)
        for ask in (
            lambda: store.head,
            lambda: store.append("a", numbered(2)),
            lambda: list(store.load("a")),
            lambda: list(store.query()),
            lambda: store.wait(1, 0.01),
            lambda: PostgresStore(own_postgres.url()),
        ):
            with pytest.raises(StoreError):
                ask()
        own_postgres.start()
        assert store.version("a") == 1
        assert store.append("a", numbered(2), expected_version=1).first_version == 2
        assert store.wait(1) == 2


def test_a_short_restart_goes_unnoticed_by_those_who_wait(own_postgres: PostgresServer) -> None:
    with PostgresStore(own_postgres.url()) as store, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(store.wait, 0, PATIENCE)
        until(lambda: store._news._waiters)
        own_postgres.restart()
        store.append("a", numbered(1))
        assert waiting.result(PATIENCE) == 1


def test_a_store_is_for_the_process_that_opened_it(postgres_url: str) -> None:
    with PostgresStore(postgres_url) as store:
        store.append("a", numbered(1))
        assert store.wait(0) == 1

        def child(tell: Tell) -> None:
            for use in (
                lambda: store.head,
                lambda: store.append("a", numbered(2)),
                lambda: store.query(),
                lambda: store.wait(0),
            ):
                with pytest.raises(StoreClosedError, match="forked"):
                    use()
            store.close()
            with PostgresStore(postgres_url) as own:
                tell(own.append("a", numbered(2), expected_version=1).last_version)

        with Holding(locks()), started(child) as (process,):
            assert process.next_line() == "2"
            assert process.wait() == 0
        assert store.append("a", numbered(3), expected_version=2).last_position == 3
        assert store.wait(2) == 3


def test_what_is_heard_while_others_are_told_wakes_who_waits(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notification comes in with the answer to one that is sent; the look at the head comes too late for it."""
    monkeypatch.setattr(news, "_LOOK_SECONDS", 10 * PATIENCE)
    real = NotificationListener.tell
    with PostgresStore(postgres_url) as store, PostgresStore(postgres_url) as other, ThreadPoolExecutor(1) as pool:

        def tell(self: NotificationListener, told: news.Told) -> None:
            if told.moves:
                other.append("a", numbered(1))
                assert ready((self.fileno(),), PATIENCE)
            real(self, told)

        monkeypatch.setattr(NotificationListener, "tell", tell)
        waiting = pool.submit(store.wait, 0, 2 * PATIENCE)
        until(lambda: bool(store._news._waiters))
        store._news.tell(news.Told(moves=True))
        assert waiting.result(PATIENCE) == 1


def test_a_store_that_is_dropped_lets_go_of_its_connections_and_thread(
    postgres_url: str, admin: psycopg.Connection, news_threads: Callable[[], int]
) -> None:
    def sessions() -> int:
        row = admin.execute(
            "select count(*) from pg_stat_activity where query like '%%' || %s || '%%' and pid <> pg_backend_pid()",
            (place_of(postgres_url).schema,),
        ).fetchone()
        assert row is not None
        return int(row[0])

    store = PostgresStore(postgres_url)
    store.append("a", numbered(1))
    assert store.wait(0) == store.head == 1
    assert sessions() >= 2
    assert news_threads() == 1
    del store
    gc.collect()
    until(lambda: news_threads() == 0)
    until(lambda: sessions() == 0)


def test_closing_leaves_neither_session_nor_thread_nor_trace(
    postgres_url: str, admin: psycopg.Connection, news_threads: Callable[[], int]
) -> None:
    store = PostgresStore(postgres_url)
    store.append("a", numbered(1))
    store.wait(0)
    store.close()
    assert news_threads() == 0
    schema = sql.Identifier(place_of(postgres_url).schema)
    assert admin.execute(sql.SQL("select count(*) from {}.writers").format(schema)).fetchone() == (0,)
    assert admin.execute(sql.SQL("select writer from {}.log").format(schema)).fetchone() == (None,)


def test_time_is_held_while_the_servers_clock_is_behind(postgres_url: str, admin: psycopg.Connection) -> None:
    with PostgresStore(postgres_url) as store:
        store.append("a", numbered(1))
        schema = sql.Identifier(place_of(postgres_url).schema)
        hour = 3_600_000_000
        admin.execute(sql.SQL("update {0}.log set created_us = created_us + %s").format(schema), (hour,))
        admin.execute(sql.SQL("update {0}.events set created_us = created_us + %s").format(schema), (hour,))
        admin.execute(
            sql.SQL("update {0}.streams set first_us = first_us + %s, last_us = last_us + %s").format(schema),
            (hour, hour),
        )
        for number in range(2, 5):
            store.append("a", numbered(number))
        moments = [event.created for event in store.query()]
        assert moments == [moments[0]] * 4
        assert moments[0] > datetime.now(UTC) + timedelta(minutes=30)
        assert store.verify().healthy


def test_a_statement_that_the_server_ends_early_is_told_and_nothing_is_written(
    postgres_url: str, admin: psycopg.Connection
) -> None:
    url = f"{postgres_url}&options=-c%20statement_timeout%3D3000"
    with PostgresStore(postgres_url) as store, PostgresStore(url) as hasty:
        store.append("a", numbered(1))
        schema = sql.Identifier(place_of(postgres_url).schema)
        with admin.transaction():
            admin.execute(sql.SQL("select 1 from {}.log for update").format(schema))
            with pytest.raises(StoreError, match="ended a statement early"):
                hasty.append("a", numbered(2))
        assert hasty.append("a", numbered(2)).first_version == 2


def test_a_lock_that_is_waited_for_too_long_is_told(postgres_url: str, admin: psycopg.Connection) -> None:
    url = f"{postgres_url}&options=-c%20lock_timeout%3D1000"
    with PostgresStore(url) as store:
        schema = sql.Identifier(place_of(postgres_url).schema)
        with admin.transaction():
            admin.execute(sql.SQL("select 1 from {}.log for update").format(schema))
            with pytest.raises(StoreError, match="waited too long for a lock"):
                store.append("a", numbered(1))
        assert store.append("a", numbered(1)).first_version == 1


def test_more_threads_than_connections_are_served(postgres_url: str) -> None:
    with PostgresStore(postgres_url) as store, ThreadPoolExecutor(40) as pool:
        store.append("a", numbered(1) * 1500)
        assert list(pool.map(lambda _: sum(1 for _ in store.load("a")), range(80))) == [1500] * 80
        assert len(store._connections._idle) <= 8


def test_a_wait_costs_next_to_nothing(postgres_url: str) -> None:
    with PostgresStore(postgres_url) as store:
        store.wait(0, 0.01)
        before = time.process_time()
        store.wait(0, 1.0)
        assert time.process_time() - before < 0.5


def test_many_appends_share_their_notifications(postgres_url: str) -> None:
    place = place_of(postgres_url)
    with PostgresStore(postgres_url) as store, psycopg.connect(place.conninfo, autocommit=True) as listener:
        listener.execute(sql.SQL("listen {}").format(sql.Identifier(channel_of(place.schema))))
        for number in range(200):
            store.append("a", numbered(number))
        told: list[int] = []
        while not told or told[-1] < 200:
            told += [int(each.payload) for each in listener.notifies(timeout=PATIENCE, stop_after=1)]
        assert told == sorted(told)
        assert len(told) < 150


def test_a_replica_is_read_and_waited_on_and_refuses_to_be_written_to(own_postgres: PostgresServer) -> None:
    with PostgresStore(own_postgres.url()) as primary, own_postgres.replica() as server:
        primary.append("a", numbered(1))
        with PostgresStore(server.url()) as replica, ThreadPoolExecutor(1) as pool:
            assert replica.wait(0, PATIENCE) == 1
            waiting = pool.submit(replica.wait, 1, PATIENCE)
            primary.append("a", numbered(2))
            assert waiting.result(PATIENCE) == 2
            assert list(replica.query()) == list(primary.query())
            with pytest.raises(StoreError, match="write to its primary"):
                replica.append("a", numbered(3))
            assert replica.verify().healthy
            assert replica.reactions().targets() == []


def test_a_full_disk_of_the_database_is_told_and_nothing_is_written(own_postgres: PostgresServer) -> None:
    url = own_postgres.url(schema="bank")
    data = b'"' + os.urandom(100_000).hex().encode() + b'"'  # which no compression makes small
    with PostgresStore(url) as store, own_postgres.small_disk("8m") as tablespace:
        store.append("a", numbered(1))
        with psycopg.connect(place_of(url).conninfo, autocommit=True) as admin:
            admin.execute(sql.SQL("alter table bank.events set tablespace {}").format(sql.Identifier(tablespace)))

        def fill() -> None:
            for _ in range(200):
                store.append("large", [("Large", data)])

        with pytest.raises(StoreFullError, match="nothing was written"):
            fill()
        head = store.head
        assert [event.position for event in store.query(names=["Counted", "Large"])] == list(range(1, head + 1))
        assert store.version("large") == head - 1
        with psycopg.connect(place_of(url).conninfo, autocommit=True) as admin:
            admin.execute("alter table bank.events set tablespace pg_default")
        assert store.append("a", numbered(2), expected_version=1).first_position == head + 1
        assert store.verify().healthy


def test_an_append_is_done_also_where_no_thread_can_be_had_to_tell_of_it(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with PostgresStore(postgres_url) as store:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            for number in range(3):
                assert store.append("a", numbered(number)).first_version == number + 1
            with pytest.raises(RuntimeError):
                store.wait(3)
        assert store.wait(0) == 3
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(store.wait, 3, PATIENCE)
            store.append("a", numbered(4))
            assert waiting.result(PATIENCE) == 4


def test_closing_while_others_append_leaves_no_session(postgres_url: str, admin: psycopg.Connection) -> None:
    schema = place_of(postgres_url).schema
    for _ in range(5):
        store = PostgresStore(postgres_url)
        done: list[int] = []

        def write(store: PostgresStore = store, done: list[int] = done) -> None:
            with contextlib.suppress(StoreClosedError):
                while True:
                    done.append(store.append("a", numbered(1)).last_position)

        with ThreadPoolExecutor(4) as pool:
            writing = [pool.submit(write) for _ in range(4)]
            until(lambda done=done: len(done) > 20)
            store.close()
            for each in writing:
                each.result(PATIENCE)
        question = "select count(*) from pg_stat_activity where query like '%%' || %s || '%%.append_%%'"
        assert admin.execute(question, (schema,)).fetchone() == (0,)
    with PostgresStore(postgres_url) as store:
        assert store.verify().healthy


@pytest.mark.parametrize("verb", ["block", "unblock", "prioritize", "defer", "reset"])
def test_what_is_changed_by_hand_survives_a_crash_of_the_server(own_postgres: PostgresServer, verb: str) -> None:
    later = datetime.now(UTC) + timedelta(days=1)
    by_hand: dict[str, Callable[[Act], object]] = {
        "block": lambda app: app.block("all"),
        "unblock": lambda app: app.unblock("all"),
        "prioritize": lambda app: app.prioritize("all", priority=7),
        "defer": lambda app: app.defer("all", until=later),
        "reset": lambda app: app.reset("all"),
    }
    with Act(own_postgres.url(), Account) as app:
        app.on(Deposited, to="all", name="none")(lambda event: None)
        app.do(Account.open, "a", owner="Ada")
        app.do(Account.deposit, "a", amount=1)
        app.settle()
        if verb == "unblock":
            app.block("all")
        by_hand[verb](app)
        wanted = list(app.targets())
        own_postgres.restart(crash=True)
        assert list(app.targets()) == wanted


def test_who_is_interrupted_while_an_answer_is_lost_gets_none_of_it_from_the_next_verb(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change of reactions was committed, its answer was lost, and Ctrl-C comes before it is asked for."""
    with PostgresStore(postgres_url) as store, contextlib.closing(store.reactions()) as kept:
        real = PostgresKeeper.commit

        def lose(keeper: PostgresKeeper, *given: Any) -> None:
            def interrupt() -> None:
                raise KeyboardInterrupt

            real(keeper, *given)
            patched.setattr(keeper, "check", interrupt)
            raise Away("the answer was lost")

        kept.register([("greet", ["Counted"], "{stream}", None, "default", 0, False, ())])
        with monkeypatch.context() as patched:
            patched.setattr(PostgresKeeper, "commit", lose)
            with pytest.raises(KeyboardInterrupt):
                kept.register([("thank", ["Counted"], "{stream}", None, "default", 0, False, ())])
        assert sorted(name for name, *_ in kept.cursors()) == ["greet", "thank"]
        assert kept.targets() == []
