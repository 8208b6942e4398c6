"""Appending to PostgreSQL: a function of the schema for a batch, and a quicker one for a single event."""

import uuid
from collections.abc import Sequence
from typing import Any, Final

import psycopg
from psycopg import Connection

from act_fast.stores.database.writer import NEVER, Request
from act_fast.stores.postgres.connections import Connections

__all__ = ["FunctionAppending"]

_CLASH: Final = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)
"""With these the transaction was undone: a role may have another isolation level than the usual one."""


class FunctionAppending:
    """One round trip for a batch: `append_batch`, or `append_one` for a single event."""

    def __init__(self, connections: Connections) -> None:
        self._append = connections.question(
            "select {schema}.append_batch(%b::uuid, %b::bigint, %b::bigint[], %b::text[], %b::bigint[], %b::bigint[],"
            " %b::text[], %b::bytea[], %b::bytea[], %b::bytea[])"
        )
        self._append_one = connections.question(
            "select {schema}.append_one(%b::uuid, %b::bigint, %b::text, %b::bigint, %b::text, %b::bytea, %b::bytea,"
            " %b::bytea)"
        )
        self._forget = connections.question("delete from {schema}.writers where writer = %s")

    def append(
        self, connection: Connection[Any], writer: uuid.UUID, number: int, batch: Sequence[Request]
    ) -> Sequence[int]:
        """Append requests in their order, each for itself; see `Appending`."""
        alone = len(batch) == 1 and batch[0].events == 1 and len(batch[0].parts) == 1
        append, given = (self._append_one, _single(batch[0])) if alone else (self._append, _flat(batch))
        row = connection.execute(append, (writer, number, *given), binary=True).fetchone()
        assert row is not None
        found: Sequence[int] = row[0]
        return found

    def forget(self, connection: Connection[Any], writer: uuid.UUID) -> None:
        """Drop what is kept of a writer."""
        connection.execute(self._forget, (writer,))

    def clashed(self, error: BaseException) -> bool:
        """Whether the database undid a transaction because of others, so that it may be tried again."""
        return isinstance(error, _CLASH)


def _single(request: Request) -> tuple[Any, ...]:
    ((stream, ((name, data),), expected),) = request.parts
    return stream, NEVER if request.settled else expected, name, data, request.meta, request.correlation


def _flat(batch: Sequence[Request]) -> tuple[list[Any], ...]:
    parts = [part for request in batch for part in request.parts]
    events = [event for _, each, _ in parts for event in each]
    return (
        [len(request.parts) for request in batch],
        [stream for stream, _, _ in parts],
        [NEVER if request.settled else expected for request in batch for _, _, expected in request.parts],
        [len(each) for _, each, _ in parts],
        [name for name, _ in events],
        [data for _, data in events],
        [request.meta for request in batch],
        [request.correlation for request in batch],
    )
