"""Reactions on PostgreSQL on bad days: sessions that end at each statement, a server that crashes, processes that are
killed, mirrors that fall behind, clocks that are apart. No event is passed over, and at worst one is delivered again.
"""

import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from act_fast import Act, LogStore
from act_fast.stores.database import mirrored
from act_fast.stores.postgres import reactions
from act_fast.stores.postgres.address import place_of
from act_fast.stores.postgres.reactions import PostgresKeeper
from act_fast.stores.postgres.store import PostgresStore
from act_fast.stores.reaction_port import ReactionPort
from act_fast.testing.conformance import reaction_differences
from act_fast.testing.conformance.cases import pairs
from act_fast.testing.conformance.reactions import claim, correlate, finish, positions, spec
from act_fast.testing.conformance.reactions import until as claimed
from tests.support.processes import until
from tests.support.servers import PostgresServer

ROOT = Path(__file__).parents[3]
WORKER = """
import os, sys
from act_fast import Act, Event, Lane
class Counted(Event):
    number: int
app = Act(sys.argv[1], lanes=[Lane("default", lease=0.5)])
@app.on(Counted, to="t-{stream}")
def heard(event):
    file = os.open(os.path.join(sys.argv[2], event.stream), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, b"%d\\n" % event.position)
    os.close(file)
print("up", flush=True)
app.run()
"""


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    with PostgresStore(postgres_url) as opened:
        yield opened


def story(store: PostgresStore) -> tuple[list[Any], list[Any]]:
    """A program and what it comes to: what it was given, and what is known in the end."""
    port = store.reactions()
    given: list[Any] = []
    port.register([spec(), spec("all", "all")])
    correlate(port)
    (lease,) = claim(port, 1)
    given.append((lease[1], positions(lease)))
    given.append(finish(port, lease, "retry", done=positions(lease)[0], due_ms=1, error="not yet"))
    (lease,) = claim(port, 1)
    given.append((lease[1], lease[3], positions(lease)))
    given.append(finish(port, lease, "block", error="broken"))
    given.append(port.unblock())
    while leases := claim(port):
        given += sorted((lease[1], positions(lease)) for lease in leases)
        given.append([finish(port, lease) for lease in leases])
    known = [port.targets(), port.cursors(), port.skipped()]
    port.close()
    return given, known


