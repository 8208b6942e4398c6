"""What a database holds goes out to a file and comes in from one, to the byte or not at all; and is asked in SQL."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from act_fast import Act, Append, LogStore, Meta, StoreError, ValidationError, move
from act_fast.stores.capabilities import Take, transfer_of
from act_fast.stores.mysql import transfer
from act_fast.stores.mysql.store import MySqlStore
from tests.stores.mysql.stores import numbered
from tests.support.bank import Account
from tests.support.mariadb import MariaDbServer

FORMATS = ["parquet", "csv", "jsonl"]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogStore]:
    """Commits of several events and streams, with and without meta, and snapshots."""
    with LogStore(tmp_path / "bank.act", durability="os") as store:
        for number in range(40):
            events = [("Deposited", b'{"amount": %d}' % number)] * (number % 3 + 1)
            appends = [Append(f"account-{number % 7}", events), Append("all", [("Noted", b'{"text":"\xc3\xa4,\\n"}')])]
            meta = Meta(correlation=f"c-{number}", extra={"n": number}) if number % 2 else None
            store.append_many(appends, meta=meta)
        yield store


def whole(store: Any) -> list[Any]:
    return [row for page in transfer_of(store).commits(0, store.head) for row in page]


@pytest.mark.parametrize("format", FORMATS)
def test_a_restored_database_is_the_log_and_exports_the_same(
    log: LogStore, mariadb_url: str, tmp_path: Path, format: str
) -> None:
    log.export(tmp_path / f"log.{format}")
    with Act(mariadb_url, Account) as app:
        told = app.restore(tmp_path / f"log.{format}")
        assert (told.events, told.commits, told.streams, told.held) == (log.head, 40, 8, 0)
        assert whole(app.store) == whole(log)
        assert list(app.store.streams()) == list(log.streams())
        assert app.store.names() == log.names()
        assert app.store.verify().problems == []
        app.export(tmp_path / f"database.{format}")
        version = app.store.version("account-3")
        appended = app.store.append("account-3", [("Deposited", b"{}")], expected_version=version)
        assert (appended.first_version, appended.first_position) == (version + 1, log.head + 1)
        assert list(app.store.query(correlation="c-3")) == list(log.query(correlation="c-3")) != []
    if format != "parquet":
        assert (tmp_path / f"database.{format}").read_bytes() == (tmp_path / f"log.{format}").read_bytes()


def test_spans_and_snapshots_are_copied_whole(log: LogStore, mariadb_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_SPAN_EVENTS", 7)
    with MySqlStore(mariadb_url) as store, LogStore.memory() as copy:
        with transfer_of(store).taking() as take:
            for page in transfer_of(log).commits(0, log.head):
                take(page)
        store.save_snapshot("account-3", 2, b"two")
        store.save_snapshot("all", 1, b"one")
        snapshots = list(transfer_of(store).snapshots())
        assert snapshots == [("all", 1, b"one"), ("account-3", 2, b"two")]
        with transfer_of(copy).taking() as take:
            for page in transfer_of(store).commits(0, store.head):
                take(page)
        assert whole(copy) == whole(log) == whole(store)
        transfer_of(store).take_snapshots([("all", 1, b"other"), ("all", 3, b"three")])
        assert [data for _, _, data in transfer_of(store).snapshots()] == [b"other", b"three", b"two"]


def test_a_connection_that_breaks_in_the_middle_leaves_nothing(
    log: LogStore, mariadb: MariaDbServer, mariadb_url: str
) -> None:
    pages = list(transfer_of(log).commits(0, log.head))

    def broken(take: Take) -> None:
        take(pages[0])
        (session,) = mariadb.in_transactions()
        mariadb.ask(f"kill {session}")

    with MySqlStore(mariadb_url) as store:
        with pytest.raises(StoreError, match="ended the connection"), transfer_of(store).taking() as take:
            broken(take)
        assert (store.head, list(store.streams())) == (0, [])
        with transfer_of(store).taking() as take:
            take(pages[0])
        assert store.head == pages[0][-1][0]


def test_events_that_do_not_go_on_where_the_store_ends_are_refused(log: LogStore, mariadb_url: str) -> None:
    (page,) = transfer_of(log).commits(0, log.head)
    with MySqlStore(mariadb_url) as store:
        for wrong, sentence in (
            (page[1:], "positions have no gaps"),
            ([(*page[0][:3], 2, *page[0][4:])], "do not go on where it ends"),
            ([page[0], (*page[1][:5], page[0][5] - 1, *page[1][6:])], "times do not run backwards"),
        ):
            with pytest.raises(ValidationError, match=sentence), transfer_of(store).taking() as take:
                take(wrong)
        assert store.head == 0
        assert store.verify().healthy


def test_nothing_is_appended_once_a_store_is_handed_over(mariadb_url: str) -> None:
    hasty = f"{mariadb_url}&lock_timeout=1"
    with MySqlStore(mariadb_url) as store, MySqlStore(hasty) as other:
        other.append("a", numbered(1))
        with transfer_of(store).handing_over("bank.act"), pytest.raises(StoreError, match="too long for a lock"):
            other.append("a", numbered(2))
        for count in (1, 2):
            with pytest.raises(StoreError, match=r"was moved to bank\.act"):
                other.append("a", numbered(2) * count)
        assert (other.head, other.version("a")) == (1, 1)
        transfer_of(store).taken_over()
        assert other.append("a", numbered(2), expected_version=1).first_position == 2
        assert store.verify().healthy


def test_a_log_is_moved_to_a_database_and_back(log: LogStore, mariadb_url: str, tmp_path: Path) -> None:
    expected, head = whole(log), log.head
    log.close()
    there = move(tmp_path / "bank.act", mariadb_url)
    with MySqlStore(mariadb_url) as store:
        assert whole(store) == expected
        assert store.append("new", numbered(1)).first_position == head + 1
    back = move(mariadb_url, tmp_path / "bank.act")
    assert (there.events, back.events) == (head, head + 1)
    with LogStore(tmp_path / "bank.act") as again, MySqlStore(mariadb_url) as store:
        assert whole(again)[:head] == expected
        with pytest.raises(StoreError, match="was moved to"):
            store.append("new", numbered(2))


def test_a_database_is_asked_in_sql(mariadb_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACT_FAST_CACHE", str(tmp_path / "copies"))
    with Act(mariadb_url, Account) as app:
        app.do(Account.open, "account-7", owner="Ada")
        app.do(Account.deposit, "account-7", amount=50)
        assert app.sql("select stream, sum(amount) from deposited group by stream").fetchall() == [("account-7", 50)]
        app.do(Account.deposit, "account-7", amount=1)
        assert app.sql("select balance from account").fetchall() == [(51,)]
