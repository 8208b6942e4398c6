"""The tables of a store in PostgreSQL, and the functions that work on them; made and checked."""

from typing import Any, Final, LiteralString

from psycopg import Connection, sql
from psycopg.errors import UndefinedColumn

from act_fast.errors import StoreError, StoreFormatError
from act_fast.stores.database.formats import Migrations, Upgraded, check_format, steps_from

__all__ = ["DONE_BEFORE", "MIGRATIONS", "prepare", "prepare_reactions", "upgrade"]

DONE_BEFORE: Final = "AF001"
"""The SQLSTATE for a batch that is not its writer's next."""

_LOCK: Final = 0x6163745F66617374
"""The advisory lock under which tables are made: two programs may start at once."""

_VERSION_MIN: Final = 140_000

# Positions come from the one row of `log`. It stays locked until its transaction is over, so positions are dense and
# become visible in their own order: a reader that sees one has seen all before it. A sequence would promise neither.
_TABLES: Final = """
create table {schema}.log (
    format integer not null,
    store_id text not null,
    position bigint not null,
    created_us bigint not null,
    writer uuid,
    batch bigint,
    outcome bigint[],
    one boolean primary key default true check (one)
) with (fillfactor = 10);
insert into {schema}.log (format, store_id, position, created_us) values ({format}, {store_id}, 0, 0);

-- commit_position is that of the commit's first event. tags are in lines.
create table {schema}.events (
    position bigint primary key,
    commit_position bigint not null,
    stream text collate "C" not null,
    version bigint not null,
    name text collate "C" not null,
    created_us bigint not null,
    data bytea not null,
    meta bytea not null,
    correlation bytea,
    tags text collate "C",
    unique (stream, version)
);
create index events_by_name on {schema}.events (name, position);
-- Any text may be a correlation, but an index takes no entry of any length.
create index events_by_correlation on {schema}.events (substring(correlation from 1 for 64), position)
    where correlation is not null;

create table {schema}.streams (
    stream text collate "C" primary key,
    version bigint not null,
    first_position bigint not null unique,
    last_position bigint not null,
    first_us bigint not null,
    last_us bigint not null,
    last_name text collate "C" not null
) with (fillfactor = 80);

-- How many events there are of each name, up to a position; `names` counts those that come after it. So an append need
-- not count.
create table {schema}.names (
    name text collate "C" primary key,
    count bigint not null
);
create table {schema}.counted (
    position bigint not null,
    one boolean primary key default true check (one)
);
insert into {schema}.counted (position) values (0);

create table {schema}.snapshots (
    stream text collate "C" not null,
    version bigint not null,
    created_us bigint not null,
    data bytea not null,
    primary key (stream, version)
);

-- What became of each writer's last batch: after a broken connection it tells whether the batch is there. That of the
-- writer who was last is in `log`, so one that is alone never writes here.
create table {schema}.writers (
    writer uuid primary key,
    batch bigint not null,
    outcome bigint[] not null,
    seen timestamptz not null
) with (fillfactor = 50);

create function {schema}.count_names() returns void language plpgsql as $body$
declare
    begun_at bigint; head bigint;
begin
    select position into begun_at from {schema}.counted for update;
    select position into head from {schema}.log;
    insert into {schema}.names as n
        select name, count(*) from {schema}.events where position > begun_at and position <= head group by name
        on conflict (name) do update set count = n.count + excluded.count;
    update {schema}.counted set position = head;
end
$body$;

-- Both look where something begins in what is sorted already, so they need no index of their own.
create function {schema}.position_before(moment_us bigint) returns bigint stable language plpgsql as $body$
declare
    low bigint; high bigint; middle bigint; found bigint;
begin
    select coalesce(min(position), 1) - 1, coalesce(max(position), 0) into low, high from {schema}.events;
    while low < high loop
        middle := (low + high + 1) / 2;
        select created_us into found from {schema}.events where position = middle;
        if found < moment_us then low := middle; else high := middle - 1; end if;
    end loop;
    return low;
end
$body$;

create function {schema}.version_at(of_stream text, at_position bigint) returns bigint stable language plpgsql as $body$
declare
    low bigint := 0; high bigint; middle bigint; found bigint;
begin
    select version into high from {schema}.streams where stream = of_stream;
    high := coalesce(high, 0);
    while low < high loop
        middle := (low + high + 1) / 2;
        select position into found from {schema}.events where stream = of_stream and version = middle;
        if found <= at_position then low := middle; else high := middle - 1; end if;
    end loop;
    return low;
end
$body$;
"""

