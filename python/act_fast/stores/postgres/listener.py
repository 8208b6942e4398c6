"""Notifications of PostgreSQL: those that others send about the head of a log, and our own."""

import hashlib
from typing import Any

import psycopg
from psycopg import Connection, sql

from act_fast.stores.database.news import Told
from act_fast.stores.postgres.connections import Connections

__all__ = ["NotificationListener", "channel_of"]


def channel_of(schema: str) -> str:
    """The channel for notifications about the store in a schema."""
    return "act_fast_" + hashlib.sha256(schema.encode()).hexdigest()[:16]


class NotificationListener:
    """A connection that listens.

    Attributes:
        hears: whether notifications reach it: not behind a pooler, and not on a replica.
    """

    def __init__(self, connections: Connections) -> None:
        self._channel = channel_of(connections.place.schema)
        self._connections = connections
        self._look = connections.composed("select position, number from {schema}.log, {schema}.reactions")
        self._connection: Connection[Any] = connections.new()
        self.hears: bool = connections.place.listen
        try:
            if self.hears:
                try:
                    # Others are to be told soon, not durably: the events themselves are flushed already.
                    self._connection.execute("set synchronous_commit to off")
                    self._connection.execute(sql.SQL("listen {}").format(sql.Identifier(self._channel)))
                except psycopg.errors.ReadOnlySqlTransaction:  # a replica
                    self.hears = False
        except BaseException:
            self._connection.close()
            raise

    def fileno(self) -> int:
        """The file that can be read when there is something to hear."""
        return self._connection.fileno()

    def heard(self) -> Told:
        """Take in what there is to hear from others."""
        own = self._connection.info.backend_pid  # what this process tells is known here
        all_told = Told()
        for each in self._connection.notifies(timeout=0):
            if each.pid != own:
                head, *words = each.payload.split(" ")
                all_told |= Told(int(head), "work" in words, "moves" in words)
        return all_told

    def tell(self, told: Told) -> None:
        """Notify others. Within an append, this would take a lock of the whole server until the flush is over."""
        payload = f"{told.head}{' work' * told.work}{' moves' * told.moves}"
        self._connection.execute("select pg_notify(%s, %s)", (self._channel, payload))

    def look(self) -> tuple[int, int]:
        """The position of the last event, and the number of the last change of reactions."""
        try:
            row = self._connection.execute(self._look).fetchone()
        except psycopg.errors.UndefinedTable:  # a store of an earlier version, on which no reaction has ever run
            self._look = self._connections.composed("select position, 0 from {schema}.log")
            row = self._connection.execute(self._look).fetchone()
        assert row is not None
        return int(row[0]), int(row[1])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
