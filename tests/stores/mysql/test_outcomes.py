"""An append whose connection breaks: its outcome is known afterwards, it is never doubled and never lost.

Sessions are ended at each statement of an append that can be held up, and the network between is cut before and after
the server did it.
"""

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any

import pymysql
import pytest

from act_fast import (
    Append,
    ConcurrencyError,
    Condition,
    ConditionError,
    Meta,
    OutcomeUnknownError,
    Query,
    StoreError,
)
from act_fast.stores.database import writer
from act_fast.stores.mysql import appending
from act_fast.stores.mysql.address import place_of
from act_fast.stores.mysql.store import MySqlStore
from tests.stores.mysql.stores import ask, connected, numbered
from tests.support.mariadb import MariaDbServer
from tests.support.processes import until
from tests.support.proxy import Proxy

PATIENCE = 60

# What another transaction must have locked for an append to wait there.
STATEMENTS = {
    "log": "select * from {p}_log for update",
    "events": "insert into {p}_events select position + 1, 0, 'x', 1, 'X', 0, '1', '', null, null, null from {p}_log",
    "streams": "select * from {p}_streams where stream = 'a' for update",
    "writers": "select * from {p}_writers for update",
}


@pytest.fixture
def store(mariadb_url: str) -> Iterator[MySqlStore]:
    with MySqlStore(mariadb_url) as opened:
        opened.append("a", numbered(1))
        yield opened


class Holding:
    """Ends the sessions of appends that wait."""

    def __init__(self, server: MariaDbServer) -> None:
        self._server = server

    def waiting(self) -> list[object]:
        """The sessions that wait for a lock now."""
        return self._server.in_transactions(waiting=True)

    def end_one(self) -> None:
        """End the session that is or will be waiting."""
        until(self.waiting)
        (session, *_) = self.waiting()
        self._server.ask(f"kill {session}")
        until(lambda: session not in self.waiting())


@contextmanager
def holding_at(statement: str, server: MariaDbServer, url: str) -> Iterator[Holding]:
    """Hold appends at a statement of theirs for as long as the block lasts."""
    with connected(url) as holder:
        ask(holder, STATEMENTS[statement].format(p=place_of(url).prefix))
        yield Holding(server)
        holder.rollback()


def appended(store: MySqlStore) -> list[tuple[str, int, bytes]]:
    return [(event.stream, event.version, event.data) for event in store.query()]


@pytest.mark.parametrize("count", [1, 2], ids=["one event", "a batch"])
@pytest.mark.parametrize("statement", list(STATEMENTS))
def test_a_session_that_is_ended_at_any_statement_has_appended_once(
    store: MySqlStore, mariadb: MariaDbServer, mariadb_url: str, statement: str, count: int
) -> None:
    events = [each for number in range(count) for each in numbered(number + 2)]
    with ThreadPoolExecutor(1) as pool:
        with holding_at(statement, mariadb, mariadb_url) as holding:
            appending = pool.submit(store.append, "a", events, expected_version=1, meta=Meta(correlation="r"))
            for _ in range(3):
                holding.end_one()
        done = appending.result(PATIENCE)
    assert (done.first_version, done.first_position) == (2, 2)
    assert appended(store) == [("a", number, b'{"number":%d}' % number) for number in range(1, count + 2)]
    assert store.verify().healthy


@pytest.mark.parametrize("statement", list(STATEMENTS))
def test_a_conditional_append_whose_session_is_ended_is_there_once(
    store: MySqlStore, mariadb: MariaDbServer, mariadb_url: str, statement: str
) -> None:
    unique = Condition(Query.of(tags=["t:1"]))
    with ThreadPoolExecutor(1) as pool:
        with holding_at(statement, mariadb, mariadb_url) as holding:
            appending = pool.submit(store.append, "a", [("Counted", b"2", ["t:1"])], condition=unique, key="k")
            for _ in range(2):
                holding.end_one()
        done = appending.result(PATIENCE)
    assert (done.first_version, done.first_position) == (2, 2)
    assert [event.tags for event in store.load("a")] == [(), ("t:1", "key=k")]
    assert store.append("a", [("Counted", b"2", ["t:1"])], condition=unique, key="k") == done
    with pytest.raises(ConditionError):
        store.append("a", numbered(3), condition=unique)
    assert store.verify().healthy


