"""The store in PostgreSQL as a whole, out by a stream of rows and in by COPY: see `Transfer`."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from typing import Any, Final

from psycopg import Connection, capabilities, sql

from act_fast._rows import CommitRow, JoinedRow
from act_fast.errors import ValidationError
from act_fast.stores.capabilities import SnapshotRow, Take
from act_fast.stores.database.lines import lines_of, packed, pages_of, unpacked
from act_fast.stores.database.tags import joined
from act_fast.stores.database.transfer import DatabaseTransfer, Going
from act_fast.stores.postgres.connections import Connections
from act_fast.stores.postgres.schema import prepare_reactions
from act_fast.stores.postgres.session import Session

__all__ = ["PostgresTransfer"]

_SPAN_EVENTS: Final = 200_000
"""So many events are read by one statement: one that takes long keeps `vacuum` from its work."""

_PATIENT: Final = "set local statement_timeout to 0; set local idle_in_transaction_session_timeout to 0"
"""The other store may take its time."""

_CHUNK_ROWS: Final = 100
"""So many rows are in memory at a time besides the page; one by one takes twice as long."""

_IN: Final = ("int8", "int8", "text", "int8", "text", "int8", "bytea", "bytea", "bytea", "text")

_READ: Final = """
select position, commit_position, stream, version, name, created_us, data, meta, tags from {schema}.events
    where position > %s and position <= %s order by position
"""
_WRITE: Final = """
copy {schema}.events (position, commit_position, stream, version, name, created_us, data, meta, correlation, tags)
    from stdin (format binary)
"""
_TAGS: Final = r"""
insert into {schema}.tags select tag, position from {schema}.events
    cross join lateral unnest(string_to_array(tags, E'\n')) as tag where position > %s
"""
_TORN: Final = """
select a.stream from (
    select stream, count(*) as events, min(version) as first, max(version) as last from {schema}.events
    where position > %s group by stream
) as a left join {schema}.streams as s on s.stream = a.stream
where a.first <> coalesce(s.version, 0) + 1 or a.last <> coalesce(s.version, 0) + a.events limit 1
"""
_STREAMS: Final = """
insert into {schema}.streams as s
    select a.stream, l.version, f.position, l.position, f.created_us, l.created_us, l.name from (
        select stream, min(position) as first, max(position) as last from {schema}.events
        where position > %s group by stream
    ) as a join {schema}.events as f on f.position = a.first join {schema}.events as l on l.position = a.last
on conflict (stream) do update set version = excluded.version, last_position = excluded.last_position,
    last_us = excluded.last_us, last_name = excluded.last_name
"""

# A store that was handed over takes no events but those that another move brings back.
_REFUSE: Final = """
begin
    if coalesce(current_setting('act_fast.moving', true), '') <> 'on' then
        raise exception using message = {moved};
    end if;
    return new;
