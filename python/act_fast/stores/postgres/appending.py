"""Appending to PostgreSQL: functions of the schema for any batch, and quicker ones for single events without tags."""

import uuid
from collections.abc import Sequence
from typing import Any, Final

import psycopg

from act_fast.stores.database.plan import streams_of
from act_fast.stores.database.tags import joined, tags_of
from act_fast.stores.database.writer import NEVER, Request
from act_fast.stores.once import key_tag
from act_fast.stores.postgres.connections import Connections, Question
from act_fast.stores.postgres.schema import DONE_BEFORE
from act_fast.stores.postgres.session import Session

__all__ = ["FunctionAppending"]

_CLASH: Final = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)
"""With these the transaction was undone: a role may have another isolation level than the usual one."""


class FunctionAppending:
    """One round trip for a batch: `append_one` for one event, `append_each` for one of many streams, `append_batch`.

    Where there are tags, versions of other streams, conditions or keys, it is `append_guarded`.
    """

    def __init__(self, connections: Connections) -> None:
        self._append = connections.question(
            "select {schema}.append_batch(%b::uuid, %b::bigint, %b::bigint[], %b::text[], %b::bigint[], %b::bigint[],"
            " %b::text[], %b::bytea[], %b::bytea[], %b::bytea[])"
        )
        self._append_guarded = connections.question(
            "select {schema}.append_guarded(%b::uuid, %b::bigint, %b::bigint[], %b::text[], %b::bigint[], %b::bigint[],"
            " %b::text[], %b::bytea[], %b::text[], %b::bytea[], %b::bytea[], %b::text[], %b::bigint[], %b::bigint[],"
            " %b::text[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::text[], %b::text[])"
        )
        self._append_one = connections.question(
            "select {schema}.append_one(%b::uuid, %b::bigint, %b::text, %b::bigint, %b::text, %b::bytea, %b::bytea,"
            " %b::bytea)"
        )
        self._append_each = connections.question(
            "select {schema}.append_each(%b::uuid, %b::bigint, %b::text[], %b::bigint[], %b::text[], %b::bytea[],"
            " %b::bytea[], %b::bytea[])"
        )
        self._outcome = connections.question(
            "select outcome from {schema}.log where writer = %b::uuid and batch = %b union all"
            " select outcome from {schema}.writers where writer = %b::uuid and batch = %b"
        )
        self._forget = connections.question(
            "with me as (select %b::uuid as writer), last as (update {schema}.log as l set writer = null, batch = null,"
            " outcome = null from me where l.writer = me.writer)"
            " delete from {schema}.writers as w using me where w.writer = me.writer"
        )

    def append(self, connection: Session, writer: uuid.UUID, number: int, batch: Sequence[Request]) -> Sequence[int]:
        """Append requests in their order, each for itself; see `Appending`."""
        by = str(writer), number
        append, given = self._statement(batch)
        try:
            ((found,),) = connection.ask(append.text, (*by, *given))
        except psycopg.Error as error:
            kept = connection.ask(self._outcome.text, by + by) if error.sqlstate == DONE_BEFORE else []
            if not kept:
                raise
            ((found,),) = kept
        outcome: Sequence[int] = found
        return outcome

    def forget(self, connection: Session, writer: uuid.UUID) -> None:
        """Drop what is kept of a writer."""
        connection.ask(self._forget.text, (str(writer),))

    def clashed(self, error: BaseException) -> bool:
        """Whether the database undid a transaction because of others, so that it may be tried again."""
        return isinstance(error, _CLASH)

    def _statement(self, batch: Sequence[Request]) -> tuple[Question, tuple[Any, ...]]:
        if not all(request.plain for request in batch):
            return self._append_guarded, _guarded(batch)
        if all(request.events == 1 and len(request.parts) == 1 for request in batch):
            if len(batch) == 1:
                return self._append_one, _single(batch[0])
            if len(streams_of(batch)) == len(batch):
                return self._append_each, _in_columns(batch)
        return self._append, _flat(batch)


def _in_columns(batch: Sequence[Request]) -> tuple[list[Any], ...]:
    rows = [_single(request) for request in batch]
    return tuple([row[at] for row in rows] for at in range(6))


def _single(request: Request) -> tuple[Any, ...]:
    ((stream, ((name, data, *_),), expected),) = request.parts
    return stream, NEVER if request.settled else expected, name, data, request.meta, request.correlation


def _flat(batch: Sequence[Request]) -> tuple[list[Any], ...]:
    parts = [part for request in batch for part in request.parts]
    events = [event for _, each, _ in parts for event in each]
    return (
        [len(request.parts) for request in batch],
        [stream for stream, _, _ in parts],
        [NEVER if request.settled else expected for request in batch for _, _, expected in request.parts],
        [len(each) for _, each, _ in parts],
        [event[0] for event in events],
        [event[1] for event in events],
        [request.meta for request in batch],
        [request.correlation for request in batch],
    )


def _guarded(batch: Sequence[Request]) -> tuple[list[Any], ...]:
    *parts, meta, correlations = _flat(batch)
    versions = [version for request in batch for version in request.versions]
    conditions = [condition for request in batch for condition in request.conditions]
    items = [item for items, _ in conditions for item in items]
    return (
        *parts,
        [joined(tags_of(event)) for request in batch for _, events, _ in request.parts for event in events],
        meta,
        correlations,
        [None if request.once is None else key_tag(request.once[0]) for request in batch],
        [None if request.once is None else request.once[1] for request in batch],
        [len(request.versions) for request in batch],
        [stream for stream, _ in versions],
        [version for _, version in versions],
        [len(request.conditions) for request in batch],
        [after for _, after in conditions],
        [len(items) for items, _ in conditions],
        [joined(names) or "" for names, _ in items],
        [joined(tags) or "" for _, tags in items],
    )