def test_requests_that_share_a_batch_are_decided_one_after_the_other(
    store: MySqlStore, mariadb: MariaDbServer, mariadb_url: str
) -> None:
    unique = Condition(Query.of(names=["Counted"], tags=["t:1"]))
    with ThreadPoolExecutor(6) as pool:
        with holding_at("log", mariadb, mariadb_url) as holding:
            first = pool.submit(store.append, "a", numbered(2))
            until(holding.waiting)
            tagged = [("Counted", b"1", ["t:1"])]
            rivals = [pool.submit(store.append, f"s-{each}", tagged, condition=unique) for each in range(3)]
            keyed = [pool.submit(store.append, "k", numbered(1), key="k") for _ in range(2)]
            until(lambda: len(store._writer._waiting) == 5)
        first.result(PATIENCE)
        errors = [each.exception(PATIENCE) for each in rivals]
        assert sorted(type(each).__name__ for each in errors) == ["ConditionError", "ConditionError", "NoneType"]
        one, other = (each.result(PATIENCE) for each in keyed)
        assert one == other
    assert (store.head, store.version("k")) == (4, 1)
    assert store.verify().healthy


@pytest.mark.parametrize("statement", ["log", "streams"])
def test_all_that_share_a_batch_have_their_own_outcome_when_its_session_is_ended(
    store: MySqlStore, mariadb: MariaDbServer, mariadb_url: str, statement: str
) -> None:
    with ThreadPoolExecutor(4) as pool:
        with holding_at(statement, mariadb, mariadb_url) as holding:
            first = pool.submit(store.append, "a", numbered(2))
            until(holding.waiting)
            others: list[Future[Any]] = [
                pool.submit(store.append, "b", numbered(1), expected_version=0),
                pool.submit(store.append, "a", numbered(1), expected_version=1),
                pool.submit(store.append_many, [Append("c", numbered(1), 0), Append("b", numbered(1), 7)]),
            ]
            holding.end_one()
        first.result(PATIENCE)
        assert others[0].result(PATIENCE).first_version == 1
        for refused in others[1:]:
            assert isinstance(refused.exception(PATIENCE), ConcurrencyError)
    assert [(stream, version) for stream, version, _ in appended(store)] == [("a", 1), ("a", 2), ("b", 1)]


@contextmanager
def through(server: MariaDbServer, url: str) -> Iterator[tuple[Proxy, MySqlStore]]:
    """A store behind a network that may break."""
    with ExitStack() as opened:
        proxy = opened.enter_context(Proxy(server.port))
        address = url.replace(f":{server.port}/", f":{proxy.port}/")
        yield proxy, opened.enter_context(MySqlStore(address))