end
"""
_MOVED: Final = "create or replace function {schema}.refuse_moved() returns trigger language plpgsql as {body}"
_SEAL: Final = (
    "create or replace trigger moved before update on {schema}.{table} for each row"
    " execute function {schema}.refuse_moved()"
)
_PAGES_AT_ONCE: Final = 1_000


class PostgresTransfer(DatabaseTransfer[Session]):
    """See `Transfer`."""

    _connections: Connections

    @contextmanager
    def taking(self) -> Iterator[Take]:
        """See `Transfer`."""
        with self._transaction() as connection:
            row = connection.execute(self._locked()).fetchone()
            assert row is not None
            begun_at, created_us = row
            going = Going(begun_at, created_us)
            with connection.cursor() as cursor, cursor.copy(self._connections.composed(_WRITE)) as copy:
                copy.set_types(_IN)

                def take(rows: list[CommitRow]) -> None:
                    for each in rows:
                        copy.write_row((*each[:8], going.on(each), joined(each[8])))

                yield take
            if going.position > begun_at:
                self._finish(connection, begun_at, going)

    def take_snapshots(self, rows: Sequence[SnapshotRow]) -> None:
        """See `Transfer`."""
        self._connections.ask(
            "insert into {schema}.snapshots select stream, version, (extract(epoch from clock_timestamp()) *"
            " 1000000)::bigint, data from unnest(%s::text[], %s::bigint[], %s::bytea[]) as new (stream, version, data)"
            " on conflict (stream, version) do update set data = excluded.data, created_us = excluded.created_us"
            " returning version",
            *([row[at] for row in rows] for at in range(3)),
        )

    @contextmanager
    def handing_over(self, to: str) -> Iterator[None]:
        """See `Transfer`. Appends wait meanwhile, whichever program they come from, and are refused then."""
        with self._transaction() as connection:
            schema, moved = sql.Identifier(self._connections.place.schema), f"this store was moved to {to}"
            tables = [{"schema": schema, "table": sql.Identifier(table)} for table in self._sealed()]
            for table in tables:
                # A transaction that changes its one row already has a lock on the table, which the trigger would wait
                # for.
                connection.execute(sql.SQL("lock table {schema}.{table} in exclusive mode").format(**table))
            body = sql.SQL(_REFUSE).format(moved=sql.Literal(moved)).as_string(connection)
            connection.execute(sql.SQL(_MOVED).format(schema=schema, body=sql.Literal(body)))
            for table in tables:
                connection.execute(sql.SQL(_SEAL).format(**table))
            yield

    def taken_over(self) -> None:
        """See `Transfer`."""
        schema = self._connections.place.schema
        found = self._connections.ask(
            "select c.relname from pg_catalog.pg_trigger t join pg_catalog.pg_class c on c.oid = t.tgrelid"
            " join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = %s and t.tgname = 'moved'",
            schema,
        )
        with self._transaction() as connection:
            for (table,) in found:
                lifted = sql.SQL("drop trigger moved on {}.{}").format(sql.Identifier(schema), sql.Identifier(table))
                connection.execute(lifted)

    def reactions(self) -> bytes | None:
        """See `Transfer`."""
        if "reactions" not in self._sealed():
            return None
        lines: dict[int, bytes] = {}
        last = -1
        pages: Any
        while pages := self._connections.ask(
            "select address, page from {schema}.reaction_lines where address > %s order by address limit %s",
            last, _PAGES_AT_ONCE,
        ):  # fmt: skip
            lines.update(lines_of(pages))
            last = pages[-1][0]
        for (change,) in self._connections.ask("select lines from {schema}.reaction_changes order by number"):
            lines.update(unpacked(change))
        return packed(lines) or None

    def take_reactions(self, lines: bytes) -> None:
        """See `Transfer`. A program that knows what was there before reads all of it again: the mark is another one."""
        if not lines and "reactions" not in self._sealed():
            return
        composed = self._connections.composed
        with self._transaction() as connection:
            prepare_reactions(connection, self._connections.place.schema)
            connection.execute(composed("select from {schema}.reactions for update"))
            connection.execute(composed("delete from {schema}.reaction_lines"))
            connection.execute(composed("delete from {schema}.reaction_changes"))
            pages = pages_of(unpacked(lines))
            while some := list(islice(pages, _PAGES_AT_ONCE)):
                insert = composed("insert into {schema}.reaction_lines select * from unnest(%b::bigint[], %b::bytea[])")
                connection.execute(insert, ([address for address, _ in some], [page for _, page in some]))
            connection.execute(
                composed("update {schema}.reactions set number = number + 1, mark = %s, folded = number + 1"),
                (secrets.randbits(62),),
            )

    def _sealed(self) -> list[str]:
        """The tables whose one row each change changes."""
        there = self._connections.ask(
            "select c.relname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname = %s and c.relname = any(%s) order by c.relname",
            self._connections.place.schema, ["log", "reactions"],
        )  # fmt: skip
        return [table for (table,) in there]

    def _read(self, after: int, upto: int) -> Iterator[JoinedRow]:
        self._connections.check()
        size = _CHUNK_ROWS if capabilities.has_stream_chunked() else 1
        with self._connections.asking(), closing(self._connections.new()) as connection:
            while after < upto:
                high = min(upto, after + _SPAN_EVENTS)
                with connection.transaction(), connection.cursor() as cursor:
                    connection.execute(_PATIENT)
                    yield from cursor.stream(self._connections.composed(_READ), (after, high), binary=True, size=size)
                after = high

    @contextmanager
    def _transaction(self) -> Iterator[Connection[Any]]:
        self._connections.check()
        with (
            self._connections.asking(),
            closing(self._connections.new()) as connection,
            connection.transaction(),
        ):
            connection.execute(f"{_PATIENT}; set local synchronous_commit to on; set local act_fast.moving to on")
            yield connection

    def _locked(self) -> Any:
        return self._connections.composed("select position, created_us from {schema}.log for update")

    def _finish(self, connection: Connection[Any], begun_at: int, going: Going) -> None:
        """Keep beside the events what is kept beside them."""
        composed = self._connections.composed
        torn = connection.execute(composed(_TORN), (begun_at,)).fetchone()
        if torn is not None:
            raise ValidationError(f"the events copied to stream {torn[0]!r} do not go on where it ends")
        connection.execute(composed(_STREAMS), (begun_at,))
        connection.execute(composed(_TAGS), (begun_at,))
        moved = composed("update {schema}.log set position = %s, created_us = %s")
        connection.execute(moved, (going.position, going.created_us))