class Cut:
    """Ends the session of a keeper before its nth statement reaches the server, or after the server did it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        self.at, self.after = 0, False
        self.count = 0
        place = place_of(url)
        run = PostgresKeeper._run
        cut = self

        def end(keeper: PostgresKeeper) -> None:
            if keeper._connection is not None and not keeper._connection.closed:
                with psycopg.connect(place.conninfo, autocommit=True) as admin:
                    pid = keeper._connection.info.backend_pid
                    admin.execute("select pg_terminate_backend(%s, 5000)", (pid,))

        def cut_off(keeper: PostgresKeeper, *statements: Any) -> Any:
            cut.count += 1
            if cut.count != cut.at:
                return run(keeper, *statements)
            if not cut.after:
                end(keeper)
                return run(keeper, *statements)
            run(keeper, *statements)
            end(keeper)
            keeper.roll_back()
            raise mirrored.Away("the answer was lost")

        monkeypatch.setattr(PostgresKeeper, "_run", cut_off)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_session_that_ends_at_any_statement_of_a_cycle_changes_nothing(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, after: bool, request: pytest.FixtureRequest
) -> None:
    def told() -> tuple[list[Any], list[Any]]:
        with PostgresStore(postgres.url(schema=f"cut_{after}_{cut.at}".lower())) as store:
            store.append("a", pairs(3))
            store.append("b", pairs(2))
            return story(store)

    cut = Cut(monkeypatch, postgres.url())
    cut.after = after
    expected = told()
    statements = cut.count
    assert statements > 20
    for cut.at in range(1, statements + 1):
        cut.count = 0
        assert told() == expected, f"cut off at statement {cut.at}"


def test_sessions_that_end_at_any_moment_lose_no_event(store: PostgresStore, postgres_url: str, seed: int) -> None:
    dice = random.Random(seed)
    for stream in range(10):
        store.append(f"s{stream}", pairs(20))
    ended = threading.Event()

    def end_sessions() -> None:
        with psycopg.connect(place_of(postgres_url).conninfo, autocommit=True) as admin:
            while not ended.wait(dice.random() * 0.05):
                admin.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'act-fast'"
                    " and pid <> pg_backend_pid() and query like %s order by random() limit 1",
                    (f"%{place_of(postgres_url).schema}%",),
                )

    handled: list[tuple[str, int]] = []
    ending = threading.Thread(target=end_sessions)
    ending.start()
    try:
        port = store.reactions()
        port.register([spec()])
        correlate(port)
        while len(set(handled)) < 200:
            for lease in claim(port, 3, window=3):
                handled += [(lease[1], at) for at in positions(lease)]
                assert finish(port, lease)
    finally:
        ended.set()
        ending.join()
    assert Counter(handled) == Counter(set(handled)), "the outcome of each section is known"
    assert all(each["lag"] == 0 for each in port.targets())


def test_a_server_that_crashes_loses_moments_and_no_event(own_postgres: PostgresServer) -> None:
    with PostgresStore(own_postgres.url()) as store:
        store.append("a", pairs(6))
        port = store.reactions()
        port.register([spec()])
        correlate(port)
        handled = []
        for turn in range(6):
            for lease in claim(port, window=1, lease_ms=200):
                handled += positions(lease)
                finish(port, lease)  # after a crash, the lease may be among what was lost
            if turn in (1, 3):
                own_postgres.restart(crash=True)
                correlate(port)
        while told(port)["lag"]:
            for lease in claim(port):
                handled += positions(lease)
                finish(port, lease)
        assert set(handled) == set(range(1, 7))


def test_a_mirror_that_is_ahead_of_its_database_reads_all_again(store: PostgresStore, postgres_url: str) -> None:
    store.append("a", pairs(4))
    port, other = store.reactions(), store.reactions()
    port.register([spec()])
    correlate(port)
    (lease,) = claim(port, window=2)
    before = _rows(postgres_url)
    assert finish(port, lease)
    _put_rows(postgres_url, before)  # as a crash may leave it: the last change is gone
    other.register([spec("another", "b")])  # and its number is another one's
    assert told(port)["lag"] == 4, "it knows no more of what was lost"
    assert {name for name, _, _ in port.cursors()} == {"r", "another"}
    assert not finish(port, lease), "of what it did then, nothing is certain"


def _rows(url: str) -> list[list[tuple[Any, ...]]]:
    schema = sql.Identifier(place_of(url).schema)
    with psycopg.connect(place_of(url).conninfo) as connection:
        return [
            connection.execute(sql.SQL("select * from {}.{}").format(schema, sql.Identifier(table))).fetchall()
            for table in ("reactions", "reaction_changes", "reaction_lines")
        ]


def _put_rows(url: str, rows: list[list[tuple[Any, ...]]]) -> None:
    schema = sql.Identifier(place_of(url).schema)
    with psycopg.connect(place_of(url).conninfo) as connection:
        for table, kept in zip(("reactions", "reaction_changes", "reaction_lines"), rows, strict=True):
            name = sql.SQL("{}.{}").format(schema, sql.Identifier(table))
            connection.execute(sql.SQL("delete from {}").format(name))
            for row in kept:
                holes = sql.SQL(", ").join([sql.Placeholder()] * len(row))
                connection.execute(sql.SQL("insert into {} values ({})").format(name, holes), row)


def told(port: ReactionPort) -> dict[str, Any]:
    (found,) = port.targets(["t-a"])
    return found


@pytest.fixture
def folding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are written as pages of their own every few changes, few changes stay, and few pages are read at once."""
    monkeypatch.setattr(mirrored, "_FOLD_CHANGES", 3)
    monkeypatch.setattr(reactions, "_KEPT_CHANGES", 2)
    monkeypatch.setattr(reactions, "_PAGES_AT_ONCE", 2)


def test_mirrors_that_fall_behind_what_is_kept_read_all_again(
    folding: None, postgres: PostgresServer, seed: int
) -> None:
    for turn in range(5):
        url = postgres.url(schema=f"folding_{seed}_{turn}")
        with LogStore.memory() as log, PostgresStore(url) as store:
            assert reaction_differences(seed + turn, log, store) == [], f"seed {seed + turn}"
            number, folded = store._one("select number, folded from {schema}.reactions")
            assert number - folded <= 3
            (kept,) = store._one("select count(*) from {schema}.reaction_changes")
            assert kept <= 6


