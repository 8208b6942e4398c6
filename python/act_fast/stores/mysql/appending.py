"""Appending to MySQL: the statements of a transaction. Functions in the database would need rights of their own.

A single event goes in one packet: its statements hand on what they found in variables of the session. A batch takes two
round trips: the first locks the log and reads, then this process decides, and the second writes and commits. So does an
event with tags, or with conditions.
"""

import uuid
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final

import pymysql
from pymysql.constants import ER

from act_fast.errors import StoreError
from act_fast.stores.database.plan import Plan, streams_of
from act_fast.stores.database.writer import NEVER, Request
from act_fast.stores.mysql.conditions import newest_by, newest_question
from act_fast.stores.mysql.connections import Connection, Connections, code_of, run, send
from act_fast.stores.mysql.event_rows import ROWS_MAX, inserts, start_of

__all__ = ["CLASH", "NOW_US", "StatementAppending"]

NOW_US: Final = "timestampdiff(microsecond, '1970-01-01', utc_timestamp(6))"
"""The server's clock, in µs since 1970."""

_CHECKREAD: Final = 1020
CLASH: Final = frozenset({ER.LOCK_DEADLOCK, _CHECKREAD})
"""With these the transaction was undone: another node of a cluster was first, or another program has locked rows."""

# The transaction that has locked the one row of `log` is the only one that appends, until it is over.
_LOCK: Final = """
start transaction;
select position, created_us, moved from {schema}.log where one = 1 for update;
select batch, outcome, {now} from {schema}.writers right join (select 1) as here on writer = %s;
"""
_STREAMS: Final = """
insert into {schema}.streams
    (stream, version, first_position, last_position, first_us, last_us, last_name) values
"""
_STREAMS_THERE: Final = """
on duplicate key update version = version + values(version), last_position = values(last_position),
    last_us = values(last_us), last_name = values(last_name)
"""
_ENDING: Final = """
update {schema}.log set position = %s, created_us = %s where one = 1;
insert into {schema}.writers (writer, batch, outcome, seen) values (%s, %s, %s, utc_timestamp())
    on duplicate key update batch = values(batch), outcome = values(outcome), seen = values(seen);
commit
"""

_APPEND_ONE: Final = """
start transaction;
set @act_b = null, @act_o = null, @act_v = 0;
select position + 1, created_us, moved into @act_p, @act_t, @act_m from {schema}.log where one = 1 for update;
select batch, outcome into @act_b, @act_o from {schema}.writers where writer = %s;
select version into @act_v from {schema}.streams where stream = %s;
set @act_new = @act_b is null or @act_b < %s, @act_t = greatest(@act_t, {now});
set @act_new = @act_new and @act_m is null;
set @act_go = @act_new and coalesce(%s = @act_v, true);
insert into {schema}.events
    (position, commit_position, stream, version, name, created_us, data, meta, correlation, correlation_start)
    select @act_p, @act_p, %s, @act_v + 1, %s, @act_t, %s, %s, %s, %s from dual where @act_go;
insert into {schema}.streams (stream, version, first_position, last_position, first_us, last_us, last_name)
    select %s, 1, @act_p, @act_p, @act_t, @act_t, %s from dual where @act_go
    on duplicate key update version = {schema}.streams.version + 1, last_position = @act_p, last_us = @act_t,
        last_name = values(last_name);
update {schema}.log set position = @act_p, created_us = @act_t where one = 1 and @act_go;
set @act_o = if(@act_new, if(@act_go, concat(@act_v + 1, ' ', @act_p, ' 0'), concat('0 1 ', @act_v)), @act_o);
insert into {schema}.writers (writer, batch, outcome, seen)
    select %s, %s, @act_o, utc_timestamp() from dual where @act_new
    on duplicate key update batch = values(batch), outcome = values(outcome), seen = values(seen);
commit;
select @act_b, @act_o, @act_m
"""