def once(condition: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
    """True for the first bytes that the condition holds for, and for no others."""
    lock, done = threading.Lock(), False

    def cuts(data: bytes) -> bool:
        nonlocal done
        with lock:
            if done or not condition(data):
                return False
            done = True
            return True

    return cuts


@pytest.mark.parametrize("count", [1, 2], ids=["one event", "a batch"])
def test_an_append_that_was_done_but_whose_answer_was_lost_is_not_done_again(
    mariadb: MariaDbServer, mariadb_url: str, count: int
) -> None:
    with through(mariadb, mariadb_url) as (proxy, store):
        store.append("a", numbered(1))
        committing = threading.Event()

        def commits(data: bytes) -> bool:
            if b"commit" in data:
                committing.set()
            return False

        proxy.asked = commits
        proxy.answered = once(lambda data: committing.is_set())
        done = store.append("a", numbered(2) * count, expected_version=1)
        assert committing.is_set()
        assert (done.first_version, done.first_position) == (2, 2)
        assert [version for _, version, _ in appended(store)] == list(range(1, count + 2))
        with pytest.raises(ConcurrencyError):
            store.append("a", numbered(3), expected_version=1)


@pytest.mark.parametrize("count", [1, 2], ids=["one event", "a batch"])
def test_an_append_that_never_reached_the_server_is_sent_again(
    mariadb: MariaDbServer, mariadb_url: str, count: int
) -> None:
    with through(mariadb, mariadb_url) as (proxy, store):
        store.append("a", numbered(1))
        proxy.asked = once(lambda data: b"commit" in data)
        assert store.append("a", numbered(2) * count, expected_version=1).first_version == 2
        assert [version for _, version, _ in appended(store)] == list(range(1, count + 2))


def test_a_conflict_whose_answer_was_lost_is_a_conflict_still(mariadb: MariaDbServer, mariadb_url: str) -> None:
    with through(mariadb, mariadb_url) as (proxy, store):
        store.append("a", numbered(1))
        proxy.answered = once(lambda data: True)
        with pytest.raises(ConcurrencyError) as caught:
            store.append("a", numbered(2), expected_version=0)
        assert (caught.value.expected, caught.value.actual) == (0, 1)
        assert store.head == 1


def test_when_the_server_stays_away_the_outcome_is_said_to_be_unknown(
    mariadb: MariaDbServer, mariadb_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_PATIENCE_SECONDS", 0.2)
    with through(mariadb, mariadb_url) as (proxy, store):
        store.append("a", numbered(1))
        proxy.asked = lambda data: True
        with pytest.raises(OutcomeUnknownError, match="load the stream again"):
            store.append("a", numbered(2))
        proxy.asked = lambda data: False
        assert store.append("a", numbered(3), expected_version=1).first_version == 2
        assert store.verify().healthy


@pytest.mark.parametrize("count", [1, 2], ids=["one event", "a batch"])
def test_a_batch_that_was_given_up_is_never_appended_later(store: MySqlStore, count: int) -> None:
    mine, batch = store._writer._me, store._writer._batch[0]
    store.append("a", numbered(2))
    late = writer.Request([("a", numbered(3) * count, None)], b"", None)
    with store._connections.new() as connection, pytest.raises(StoreError, match="was given up"):
        appending.StatementAppending(store._connections).append(connection, mine, batch, [late])
    assert store.version("a") == 2
    assert store.append("a", numbered(3)).first_version == 3


def test_with_a_network_that_breaks_at_random_nothing_is_doubled_and_nothing_lost(
    mariadb: MariaDbServer, mariadb_url: str, dice: random.Random
) -> None:
    threads, turns = 4, 25
    acknowledged: list[list[int]] = [[] for _ in range(threads)]
    unknown: list[list[int]] = [[] for _ in range(threads)]
    with through(mariadb, mariadb_url) as (proxy, store):
        proxy.asked = lambda data: dice.random() < 0.05
        proxy.answered = lambda data: dice.random() < 0.05

        def write(thread: int) -> None:
            for number in range(1, turns + 1):
                try:
                    store.append(f"s-{thread}", numbered(number))
                    acknowledged[thread].append(number)
                except OutcomeUnknownError:
                    unknown[thread].append(number)
                except StoreError:
                    pass  # could not connect at all, so it is certain not to be there

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(write, range(threads)))
    with MySqlStore(mariadb_url) as store:
        for thread in range(threads):
            found = [event.data for event in store.load(f"s-{thread}")]
            sure = [b'{"number":%d}' % number for number in acknowledged[thread]]
            perhaps = [b'{"number":%d}' % number for number in unknown[thread]]
            assert len(set(found)) == len(found)
            assert [each for each in found if each not in perhaps] == sure
        assert store.verify().healthy


def test_who_is_interrupted_while_appending_leaves_the_others_their_outcome(
    mariadb: MariaDbServer, mariadb_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The leader of a batch gets Ctrl-C while the answer is on its way: what it took of others is appended, once."""
    sent, arrives = threading.Event(), threading.Event()
    arrives.set()
    real: Any = pymysql.connections.Connection._read_bytes  # type: ignore[attr-defined]

    def late(data: bytes) -> bool:
        arrives.wait(PATIENCE)
        return False

    with through(mariadb, mariadb_url) as (proxy, store), ThreadPoolExecutor(3) as pool:
        store.append("a", numbered(1))
        proxy.answered = late

        def interrupted(self: Any, size: int) -> bytes:
            if self is store._writer._connection and not sent.is_set():
                sent.set()
                until(lambda: len(store._writer._waiting) >= 2)
                raise KeyboardInterrupt
            found: bytes = real(self, size)
            return found

        monkeypatch.setattr(pymysql.connections.Connection, "_read_bytes", interrupted)
        arrives.clear()
        first = pool.submit(store.append, "a", numbered(2))
        assert sent.wait(PATIENCE)
        others = [pool.submit(store.append, f"s-{each}", numbered(1)) for each in range(2)]
        assert isinstance(first.exception(PATIENCE), KeyboardInterrupt)
        until(lambda: len(store._writer._waiting) == 0)  # the next leader has begun
        arrives.set()
        places = [each.result(PATIENCE) for each in others]
        for number, place in enumerate(places):
            (event,) = store.load(f"s-{number}")
            assert (place.first_version, place.first_position) == (1, event.position)
        assert store.append("b", numbered(1)).first_position == store.head
        assert store.verify().healthy


def test_an_interrupted_append_of_a_batch_is_refused_while_its_companions_are_appended(store: MySqlStore) -> None:
    requests = [writer.Request([(name, numbered(1), None)], b"", None) for name in ("x", "y")]
    many = writer.Request([("z", numbered(1), None), ("x", numbered(1), None)], b"", None)
    store._writer._batch = store._writer._batch[0] + 1, [*requests, many]  # as an interrupted leader leaves it
    requests[0].withdrawn = many.withdrawn = True
    with suppress(ConcurrencyError):
        store.append("w", numbered(1))
    assert not isinstance(requests[1].outcome, Exception)
    assert isinstance(requests[0].outcome, ConcurrencyError)
    assert isinstance(many.outcome, ConcurrencyError)
    assert sorted(stream for stream, _, _ in appended(store)) == ["a", "w", "y"]


def appended_or_away(store: MySqlStore, stream: str, number: int) -> bool:
    """Append; False when the server is away, and then it is certain that nothing was appended."""
    try:
        store.append(stream, numbered(number))
        return True
    except OutcomeUnknownError:
        raise
    except StoreError:
        return False


def test_a_server_that_crashes_and_comes_back_in_the_middle_of_appends_has_each_once(
    own_mariadb: MariaDbServer, dice: random.Random
) -> None:
    url, turns = own_mariadb.url(prefix="bank"), 60
    own_mariadb.ask("set global innodb_flush_log_at_trx_commit = 1")
    with MySqlStore(url) as store, ThreadPoolExecutor(3) as pool:

        def write(thread: int) -> int:
            for number in range(1, turns + 1):
                until(partial(appended_or_away, store, f"s-{thread}", number))
            return number

        writing = [pool.submit(write, thread) for thread in range(3)]
        for _ in range(2):
            store.wait(store.head + dice.randrange(5, 20), PATIENCE)
            own_mariadb.restart(crash=True)
            own_mariadb.ask("set global innodb_flush_log_at_trx_commit = 1")
        assert [each.result(2 * PATIENCE) for each in writing] == [turns] * 3
        for thread in range(3):
            expected = [b'{"number":%d}' % number for number in range(1, turns + 1)]
            assert [event.data for event in store.load(f"s-{thread}")] == expected
        assert store.verify().healthy
