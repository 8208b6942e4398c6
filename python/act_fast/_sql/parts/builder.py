"""Making the files of what has settled: by one process at a time, from the very relation that is asked."""

import os
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeAlias

import duckdb
import msgspec

from act_fast._checks.sql_text import quoted_text
from act_fast._runtime.file_lock import FileLock
from act_fast._runtime.flushing import flush
from act_fast._sql.duckdb_database import close, new_writer, register
from act_fast._sql.log_scan import LogScan
from act_fast._sql.parts.attached import TABLE
from act_fast._sql.parts.manifest import (
    FORMAT,
    STORAGE,
    Manifest,
    Part,
    Series,
    checksum,
    fingerprint,
    manifest_name,
    manifests,
    read,
)
from act_fast._sql.scan import Scan
from act_fast.errors import ActError, StoreClosedError
from act_fast.stores.capabilities import analytics_max_of
from act_fast.stores.port import Store

__all__ = ["Build", "EventBuild", "MakeScan", "NoRoom"]

_STEP_EVENTS_MAX: Final = 20_000_000
"""So many events at most are written into one file, so that not all is lost when a process ends before its time."""

_MEMORY_MAX: Final = "512MB"
"""For DuckDB while it writes; what does not fit goes to its folder for that."""

_TEMPORARY: Final = "new-"
_SUFFIX: Final = ".duckdb"
_STALE_S: Final = 24 * 3600

MakeScan: TypeAlias = Callable[..., LogScan]
"""Makes a scan of the events after one position up to another; told, if given, hears how many could not be read."""


class NoRoom(Exception):
    """The files of a store would take more than they may."""


class Build(ABC):
    """The files of one series being made.

    Attributes:
        stopped: whether `stop` was called.
    """

    def __init__(self, series: Series, store: Store) -> None:
        self.stopped = False
        self._series = series
        self._store = store
        self._writer: duckdb.DuckDBPyConnection | None = None

    def stop(self) -> None:
        """Have the step that is under way end with an error, from any thread. Call it until it has."""
        self.stopped = True
        writer = self._writer
        if writer is not None:
            with suppress(duckdb.Error):
                writer.interrupt()

    def step(self, cut: int) -> bool:
        """Write down what the series does not have yet, or the first part of it, up to a cut; whether there is more.

        Nothing is done while another process is at it, or where nothing can be written.

        Raises:
            ActError: the log cannot be read.
            OSError: a file cannot be written.
            duckdb.Error: DuckDB cannot write it, or it was stopped.
        """
        folder = self._series.folder
        try:
            self._store.flush()  # a file must never hold what a power cut may yet take from the log
            folder.mkdir(parents=True, exist_ok=True)
        except StoreClosedError:
            raise
        except (ActError, OSError):
            return False  # a store for reading only, or a full disk
        with _alone(folder.parent) as alone:
            if not alone:
                return False
            upto = self._extend(cut)
            _clear(folder)
            _forget_stale(folder, _STALE_S)
        return upto < cut

    @abstractmethod
    def _extend(self, cut: int) -> int:
        """Answers up to where everything is written down now."""

    def _publish(self, upto: int, failed: int, parts: list[Part]) -> None:
        """Let these be the files of the series, unless the log is no longer what they were made from."""
        mark = fingerprint(self._store, upto)
        self._check_wanted()
        if mark is not None:
            series = self._series
            _publish(
                series.folder,
                Manifest(FORMAT, STORAGE, series.store, series.mark, upto, mark, failed, tuple(parts)),
            )

    def _write(
        self,
        scan: Scan,
        absorbed: list[Part],
        after: int,
        upto: int,
        kept: list[Part],
        without: Sequence[str] = (),
    ) -> tuple[Part | None, int]:
        """One new file, and how many of its rows say that they could not be made; None when it would have no rows.

        Args:
            scan: what goes in.
            absorbed: files that go in before it.
            after: where it begins.
            upto: and ends.
            kept: the files that stay beside it.
            without: streams that are left out of what is absorbed.
        """
        folder = self._series.folder
        made = folder / f"{_TEMPORARY}{secrets.token_hex(8)}{_SUFFIX}"
        connection = self._writer = new_writer()
        try:
            self._check_wanted()
            rows, failed = _filled(connection, made, scan, [folder / each.file for each in absorbed], without)
            if not rows:
                return None, 0
            flush(made)
            final = folder / f"{after + 1:012}-{upto:012}-{secrets.token_hex(4)}{_SUFFIX}"
            os.rename(made, final)
        finally:
            self._writer = None
            close(connection)
            for left in (made, made.with_name(f"{made.name}.wal")):
                left.unlink(missing_ok=True)
        size, crc = checksum(final)
        try:
            self._check_room(kept, size)
        except NoRoom:
            final.unlink()
            raise
        return Part(final.name, after, upto, rows, size, crc), failed

    def _check_room(self, kept: list[Part], more: int) -> None:
        """Whether there is room for another file, besides those of this series that stay, and those of others."""
        most = analytics_max_of(self._store)
        if most is None:
            return
        own = self._series.folder
        needed = more + sum(part.bytes for part in kept)
        if needed + _size_of_others(own) > most:
            _forget_stale(own, 0.0)
            needed += _size_of_others(own)
        if needed > most:
            raise NoRoom(f"they would take {needed:,} bytes where analytics={most:,} is allowed")

    def _check_wanted(self) -> None:
        if self.stopped:
            raise StoreClosedError("this is no longer wanted")


