"""Making the files of what has settled: by one process at a time, from the very relation that is asked."""

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeAlias

import duckdb
import msgspec

from act_fast._checks.sql_text import quoted_text
from act_fast._runtime.file_lock import FileLock
from act_fast._runtime.flushing import flush
from act_fast._runtime.interruptible import interruptible
from act_fast._runtime.logger import log
from act_fast._sql.duckdb_database import close, new_writer, register
from act_fast._sql.log_scan import LogScan
from act_fast._sql.parts.attached import TABLE
from act_fast._sql.parts.manifest import (
    FORMAT,
    STORAGE,
    LockedManifest,
    Manifest,
    Part,
    Series,
    checksum,
    fingerprint,
    manifest_name,
    manifests,
    read,
)
from act_fast.errors import ActError
from act_fast.stores.port import Store

__all__ = ["PART_EVENTS", "build_part", "settled_parts"]

PART_EVENTS: Final = 100_000
"""From so many events on, reading them again and again costs more than writing them down."""

_STEP_EVENTS_MAX: Final = 20_000_000
"""So many events at most are written down before a query is answered; the rest is for those that come later."""

_TEMPORARY: Final = "new-"
_SUFFIX: Final = ".duckdb"
_STALE_S: Final = 24 * 3600

MakeScan: TypeAlias = Callable[..., LogScan]
"""Makes a scan of the events after one position up to another; told, if given, hears how many could not be read."""


def settled_parts(series: Series | None, store: Store, cut: int, make: MakeScan) -> LockedManifest | None:
    """What is written down of a relation up to a cut, brought up to date where that pays."""
    if series is None:
        return None
    held = read(series, store)
    after = 0 if held is None else held.manifest.upto
    if after < cut and make(after, cut).width >= PART_EVENTS:
        try:
            if build_part(series, store, cut, make):
                held = read(series, store)
        except (ActError, OSError, duckdb.Error) as error:
            # Nothing is lost but time: the log has it all.
            log.warning("settled events could not be written to %s: %s", series.folder, error)
    return held


def build_part(series: Series, store: Store, cut: int, make: MakeScan) -> bool:
    """Write down what a series does not have yet, up to a cut; False when somebody else is at it, or nothing can be."""
    try:
        store.flush()  # a file must never hold what a power cut may yet take from the log
        series.folder.mkdir(parents=True, exist_ok=True)
    except (ActError, OSError):
        return False  # a store for reading only, or a full disk
    with _alone(series.folder.parent) as alone:
        if alone:
            _extend(series, store, cut, make)
            _clear(series.folder)
            _forget_stale(series.folder)
    return alone


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether this is the only builder of a store; if so, it stays the only one for as long as this lasts."""
    lock = FileLock(folder / "lock", os.O_RDWR | os.O_CREAT)
    try:
        yield lock.take()
    finally:
        lock.close()


def _extend(series: Series, store: Store, cut: int, make: MakeScan) -> None:
    held = read(series, store)
    kept = list(held.manifest.parts) if held else []
    after = held.manifest.upto if held else 0
    failed = held.manifest.failed if held else 0
    if after >= cut:
        return
    failures: list[int] = []

    def told(view: str, failed: int) -> None:
        failures.append(failed)

    scan = make(after, cut, told)
    if scan.width > _STEP_EVENTS_MAX:
        cut = after + _STEP_EVENTS_MAX
        scan = make(after, cut, told)
    # Files that are not much larger than what comes are written again with it, so that there are only ever a few.
    rows = scan.width
    absorbed: list[Part] = []
    while kept and kept[-1].rows <= 2 * rows:
        absorbed.insert(0, kept.pop())
        rows += absorbed[0].rows
    part = _write(series.folder, scan, absorbed, absorbed[0].after if absorbed else after, cut)
    mark = fingerprint(store, cut)
    if mark is None:
        return
    manifest = Manifest(
        FORMAT,
        STORAGE,
        series.store,
        series.mark,
        cut,
        mark,
        failed + sum(failures),
        (*kept, *([part] if part else [])),
    )
    _publish(series.folder, manifest)


def _write(folder: Path, scan: LogScan, absorbed: list[Part], after: int, upto: int) -> Part | None:
    """One new file, of a scan and of what is absorbed by it; None when it would have no rows."""
    connection = new_writer()
    name = f"{_TEMPORARY}{secrets.token_hex(8)}{_SUFFIX}"
    try:
        register(connection, "what is new", scan)
        sources = ['"what is new"']
        for number, each in reversed([*enumerate(absorbed)]):
            connection.execute(f"attach {quoted_text(str(folder / each.file))} as old{number} (read_only)")
            sources.insert(0, f"old{number}.{TABLE}")
        query = " union all ".join(f"select * from {source}" for source in sources)
        connection.execute(f"attach {quoted_text(str(folder / name))} as new (storage_version '{STORAGE}')")
        with interruptible():
            made = connection.execute(f"create table new.{TABLE} as {query}").fetchone()
        connection.execute("checkpoint new")
        connection.execute("detach new")
    finally:
        close(connection)
    rows = made[0] if made else 0
    if not rows:
        (folder / name).unlink(missing_ok=True)
        return None
    flush(folder / name)
    final = f"{after + 1:012}-{upto:012}-{secrets.token_hex(4)}{_SUFFIX}"
    os.rename(folder / name, folder / final)
    size, crc = checksum(folder / final)
    return Part(final, after, upto, rows, size, crc)


def _publish(folder: Path, manifest: Manifest) -> None:
    numbers = manifests(folder)
    temporary = folder / f"{_TEMPORARY}{secrets.token_hex(8)}.json"
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
    flush(temporary)
    os.rename(temporary, folder / manifest_name(numbers[-1] + 1 if numbers else 1))
    flush(folder)


def _clear(folder: Path) -> None:
    """Remove older manifests that nobody holds, and the files that none of those left lists."""
    numbers = manifests(folder)
    listed: set[str] = set()
    for number in numbers:
        path = folder / manifest_name(number)
        if number != numbers[-1] and _removed(path):
            continue
        with suppress(OSError, msgspec.MsgspecError):
            listed.update(part.file for part in msgspec.json.decode(path.read_bytes(), type=Manifest).parts)
    for path in folder.glob(f"*{_SUFFIX}"):
        if path.name not in listed:
            path.unlink(missing_ok=True)
    for path in folder.glob(f"{_TEMPORARY}*"):
        path.unlink(missing_ok=True)


def _forget_stale(folder: Path) -> None:
    """Remove what other definitions of the same relation left, when nobody has added to it for a day."""
    name = folder.name.rpartition("-")[0]
    for other in folder.parent.glob(f"{name}-*"):
        if other == folder or other.name.rpartition("-")[0] != name:
            continue
        with suppress(OSError):
            if time.time() - other.stat().st_mtime < _STALE_S:
                continue
            if all([_removed(other / manifest_name(number)) for number in manifests(other)]):
                for path in other.iterdir():
                    path.unlink()
                other.rmdir()


def _removed(path: Path) -> bool:
    """Remove a manifest, unless somebody holds it. Whoever has opened it, but not locked it yet, finds it removed."""
    try:
        lock = FileLock(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        if not lock.take():
            return False
        path.unlink()
    except OSError:
        return False
    finally:
        lock.close()
    return True
