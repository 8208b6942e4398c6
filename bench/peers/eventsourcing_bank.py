"""The account as an aggregate of `eventsourcing`, and its application, as the library's own tutorial writes them."""

from typing import Any
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import InfrastructureFactory
from eventsourcing.sqlite import SQLiteConnection, SQLiteConnectionPool, SQLiteFactory
from eventsourcing.utils import Environment

__all__ = ["Account", "Bank", "UnflushedBank"]


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