# A batch is some requests, each of some parts, each of some events. All arrays are flat; the counts say how they are
# cut. Three numbers come back for each part: its first version, its first position and 0, or 0, which part of its
# request was refused, and the version that this one's stream is at.
_APPEND: Final = """
create function {schema}.append_batch(
    of_writer uuid, of_batch bigint,
    all_parts bigint[], all_streams text[], all_expected bigint[], all_events bigint[],
    all_names text[], all_data bytea[], all_meta bytea[], all_correlations bytea[]
) returns bigint[] language plpgsql as $body$
declare
    head bigint; time_us bigint; commit_at bigint; refused bigint; added bigint;
    part bigint := 0; until_part bigint; event bigint := 0; until_event bigint;
    at bigint; known bigint; answer bigint[];
begin
    select locked.head, locked.now_us into head, time_us from {schema}.lock_log(of_writer, of_batch) as locked;
    answer := '{{}}';
    for request in 1 .. array_length(all_parts, 1) loop
        until_part := part + all_parts[request];
        commit_at := head + 1;
        refused := 0;
        until_event := event;
        for k in part + 1 .. until_part loop
            until_event := until_event + all_events[k];
        end loop;
        if all_parts[request] = 1 then
            added := until_event - event;
            if all_expected[until_part] > 0 then
                update {schema}.streams as s set version = s.version + added, last_position = head + added,
                    last_us = time_us, last_name = all_names[until_event]
                    where stream = all_streams[until_part] and version = all_expected[until_part]
                    returning version - added into known;
                refused := case when found then 0 else 1 end;
            elsif all_expected[until_part] is null then
                insert into {schema}.streams as s values (
                    all_streams[until_part], added, head + 1, head + added, time_us, time_us, all_names[until_event]
                ) on conflict (stream) do update set version = s.version + excluded.version,
                    last_position = excluded.last_position, last_us = excluded.last_us, last_name = excluded.last_name
                returning version - added into known;
            elsif all_expected[until_part] = 0 then
                insert into {schema}.streams values (
                    all_streams[until_part], added, head + 1, head + added, time_us, time_us, all_names[until_event]
                ) on conflict (stream) do nothing;
                known := 0;
                refused := case when found then 0 else 1 end;
            else
                refused := 1;  -- its caller does not want it any more
            end if;
            if refused > 0 then
                select coalesce(max(version), 0) into at from {schema}.streams where stream = all_streams[until_part];
            end if;
        else
            select given.k, given.version into refused, at from (
                select k, each.expected, coalesce(s.version, 0)
                    + sum(each.events) over (partition by each.stream order by k) - each.events as version
                from unnest(
                    all_streams[part + 1 : until_part], all_expected[part + 1 : until_part],
                    all_events[part + 1 : until_part]
                ) with ordinality as each (stream, expected, events, k)
                left join {schema}.streams as s on s.stream = each.stream
            ) as given where given.expected <> given.version order by given.k limit 1;
            refused := coalesce(refused, 0);
        end if;
        if refused > 0 then
            for k in part + 1 .. until_part loop
                answer := answer || 0::bigint;
                answer := answer || refused;
                answer := answer || at;
            end loop;
        elsif all_parts[request] = 1 then
            if added = 1 then
                insert into {schema}.events
                    (position, commit_position, stream, version, name, created_us, data, meta, correlation)
                    values (head + 1, commit_at, all_streams[until_part], known + 1, all_names[until_event], time_us,
                        all_data[until_event], all_meta[request], all_correlations[request]);
            else
                insert into {schema}.events
                    (position, commit_position, stream, version, name, created_us, data, meta, correlation)
                    select head + e.n, commit_at, all_streams[until_part], known + e.n, e.name, time_us, e.data,
                        all_meta[request], all_correlations[request]
                    from unnest(all_names[event + 1 : until_event], all_data[event + 1 : until_event])
                        with ordinality as e (name, data, n);
            end if;
            answer := answer || (known + 1);
            answer := answer || (head + 1);
            answer := answer || 0::bigint;
            head := head + added;
        else
            -- `earlier` is how many events of the request, `own` how many of the same stream come before this part.
            with e as (
                select * from unnest(all_names[event + 1 : until_event], all_data[event + 1 : until_event])
                    with ordinality as e (name, data, n)
            ), p as (
                select p.k, p.stream, p.events, coalesce(s.version, 0) as version,
                    (sum(p.events) over (order by p.k) - p.events)::bigint as earlier,
                    (sum(p.events) over (partition by p.stream order by p.k) - p.events)::bigint as own
                from unnest(all_streams[part + 1 : until_part], all_events[part + 1 : until_part])
                    with ordinality as p (stream, events, k)
                left join {schema}.streams as s on s.stream = p.stream
            ), written as (
                insert into {schema}.events
                    (position, commit_position, stream, version, name, created_us, data, meta, correlation)
                    select head + e.n, commit_at, p.stream, p.version + p.own + i, e.name, time_us, e.data,
                        all_meta[request], all_correlations[request]
                    from p cross join lateral generate_series(1, p.events) as i join e on e.n = p.earlier + i
            ), touched as (
                insert into {schema}.streams as s
                    select p.stream, sum(p.events), head + min(p.earlier) + 1, head + max(p.earlier + p.events),
                        time_us, time_us, (array_agg(e.name order by p.k desc))[1]
                    from p join e on e.n = p.earlier + p.events group by p.stream
                    on conflict (stream) do update set version = s.version + excluded.version,
                        last_position = excluded.last_position, last_us = excluded.last_us,
                        last_name = excluded.last_name
            )
            select answer || array_agg(number order by p.k, j) into answer from p
                cross join lateral unnest(array[p.version + p.own + 1, head + p.earlier + 1, 0])
                    with ordinality as three (number, j);
            head := head + until_event - event;
        end if;
        part := until_part;
        event := until_event;
    end loop;
    update {schema}.log set position = head, created_us = time_us, writer = of_writer, batch = of_batch,
        outcome = answer;
    return answer;
end
$body$;
"""