class EventBuild(Build):
    """The files of events: each holds a range of positions, and what is new goes into another one."""

    def __init__(self, series: Series, store: Store, make: MakeScan) -> None:
        super().__init__(series, store)
        self._make = make

    def _extend(self, cut: int) -> int:
        """Answers up to where everything is written down now."""
        series, store = self._series, self._store
        held = read(series, store)
        kept = list(held.manifest.parts) if held else []
        after = held.manifest.upto if held else 0
        failures = [held.manifest.failed] if held else []
        if after >= cut:
            return after

        def told(view: str, failed: int) -> None:
            failures.append(failed)

        scan = self._make(after, cut, told)
        whole = scan.width <= _STEP_EVENTS_MAX
        if not whole:
            cut = after + _STEP_EVENTS_MAX
            scan = self._make(after, cut, told)
        # Files that are not much larger than what comes are written again with it, so that there are only ever a few.
        rows = scan.width
        absorbed: list[Part] = []
        while whole and kept and kept[-1].rows <= 2 * rows:
            absorbed.insert(0, kept.pop())
            rows += absorbed[0].rows
        self._check_room(kept, _estimated(rows, [*kept, *absorbed]))
        part, _ = self._write(scan, absorbed, absorbed[0].after if absorbed else after, cut, kept)
        self._publish(cut, sum(failures), [*kept, *([part] if part else [])])
        return cut


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether this is the only builder of a store; if so, it stays the only one for as long as this lasts."""
    lock = FileLock(folder / "lock", os.O_RDWR | os.O_CREAT)
    try:
        yield lock.take()
    finally:
        lock.close()


def _estimated(rows: int, like: list[Part]) -> int:
    """How large a file will be, going by those that are there; 0 where there are none."""
    known = sum(part.rows for part in like)
    return rows * sum(part.bytes for part in like) // known if known else 0


def _filled(
    connection: duckdb.DuckDBPyConnection, made: Path, scan: Scan, absorbed: list[Path], without: Sequence[str]
) -> tuple[int, int]:
    """Write a file of a scan and, before it, of other files; answers how many rows it has, and how many failed."""
    connection.execute(f"set memory_limit = '{_MEMORY_MAX}'; set threads = 1")
    register(connection, "what is new", scan)
    sources = ['"what is new"']
    for number, path in reversed([*enumerate(absorbed)]):
        connection.execute(f"attach {quoted_text(str(path))} as old{number} (read_only)")
        sources.insert(0, f"old{number}.{TABLE}")
    if without:
        connection.execute("create temp table without as select unnest($1) as stream", [list(without)])
        sources[:-1] = [f"{source} where stream not in (from without)" for source in sources[:-1]]
    query = " union all ".join(f"select * from {source}" for source in sources)
    connection.execute(f"attach {quoted_text(str(made))} as new (storage_version '{STORAGE}')")
    connection.execute(f"create table new.{TABLE} as {query}")
    failed = "count(error)" if "error" in scan.columns else "0"
    counted = connection.execute(f"select count(*), {failed} from new.{TABLE}").fetchone()
    connection.execute("checkpoint new")
    connection.execute("detach new")
    assert counted is not None
    rows, failures = counted
    return rows, failures


def _publish(folder: Path, manifest: Manifest) -> None:
    numbers = manifests(folder)
    temporary = folder / f"{_TEMPORARY}{secrets.token_hex(8)}.json"
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
    flush(temporary)
    os.rename(temporary, folder / manifest_name(numbers[-1] + 1 if numbers else 1))
    flush(folder)


def _clear(folder: Path) -> None:
    """Remove older manifests that are not held, and the files that no manifest lists any more."""
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


def _size_of_others(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.parent.glob(f"*/*{_SUFFIX}") if path.parent != folder)


def _forget_stale(folder: Path, after_s: float) -> None:
    """Remove what other definitions of the same relation left, when nothing was added to it for so long."""
    name = folder.name.rpartition("-")[0]
    for other in folder.parent.glob(f"{name}-*"):
        if other == folder or other.name.rpartition("-")[0] != name:
            continue
        with suppress(OSError):
            if time.time() - other.stat().st_mtime < after_s:
                continue
            if all([_removed(other / manifest_name(number)) for number in manifests(other)]):
                for path in other.iterdir():
                    path.unlink()
                other.rmdir()


def _removed(path: Path) -> bool:
    """Remove a manifest, unless it is held. A reader that has opened it, but not locked it yet, finds it removed."""
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
