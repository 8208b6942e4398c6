"""`eventsourcing`: the same account as an aggregate, in memory and on SQLite."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from bench.harness.duel import Body, Contender
from bench.peers.absence import needs
from bench.rows.peers import EVENTSOURCING_MEMORY, EVENTSOURCING_SQLITE, EVENTSOURCING_SQLITE_UNFLUSHED

__all__ = ["aggregate_loads", "aggregate_saves", "recorder_load"]

if TYPE_CHECKING:
    from bench.peers.eventsourcing_bank import Account, Bank

Env = dict[str, str]

MEMORY = "none: in memory"
FLUSHED = "power cut: synchronous FULL"
UNFLUSHED = "process: synchronous OFF"
ROWS_OF_SQLITE = "eventsourcing, its rows from SQLite"


@needs("eventsourcing", EVENTSOURCING_SQLITE, EVENTSOURCING_MEMORY, EVENTSOURCING_SQLITE_UNFLUSHED)
def aggregate_saves(accounts: int, actions_each: int) -> list[Contender]:
    """Deposits into accounts that the caller holds, one save each; the budgets name the first two."""
    from bench.peers.eventsourcing_bank import Bank, UnflushedBank

    return [
        saves(EVENTSOURCING_SQLITE, FLUSHED, Bank, accounts, actions_each),
        saves(EVENTSOURCING_MEMORY, MEMORY, Bank, accounts * 4, actions_each),
        saves(EVENTSOURCING_SQLITE_UNFLUSHED, UNFLUSHED, UnflushedBank, accounts * 2, actions_each),
        saves(f"{EVENTSOURCING_MEMORY}, got from its cache", MEMORY, Bank, accounts * 2, actions_each, held=False),
    ]


def saves(
    name: str, durability: str, bank_class: "type[Bank]", accounts: int, actions_each: int, *, held: bool = True
) -> Contender:
    @contextmanager
    def prepare(path: Path) -> Iterator[Body]:
        cache = {} if held else {"AGGREGATE_CACHE_MAXSIZE": str(accounts)}
        with bank_class(env=stored_at(path, durability) | cache) as bank:
            all_held = opened(bank, accounts)
            ids = [account.id for account in all_held]

            def deposit_into_held() -> None:
                for _ in range(actions_each):
                    for account in all_held:
                        account.deposit(amount=5)
                        bank.save(account)

            def deposit_into_got() -> None:
                for _ in range(actions_each):
                    for account_id in ids:
                        account: Account = bank.repository.get(account_id)
                        account.deposit(amount=5)
                        bank.save(account)

            yield deposit_into_held if held else deposit_into_got

    return Contender(name, durability, accounts * actions_each, prepare)


@needs("eventsourcing", EVENTSOURCING_MEMORY, EVENTSOURCING_SQLITE)
def aggregate_loads(path: Path, accounts: int, events_each: int) -> list[Contender]:
    """Accounts rebuilt from their events, without a cache, in memory and from a SQLite file made here."""
    path.mkdir()
    return [
        loads(EVENTSOURCING_MEMORY, MEMORY, filled(path, MEMORY, accounts, events_each), events_each),
        loads(EVENTSOURCING_SQLITE, FLUSHED, filled(path, FLUSHED, accounts, events_each), events_each),
    ]


@needs("eventsourcing", ROWS_OF_SQLITE)
def recorder_load(path: Path, accounts: int, events_each: int) -> list[Contender]:
    """The library's own rows, before anything is decoded."""
    path.mkdir()
    bank, ids = filled(path, FLUSHED, accounts, events_each)

    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        yield lambda: [bank.recorder.select_events(account_id) for account_id in ids]

    return [Contender(ROWS_OF_SQLITE, FLUSHED, accounts * events_each, prepare)]


def loads(name: str, durability: str, bank_and_ids: "tuple[Bank, Sequence[UUID]]", events_each: int) -> Contender:
    bank, ids = bank_and_ids

    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        yield lambda: [bank.repository.get(account_id) for account_id in ids]

    return Contender(name, durability, len(ids) * events_each, prepare)


def filled(path: Path, durability: str, accounts: int, events_each: int) -> "tuple[Bank, list[UUID]]":
    from bench.peers.eventsourcing_bank import Bank

    bank = Bank(env=stored_at(path, durability))
    all_held = opened(bank, accounts)
    for account in all_held:
        for _ in range(events_each - 1):
            account.deposit(amount=5)
        bank.save(account)
    return bank, [account.id for account in all_held]


def opened(bank: "Bank", accounts: int) -> "list[Account]":
    from bench.peers.eventsourcing_bank import Account

    all_held = [Account(owner="Ada") for _ in range(accounts)]
    bank.save(*all_held)
    return all_held


def stored_at(path: Path, durability: str) -> Env:
    if durability == MEMORY:
        return {}
    return {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(path / "bank.db")}