# The same for what is appended most often, a single event by itself: half the work, as there is nothing to cut.
_APPEND_ONE: Final = """
create function {schema}.append_one(
    of_writer uuid, of_batch bigint, to_stream text, at_version bigint, of_name text, of_data bytea, of_meta bytea,
    of_correlation bytea
) returns bigint[] language plpgsql as $body$
declare
    head bigint; time_us bigint; known bigint; answer bigint[]; accepted boolean := true;
begin
    -- Who was last and is again, as one that is alone, needs no more than this of `log`, unless it is refused.
    update {schema}.log set position = position + 1,
        created_us = greatest(created_us, (extract(epoch from clock_timestamp()) * 1000000)::bigint),
        batch = of_batch, outcome = array[at_version + 1, position + 1, 0]
        where writer = of_writer and batch < of_batch returning position, created_us into head, time_us;
    if not found then
        select locked.head + 1, locked.now_us into head, time_us
            from {schema}.lock_log(of_writer, of_batch) as locked;
        update {schema}.log set position = head, created_us = time_us, writer = of_writer, batch = of_batch,
            outcome = array[at_version + 1, head, 0];
    end if;
    if at_version > 0 then
        update {schema}.streams as s set version = s.version + 1, last_position = head, last_us = time_us,
            last_name = of_name where stream = to_stream and version = at_version returning version into known;
        accepted := found;
    elsif at_version is null then
        insert into {schema}.streams as s values (to_stream, 1, head, head, time_us, time_us, of_name)
            on conflict (stream) do update set version = s.version + 1, last_position = excluded.last_position,
            last_us = excluded.last_us, last_name = excluded.last_name
            returning version into known;
    elsif at_version = 0 then
        insert into {schema}.streams values (to_stream, 1, head, head, time_us, time_us, of_name)
            on conflict (stream) do nothing;
        accepted := found;
        known := 1;
    else
        accepted := false;  -- its caller does not want it any more
    end if;
    answer := array[known, head, 0];
    if accepted then
        insert into {schema}.events
            (position, commit_position, stream, version, name, created_us, data, meta, correlation)
            values (head, head, to_stream, known, of_name, time_us, of_data, of_meta, of_correlation);
    else
        select array[0, 1, coalesce(max(version), 0)] into answer from {schema}.streams where stream = to_stream;
    end if;
    if not accepted or at_version is null then
        update {schema}.log set position = head - case when accepted then 0 else 1 end, outcome = answer;
    end if;
    return answer;
end
$body$;
"""