class StatementAppending:
    """Two round trips for a batch, one for a single event."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._prefix = connections.place.prefix
        self._forget = self._text("delete from {schema}.writers where writer = %s")
        self._lock, self._ending, self._one = self._text(_LOCK), self._text(_ENDING), self._text(_APPEND_ONE)
        self._streams, self._there = self._text(_STREAMS), self._text(_STREAMS_THERE)
        self._versions = self._text("select stream, version from {schema}.streams where stream in %s")

    def append(self, connection: Connection, writer: uuid.UUID, number: int, batch: Sequence[Request]) -> Sequence[int]:
        """Append requests in their order, each for itself; see `Appending`."""
        alone = len(batch) == 1 and batch[0].plain and batch[0].events == 1 and len(batch[0].parts) == 1
        try:
            if alone:
                return self._append_one(connection, str(writer), number, batch[0])
            return self._append_batch(connection, str(writer), number, batch)
        except (pymysql.Error, StoreError) as error:
            if not self._connections.broken(error):
                run(connection, "rollback")
            raise

    def forget(self, connection: Connection, writer: uuid.UUID) -> None:
        """Drop what is kept of a writer."""
        run(connection, self._forget, (str(writer),))

    def clashed(self, error: BaseException) -> bool:
        """Whether the database undid a transaction because of others, so that it may be tried again."""
        return isinstance(error, pymysql.Error) and code_of(error) in CLASH

    def _append_one(self, connection: Connection, writer: str, number: int, request: Request) -> Sequence[int]:
        ((stream, ((name, data, *_),), expected),) = request.parts
        expected = NEVER if request.settled else expected
        event = (stream, name, data, request.meta, request.correlation, start_of(request.correlation))
        given = (writer, stream, number, expected, *event, stream, name, writer, number)
        ((known, outcome, moved),) = run(connection, self._one, given)[-1]
        _check_known(known, number)
        if known != number:
            self._check_moved(moved)
        return _numbers(outcome)

    def _append_batch(
        self, connection: Connection, writer: str, number: int, batch: Sequence[Request]
    ) -> Sequence[int]:
        streams = streams_of(batch)
        questions, given = newest_question(self._prefix, batch)
        _, ((head, created_us, moved),), ((known, outcome, now_us),), rows, *newest = run(
            connection, self._lock + self._versions + questions, (writer, streams[:ROWS_MAX], *given)
        )
        found: dict[str, int] = dict(rows)
        for at in range(ROWS_MAX, len(streams), ROWS_MAX):
            found.update(run(connection, self._versions, (streams[at : at + ROWS_MAX],))[-1])
        if known is not None and known >= number:
            _check_known(known, number)
            run(connection, "rollback")
            return _numbers(outcome)
        self._check_moved(moved)
        time_us = max(created_us, now_us)
        plan = Plan(head, time_us, found, newest_by(batch, newest))
        for request in batch:
            plan.take(request)
        told = " ".join(map(str, plan.outcome))
        ending = (self._ending, [plan.head, time_us if plan.head > head else created_us, writer, number, told])
        send(connection, chain(self._writing(plan, time_us), [ending]), self._connections.packet_max)
        return plan.outcome

    def _writing(self, plan: Plan, time_us: int) -> Iterator[tuple[str, list[Any]]]:
        """The statements that write what was accepted, none of them too large."""
        yield from inserts(self._connections, plan.events)
        touched = [*plan.streams.items()]
        for at in range(0, len(touched), ROWS_MAX):
            some = touched[at : at + ROWS_MAX]
            values = ",".join(["(%s, %s, %s, %s, %s, %s, %s)"] * len(some))
            yield (
                self._streams + values + self._there,
                [
                    value
                    for stream, each in some
                    for value in (
                        stream, each.events, each.first_position, each.last_position, time_us, time_us, each.last_name
                    )
                ],
            )  # fmt: skip

    def _check_moved(self, moved: str | None) -> None:
        if moved is not None:
            raise StoreError(f"the database at {self._connections.place} refuses: this store was moved to {moved}")

    def _text(self, text: str) -> str:
        return text.replace("{schema}.", f"{self._prefix}_").replace("{now}", NOW_US)


def _check_known(known: int | None, number: int) -> None:
    if known is not None and known > number:
        raise StoreError(f"batch {number} of this writer comes after its batch {known}, and was given up")


def _numbers(outcome: bytes | str) -> list[int]:
    return [int(each) for each in outcome.split()]
