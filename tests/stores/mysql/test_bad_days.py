"""Servers that are away, sessions that are ended, forks, full disks, clocks that are wrong."""

import contextlib
import gc
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from act_fast import ConcurrencyError, StoreClosedError, StoreError, StoreFullError, StoreLockedError, ValidationError
from act_fast.stores.database import news, queries
from act_fast.stores.mysql import event_rows
from act_fast.stores.mysql.address import place_of
from act_fast.stores.mysql.store import MySqlStore
from tests.stores.mysql.stores import ask, connected, numbered
from tests.support.mariadb import MariaDbServer
from tests.support.processes import Tell, started, until
from tests.support.proxy import Proxy

PATIENCE = 60


@pytest.fixture
def admin(mariadb_url: str) -> Iterator[Any]:
    with connected(mariadb_url, autocommit=True) as connection:
        yield connection


def sessions(admin: Any) -> list[int]:
    """All sessions but this one."""
    found = ask(
        admin,
        "select id from information_schema.processlist where id <> connection_id() and user = 'root'"
        " and command <> 'Killed'",
    )
    return [session for (session,) in found]


def end_sessions(admin: Any) -> int:
    """End all sessions but this one; how many there were."""
    found = sessions(admin)
    for session in found:
        ask(admin, f"kill {session}")
    until(lambda: not set(found) & set(sessions(admin)))
    return len(found)


def test_sessions_that_were_ended_while_idle_are_replaced(mariadb_url: str, admin: Any) -> None:
    with MySqlStore(mariadb_url) as store:
        store.append("a", numbered(1))
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: store.head, range(50)))
        for turn in range(3):
            assert end_sessions(admin) >= 2
            assert store.head == turn + 1
            assert store.append("a", numbered(2)).first_version == turn + 2


def test_sessions_that_the_server_ended_since_they_did_nothing_are_replaced(mariadb_url: str) -> None:
    with MySqlStore(mariadb_url) as store:
        store.append("a", numbered(1))
        assert store.head == 1
        (idle,), writing = store._connections._idle, store._writer._connection
        for session in (idle, writing):
            ask(session, "set session wait_timeout = 1")
        until(lambda: store._connections.ended(writing) and store._connections.ended(idle))
        assert store.head == 1
        assert store.append("a", numbered(2), expected_version=1).first_position == 2


def test_one_who_waits_and_whose_session_is_ended_looks_again(
    mariadb_url: str, admin: Any, news_threads: Callable[[], int]
) -> None:
    with MySqlStore(mariadb_url) as follower, MySqlStore(mariadb_url) as other, ThreadPoolExecutor(1) as pool:
        for turn in range(3):
            waiting = pool.submit(follower.wait, turn, PATIENCE)
            until(lambda: news_threads() and follower._news._waiters)
            end_sessions(admin)
            other.append("a", numbered(1))
            assert waiting.result(PATIENCE) == turn + 1


def test_when_the_server_is_away_those_who_wait_are_told_and_when_it_is_back_all_goes_on(
    own_mariadb: MariaDbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "_PATIENCE_SECONDS", 0.3)
    with MySqlStore(own_mariadb.url()) as store, ThreadPoolExecutor(1) as pool:
        store.append("a", numbered(1))
        waiting = pool.submit(store.wait, 1, PATIENCE)
        until(lambda: store._news._waiters)
        own_mariadb.stop()
        with pytest.raises(StoreError, match="cannot be reached"):
            waiting.result(PATIENCE)
        for use in (
            lambda: store.head,
            lambda: store.append("a", numbered(2)),
            lambda: list(store.load("a")),
            lambda: list(store.query()),
            lambda: store.wait(1, 0.01),
            lambda: MySqlStore(own_mariadb.url()),
        ):
            with pytest.raises(StoreError):
                use()
        own_mariadb.start()
        assert store.version("a") == 1
        assert store.append("a", numbered(2), expected_version=1).first_version == 2
        assert store.wait(1) == 2