# The same for many callers at once, each with a single event for a stream of its own. The settings see to it that
# streams are found by their index, whatever the statistics were when the statements were planned.
_APPEND_EACH: Final = """
create function {schema}.append_each(
    of_writer uuid, of_batch bigint, all_streams text[], all_expected bigint[], all_names text[], all_data bytea[],
    all_meta bytea[], all_correlations bytea[]
) returns bigint[] language plpgsql set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $body$
declare
    head bigint; time_us bigint; added bigint; answer bigint[];
begin
    select locked.head, locked.now_us into head, time_us from {schema}.lock_log(of_writer, of_batch) as locked;
    with given as (
        select each.*, coalesce(s.version, 0) as version
        from unnest(all_streams, all_expected, all_names, all_data, all_meta, all_correlations)
            with ordinality as each (stream, expected, name, data, meta, correlation, n)
        left join {schema}.streams as s on s.stream = each.stream
    ), accepted as (
        select *, head + row_number() over (order by n) as position from given
        where expected is null or expected = given.version
    ), begun as (
        insert into {schema}.streams
            select stream, 1, position, position, time_us, time_us, name from accepted where version = 0
    ), gone_on as (
        update {schema}.streams as s set version = s.version + 1, last_position = a.position, last_us = time_us,
            last_name = a.name from accepted as a where s.stream = a.stream and a.version > 0
    ), written as (
        insert into {schema}.events
            (position, commit_position, stream, version, name, created_us, data, meta, correlation)
            select position, position, stream, version + 1, name, time_us, data, meta, correlation from accepted
            order by n
    )
    select array_agg(number order by g.n, j), count(a.position) / 3 into answer, added
        from given as g left join accepted as a on a.n = g.n
        cross join lateral unnest(case when a.n is null then array[0, 1, g.version]
            else array[g.version + 1, a.position, 0] end) with ordinality as three (number, j);
    update {schema}.log set position = head + added, created_us = time_us, writer = of_writer, batch = of_batch,
        outcome = answer;
    return answer;
end
$body$;
"""

# Where the log is, locked for a writer's batch. What the writer before was told is kept elsewhere from now on. A batch
# that was done already, or that comes after one that was given up, is refused; nothing of it has been written yet.
_LOCK_LOG: Final = """
create function {schema}.lock_log(of_writer uuid, of_batch bigint, out head bigint, out now_us bigint)
language plpgsql as $body$
declare
    last_writer uuid; known bigint;
begin
    select l.position, greatest(l.created_us, (extract(epoch from clock_timestamp()) * 1000000)::bigint), writer, batch
        into head, now_us, last_writer, known from {schema}.log as l for update;
    if last_writer is distinct from of_writer then
        insert into {schema}.writers
            select writer, batch, outcome, now() from {schema}.log where writer is not null
            on conflict (writer) do update set batch = excluded.batch, outcome = excluded.outcome, seen = excluded.seen;
        select batch into known from {schema}.writers where writer = of_writer;
    end if;
    if known >= of_batch then
        raise exception 'batch % of this writer was done before, or was given up', of_batch using errcode = {done};
    end if;
end
$body$;
"""


