"""What a database says of a projection: how far its tables have come, and which log and code they are of."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from act_fast._checks.sql_text import quoted_name
from act_fast._projections.database import fetch, is_sqlite, text_of

__all__ = ["Watermark", "filled_tables", "make_tables", "read", "remove", "write"]

_NAMES: Final = msgspec.json.Decoder(list[str])
_TABLES: Final = msgspec.json.Decoder(dict[str, bool | None])
_TEXTS: Final = ("store", "last_event", "events", "source", "tables", "problem", "code")
_SQLITE_TABLES: Final = "select name from sqlite_master union all select name from sqlite_temp_master"
_DUCKDB_TABLES: Final = (
    "select table_name as name from information_schema.tables where table_catalog in (current_database(), 'temp')"
)


class Watermark(msgspec.Struct, frozen=True):
    """What is kept of a projection beside its rows, in the same transaction.

    Attributes:
        position: up to where the rows are those of the log.
        store: the id of the store they are of; None: not said, as by releases that only kept the position.
        last_event: a mark of the event at the position.
        events: the stored names of the events that have all been applied.
        source: the stream, or the pattern of streams, that they came from.
        tables: the tables, and for each whether it had rows; None for one that was not there.
        begun_at: the position of the first event; 0 while none of the first events was delivered.
        problem: why the rows are not to be trusted; empty when they are.
        code: a mark of the code that has made the rows, where rows of other code cannot stay; empty otherwise.
    """

    position: int = 0
    store: str | None = None
    last_event: str = ""
    events: frozenset[str] = frozenset()
    source: str = ""
    tables: Mapping[str, bool | None] = {}
    begun_at: int = 0
    problem: str = ""
    code: str = ""


def make_tables(db: Any) -> None:
    """Make the tables that watermarks are kept in."""
    db.execute("create table if not exists act_fast_watermarks (projection text primary key, position bigint not null)")
    # Apart from the position, so that a release that only knows of that one can go on beside this one.
    db.execute(
        "create table if not exists act_fast_projections (projection text primary key, position bigint not null,"
        " store text not null, last_event text not null, events text not null, source text not null,"
        " tables text not null, begun_at bigint not null, problem text not null, code text default '')"
    )
    _add_code(db)


def _add_code(db: Any) -> None:
    """Add the column that tables of earlier releases do not have."""
    asked = "select 1 from pragma_table_info('act_fast_projections') where name = 'code'"  # in DuckDB, too
    if not fetch(db, asked):
        db.execute("alter table act_fast_projections add column code text default ''")


def read(db: Any, projection: str) -> tuple[int | None, Watermark | None]:
    """The position that a projection has come to, and all that was said at the time of the position in the second."""
    # What is computed has no declared type, so that nobody's converters are asked.
    texts = ", ".join(text_of(db, f"p.{each}") for each in _TEXTS)
    found = fetch(
        db,
        f"select w.position + 0, p.position + 0, p.begun_at + 0, {texts} from (select ? as projection) as asked"
        " left join act_fast_watermarks as w on w.projection = asked.projection"
        " left join act_fast_projections as p on p.projection = asked.projection",
        (projection,),
    )
    position, said_at, begun_at, *rest = found[0]
    position = None if position is None else int(position)
    if said_at is None:
        return position, None
    store, last_event, events, source, tables, problem, code = (
        each.decode() if isinstance(each, bytes) else str(each or "") for each in rest
    )
    return position, Watermark(
        position=int(said_at),
        store=store,
        last_event=last_event,
        events=frozenset(_NAMES.decode(events)),
        source=source,
        tables=_TABLES.decode(tables),
        begun_at=int(begun_at),
        problem=problem,
        code=code,
    )


def write(db: Any, projection: str, said: Watermark) -> None:
    """Keep what is said of a projection."""
    db.execute(
        "insert into act_fast_watermarks (projection, position) values (?, ?)"
        " on conflict (projection) do update set position = excluded.position",
        (projection, said.position),
    )
    columns = ("position", "store", "last_event", "events", "source", "tables", "begun_at", "problem", "code")
    changes = ", ".join(f"{each} = excluded.{each}" for each in columns)
    db.execute(
        f"insert into act_fast_projections (projection, {', '.join(columns)}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        f" on conflict (projection) do update set {changes}",
        (
            projection,
            said.position,
            said.store or "",
            said.last_event,
            msgspec.json.encode(sorted(said.events)).decode(),
            said.source,
            msgspec.json.encode(said.tables).decode(),
            said.begun_at,
            said.problem,
            said.code,
        ),
    )


def remove(db: Any, projection: str) -> None:
    """Forget a projection."""
    db.execute("delete from act_fast_watermarks where projection = ?", (projection,))
    db.execute("delete from act_fast_projections where projection = ?", (projection,))


def filled_tables(
    db: Any, names: Mapping[str, str], known: Mapping[str, bool | None] | None = None
) -> dict[str, bool | None]:
    """Whether tables have rows; None for those that are not there.

    Args:
        db: a cursor.
        names: what the tables are called in the database, by what they are called in the code.
        known: what was so a moment ago, so that it need not be asked which tables there are; an error if one has gone.
    """
    if known is None or known.keys() != names.keys():
        there = _there(db, list(names.values()))
        asked = [name for name, table in names.items() if table in there]
    else:
        asked = [name for name, filled in known.items() if filled is not None]
    found: dict[str, bool | None] = dict.fromkeys(names)
    if asked:
        each = ", ".join(f"exists (select 1 from {quoted_name(names[name])})" for name in asked)
        (row,) = fetch(db, f"select {each}")
        found.update(zip(asked, map(bool, row), strict=True))
    return found


def _there(db: Any, tables: Sequence[str]) -> set[str]:
    """Which of some tables there are. To ask one that is not there would end a transaction of DuckDB."""
    if not tables:
        return set()
    asked = " union all ".join(f"select {number} as number, ? as name" for number in range(len(tables)))
    known = _SQLITE_TABLES if is_sqlite(getattr(db, "connection", None)) else _DUCKDB_TABLES
    rows = fetch(
        db,
        f"select asked.number + 0 from ({asked}) as asked where exists"
        f" (select 1 from ({known}) as known where lower(known.name) = lower(asked.name))",
        tables,
    )
    return {tables[int(number)] for (number,) in rows}