def test_a_short_restart_goes_unnoticed_by_those_who_wait(own_mariadb: MariaDbServer) -> None:
    with MySqlStore(own_mariadb.url()) as store, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(store.wait, 0, PATIENCE)
        until(lambda: store._news._waiters)
        own_mariadb.restart()
        store.append("a", numbered(1))
        assert waiting.result(PATIENCE) == 1


def test_a_store_is_for_the_process_that_opened_it(mariadb_url: str) -> None:
    with MySqlStore(mariadb_url) as store:
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
            with MySqlStore(mariadb_url) as own:
                tell(own.append("a", numbered(2), expected_version=1).last_version)

        with started(child) as (process,):
            assert process.next_line() == "2"
            assert process.wait() == 0
        assert store.append("a", numbered(3), expected_version=2).last_position == 3
        assert store.wait(2) == 3


def used(store: MySqlStore) -> None:
    """Append and wait, so that there are sessions for both, and a thread."""
    store.append("a", numbered(1))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(store.wait, 1, PATIENCE)
        until(lambda: store._news._waiters)
        store.append("a", numbered(2))
        assert waiting.result(PATIENCE) == 2


def test_a_store_that_is_dropped_lets_go_of_its_sessions_and_thread(
    mariadb_url: str, admin: Any, news_threads: Callable[[], int]
) -> None:
    store = MySqlStore(mariadb_url)
    used(store)
    open_before = len(sessions(admin))
    assert news_threads() == 1
    assert open_before >= 2
    del store
    gc.collect()
    until(lambda: news_threads() == 0)
    until(lambda: len(sessions(admin)) <= open_before - 2)


def test_closing_leaves_neither_thread_nor_trace(mariadb_url: str, admin: Any, news_threads: Callable[[], int]) -> None:
    store = MySqlStore(mariadb_url)
    store.append("a", numbered(1))
    store.wait(1, 0.01)
    store.close()
    assert news_threads() == 0
    assert ask(admin, f"select count(*) from {place_of(mariadb_url).prefix}_writers") == [(0,)]


def test_time_is_held_while_the_servers_clock_is_behind(mariadb_url: str, admin: Any) -> None:
    prefix, hour = place_of(mariadb_url).prefix, 3_600_000_000
    with MySqlStore(mariadb_url) as store:
        store.append("a", numbered(1))
        for table, column in (("log", "created"), ("events", "created"), ("streams", "first"), ("streams", "last")):
            ask(admin, f"update {prefix}_{table} set {column}_us = {column}_us + {hour}")
        for expected in (7, 1):
            with contextlib.suppress(ConcurrencyError):
                store.append("a", numbered(2), expected_version=expected)
        for expected in (7, 2):
            with contextlib.suppress(ConcurrencyError):
                store.append("a", [*numbered(3), *numbered(4)], expected_version=expected)
        moments = [event.created for event in store.query()]
        assert moments == [moments[0]] * 4
        assert moments[0] > datetime.now(UTC) + timedelta(minutes=30)
        assert store.verify().healthy


def test_a_session_in_another_time_zone_writes_the_same_time(mariadb: MariaDbServer, mariadb_url: str) -> None:
    mariadb.ask("set global time_zone = '+05:00'")
    try:
        with MySqlStore(mariadb_url) as store:
            store.append("a", numbered(1))
            store.append("a", numbered(2) * 2)
            assert all(abs((event.created - datetime.now(UTC)).total_seconds()) < 600 for event in store.query())
    finally:
        mariadb.ask("set global time_zone = 'SYSTEM'")


@pytest.mark.parametrize("mode", ["NO_BACKSLASH_ESCAPES", "ANSI_QUOTES,PIPES_AS_CONCAT", ""])
def test_what_is_stored_does_not_depend_on_the_servers_mode(
    mariadb: MariaDbServer, mariadb_url: str, mode: str
) -> None:
    ((before,),) = mariadb.ask("select @@global.sql_mode")
    mariadb.ask(f"set global sql_mode = '{mode}'")
    try:
        with MySqlStore(mariadb_url) as store:
            name, data = "a\\'; drop table x; -- \"", b'"\\\\ \' \\u0000"'
            store.append(name, [(name, data)])
            (event,) = store.query(names=[name])
            assert (event.stream, event.name, event.data) == (name, name, data)
    finally:
        mariadb.ask(f"set global sql_mode = '{before}'")


