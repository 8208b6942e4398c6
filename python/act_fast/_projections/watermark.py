"""What a database says of a projection: how far its tables have come, and which log and code they are of."""

from collections.abc import Mapping
from typing import Final

import msgspec

from act_fast._projections.databases.session import Session

__all__ = ["Watermark", "filled_tables", "make_tables", "read", "remove", "say_nothing", "write"]

_NAMES: Final = msgspec.json.Decoder(list[str])
_TABLES: Final = msgspec.json.Decoder(dict[str, bool | None])
_TEXTS: Final = ("store", "last_event", "events", "source", "tables", "problem", "code")
_SAID: Final = ("position", "store", "last_event", "events", "source", "tables", "begun_at", "problem", "code")
_OWN: Final = ("act_fast_watermarks", "act_fast_projections")
_MAKING: Final = "act_fast tables"


class Watermark(msgspec.Struct, frozen=True):
    """What is kept of a projection beside its rows, in the same transaction.

    Attributes:
        position: up to where the rows are those of the log.
        store: the id of the store they are of; None: not said, as by releases that only kept the position.
        last_event: a mark of the event at the position.
        events: the stored names of the events that have all been applied.
        source: the stream, or the pattern of streams, that they came from, and their tags, a line each.
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


def make_tables(db: Session) -> None:
    """Make the tables that watermarks are kept in."""
    if len(db.dialect.there(db, _OWN)) < len(_OWN):
        db.dialect.hold(db, [_MAKING])  # two that make the same at the same time collide
        key, text = db.dialect.key, db.dialect.text
        db.run(
            f"create table if not exists act_fast_watermarks (projection {key} primary key, position bigint not null)"
        )
        # Apart from the position, so that a release that only knows of that one can go on beside this one.
        db.run(
            f"create table if not exists act_fast_projections (projection {key} primary key, position bigint not null,"
            f" store {text} not null, last_event {text} not null, events {text} not null, source {text} not null,"
            f" tables {text} not null, begun_at bigint not null, problem {text} not null, code {text})"
        )
    db.dialect.upgrade(db)


def read(db: Session, projection: str) -> tuple[int | None, Watermark | None]:
    """The position that a projection has come to, and all that was said at the time of the position in the second."""
    # What is computed has no declared type, so that nobody's converters are asked.
    texts = ", ".join(db.dialect.text_of(f"p.{each}") for each in _TEXTS)
    found = db.rows(
        "select (select position + 0 from act_fast_watermarks where projection = ?), p.position + 0, p.begun_at + 0,"
        f" {texts} from (select 1 as one) as asked left join act_fast_projections as p on p.projection = ?",
        (projection, projection),
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


def write(db: Session, projection: str, said: Watermark) -> None:
    """Keep what is said of a projection."""
    db.run(db.dialect.upsert("act_fast_watermarks", "projection", ["position"]), (projection, said.position))
    db.run(
        db.dialect.upsert("act_fast_projections", "projection", _SAID),
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


def say_nothing(db: Session, projection: str) -> None:
    """Keep which log the rows of a projection are of, but no position: they are about to be made again."""
    db.run("delete from act_fast_watermarks where projection = ?", (projection,))


def remove(db: Session, projection: str) -> None:
    """Forget a projection."""
    say_nothing(db, projection)
    db.run("delete from act_fast_projections where projection = ?", (projection,))


def filled_tables(
    db: Session, names: Mapping[str, str], known: Mapping[str, bool | None] | None = None
) -> dict[str, bool | None]:
    """Whether tables have rows; None for those that are not there.

    Args:
        db: the transaction.
        names: what the tables are called in the database, by what they are called in the code.
        known: what was so a moment ago, so that it need not be asked which tables there are; an error if one has gone.
    """
    if known is None or known.keys() != names.keys():
        there = db.dialect.there(db, list(names.values())) if names else set()
        asked = [name for name, table in names.items() if table in there]
    else:
        asked = [name for name, filled in known.items() if filled is not None]
    found: dict[str, bool | None] = dict.fromkeys(names)
    if asked:
        each = ", ".join(f"exists (select 1 from {db.dialect.quoted(names[name])})" for name in asked)
        (row,) = db.rows(f"select {each}")
        found.update(zip(asked, map(bool, row), strict=True))
    return found
