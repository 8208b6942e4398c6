"""Whether what a database says of a projection fits the log, the code and the tables."""

from collections.abc import Mapping
from typing import Final

from act_fast._projections.origin import Origin
from act_fast._projections.watermark import Watermark
from act_fast.errors import NonRetryableError

__all__ = ["RefusedError", "check_log", "check_said", "misfit"]

_REBUILD: Final = "rebuild it"


class RefusedError(NonRetryableError):
    """The rows in a database are not of this log, and so are not gone on with."""


def check_said(name: str, position: int | None, said: Watermark | None, tables: Mapping[str, bool | None]) -> None:
    """Make sure that it is said which store and events the rows of a projection are of, if there are any.

    Raises:
        RefusedError: it is not, so they may be those of another store.
    """
    filled = ", ".join(repr(table) for table, has in tables.items() if has)
    if said is not None or not filled:
        return
    unsaid = (
        "act_fast_watermarks says of which events" if position is None else "act_fast_projections says of which store"
    )
    raise RefusedError(
        f"{filled} of projection {name!r} has rows, but nothing in {unsaid}; they are left as they are. If they are"
        f" this store's, or no longer needed, {_REBUILD} (app.rebuild({name!r}), or act-fast rebuild), which replaces"
        " them; otherwise let it write to other tables"
    )


def check_log(name: str, position: int | None, said: Watermark | None, origin: Origin) -> None:
    """Make sure that the rows of a projection are of the log at hand.

    Raises:
        RefusedError: they are not.
    """
    if said is not None and said.problem:
        raise RefusedError(said.problem)
    known = said is not None and said.store and origin.store
    if (position or 0) > origin.head and (not known or said is None or said.store == origin.store):
        raise RefusedError(
            f"the database of projection {name!r} has come to position {position}, but the log ends at"
            f" {origin.head}: it belongs to another log, or the log was restored from an older backup; {_REBUILD}"
        )
    if said is None:
        return
    if known and said.store != origin.store:
        ends = f", but the log ends at {origin.head}" if (position or 0) > origin.head else ""
        raise RefusedError(
            f"the database of projection {name!r} has come to position {position or said.position}{ends}: its rows are"
            f" those of another store or log ({said.store}, not {origin.store}). If that one is still in use, give each"
            f" projection a name, tables and best a database of its own; otherwise, as after a restore, {_REBUILD}"
        )
    if said.position and origin.mark_at(said.position) != said.last_event:
        raise RefusedError(
            f"the database of projection {name!r} has come to position {said.position}, but the log has another event"
            f" there: one of them was restored from an older backup; {_REBUILD}"
        )


def misfit(
    position: int | None,
    said: Watermark | None,
    tables: Mapping[str, bool | None],
    origin: Origin,
    code: str,
    lease_begins_at: int | None,
) -> str | None:
    """Why the rows of a projection, which are of the log at hand, have to be made again; None when they fit.

    Args:
        position: up to where they are said to be those of the log.
        said: what else is said of them.
        tables: the tables as they are.
        origin: the log.
        code: a mark of the code that makes the rows; empty where rows of other code may stay.
        lease_begins_at: the position of the first event that is delivered, unless something was applied since.
    """
    if position is None:
        return None if said is None else "its watermark is gone"
    before = dict.fromkeys(tables, position > 0) if said is None else said.tables
    for table, filled in tables.items():
        if table not in before:
            return f"table {table!r} is new"
        if before[table] and not filled:
            return f"table {table!r} {'is gone' if filled is None else 'was emptied'}"
    if said is None:
        return None
    if more := origin.names - said.events:
        return f"it takes {', '.join(sorted(more))} now"
    if said.source != origin.source:
        return f"it has {_told(origin.source)} now, no longer {_told(said.source)}"
    if code and said.code != code:
        return "its states are folded by other code now"
    if lease_begins_at is not None and lease_begins_at <= said.begun_at <= position:
        return "it begins again with its first event"
    return None


def _told(source: str) -> str:
    """A source, and tags if there are any, as people write them."""
    stream, *tags = source.split("\n")
    return f"source {stream!r}" + (f" and tags {', '.join(map(repr, tags))}" if tags else "")