def test_two_clocks_an_hour_apart_wait_as_long_as_is_said(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    hour_ns = 3_600_000_000_000
    here = time.time_ns
    store.append("a", pairs(1))
    for ahead in (hour_ns, -hour_ns):
        monkeypatch.setattr(time, "time_ns", lambda ahead=ahead: here() + ahead)
        port = store.reactions()
        port.register([spec()])
        correlate(port)
        (lease,) = claimed(port)
        due_ms = time.time_ns() // 1_000_000 + 40
        assert finish(port, lease, "retry", due_ms=due_ms, error="not yet")
        assert 0 <= (port.next_ms() or 0) <= 40
        (lease,) = claimed(port)
        assert finish(port, lease, "defer", due_ms=1)
        port.close()


def test_a_store_of_a_version_without_reactions_gets_their_tables(store: PostgresStore, postgres_url: str) -> None:
    schema = sql.Identifier(place_of(postgres_url).schema)
    with psycopg.connect(place_of(postgres_url).conninfo) as connection:
        connection.execute(sql.SQL("drop table {0}.reactions, {0}.reaction_changes, {0}.reaction_lines").format(schema))
    store.append("a", pairs(1))
    assert store.wait(0) == 1
    port = store.reactions()
    port.register([spec()])
    correlate(port)
    assert positions(claim(port)[0]) == [1]


def test_an_event_that_is_gone_blocks_its_target_alone(store: PostgresStore, postgres_url: str) -> None:
    store.append("a", pairs(3))
    store.append("b", pairs(1))
    port = store.reactions()
    port.register([spec()])
    correlate(port)
    with psycopg.connect(place_of(postgres_url).conninfo) as connection:
        schema = sql.Identifier(place_of(postgres_url).schema)
        connection.execute(sql.SQL("delete from {}.events where position = 2").format(schema))
    found = {lease[1]: lease for lease in claim(port)}
    assert {name: positions(lease) for name, lease in found.items()} == {"t-a": [1], "t-b": [4]}
    assert finish(port, found["t-a"])
    assert claim(port) == []
    assert "position 2 is not in the database" in told(port)["error"]


def test_worker_processes_share_a_database_and_one_is_killed_again_and_again(
    store: PostgresStore, postgres_url: str, tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    with ExitStack() as running:

        def begin() -> subprocess.Popen[str]:
            command = [sys.executable, "-c", WORKER, postgres_url, str(tmp_path)]
            process = running.enter_context(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
            running.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n"
            return process

        steady, victim = begin(), begin()
        for turn in range(3):
            for _ in range(40):
                store.append(f"s{dice.randrange(8)}", pairs(dice.randrange(1, 4)))
                time.sleep(0.002)
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            if turn < 2:
                victim = begin()
        port = store.reactions()
        until(lambda: _all_done(port, store.head))
        steady.send_signal(signal.SIGTERM)
        steady.wait()
        port.close()
    for stream in store.streams():
        heard = [int(line) for line in (tmp_path / stream.stream).read_text().split()]
        first = list(dict.fromkeys(heard))
        assert first == [event.position for event in store.load(stream.stream)], "each one, in order"


def _all_done(port: ReactionPort, head: int) -> bool:
    found = port.targets()
    return bool(found) and all(each["lag"] == 0 and each["watermark"] == head for each in found)


def test_an_app_on_postgres_waits_for_a_target_that_another_process_serves(postgres_url: str, tmp_path: Path) -> None:
    with PostgresStore(postgres_url) as store:
        command = [sys.executable, "-c", WORKER, postgres_url, str(tmp_path)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as worker:
            try:
                assert worker.stdout is not None
                assert worker.stdout.readline() == "up\n"
                with Act(store) as app:
                    last = store.append("a", pairs(5)).last_position
                    until(lambda: list(app.targets()))
                    assert app.wait_for(last, "t-a", timeout=60).watermark >= last
                assert (tmp_path / "a").read_text().split() == ["1", "2", "3", "4", "5"]
            finally:
                worker.kill()