# The tags of all events, each with the positions where it is, so that the newest behind a position is one look-up.
_TAGS: Final = """
create table {schema}.tags (
    tag text collate "C" not null,
    position bigint not null,
    primary key (tag, position)
);
"""

# For people: payloads as JSON, times as times.
_READABLE: Final = """
create or replace view {schema}.readable_events as
    select position, stream, version, name, to_timestamp(created_us / 1e6) as created,
        convert_from(data, 'UTF8')::json as data,
        case when meta = '' then null else convert_from(meta, 'UTF8')::json end as meta,
        string_to_array(tags, E'\\n') as tags
    from {schema}.events
"""

# The position of the newest event, behind one position and up to another, that has one of the names and all of the
# tags, each in lines; 0 if there is none. It goes down from one to the next, always to the newest at or below where it
# stands: what is between is never looked at. Where that does not end it, the next entries of the tag that went down
# most are taken together, more each time, which is quicker for each. The order leads to the index, whatever the
# statistics say.
_NEWEST_MATCH: Final = """
create function {schema}.newest_match(of_names text, of_tags text, behind bigint, upto bigint) returns bigint
language plpgsql as $body$
declare
    all_names text[] := string_to_array(of_names, E'\\n'); all_tags text[] := string_to_array(of_tags, E'\\n');
    at bigint := upto; begun_at bigint; nearest bigint; each text; found_tag text; found_name text; found_at bigint;
    room bigint := 8; taken bigint; lowest bigint; widest bigint; sparsest text;
begin
    while at > behind loop
        begun_at := null;
        widest := -1;
        foreach each in array all_tags loop
            nearest := at;
            select t.tag, t.position into found_tag, at from {schema}.tags as t
                where (t.tag, t.position) <= (each, at) order by t.tag desc, t.position desc limit 1;
            if found_tag is distinct from each or at <= behind then
                return 0;
            end if;
            begun_at := coalesce(begun_at, at);
            if nearest - at > widest then
                widest := nearest - at;
                sparsest := each;
            end if;
        end loop;
        if all_names <> '{{}}' then
            nearest := 0;
            foreach each in array all_names loop
                select e.name, e.position into found_name, found_at from {schema}.events as e
                    where (e.name, e.position) <= (each, at) order by e.name desc, e.position desc limit 1;
                if found_name = each and found_at > nearest then
                    nearest := found_at;
                end if;
            end loop;
            begun_at := coalesce(begun_at, nearest);
            at := nearest;
        end if;
        if at > behind and at = coalesce(begun_at, at) then
            return at;
        end if;
        if all_tags <> '{{}}' then
            select count(*), min(next.position), max(next.position) filter (where
                    (all_names = '{{}}' or exists (
                        select from {schema}.events as e where e.position = next.position and e.name = any(all_names)))
                    and not exists (select from unnest(all_tags) as other (tag)
                        where other.tag <> sparsest and not exists (
                            select from {schema}.tags as t where t.tag = other.tag and t.position = next.position)))
                into taken, lowest, found_at from (
                    select t.position from {schema}.tags as t
                    where t.tag = sparsest and t.position <= at and t.position > behind
                    order by t.position desc limit room
                ) as next;
            if found_at is not null or taken < room then
                return coalesce(found_at, 0);
            end if;
            at := lowest - 1;
            room := least(4 * room, 1024);
        end if;
    end loop;
    return 0;
end
$body$;
"""

