"""Putting a relation in place: from what was written down of it and the rest of the log, or from the log alone."""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeVar

import duckdb
import msgspec

from act_fast._checks.sql_text import quoted_name
from act_fast._runtime.logger import log
from act_fast._sql.class_decoder import warn_of_failures
from act_fast._sql.duckdb_database import attached_to, register
from act_fast._sql.log_scan import LogScan
from act_fast._sql.parts.attached import Attached
from act_fast._sql.parts.background import settled_parts
from act_fast._sql.parts.builder import MakeScan
from act_fast._sql.parts.manifest import LockedManifest, distrust
from act_fast._sql.scan import Scan
from act_fast._sql.session import Session

__all__ = ["mark_of", "place_settled", "place_view", "tables_of", "with_durations"]

_FOUND_EVENTS_MAX: Final = 10_000
_FOUND_SHARE: Final = 10

T = TypeVar("T")


def mark_of(*what: object) -> str:
    """A mark of what a relation's columns are and how they come to be: what was written under another is not used."""
    return hashlib.sha256(msgspec.json.encode(what)).hexdigest()[:32]


def with_durations(names: Sequence[str], hidden: Sequence[str] = ()) -> str:
    """All columns but the hidden, those of these names as intervals: as such they would lose microseconds in a file."""
    replaced = ", ".join(f"to_microseconds({quoted_name(name)}) as {quoted_name(name)}" for name in names)
    excluded = f"* exclude ({', '.join(map(quoted_name, hidden))})" if hidden else "*"
    return f"{excluded} replace ({replaced})" if replaced else excluded


def place_settled(session: Session, name: str, mark: str, wanted: str, make: MakeScan) -> None:
    """Put a relation in place: what has settled of it is read from files, the rest from the log."""
    whole = make(0, session.position)
    finds = _finds(session, name, whole)
    if finds and not any(map(whole.is_archived_under, session.mentions[name.casefold()])):
        place_view(session, name, wanted, whole)
        return
    attached = attached_to(session.connection)
    series = session.series(name, mark)
    known = attached.known(name)
    held = settled_parts(series, session.store, session.position, make, begins=not finds, known=known)
    if known is not None and (held is None or held.checked != known):
        attached.forget(session.connection, name)
    if held is None or not _place_parts(session, attached, name, wanted, held, make):
        place_view(session, name, wanted, whole)
        return
    if held.manifest.failed and name not in session.warned:
        session.warned.add(name)
        warn_of_failures(name, held.manifest.failed)


def _place_parts(
    session: Session, attached: Attached, name: str, wanted: str, held: LockedManifest, make: MakeScan
) -> bool:
    """Put in place what is read from files, and the rest; False where DuckDB cannot read them."""
    upto = held.manifest.upto
    rest = make(upto, session.position) if upto < session.position else None
    if held.paths and rest is not None and rest.empty:
        rest = None
    if held.paths and rest is None and upto <= session.position and session.is_new and session.words is not None:
        placing = partial(attached.place, session.connection, name, wanted, held, session.store)
        return _sound(held, placing) is not None
    found = tables_of(session, name, held)
    if found is None:
        return False
    tables, still_there = found
    within = f" and position <= {session.position}" if upto > session.position else ""
    selects = [f"select {wanted} from {table} where {still_there}{within}" for table in tables]
    if rest is None and not selects:
        rest = make(session.position, session.position)
    if rest is not None:
        source = f"{name} source"
        register(session.connection, source, rest)
        selects.append(f"select {wanted} from {quoted_name(source)}")
    session.connection.execute(f"create or replace temp view {quoted_name(name)} as {' union all '.join(selects)}")
    return True


def _finds(session: Session, name: str, whole: LogScan) -> bool:
    """Whether the index of the log finds what is asked of a relation sooner than it is read from files."""
    mentions = session.mentions.get(name.casefold(), ())
    if not mentions or not all(mentions):
        return False
    return sum(map(whole.width_under, mentions)) <= min(_FOUND_EVENTS_MAX, whole.width // _FOUND_SHARE)


def tables_of(session: Session, name: str, held: LockedManifest) -> tuple[list[str], str] | None:
    """The tables that hold what has settled; None when DuckDB cannot read the files, which are made again then."""
    attached = attached_to(session.connection)
    return _sound(held, partial(attached.tables, session.connection, name, held, session.store))


def _sound(held: LockedManifest, attach: Callable[[], T]) -> T | None:
    """What comes of attaching files; None when DuckDB cannot read them, which are made again then."""
    try:
        return attach()
    except duckdb.Error as error:
        log.warning("settled events cannot be read from %s: %s", held.folder, error)
        distrust(held)
        return None


def place_view(session: Session, name: str, wanted: str, scan: Scan) -> None:
    """Let a name stand for a scan, or for what is made of its columns."""
    if not session.is_new:
        session.connection.execute(f"drop view if exists temp.{quoted_name(name)}")
    if wanted == "*":
        register(session.connection, name, scan)
        return
    source = f"{name} source"
    register(session.connection, source, scan)
    session.connection.execute(
        f"create or replace temp view {quoted_name(name)} as select {wanted} from {quoted_name(source)}"
    )
