"""`eventsourcing`: the same account as an aggregate, in memory and on SQLite."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import InfrastructureFactory
from eventsourcing.sqlite import SQLiteConnection, SQLiteConnectionPool, SQLiteFactory
from eventsourcing.utils import Environment

from bench.duel import Body, Contender
from bench.rows import EVENTSOURCING_MEMORY, EVENTSOURCING_SQLITE

__all__ = ["aggregate_loads", "aggregate_saves", "recorder_load"]

Env = dict[str, str]

MEMORY = "none: in memory"
FLUSHED = "power cut: synchronous FULL"
UNFLUSHED = "process: synchronous OFF"


class Account(Aggregate):
    """The aggregate whose every change is one event, as the library's own tutorial writes it."""

    @event("Opened")
    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.balance = 0

    @event("Deposited")
    def deposit(self, amount: int) -> None:
        self.balance += amount


class Bank(Application[UUID]):
    """The library's application, as it comes."""


class UnflushedPool(SQLiteConnectionPool):
    """Connections that leave flushing to the operating system."""

    def _create_connection(self) -> SQLiteConnection:
        connection = super()._create_connection()
        connection.cursor().execute("pragma synchronous=off")
        return connection


class UnflushedBank(Bank):
    """The same on SQLite without a flush, so that like can be compared with like."""

    def construct_factory(self, env: Environment) -> InfrastructureFactory[Any]:
        factory = super().construct_factory(env)
        assert isinstance(factory, SQLiteFactory)
        factory.datastore.pool = UnflushedPool(db_name=factory.datastore.pool.db_name)
        return factory


def aggregate_saves(accounts: int, actions_each: int) -> list[Contender]:
    """Deposits into accounts that the caller holds, one save each; the budgets name the first two."""
    return [
        saves(EVENTSOURCING_SQLITE, FLUSHED, Bank, accounts, actions_each),
        saves(EVENTSOURCING_MEMORY, MEMORY, Bank, accounts * 4, actions_each),
        saves(f"{EVENTSOURCING_SQLITE}, flushing off", UNFLUSHED, UnflushedBank, accounts * 2, actions_each),
        saves(f"{EVENTSOURCING_MEMORY}, got from its cache", MEMORY, Bank, accounts * 2, actions_each, held=False),
    ]


def saves(
    name: str, durability: str, bank_class: type[Bank], accounts: int, actions_each: int, *, held: bool = True
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


def aggregate_loads(path: Path, accounts: int, events_each: int) -> list[Contender]:
    """Accounts rebuilt from their events, without a cache, in memory and from a SQLite file made here."""
    path.mkdir()
    return [
        loads(EVENTSOURCING_MEMORY, MEMORY, filled(path, MEMORY, accounts, events_each), events_each),
        loads(EVENTSOURCING_SQLITE, FLUSHED, filled(path, FLUSHED, accounts, events_each), events_each),
    ]


def recorder_load(path: Path, accounts: int, events_each: int) -> Contender:
    """The library's own rows, before anything is decoded."""
    path.mkdir()
    bank, ids = filled(path, FLUSHED, accounts, events_each)

    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        yield lambda: [bank.recorder.select_events(account_id) for account_id in ids]

    return Contender("eventsourcing, its rows from SQLite", FLUSHED, accounts * events_each, prepare)


def loads(name: str, durability: str, bank_and_ids: tuple[Bank, Sequence[UUID]], events_each: int) -> Contender:
    bank, ids = bank_and_ids

    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        yield lambda: [bank.repository.get(account_id) for account_id in ids]

    return Contender(name, durability, len(ids) * events_each, prepare)


def filled(path: Path, durability: str, accounts: int, events_each: int) -> tuple[Bank, list[UUID]]:
    bank = Bank(env=stored_at(path, durability))
    all_held = opened(bank, accounts)
    for account in all_held:
        for _ in range(events_each - 1):
            account.deposit(amount=5)
        bank.save(account)
    return bank, [account.id for account in all_held]


def opened(bank: Bank, accounts: int) -> list[Account]:
    all_held = [Account(owner="Ada") for _ in range(accounts)]
    bank.save(*all_held)
    return all_held


def stored_at(path: Path, durability: str) -> Env:
    if durability == MEMORY:
        return {}
    return {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(path / "bank.db")}
