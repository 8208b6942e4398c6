"""Other programs on a store in PostgreSQL: one that takes its time, and one that is wrong."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from act_fast.stores.postgres.address import place_of
from act_fast.stores.postgres.schema import MIGRATIONS

_APPEND = """
select {}.append_batch(%s::uuid, 1, array[1::bigint], array[%s::text], array[null::bigint], array[%s::bigint],
    array_fill('Counted'::text, array[%s]), array_fill('{{"number":0}}'::bytea, array[%s]), array[''::bytea],
    array[null::bytea])
"""


_EMPTY = """
delete from {0}.events; delete from {0}.tags; delete from {0}.streams; delete from {0}.names;
delete from {0}.snapshots; delete from {0}.writers;
update {0}.log set position = 0, created_us = 0; update {0}.counted set position = 0;
delete from {0}.reaction_changes; delete from {0}.reaction_lines;
update {0}.reactions set number = 0, mark = 0, folded = 0;
"""


def empty(url: str) -> None:
    """Take everything out of a store, which is quicker than to make another one."""
    place = place_of(url)
    with psycopg.connect(place.conninfo, autocommit=True) as connection:
        connection.execute(sql.SQL(_EMPTY).format(sql.Identifier(place.schema)))


_WITHOUT_TAGS = """
drop view {0}.readable_events;
drop function {0}.append_guarded; drop function {0}.newest_match; drop table {0}.tags;
alter table {0}.events drop column tags;
create view {0}.readable_events as
    select position, stream, version, name, to_timestamp(created_us / 1e6) as created,
        convert_from(data, 'UTF8')::json as data,
        case when meta = '' then null else convert_from(meta, 'UTF8')::json end as meta
    from {0}.events;
update {0}.log set format = 1;
"""


def without_tags(url: str) -> None:
    """Have a store as versions of act-fast made it that knew no tags."""
    place = place_of(url)
    with psycopg.connect(place.conninfo, autocommit=True) as connection:
        connection.execute(sql.SQL(_WITHOUT_TAGS).format(sql.Identifier(place.schema)))


class Held:
    """An append in a transaction that is still open."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def commit(self) -> None:
        self._connection.commit()

    def roll_back(self) -> None:
        self._connection.rollback()


@contextmanager
def held_append(url: str, stream: str, count: int) -> Iterator[Held]:
    """Append as the store itself does, in a transaction that is left open."""
    place = place_of(url)
    connection = psycopg.connect(place.conninfo)
    try:
        append = sql.SQL(_APPEND).format(sql.Identifier(place.schema))
        connection.execute(append, (uuid.uuid4(), stream, count, count, count))
        yield Held(connection)
    finally:
        connection.close()


def take_positions_from_a_sequence(url: str) -> None:
    """Break a store the way that others were broken: positions from a sequence, and no lock on a counter."""
    place = place_of(url)
    schema = sql.Identifier(place.schema)
    with psycopg.connect(place.conninfo, autocommit=True) as connection:
        connection.execute(sql.SQL("create sequence {}.positions").format(schema))
        connection.execute(
            sql.SQL("""
            create or replace function {0}.append_batch(
                of_writer uuid, of_batch bigint,
                all_parts bigint[], all_streams text[], all_expected bigint[], all_events bigint[],
                all_names text[], all_data bytea[], all_meta bytea[], all_correlations bytea[]
            ) returns bigint[] language plpgsql as $body$
            declare
                at bigint; known bigint; event bigint := 0; answer bigint[] := '{{}}';
            begin
                for part in 1 .. array_length(all_streams, 1) loop
                    select coalesce(max(version), 0) into known from {0}.events where stream = all_streams[part];
                    for i in 1 .. all_events[part] loop
                        at := nextval('{0}.positions');
                        event := event + 1;
                        insert into {0}.events
                            (position, commit_position, stream, version, name, created_us, data, meta)
                            values (at, at, all_streams[part], known + i, all_names[event], 0, all_data[event], '');
                    end loop;
                    answer := answer || array[known + 1, at - all_events[part] + 1, 0];
                end loop;
                return answer;
            end
            $body$
            """).format(schema)
        )
        connection.execute(
            sql.SQL("""
            create or replace function {0}.append_one(
                of_writer uuid, of_batch bigint, to_stream text, at_version bigint, of_name text, of_data bytea,
                of_meta bytea, of_correlation bytea
            ) returns bigint[] language sql as $body$
                select {0}.append_batch(of_writer, of_batch, array[1::bigint], array[to_stream], array[at_version],
                    array[1::bigint], array[of_name], array[of_data], array[of_meta], array[of_correlation])
            $body$
            """).format(schema)
        )
        connection.execute(sql.SQL("drop table {}.log").format(schema))
        # The head that such a store has is the largest position that is visible.
        connection.execute(
            sql.SQL(
                "create view {0}.log as select {1} as format, 'broken' as store_id,"
                " coalesce(max(position), 0) as position, 0 as created_us from {0}.events"
            ).format(schema, sql.Literal(len(MIGRATIONS) + 1))
        )


def numbered(number: int) -> list[tuple[str, bytes]]:
    """One event that carries a number."""
    return [("Counted", b'{"number":%d}' % number)]
