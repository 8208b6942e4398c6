"""What a database holds goes out to a file and comes in from one as with a log: to the byte, or not at all.

ACT_FAST_TRIPS sets how many random logs make the trip.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings

from act_fast import Act, Append, LogStore, Meta, RestoreError, StoreError, ValidationError, restore_path
from act_fast._app.restoring import restore_store
from act_fast.stores.capabilities import Take, transfer_of
from act_fast.stores.postgres.address import place_of
from act_fast.stores.postgres.store import PostgresStore
from tests.stores.exchange.test_round_trip import commits, write
from tests.stores.postgres.stores import empty
from tests.support.bank import Account, Deposited

TRIPS = int(os.environ.get("ACT_FAST_TRIPS", "8"))
FORMATS = ["parquet", "csv", "jsonl"]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogStore]:
    """Commits of several events and streams, with and without meta."""
    with LogStore(tmp_path / "bank.act", durability="os") as store:
        for number in range(40):
            events = [("Deposited", b'{"amount": %d}' % number)] * (number % 3 + 1)
            appends = [Append(f"account-{number % 7}", events), Append("all", [("Noted", b'{"text":"\xc3\xa4,\\n"}')])]
            meta = Meta(correlation=f"c-{number}", extra={"n": number}) if number % 2 else None
            store.append_many(appends, meta=meta)
        yield store


def restored(store: PostgresStore, log: LogStore, path: Path) -> None:
    log.export(path, overwrite=True)
    restore_store(store, path, replace=False, dry_run=False, progress=None)


def whole(store: Any) -> list[Any]:
    return [row for page in transfer_of(store).commits(0, store.head) for row in page]


@pytest.mark.parametrize("format", FORMATS)
def test_a_restored_database_is_the_log_and_exports_the_same_file(
    log: LogStore, postgres_url: str, tmp_path: Path, format: str
) -> None:
    log.export(tmp_path / f"log.{format}")
    with Act(postgres_url, Account) as app:
        told = app.restore(tmp_path / f"log.{format}")
        assert (told.events, told.commits, told.streams, told.held) == (log.head, 40, 8, 0)
        assert whole(app.store) == whole(log)
        assert list(app.store.streams()) == list(log.streams())
        assert app.store.names() == log.names()
        assert app.store.verify().problems == []
        app.export(tmp_path / f"database.{format}")
        app.export(tmp_path / f"part.{format}", events=[Deposited], after=10, stream="account-3")
    if format == "parquet":
        rows = [duckdb.read_parquet(str(tmp_path / f"{name}.parquet")).fetchall() for name in ("log", "database")]
        assert rows[0] == rows[1]
    else:
        assert (tmp_path / f"database.{format}").read_bytes() == (tmp_path / f"log.{format}").read_bytes()
    log.export(tmp_path / f"part_of_log.{format}", names=["Deposited"], after=10, stream="account-3")
    if format == "jsonl":
        assert (tmp_path / "part.jsonl").read_bytes() == (tmp_path / "part_of_log.jsonl").read_bytes() != b""


def test_what_is_restored_is_appended_to_and_found_by_correlation(
    log: LogStore, postgres_url: str, tmp_path: Path
) -> None:
    with PostgresStore(postgres_url) as store:
        restored(store, log, tmp_path / "all.jsonl")
        found = list(store.query(correlation="c-3"))
        assert found == list(log.query(correlation="c-3"))
        assert found
        version = store.version("account-3")
        appended = store.append("account-3", [("Deposited", b"{}")], expected_version=version)
        assert (appended.first_version, appended.first_position) == (version + 1, log.head + 1)
        assert next(store.query(backwards=True, limit=1)).created >= next(log.query(backwards=True, limit=1)).created
        assert store.verify().healthy


@settings(max_examples=TRIPS, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=commits)
def test_random_logs_come_back_to_the_byte(written: Any, postgres_url: str, tmp_path_factory: Any) -> None:
    folder: Path = tmp_path_factory.mktemp("trip")
    with LogStore.memory() as log, PostgresStore(postgres_url) as store:
        empty(postgres_url)
        write(log, written)
        restored(store, log, folder / "all.jsonl")
        expected, found = whole(log), whole(store)
        assert [row[:6] for row in found] == [row[:6] for row in expected]
        assert [row[6:] for row in found] == [(row[6].strip(), *row[7:]) for row in expected]


def test_a_database_that_is_not_empty_is_left_alone(log: LogStore, postgres_url: str, tmp_path: Path) -> None:
    log.export(tmp_path / "all.jsonl")
    with Act(postgres_url, Account) as app:
        app.do(Account.open, "account-1", owner="Ada")
        for dry_run in (True, False):
            with pytest.raises(ValidationError, match="holds 1 events"):
                app.restore(tmp_path / "all.jsonl", dry_run=dry_run)
        assert app.store.head == 1


def test_a_file_that_is_wrong_leaves_the_database_empty(log: LogStore, postgres_url: str, tmp_path: Path) -> None:
    log.export(tmp_path / "all.jsonl")
    lines = (tmp_path / "all.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "wrong.jsonl").write_text("".join([*lines[:-1], lines[-1][:20]]))
    with Act(postgres_url, Account) as app:
        assert app.restore(tmp_path / "all.jsonl", dry_run=True).events == log.head
        with pytest.raises(RestoreError, match=rf"line {len(lines)}"):
            app.restore(tmp_path / "wrong.jsonl")
        assert app.store.head == 0
        assert app.restore(tmp_path / "all.jsonl").events == log.head


def test_a_connection_that_breaks_in_the_middle_leaves_nothing(log: LogStore, postgres_url: str) -> None:
    place = place_of(postgres_url)
    pages = list(transfer_of(log).commits(0, log.head))
    with PostgresStore(postgres_url) as store:

        def broken(take: Take) -> None:
            take(pages[0])
            with psycopg.connect(place.conninfo, autocommit=True) as admin:
                admin.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where query like %s and pid <> pg_backend_pid()",
                    (f'%copy "{place.schema}"%',),
                )

        with pytest.raises(StoreError, match="ended the connection"), transfer_of(store).taking() as take:
            broken(take)
        assert (store.head, list(store.streams())) == (0, [])
        with transfer_of(store).taking() as take:
            take(pages[0])
        assert store.head == pages[0][-1][0]


def test_events_that_do_not_go_on_where_the_store_ends_are_refused(log: LogStore, postgres_url: str) -> None:
    (page,) = transfer_of(log).commits(0, log.head)
    with PostgresStore(postgres_url) as store:
        for wrong, sentence in (
            (page[1:], "positions have no gaps"),
            ([(*page[0][:3], 2, *page[0][4:])], "do not go on where it ends"),
            ([page[0], (*page[1][:5], page[0][5] - 1, *page[1][6:])], "times do not run backwards"),
        ):
            with pytest.raises(ValidationError, match=sentence), transfer_of(store).taking() as take:
                take(wrong)
        assert store.head == 0
        assert store.verify().healthy


def test_a_log_takes_what_another_holds_as_it_stands_and_nothing_else(log: LogStore, tmp_path: Path) -> None:
    with LogStore(tmp_path / "copy.act", durability="os") as copy:
        (page,) = transfer_of(log).commits(0, log.head)
        with transfer_of(copy).taking() as take:
            take(page)
            for wrong in (page, [(log.head + 2, log.head + 2, *page[0][2:])]):
                with pytest.raises(ValidationError, match="cannot be copied"):
                    take(wrong)
            early = (log.head + 1, log.head + 1, "s", 1, "A", page[-1][5] - 1, b"{}", b"", ())
            with pytest.raises(ValidationError, match="older than the one before"):
                take([early])
        assert whole(copy) == whole(log)
        assert copy.verify().healthy
    assert restore_path(tmp_path / "other.act", log.export(tmp_path / "all.csv").path).events == log.head


def test_a_backup_is_the_databases_own_business(postgres_url: str, tmp_path: Path) -> None:
    with Act(postgres_url, Account) as app, pytest.raises(ValidationError, match="with its own tools"):
        app.backup(tmp_path / "copy.act")
