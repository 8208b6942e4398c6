"""Reactions on MariaDB: what one program has come to another goes on with, also when sessions are ended in between."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from act_fast import Act, Committed, LogStore
from act_fast.stores.database import mirrored
from act_fast.stores.mysql import reactions
from act_fast.stores.mysql.address import place_of
from act_fast.stores.mysql.store import MySqlStore
from act_fast.testing.conformance import reaction_differences
from tests.stores.mysql.stores import ask, connected
from tests.stores.mysql.test_bad_days import end_sessions
from tests.support.bank import Account, Deposited
from tests.support.mariadb import MariaDbServer
from tests.support.processes import until

STREAMS, TURNS = 12, 10


def watching(url: str, seen: list[tuple[str, int]]) -> Act:
    """A program that takes down which deposits it has handled."""
    app = Act(url, Account)

    @app.on(Deposited, to="audit-{stream}")
    def audit(event: Committed[Deposited]) -> None:
        seen.append((event.stream, event.version))

    return app


def deposit(url: str) -> list[tuple[str, int]]:
    with Act(url, Account) as app:
        for number in range(STREAMS):
            app.do(Account.open, f"s-{number}", owner="Ada")
            for _ in range(TURNS):
                app.do(Account.deposit, f"s-{number}", amount=1)
    return [(f"s-{number}", version + 2) for number in range(STREAMS) for version in range(TURNS)]


def test_two_programs_share_the_work_and_each_event_is_handled_once(mariadb_url: str) -> None:
    expected = deposit(mariadb_url)
    seen: list[list[tuple[str, int]]] = [[], []]
    with watching(mariadb_url, seen[0]) as one, watching(mariadb_url, seen[1]) as other, ThreadPoolExecutor(2) as pool:
        for each in [pool.submit(app.settle) for app in (one, other)]:
            each.result()
        one.settle()
    assert sorted(seen[0] + seen[1]) == sorted(expected)


def test_what_one_program_has_done_another_does_not_do_again(mariadb_url: str) -> None:
    expected = deposit(mariadb_url)
    seen: list[list[tuple[str, int]]] = [[], []]
    with watching(mariadb_url, seen[0]) as one:
        one.settle()
    with watching(mariadb_url, seen[1]) as other:
        other.do(Account.deposit, "s-0", amount=1)
        other.settle()
    assert sorted(seen[0]) == sorted(expected)
    assert seen[1] == [("s-0", TURNS + 2)]


def test_sessions_that_are_ended_while_reactions_run_lose_no_event(mariadb_url: str) -> None:
    expected, seen = deposit(mariadb_url), list[tuple[str, int]]()
    ended = threading.Event()
    with connected(mariadb_url, autocommit=True) as admin, watching(mariadb_url, seen) as app:

        @app.on(Deposited, to="slow")
        def slow(event: Committed[Deposited]) -> None:
            if event.version == 5 and not ended.is_set():
                end_sessions(admin)
                ended.set()

        app.settle()
    assert ended.is_set()
    assert set(seen) == set(expected)
    assert max(Counter(seen).values()) <= 2
    for stream in {stream for stream, _ in seen}:
        versions = list(dict.fromkeys(version for each, version in seen if each == stream))
        assert versions == sorted(versions)


def test_a_worker_is_woken_by_what_another_program_appends(mariadb_url: str) -> None:
    seen: list[tuple[str, int]] = []
    with watching(mariadb_url, seen) as app, Act(mariadb_url, Account) as other:
        running = threading.Thread(target=app.run)
        running.start()
        try:
            other.do(Account.deposit, "s-0", amount=1)
            until(lambda: seen == [("s-0", 1)])
            other.do(Account.deposit, "s-0", amount=1)
            until(lambda: len(seen) == 2)
        finally:
            app.close()
            running.join()


def test_a_program_that_falls_behind_what_is_kept_reads_all_pages_again(
    mariadb_url: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirrored, "_FOLD_CHANGES", 3)
    monkeypatch.setattr(reactions, "_KEPT_CHANGES", 2)
    monkeypatch.setattr(reactions, "_PAGES_AT_ONCE", 2)
    with LogStore.memory() as log, MySqlStore(mariadb_url) as store:
        assert reaction_differences(seed, log, store) == [], f"seed {seed}"
        number, folded = store._one("select number, folded from {schema}.reactions")
        assert number - folded <= 3
        (kept,) = store._one("select count(*) from {schema}.reaction_changes")
        assert kept <= 6


def test_a_store_of_a_version_without_reactions_gets_their_tables(mariadb_url: str) -> None:
    MySqlStore(mariadb_url).close()
    prefix = place_of(mariadb_url).prefix
    with connected(mariadb_url, autocommit=True) as admin:
        for table in ("reactions", "reaction_changes", "reaction_lines"):
            ask(admin, f"drop table {prefix}_{table}")
    expected, seen = deposit(mariadb_url), list[tuple[str, int]]()
    with watching(mariadb_url, seen) as app:
        app.settle()
    assert sorted(seen) == sorted(expected)


@pytest.mark.parametrize("crash", [False, True], ids=["in good order", "crash"])
def test_a_server_that_comes_back_goes_on_with_reactions(own_mariadb: MariaDbServer, crash: bool) -> None:
    own_mariadb.ask("set global innodb_flush_log_at_trx_commit = 1")
    expected, seen = deposit(own_mariadb.url()), list[tuple[str, int]]()
    with watching(own_mariadb.url(), seen) as app:
        app.settle()
        own_mariadb.restart(crash=crash)
        app.do(Account.deposit, "s-0", amount=1)
        app.settle()
    assert sorted(seen) == sorted([*expected, ("s-0", TURNS + 2)])
