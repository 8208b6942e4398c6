"""The store in MySQL as a whole, out and in: see `Transfer`."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final

from act_fast._rows import CommitRow, JoinedRow
from act_fast.errors import ValidationError
from act_fast.stores.capabilities import SnapshotRow, Take
from act_fast.stores.database.lines import lines_of, packed, pages_of, unpacked
from act_fast.stores.database.transfer import DatabaseTransfer, Going
from act_fast.stores.mysql.appending import NOW_US
from act_fast.stores.mysql.connections import Connection, Connections, flush, run, send, walk
from act_fast.stores.mysql.event_rows import inserts
from act_fast.stores.mysql.schema import prepare_reactions

__all__ = ["MySqlTransfer"]

_SPAN_EVENTS: Final = 200_000
"""So many events are read by one statement: one that takes long keeps old versions of rows from being cleaned up."""

_PAGES_AT_ONCE: Final = 200

_PATIENT: Final = "set session wait_timeout = 28800, net_write_timeout = 600"
"""The other store may take its time."""

_READ: Final = """
select position, commit_position, stream, version, name, created_us, data, meta, tags from {schema}.events
    where position > %s and position <= %s order by position
"""
_TORN: Final = """
select a.stream from (
    select stream, count(*) as events, min(version) as first_version, max(version) as last_version
    from {schema}.events where position > %s group by stream
) as a left join {schema}.streams as s on s.stream = a.stream
where a.first_version <> coalesce(s.version, 0) + 1 or a.last_version <> coalesce(s.version, 0) + a.events limit 1
"""
_STREAMS: Final = """
insert into {schema}.streams (stream, version, first_position, last_position, first_us, last_us, last_name)
    select a.stream, l.version, f.position, l.position, f.created_us, l.created_us, l.name from (
        select stream, min(position) as first_at, max(position) as last_at from {schema}.events
        where position > %s group by stream
    ) as a join {schema}.events as f on f.position = a.first_at join {schema}.events as l on l.position = a.last_at
on duplicate key update version = values(version), last_position = values(last_position), last_us = values(last_us),
    last_name = values(last_name)
"""


_MOVED: Final = "update {schema}.log set moved = %s where one = 1"


class MySqlTransfer(DatabaseTransfer[Connection]):
    """See `Transfer`."""

    _connections: Connections

    @contextmanager
    def taking(self) -> Iterator[Take]:
        """See `Transfer`."""
        with self._transaction() as connection:
            begun_at, created_us = self._lock(connection)
            going = Going(begun_at, created_us)

            def take(rows: list[CommitRow]) -> None:
                for statement, given in inserts(
                    self._connections, ((*each[:8], going.on(each), each[8]) for each in rows)
                ):
                    run(connection, statement, given)

            yield take
            if going.position > begun_at:
                self._finish(connection, begun_at, going)
        flush(self._connections)

    def take_snapshots(self, rows: Sequence[SnapshotRow]) -> None:
        """See `Transfer`."""
        for stream, version, data in rows:
            self._connections.ask(
                f"insert into {{schema}}.snapshots (stream, version, created_us, data) values (%s, %s, {NOW_US}, %s)"
                " on duplicate key update data = values(data), created_us = values(created_us)",
                stream,
                version,
                data,
            )

    @contextmanager
    def handing_over(self, to: str) -> Iterator[None]:
        """See `Transfer`. Appends wait meanwhile, whichever program they come from, and are refused then."""
        self._prepare_reactions()
        with self._transaction() as connection:
            self._lock(connection)
            self._lock_reactions(connection)
            yield
            run(connection, self._connections.question(_MOVED).text, (to,))

    def taken_over(self) -> None:
        """See `Transfer`."""
        self._connections.ask("update {schema}.log set moved = null where one = 1 and moved is not null")

    def reactions(self) -> bytes | None:
        """See `Transfer`."""
        self._prepare_reactions()
        lines: dict[int, bytes] = {}
        last = -1
        pages: Any
        while pages := self._connections.ask(
            "select address, page from {schema}.reaction_lines where address > %s order by address limit %s",
            last,
            _PAGES_AT_ONCE,
        ):
            lines.update(lines_of(pages))
            last = pages[-1][0]
        for (change,) in self._connections.ask("select packed from {schema}.reaction_changes order by number"):
            lines.update(unpacked(change))
        return packed(lines) or None

    def take_reactions(self, lines: bytes) -> None:
        """See `Transfer`. A program that knows what was there before reads all of it again: the mark is another one."""
        self._prepare_reactions()
        question = self._connections.question
        with self._transaction() as connection:
            number = self._lock_reactions(connection) + 1
            run(connection, question("delete from {schema}.reaction_lines").text)
            run(connection, question("delete from {schema}.reaction_changes").text)
            insert = question("insert into {schema}.reaction_lines (address, page) values (%s, %s)").text
            rows = ((insert, row) for row in pages_of(unpacked(lines)))
            send(connection, rows, self._connections.packet_max)
            became = question("update {schema}.reactions set number = %s, mark = %s, folded = %s where one = 1").text
            run(connection, became, (number, secrets.randbits(62), number))

    def _prepare_reactions(self) -> None:
        self._connections.check()
        with self._connections.asking(), closing(self._connections.new()) as connection:
            prepare_reactions(connection, self._connections.place.prefix)

    def _lock_reactions(self, connection: Connection) -> int:
        """Let no program change what is kept of reactions until the transaction is over; the last change."""
        lock = self._connections.question("select number from {schema}.reactions where one = 1 for update")
        ((number,),) = run(connection, lock.text)[-1]
        return int(number)

    def _read(self, after: int, upto: int) -> Iterator[JoinedRow]:
        self._connections.check()
        read = self._connections.question(_READ).text
        with self._connections.asking(), closing(self._connections.new()) as connection:
            run(connection, _PATIENT)
            while after < upto:
                high = min(upto, after + _SPAN_EVENTS)
                yield from walk(connection, read, (after, high))
                after = high

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        self._connections.check()
        with self._connections.asking(), closing(self._connections.new()) as connection:
            run(connection, f"{_PATIENT}; start transaction")
            yield connection
            run(connection, "commit")

    def _lock(self, connection: Connection) -> tuple[int, int]:
        lock = self._connections.question("select position, created_us from {schema}.log where one = 1 for update")
        ((position, created_us),) = run(connection, lock.text)[-1]
        return position, created_us

    def _finish(self, connection: Connection, begun_at: int, going: Going) -> None:
        """Keep beside the events what is kept beside them."""
        question = self._connections.question
        torn = run(connection, question(_TORN).text, (begun_at,))[-1]
        if torn:
            raise ValidationError(f"the events copied to stream {torn[0][0]!r} do not go on where it ends")
        run(connection, question(_STREAMS).text, (begun_at,))
        moved = question("update {schema}.log set position = %s, created_us = %s where one = 1").text
        run(connection, moved, (going.position, going.created_us))
