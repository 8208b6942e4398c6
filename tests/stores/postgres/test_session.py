"""A session that asks by libpq's own verbs: what goes in comes out, and what goes wrong leaves it fit for use."""

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from act_fast.stores.database.queries import PAGE_BYTES
from act_fast.stores.postgres.address import place_of
from act_fast.stores.postgres.connections import Connections
from act_fast.stores.postgres.session import Session
from act_fast.stores.postgres.store import PostgresStore

TURNS = 4
"""Enough for a statement to be asked unprepared, to be prepared, and to be asked as it was prepared."""


@pytest.fixture(params=["prepares", "does not"])
def session(postgres_url: str, request: pytest.FixtureRequest) -> Iterator[Session]:
    place = place_of(postgres_url + ("" if request.param == "prepares" else "&listen=false"))
    with closing(Connections(place).new()) as opened:
        yield opened


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("text", "Grüße, {}"),
        ("text", ""),
        ("bigint", -(2**63)),
        ("bytea", b"\0\xff"),
        ("bytea", b""),
        ("bigint", None),
        ("bigint[]", [1, None, 2**63 - 1]),
        ("text[]", ["a,b", None, '"']),
        ("bytea[]", [b"\0", None, b""]),
        ("bytea[]", [None, None]),
        ("text[]", []),
    ],
)
def test_what_is_given_is_what_the_server_gets(session: Session, kind: str, value: Any) -> None:
    for _ in range(TURNS):
        assert session.ask(f"select $1::{kind}".encode(), [value]) == [(value,)]


def test_what_no_buffer_holds_is_sent_whole(session: Session) -> None:
    data = [b"x" * 1_000_000] * 40
    assert session.ask(b"select sum(length(each)) from unnest($1::bytea[]) as each", [data]) == [(40_000_000,)]


def test_a_statement_that_fails_leaves_the_session_fit_for_the_next(session: Session) -> None:
    for _ in range(TURNS):
        with pytest.raises(psycopg.errors.DivisionByZero):
            session.ask(b"select 1 / $1::int", [0])
        with pytest.raises(psycopg.errors.UndefinedTable):
            session.ask(b"select * from nowhere")
        assert session.ask(b"select 1 / $1::int", [1]) == [(1,)]


def test_statements_that_are_asked_together_have_their_own_rows(session: Session) -> None:
    for turn in range(TURNS):
        asked = [
            (b"select $1::int", [turn]),
            (b"select", []),
            (b"select 1 where false", []),
            (b"select $1::text", ["x"]),
        ]
        assert session.ask_all(asked) == [[(turn,)], [()], [], [("x",)]]


def test_after_a_statement_that_fails_none_of_those_with_it_is_done(session: Session) -> None:
    session.ask(b"create temporary table kept (number int)")
    for _ in range(TURNS):
        with pytest.raises(psycopg.errors.DivisionByZero):
            session.ask_all([(b"select 1 / $1::int", [0]), (b"insert into kept values (1)", [])])
        assert session.ask(b"select count(*) from kept") == [(0,)]
    session.ask_all([(b"begin", []), (b"insert into kept values (1)", []), (b"commit", [])])
    assert session.ask(b"select count(*) from kept") == [(1,)]


def test_more_statements_than_are_kept_prepared_are_answered(session: Session) -> None:
    for _ in range(TURNS):
        for number in range(250):
            assert session.ask(b"select %d" % number) == [(number,)]
    (kept,) = session.ask(b"select count(*) from pg_prepared_statements")[0]
    assert kept == (200 if session.prepares else 0)


def test_who_is_interrupted_leaves_nothing_running(
    session: Session, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Poll:
        def poll(self) -> None:
            raise KeyboardInterrupt

    cancel, asked = session.cancel_safe, []

    def overtakes_the_statement_at_first(timeout: float) -> None:
        asked.append(timeout)
        if len(asked) > 1:
            cancel(timeout=timeout)

    monkeypatch.setattr(session, "cancel_safe", overtakes_the_statement_at_first)
    monkeypatch.setattr(session, "_poll", Poll())
    with pytest.raises(KeyboardInterrupt):
        session.ask(b"select pg_sleep(600)")
    with psycopg.connect(place_of(postgres_url).conninfo, autocommit=True) as admin:
        busy = "select count(*) from pg_stat_activity where pid = %s and state = 'active'"
        waited = threading.Event()
        while admin.execute(busy, (session.info.backend_pid,)).fetchone() != (0,):
            assert not waited.wait(0.01)


@pytest.mark.parametrize("backwards", [False, True])
def test_large_events_are_read_page_by_page_and_small_ones_behind_them(postgres_url: str, backwards: bool) -> None:
    large = [("Large", b'"%b"' % (b"x" * (PAGE_BYTES // 4)))] * 23
    small = [("Small", b'"x"')] * 500
    with PostgresStore(postgres_url) as store:
        for events in (small, large, small):
            store.append("s", events)
        for _ in range(2):
            found = [each.version for each in store.query(stream="s", backwards=backwards)]
            assert found == sorted(range(1, 1024), reverse=backwards)
