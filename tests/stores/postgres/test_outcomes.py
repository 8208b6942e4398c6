"""An append whose connection breaks: its outcome is known afterwards, it is never doubled and never lost.

Sessions are ended at each statement of an append, and the network between is cut before and after the server did it.
"""

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import count
from typing import Any

import psycopg
import pytest
from psycopg import sql

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
from act_fast.stores.postgres.address import place_of
from act_fast.stores.postgres.session import Session
from act_fast.stores.postgres.store import PostgresStore
from tests.stores.postgres.stores import numbered
from tests.support.interrupts import InterruptedAfter
from tests.support.processes import until
from tests.support.proxy import Proxy
from tests.support.servers import PostgresServer

STATEMENTS = ["log locked", "streams", "events", "log"]
PATIENCE = 60
LOCK = 7

_HOLD = """
create function {0}.hold() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(%s);
    return null;
end $$;
create trigger hold after insert or update on {0}.{1} for each statement execute function {0}.hold();
"""
_WAITS = """
select pid from pg_stat_activity where wait_event_type = 'Lock' and query like '%%' || %s || '%%.append_%%'
"""


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    with PostgresStore(postgres_url) as opened:
        opened.append("a", numbered(1))
        yield opened


@pytest.fixture
def admin(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(place_of(postgres_url).conninfo, autocommit=True) as connection:
        yield connection


class Holding:
    """Makes appends wait at a statement, and ends their sessions there."""

    def __init__(self, admin: psycopg.Connection, url: str) -> None:
        self._admin = admin
        self._schema = place_of(url).schema

    def waiting(self) -> list[int]:
        """The sessions that wait now."""
        return [pid for (pid,) in self._admin.execute(_WAITS, (self._schema,))]

    def end_one(self) -> None:
        """End the session that is or will be waiting."""
        until(self.waiting)
        self._admin.execute("select pg_terminate_backend(%s, 10000)", (self.waiting()[0],))


@contextmanager
def holding_at(statement: str, admin: psycopg.Connection, url: str) -> Iterator[Holding]:
    """Hold appends at a statement of theirs for as long as the block lasts."""
    place = place_of(url)
    schema = sql.Identifier(place.schema)
    with psycopg.connect(place.conninfo) as holder:
        if statement == "log locked":
            holder.execute(sql.SQL("select 1 from {}.log for update").format(schema))
        else:
            hold = sql.SQL(_HOLD).format(schema, sql.Identifier(statement))
            admin.execute(sql.SQL(hold.as_string(admin).replace("%s", str(LOCK))))  # type: ignore[arg-type]
            holder.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
        yield Holding(admin, url)
        holder.rollback()


def appended(store: PostgresStore) -> list[tuple[str, int, bytes]]:
    return [(event.stream, event.version, event.data) for event in store.query()]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_session_that_is_ended_at_any_statement_has_appended_once(
    store: PostgresStore, admin: psycopg.Connection, postgres_url: str, statement: str
) -> None:
    with ThreadPoolExecutor(1) as pool:
        with holding_at(statement, admin, postgres_url) as holding:
            appending = pool.submit(store.append, "a", numbered(2), expected_version=1, meta=Meta(correlation="r"))
            for _ in range(3):
                holding.end_one()
        done = appending.result(PATIENCE)
    assert (done.first_version, done.first_position) == (2, 2)
    assert appended(store) == [("a", 1, b'{"number":1}'), ("a", 2, b'{"number":2}')]
    assert store.verify().healthy


@pytest.mark.parametrize("statement", ["log locked", "tags", "log"])
def test_a_conditional_append_whose_session_is_ended_is_there_once(
    store: PostgresStore, admin: psycopg.Connection, postgres_url: str, statement: str
) -> None:
    unique = Condition(Query.of(tags=["t:1"]))
    with ThreadPoolExecutor(1) as pool:
        with holding_at(statement, admin, postgres_url) as holding:
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


@pytest.mark.parametrize("statement", ["log locked", "events"])
def test_all_that_share_a_batch_have_their_own_outcome_when_its_session_is_ended(
    store: PostgresStore, admin: psycopg.Connection, postgres_url: str, statement: str
) -> None:
    with ThreadPoolExecutor(4) as pool:
        with holding_at(statement, admin, postgres_url) as holding:
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


def test_requests_that_share_a_batch_are_decided_one_after_the_other(
    store: PostgresStore, admin: psycopg.Connection, postgres_url: str
) -> None:
    unique = Condition(Query.of(names=["Counted"], tags=["t:1"]))
    with ThreadPoolExecutor(6) as pool:
        with holding_at("log locked", admin, postgres_url) as holding:
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


@contextmanager
def through(postgres: PostgresServer, url: str) -> Iterator[tuple[Proxy, PostgresStore]]:
    """A store behind a network that may break."""
    with ExitStack() as opened:
        proxy = opened.enter_context(Proxy(postgres.port))
        address = url.replace(f":{postgres.port}/", f":{proxy.port}/") + "&listen=false"
        yield proxy, opened.enter_context(PostgresStore(address))


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


def test_an_append_that_was_done_but_whose_answer_was_lost_is_not_done_again(
    postgres: PostgresServer, postgres_url: str
) -> None:
    with through(postgres, postgres_url) as (proxy, store):
        store.append("a", numbered(1))
        asked = threading.Event()

        def appends(data: bytes) -> bool:
            if b"append_" in data or b"_pg3_" in data:
                asked.set()
            return False

        proxy.asked = appends
        proxy.answered = once(lambda data: asked.is_set())
        done = store.append("a", numbered(2), expected_version=1)
        assert (done.first_version, done.first_position) == (2, 2)
        assert [version for _, version, _ in appended(store)] == [1, 2]
        with pytest.raises(ConcurrencyError):
            store.append("a", numbered(3), expected_version=1)


def test_an_append_that_never_reached_the_server_is_sent_again(postgres: PostgresServer, postgres_url: str) -> None:
    with through(postgres, postgres_url) as (proxy, store):
        store.append("a", numbered(1))
        proxy.asked = once(lambda data: True)
        assert store.append("a", numbered(2), expected_version=1).first_version == 2
        assert [version for _, version, _ in appended(store)] == [1, 2]


def test_a_conflict_whose_answer_was_lost_is_a_conflict_still(postgres: PostgresServer, postgres_url: str) -> None:
    with through(postgres, postgres_url) as (proxy, store):
        store.append("a", numbered(1))
        proxy.answered = once(lambda data: True)
        with pytest.raises(ConcurrencyError) as caught:
            store.append("a", numbered(2), expected_version=0)
        assert (caught.value.expected, caught.value.actual) == (0, 1)
        assert store.head == 1


def test_when_the_server_stays_away_the_outcome_is_said_to_be_unknown(
    postgres: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_PATIENCE_SECONDS", 0.2)
    with through(postgres, postgres_url) as (proxy, store):
        store.append("a", numbered(1))
        proxy.asked = lambda data: True
        with pytest.raises(OutcomeUnknownError, match="load the stream again"):
            store.append("a", numbered(2))
        proxy.asked = lambda data: False
        assert store.append("a", numbered(3), expected_version=1).first_version == 2
        assert store.verify().healthy


def test_a_batch_that_was_given_up_is_never_appended_later(
    store: PostgresStore, admin: psycopg.Connection, postgres_url: str
) -> None:
    schema = sql.Identifier(place_of(postgres_url).schema)
    ((mine, batch),) = admin.execute(sql.SQL("select writer, batch from {}.log").format(schema)).fetchall()
    store.append("a", numbered(2))
    late = sql.SQL(
        "select {}.append_batch(%s, %s, array[1::bigint], array['a'], array[null::bigint], array[1::bigint],"
        " array['Counted'], array['1'::bytea], array[''::bytea], array[null::bytea])"
    ).format(schema)
    with pytest.raises(psycopg.Error, match="was given up"):
        admin.execute(late, (mine, batch))
    assert store.version("a") == 2


def test_the_outcome_of_a_writer_outlives_the_appends_of_others(
    postgres: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is lost, and another program appends before this one can ask what became of its own."""
    with through(postgres, postgres_url) as (proxy, store), PostgresStore(postgres_url) as other:
        store.append("a", numbered(1))
        other.append("b", numbered(1))
        asked = threading.Event()
        real = store._connections.new

        def late() -> Session:
            if other.version("b") == 1:
                other.append("b", numbered(2))
            return real()

        def appends(data: bytes) -> bool:
            asked.set()
            return False

        proxy.asked = appends
        proxy.answered = once(lambda data: asked.is_set())
        monkeypatch.setattr(store._connections, "new", late)
        done = store.append("a", numbered(2), expected_version=1)
        assert (done.first_version, done.first_position) == (2, 3)
        assert [each[:2] for each in appended(store)] == [("a", 1), ("b", 1), ("a", 2), ("b", 2)]


def test_with_a_network_that_breaks_at_random_nothing_is_doubled_and_nothing_lost(
    postgres: PostgresServer, postgres_url: str, dice: random.Random
) -> None:
    threads, turns = 4, 25
    acknowledged: list[list[int]] = [[] for _ in range(threads)]
    unknown: list[list[int]] = [[] for _ in range(threads)]
    with through(postgres, postgres_url) as (proxy, store):
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
    with PostgresStore(postgres_url) as store:
        for thread in range(threads):
            found = [event.data for event in store.load(f"s-{thread}")]
            sure = [b'{"number":%d}' % number for number in acknowledged[thread]]
            perhaps = [b'{"number":%d}' % number for number in unknown[thread]]
            assert len(set(found)) == len(found)
            assert [each for each in found if each not in perhaps] == sure
        assert store.verify().healthy


def test_who_is_interrupted_while_appending_leaves_the_others_their_outcome(
    store: PostgresStore, admin: psycopg.Connection, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The leader of a batch gets Ctrl-C: what it had taken of others is appended by the next of them, once."""
    sent = threading.Event()
    real = Session.ask

    def interrupted(self: Session, statement: bytes, *given: Any) -> Any:
        if b"append_" in statement and not sent.is_set():
            sent.set()
            until(lambda: len(store._writer._waiting) >= 2)
            raise KeyboardInterrupt
        return real(self, statement, *given)

    monkeypatch.setattr(Session, "ask", interrupted)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(store.append, "a", numbered(2))
        assert sent.wait(PATIENCE)
        others = [pool.submit(store.append, f"s-{each}", numbered(1)) for each in range(2)]
        assert isinstance(first.exception(PATIENCE), KeyboardInterrupt)
        for each in others:
            assert each.result(PATIENCE).first_version == 1
    assert sorted(stream for stream, _, _ in appended(store)) == ["a", "s-0", "s-1"]
    assert store.append("a", numbered(3), expected_version=1).first_version == 2


def test_who_is_interrupted_at_any_moment_of_an_append_leaves_the_others_theirs(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The leader gets Ctrl-C at one moment after the other, while two others wait, whom no time wakes."""
    monkeypatch.setattr(writer, "_LOOK_SECONDS", 2 * PATIENCE)
    led = store._writer
    with ThreadPoolExecutor(2) as pool:
        for moment in count():
            others: list[Future[Any]] = []

            def join(moment: int = moment, others: list[Future[Any]] = others) -> bool:
                if not led._lock.locked():
                    return False
                others += [
                    pool.submit(store.append, f"{moment}-{each}", numbered(each), expected_version=0) for each in (1, 2)
                ]
                until(lambda: len(led._waiting) == 3)
                return True

            with suppress(KeyboardInterrupt), InterruptedAfter(moment, writer.__file__, join) as interrupted:
                store.append(f"{moment}", numbered(0), expected_version=0)
            for each, other in enumerate(others, 1):
                at = other.result(PATIENCE).first_position
                (found,) = store.query(after=at - 1, before=at + 1)
                assert (found.stream, found.version) == (f"{moment}-{each}", 1)
            there = store.version(f"{moment}")
            assert store.append(f"{moment}", numbered(0)).first_version == there + 1  # not later either
            assert not led._waiting
            if not interrupted.raised:
                break
    assert moment > 50
    assert store.verify().healthy


def test_an_interrupted_append_of_a_batch_is_refused_while_its_companions_are_appended(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def appended_or_away(store: PostgresStore, stream: str, number: int) -> bool:
    """Append; False when the server is away, and then it is certain that nothing was appended."""
    try:
        store.append(stream, numbered(number))
        return True
    except OutcomeUnknownError:
        raise
    except StoreError:
        return False


def test_a_server_that_crashes_and_comes_back_in_the_middle_of_appends_has_each_once(
    own_postgres: PostgresServer, dice: random.Random
) -> None:
    url, turns = own_postgres.url(schema="bank"), 60
    with PostgresStore(url) as store, ThreadPoolExecutor(3) as pool:

        def write(thread: int) -> int:
            for number in range(1, turns + 1):
                until(partial(appended_or_away, store, f"s-{thread}", number))
            return number

        writing = [pool.submit(write, thread) for thread in range(3)]
        for _ in range(2):
            store.wait(store.head + dice.randrange(5, 20), PATIENCE)
            own_postgres.restart(crash=True)
        assert [each.result(2 * PATIENCE) for each in writing] == [turns] * 3
        for thread in range(3):
            expected = [b'{"number":%d}' % number for number in range(1, turns + 1)]
            assert [event.data for event in store.load(f"s-{thread}")] == expected
        assert store.verify().healthy