# The same as `append_batch` for requests with tags, with versions of other streams, with conditions, or with a key. The
# tags of an event, and the names and tags of an item, are in lines. A key is a tag that no commit since then has.
# What was refused is numbered through the parts, the versions and the conditions of its request; the key comes last.
# For a condition and a key, the position that is in its way comes back.
_APPEND_GUARDED: Final = """
create function {schema}.append_guarded(
    of_writer uuid, of_batch bigint,
    all_parts bigint[], all_streams text[], all_expected bigint[], all_events bigint[],
    all_names text[], all_data bytea[], all_tags text[], all_meta bytea[], all_correlations bytea[],
    all_keys text[], all_since bigint[], all_versions bigint[], version_streams text[], version_numbers bigint[],
    all_conditions bigint[], condition_behind bigint[], condition_items bigint[], item_names text[], item_tags text[]
) returns bigint[] language plpgsql
set plan_cache_mode = force_generic_plan
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off
as $body$
declare
    head bigint; time_us bigint; refused bigint; at bigint; known bigint; single boolean; answer bigint[] := '{{}}';
    part bigint := 0; until_part bigint; event bigint := 0; until_event bigint;
    other bigint := 0; until_other bigint; condition bigint := 0; until_condition bigint; item bigint := 0;
begin
    select locked.head, locked.now_us into head, time_us from {schema}.lock_log(of_writer, of_batch) as locked;
    for request in 1 .. array_length(all_parts, 1) loop
        until_part := part + all_parts[request];
        until_other := other + all_versions[request];
        until_condition := condition + all_conditions[request];
        until_event := event;
        for k in part + 1 .. until_part loop
            until_event := until_event + all_events[k];
        end loop;
        single := until_part = part + 1 and until_event = event + 1;
        refused := null;
        if all_keys[request] is not null then
            at := {schema}.newest_match('', all_keys[request], 0, head);
            if at > 0 and exists (
                select from {schema}.events as e where e.position = at and e.created_us >= all_since[request]
            ) then
                refused := all_parts[request] + all_versions[request] + all_conditions[request] + 1;
            end if;
        end if;
        if refused is not null then
            null;  -- it was done before
        elsif single then
            select coalesce(max(s.version), 0) into known from {schema}.streams as s
                where s.stream = all_streams[until_part];
            if all_expected[until_part] <> known then
                refused := 1;
                at := known;
            end if;
        else
            select given.k, given.version into refused, at from (
                select k, each.expected, coalesce(s.version, 0)
                    + sum(each.events) over (partition by each.stream order by k) - each.events as version
                from unnest(
                    all_streams[part + 1 : until_part], all_expected[part + 1 : until_part],
                    all_events[part + 1 : until_part]
                ) with ordinality as each (stream, expected, events, k)
                left join {schema}.streams as s on s.stream = each.stream
            ) as given where given.expected <> given.version order by given.k limit 1;
        end if;
        if refused is null and until_other > other then
            select all_parts[request] + each.k, coalesce(s.version, 0) into refused, at
                from unnest(version_streams[other + 1 : until_other], version_numbers[other + 1 : until_other])
                    with ordinality as each (stream, expected, k)
                left join {schema}.streams as s on s.stream = each.stream
                where each.expected <> coalesce(s.version, 0) order by each.k limit 1;
        end if;
        for c in condition + 1 .. until_condition loop
            if refused is null then
                at := 0;
                for i in item + 1 .. item + condition_items[c] loop
                    at := greatest(at, {schema}.newest_match(
                        item_names[i], item_tags[i], greatest(at, condition_behind[c]), head));
                end loop;
                if at > 0 then
                    refused := all_parts[request] + all_versions[request] + c - condition;
                end if;
            end if;
            item := item + condition_items[c];
        end loop;
        if refused is not null then
            for k in part + 1 .. until_part loop
                answer := answer || array[0, refused, at];
            end loop;
        elsif single then
            head := head + 1;
            insert into {schema}.events
                (position, commit_position, stream, version, name, created_us, data, meta, correlation, tags)
                values (head, head, all_streams[until_part], known + 1, all_names[until_event], time_us,
                    all_data[until_event], all_meta[request], all_correlations[request], all_tags[until_event]);
            insert into {schema}.streams as s values (
                all_streams[until_part], 1, head, head, time_us, time_us, all_names[until_event]
            ) on conflict (stream) do update set version = s.version + 1, last_position = excluded.last_position,
                last_us = excluded.last_us, last_name = excluded.last_name;
            if all_tags[until_event] is not null then
                insert into {schema}.tags (tag, position)
                    select tag, head from unnest(string_to_array(all_tags[until_event], E'\\n')) as tag;
            end if;
            answer := answer || array[known + 1, head, 0];
        else
            -- `earlier` is how many events of the request, `own` how many of the same stream come before this part.
            with e as (
                select * from unnest(
                    all_names[event + 1 : until_event], all_data[event + 1 : until_event],
                    all_tags[event + 1 : until_event]
                ) with ordinality as e (name, data, tags, n)
            ), p as (
                select p.k, p.stream, p.events, coalesce(s.version, 0) as version,
                    (sum(p.events) over (order by p.k) - p.events)::bigint as earlier,
                    (sum(p.events) over (partition by p.stream order by p.k) - p.events)::bigint as own
                from unnest(all_streams[part + 1 : until_part], all_events[part + 1 : until_part])
                    with ordinality as p (stream, events, k)
                left join {schema}.streams as s on s.stream = p.stream
            ), written as (
                insert into {schema}.events
                    (position, commit_position, stream, version, name, created_us, data, meta, correlation, tags)
                    select head + e.n, head + 1, p.stream, p.version + p.own + i, e.name, time_us, e.data,
                        all_meta[request], all_correlations[request], e.tags
                    from p cross join lateral generate_series(1, p.events) as i join e on e.n = p.earlier + i
            ), tagged as (
                insert into {schema}.tags (tag, position)
                    select tag, head + e.n from e cross join lateral unnest(string_to_array(e.tags, E'\\n')) as tag
            ), touched as (
                insert into {schema}.streams as s
                    select p.stream, sum(p.events), head + min(p.earlier) + 1, head + max(p.earlier + p.events),
                        time_us, time_us, (array_agg(e.name order by p.k desc))[1]
                    from p join e on e.n = p.earlier + p.events group by p.stream
                    on conflict (stream) do update set version = s.version + excluded.version,
                        last_position = excluded.last_position, last_us = excluded.last_us,
                        last_name = excluded.last_name
            )
            select answer || array_agg(number order by p.k, j) into answer from p
                cross join lateral unnest(array[p.version + p.own + 1, head + p.earlier + 1, 0])
                    with ordinality as three (number, j);
            head := head + until_event - event;
        end if;
        part := until_part;
        other := until_other;
        condition := until_condition;
        event := until_event;
    end loop;
    update {schema}.log set position = head, created_us = time_us, writer = of_writer, batch = of_batch,
        outcome = answer;
    return answer;
end
$body$;
"""