@pytest.mark.parametrize("level", ["serializable", "read committed", "read uncommitted"])
def test_another_isolation_level_of_the_server_skips_and_loses_nothing(
    mariadb: MariaDbServer, mariadb_url: str, level: str
) -> None:
    mariadb.ask(f"set global transaction isolation level {level}")
    try:
        with MySqlStore(mariadb_url) as store, MySqlStore(mariadb_url) as other, ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: (store, other)[n % 2].append(f"s-{n % 5}", numbered(n) * (n % 2 + 1)), range(60)))
            assert [event.position for event in store.query()] == list(range(1, 91))
            assert store.verify().healthy
    finally:
        mariadb.ask("set global transaction isolation level repeatable read")


def test_a_lock_that_is_waited_for_too_long_is_told(mariadb_url: str) -> None:
    with MySqlStore(f"{mariadb_url}&lock_timeout=1") as store:
        for count in (1, 2):
            with connected(mariadb_url) as holder:
                ask(holder, f"select * from {place_of(mariadb_url).prefix}_log for update")
                with pytest.raises(StoreLockedError, match="waited too long for a lock"):
                    store.append("a", numbered(1) * count)
        assert store.append("a", numbered(1)).first_version == 1


def test_a_statement_that_is_ended_early_is_told_and_nothing_is_written(
    mariadb: MariaDbServer, mariadb_url: str
) -> None:
    with MySqlStore(mariadb_url) as store, ThreadPoolExecutor(1) as pool:
        store.append("a", numbered(1))
        for count in (1, 2):
            with connected(mariadb_url) as holder:
                ask(holder, f"select * from {place_of(mariadb_url).prefix}_log for update")
                appending = pool.submit(store.append, "a", numbered(2) * count)
                until(lambda: mariadb.in_transactions(waiting=True))
                (session,) = mariadb.in_transactions(waiting=True)
                mariadb.ask(f"kill query {session}")
                with pytest.raises(StoreError, match="ended a statement early"):
                    appending.result(PATIENCE)
        assert store.append("a", numbered(2)).first_version == 2


def test_more_threads_than_connections_are_served(mariadb_url: str) -> None:
    with MySqlStore(mariadb_url) as store, ThreadPoolExecutor(40) as pool:
        store.append("a", numbered(1) * 1500)
        assert list(pool.map(lambda _: sum(1 for _ in store.load("a")), range(60))) == [1500] * 60
        assert len(store._connections._idle) <= 8