# Roles that may use the events may use their tags.
_TAGS_GRANTED: Final = """
do $body$
declare
    granted record;
begin
    for granted in
        select a.privilege_type as may, case a.grantee when 0 then 'public' else quote_ident(r.rolname) end as role
        from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
            cross join lateral aclexplode(c.relacl) as a left join pg_catalog.pg_roles as r on r.oid = a.grantee
        where n.nspname = {name} and c.relname = 'events' and a.grantee <> c.relowner
            and a.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
    loop
        execute format('grant %s on {schema}.tags to %s', granted.may, granted.role);
    end loop;
end
$body$
"""

MIGRATIONS: Migrations = (
    (
        'alter table {schema}.events add column tags text collate "C"',
        *(_TAGS, _NEWEST_MATCH, _APPEND_GUARDED, _READABLE, _TAGS_GRANTED),
    ),
)
"""What leads from the tables of earlier versions to those that are made now."""


# What reactions have come to: lines of 64 bytes, by address, which the core's engine has on a mirror in the memory of
# each process. What a process does is one change, of a number and a mark; the lines of changes are written as lines of
# their own now and then, in pages. The row of `reactions` is the lock of them all, so appends go on.
_REACTIONS: Final = """
create table {schema}.reactions (
    number bigint not null,
    mark bigint not null,
    folded bigint not null,
    one boolean primary key default true check (one)
) with (fillfactor = 10);
insert into {schema}.reactions (number, mark, folded) values (0, 0, 0);

create table {schema}.reaction_changes (
    number bigint primary key,
    mark bigint not null,
    lines bytea not null
);

create table {schema}.reaction_lines (
    address bigint primary key,
    page bytea not null
) with (fillfactor = 50);
alter table {schema}.reaction_lines alter page set storage plain;
"""