def test_a_page_that_is_full_of_bytes_is_cut_and_gone_on_from(
    mariadb_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with MySqlStore(mariadb_url) as store:
        for number in range(20):
            store.append("a", [("Large", b'"' + b"x" * number * 100 + b'"')])
        for page_bytes in (1, 500, 3000):
            monkeypatch.setattr(queries, "PAGE_BYTES", page_bytes)
            for found in (store.load("a"), store.query(), store.query(names=["Large"])):
                assert [event.version for event in found] == list(range(1, 21))
            assert [event.version for event in store.query(backwards=True)] == list(range(20, 0, -1))
        gc.collect()


def test_what_is_behind_a_page_that_is_full_of_bytes_is_not_sent(mariadb: MariaDbServer, mariadb_url: str) -> None:
    received = 0

    def count(data: bytes) -> bool:
        nonlocal received
        received += len(data)
        return False

    with MySqlStore(mariadb_url) as store:
        for _ in range(10):
            store.append("a", [("Large", b'"' + b"x" * 1_000_000 + b'"')] * 5)
    with Proxy(mariadb.port) as proxy:
        proxy.answered = count
        with MySqlStore(mariadb_url.replace(f":{mariadb.port}/", f":{proxy.port}/")) as store:
            assert next(store.load("a")).version == 1
            gc.collect()
            assert 4_000_000 < received < 30_000_000
            assert store.head == 50


def test_a_wait_costs_next_to_nothing(mariadb_url: str) -> None:
    with MySqlStore(mariadb_url) as store:
        store.wait(0, 0.01)
        before = time.process_time()
        store.wait(0, 1.0)
        assert time.process_time() - before < 0.5


def test_an_event_that_the_server_would_not_take_is_refused_and_fails_no_other(mariadb: MariaDbServer) -> None:
    mariadb.ask("set global max_allowed_packet = 4194304")
    try:
        with MySqlStore(mariadb.url(prefix="packets")) as store:
            with pytest.raises(ValidationError, match="max_allowed_packet"):
                store.append("a", [("Large", b'"' + b"x" * 2_100_000 + b'"')])
            large = b'"' + b"x" * 2_000_000 + b'"'
            store.append("a", [("Large", large)])
            store.append("a", [("Large", large)] * 3)
            store.append("a", [("Small", b"1")] * 3000)
            assert [len(event.data) for event in store.load("a", limit=5)] == [*[len(large)] * 4, 1]
            assert store.verify().healthy
        mariadb.ask("set global max_allowed_packet = 1048576")
        with pytest.raises(StoreError, match="set max_allowed_packet to"):
            MySqlStore(mariadb.url(prefix="packets"))
    finally:
        mariadb.ask("set global max_allowed_packet = 16777216")


@pytest.mark.parametrize("count", [1, 2], ids=["one event", "a batch"])
def test_the_largest_event_that_is_not_refused_is_appended_whatever_its_names(mariadb_url: str, count: int) -> None:
    name = "'" * 512  # each of which is two in a statement
    with MySqlStore(mariadb_url, payload_max_bytes=2**30) as store:
        most = (store._connections.packet_max - event_rows.size_of(b"", b"", None)) // 2
        large = b'"' + b"x" * (most - 2) + b'"'
        assert store.append(name, [(name, large)] * count, expected_version=0).last_version == count
        with pytest.raises(ValidationError, match="max_allowed_packet"):
            store.append(name, [(name, large + b" ")])


def test_a_server_that_only_reads_says_so(own_mariadb: MariaDbServer) -> None:
    own_mariadb.ask("create user app@'%'")
    own_mariadb.ask("grant all on test.* to app@'%'")
    with MySqlStore(own_mariadb.url()) as store:
        store.append("a", numbered(1))
    own_mariadb.ask("set global read_only = 1")
    with MySqlStore(own_mariadb.url().replace("root@", "app@")) as replica:
        assert replica.wait(0) == 1
        for count in (1, 2):
            with pytest.raises(StoreError, match="write to its primary"):
                replica.append("a", numbered(3) * count)
        assert replica.verify().healthy


def test_closing_while_others_append_leaves_the_store_whole(mariadb_url: str) -> None:
    for _ in range(5):
        store = MySqlStore(mariadb_url)
        done: list[int] = []

        def write(store: MySqlStore = store, done: list[int] = done) -> None:
            while True:
                try:
                    done.append(store.append("a", numbered(1)).last_position)
                except StoreClosedError:
                    return

        with ThreadPoolExecutor(4) as pool:
            writing = [pool.submit(write) for _ in range(4)]
            until(lambda done=done: len(done) > 20)
            store.close()
            for each in writing:
                each.result(PATIENCE)
    with MySqlStore(mariadb_url) as store:
        assert store.verify().healthy


def test_a_database_that_is_full_is_told_and_nothing_is_written(own_mariadb: MariaDbServer) -> None:
    data = b'"' + os.urandom(100_000).hex().encode() + b'"'
    own_mariadb.stop()
    room = "ibdata1:12M;ibdata2:16M"  # all tables together, and none of it grows
    own_mariadb.start(**{"innodb-file-per-table": 0, "innodb-data-file-path": room})
    with MySqlStore(own_mariadb.url()) as store:
        store.append("a", numbered(1))

        def fill(count: int) -> None:
            for _ in range(300):
                store.append("large", [("Large", data)] * count)

        for count in (1, 2):
            with pytest.raises(StoreFullError, match="nothing was written"):
                fill(count)
        head = store.head
        assert [event.position for event in store.query()] == list(range(1, head + 1))
        assert store.version("large") == head - 1
        assert store.verify().healthy