_PARTS: Final[tuple[LiteralString, ...]] = (
    *(_TABLES, _TAGS, _READABLE, _LOCK_LOG, _APPEND, _APPEND_ONE, _APPEND_EACH, _NEWEST_MATCH, _APPEND_GUARDED),
    _REACTIONS,
)


def prepare(connection: Connection[Any], schema: str, store_id: str, create: bool) -> str:
    """Make sure that there is a store of a format that this version knows, making one if that is wanted.

    Returns:
        the id of the store, which is `store_id` if it was made just now.

    Raises:
        StoreFormatError: there is something else, or a store of another format.
        StoreError: there is no store and none is to be made, or the database cannot hold one.
    """
    found = _found(connection, schema)
    if found is None and create:
        _check_database(connection)
        _create(connection, schema, store_id)
        found = _found(connection, schema)
    if found is None:
        raise StoreError(
            f"there is no store in the schema {schema!r} of this database;"
            " to make one, open it with create=True, or let `act-fast store init` do so"
        )
    number, known = found
    check_format(number, _format(), _named(schema))
    return known


def upgrade(connection: Connection[Any], schema: str) -> Upgraded:
    """Bring the tables of a store to the format of this version, all steps in one transaction.

    Raises:
        StoreFormatError: they are of a newer format, or something else.
        StoreError: there is no store.
    """
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        found = _found(connection, schema)
        if found is None:
            raise StoreError(
                f"there is no store in the schema {schema!r} of this database; `act-fast store init` makes one"
            )
        for number, statements in steps_from(found[0], MIGRATIONS, _named(schema)):
            for statement in statements:
                named = {"schema": sql.Identifier(schema), "name": sql.Literal(schema)}
                connection.execute(sql.SQL(statement).format(**named))
            stepped = sql.SQL("update {}.log set format = %s").format(sql.Identifier(schema))
            connection.execute(stepped, (number,))
    return Upgraded(found[0], _format())


def _format() -> int:
    return len(MIGRATIONS) + 1


def _named(schema: str) -> str:
    return f"the store in the schema {schema!r}"


def prepare_reactions(connection: Connection[Any], schema: str) -> None:
    """Make the tables of reactions where there are none: the store is of a version that had none."""
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        if not _there(connection, schema, "reactions"):
            connection.execute(sql.SQL(_REACTIONS).format(schema=sql.Identifier(schema)))


def _there(connection: Connection[Any], schema: str, table: str) -> bool:
    found = connection.execute(
        "select 1 from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = %s and c.relname = %s",
        (schema, table),
    )
    return found.fetchone() is not None


def _found(connection: Connection[Any], schema: str) -> tuple[int, str] | None:
    if not _there(connection, schema, "log"):
        return None
    try:
        row = connection.execute(
            sql.SQL("select format, store_id from {}.log").format(sql.Identifier(schema))
        ).fetchone()
    except UndefinedColumn:
        row = None
    if row is None:
        raise StoreFormatError(
            f"the schema {schema!r} has a table `log` that is not act-fast's; choose another schema, as in ?schema=bank"
        )
    return row[0], row[1]


def _check_database(connection: Connection[Any]) -> None:
    version = connection.info.server_version
    if version < _VERSION_MIN:
        raise StoreError(
            f"this server is PostgreSQL {version // 10_000}; act-fast needs {_VERSION_MIN // 10_000} or newer"
        )
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StoreError(
            f"this database keeps text as {encoding}, which cannot hold every name; create one with encoding 'UTF8'"
        )


def _create(connection: Connection[Any], schema: str, store_id: str) -> None:
    names = {
        "schema": sql.Identifier(schema), "format": sql.Literal(_format()), "store_id": sql.Literal(store_id),
        "done": sql.Literal(DONE_BEFORE),
    }  # fmt: skip
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        if _found(connection, schema) is None:
            there = connection.execute("select 1 from pg_catalog.pg_namespace where nspname = %s", (schema,)).fetchone()
            if there is None:  # in one that is there, a role may make tables without being allowed to make schemas
                connection.execute(sql.SQL("create schema {schema}").format(**names))
            for part in _PARTS:
                connection.execute(sql.SQL(part).format(**names))
