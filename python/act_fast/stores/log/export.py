"""From a log to a file: JSON lines and CSV as the core writes them, Parquet as DuckDB does."""

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from act_fast._checks import arguments
from act_fast._checks.extras import need
from act_fast._checks.sql_text import quoted_name, quoted_text
from act_fast._core import Log
from act_fast._rows import Filter, Progress
from act_fast._runtime.file_lock import FileLock
from act_fast._runtime.interruptible import interruptible
from act_fast.errors import OutcomeUnknownError, StoreError, StoreFullError, StoreLockedError, ValidationError
from act_fast.stores.archive_away import naming_archives
from act_fast.stores.capabilities import cut
from act_fast.stores.values import Compression, Exported

if TYPE_CHECKING:
    import duckdb

__all__ = ["check_destination", "export_answer", "export_events"]

COLUMNS: Final = ("position", "commit", "stream", "version", "name", "created", "data", "meta", "tags")
"""The columns of an export of events: what `restore` takes."""

_FORMATS: Final = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
_COMPRESSIONS: Final = ("zstd", "snappy", "gzip", "lz4", "uncompressed")
_ROWS: Final = "rows_to_export"
_DISK_FULL: Final = "No space left on device"
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Destination:
    """Where an export goes, and as what.

    Attributes:
        path: the file, or the folder.
        format: `"jsonl"`, `"csv"` or `"parquet"`.
        compression: of Parquet files.
        partition_by: the columns whose values make folders.
        overwrite: whether a file that is there is replaced.
    """

    def __init__(
        self, path: Path, format: str, compression: str | None, partition_by: Sequence[str], overwrite: bool
    ) -> None:
        self.path = path
        self.format = format
        self.compression = compression
        self.partition_by = partition_by
        self.overwrite = overwrite

    def check_free(self) -> None:
        """Refuse to replace what must not be."""
        if os.path.lexists(self.path) and (self.path.is_dir() or not self.overwrite):
            folder = (
                "a folder is never replaced; remove it"
                if self.path.is_dir()
                else "allow replacing it (overwrite=True, --overwrite)"
            )
            raise ValidationError(f"there is something at {self.path} already; choose another path, or {folder}")

    @contextmanager
    def begun(self) -> Iterator[Path]:
        """A path beside it, which gets its name at the end of the block: all of it is there, or nothing."""
        self.check_free()
        making = self.path.with_name(f"{self.path.name}.making")
        with _held(self.path.with_name(f"{self.path.name}.making-lock"), self.path):
            try:
                with _writing(self.path):
                    _remove(making)
                yield making
                with _writing(self.path):
                    for each in making.rglob("*") if making.is_dir() else (making,):
                        _flush(each)
                self.check_free()
                with _writing(self.path):
                    os.replace(making, self.path)
                try:
                    _flush(self.path.parent)
                except OSError as error:
                    raise OutcomeUnknownError(
                        f"{self.path} is complete and in its place, but syncing the folder failed"
                        f" ({error.strerror or error}), so it may not survive a power cut"
                    ) from error
            finally:
                with suppress(OSError):  # the next export to this path removes it
                    _remove(making)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn what the system refuses while something is written into an error of the store's.

    Raises:
        StoreFullError: there is no room.
        StoreError: it cannot be written for another reason.
    """
    try:
        yield
    except OSError as error:
        kind = StoreFullError if error.errno in _FULL else StoreError
        at = error.filename or path
        raise kind(f"{path} cannot be written ({at}: {error.strerror or error}); nothing was kept of it") from error


def check_destination(
    path: str | os.PathLike[str],
    compression: Compression | None,
    partition_by: str | Sequence[str] | None,
    overwrite: bool,
) -> Destination:
    """Where an export is to go.

    Raises:
        ValidationError: that cannot be; nothing was written.
    """
    found = Path(arguments.directory(path))
    columns = [partition_by] if isinstance(partition_by, str) else arguments.texts("partition_by", partition_by or ())
    kind = "parquet" if columns and not found.suffix else _FORMATS.get(found.suffix)
    if kind is None:
        raise ValidationError(
            f"{found.name!r} does not say which format to export to; its name must end in .parquet, .csv or .jsonl"
            " (or, with partition_by=, in none of them)"
        )
    if kind != "parquet" and (compression is not None or columns):
        raise ValidationError(f"compression= and partition_by= are for Parquet, not for {found.suffix}")
    if compression is not None:
        arguments.one_of("compression", compression, _COMPRESSIONS)
    if kind == "parquet":
        need("exporting to Parquet", "duckdb")
    if not found.parent.is_dir():
        raise ValidationError(f"there is no folder {found.parent}; make it first")
    destination = Destination(found, kind, compression, columns, arguments.flag("overwrite", overwrite))
    destination.check_free()
    return destination


def export_events(log: Log, destination: Destination, filter: Filter, progress: Progress | None) -> Exported:
    """Export the events that meet the conditions."""
    if destination.format != "parquet":
        with destination.begun() as path:
            try:
                count = log.export(str(path), destination.format, filter, progress)
            except StoreFullError as error:
                raise StoreFullError(f"{destination.path} cannot be written: {error}") from None
        return Exported(str(destination.path), count)
    import duckdb

    columns = log.columns([(name, name) for name in COLUMNS], filter=cut(log, filter))
    with naming_archives(), interruptible(), duckdb.connect() as connection:
        connection.register(_ROWS, columns)
        made = _export_rows(connection, destination)
    if progress is not None:
        progress(made.rows, made.rows)
    return made


def export_answer(answer: "duckdb.DuckDBPyRelation", destination: Destination) -> Exported:
    """Export what a query answers. It is read from a database that cannot write, and written by another one."""
    import duckdb

    with naming_archives(), interruptible(), duckdb.connect() as connection:
        connection.register(_ROWS, _Stream(answer))
        return _export_rows(connection, destination)


class _Stream:
    """An answer as nothing but a stream of rows, which another database takes."""

    def __init__(self, answer: "duckdb.DuckDBPyRelation") -> None:
        self._answer = answer

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._answer.__arrow_c_stream__(requested_schema)


def _export_rows(connection: "duckdb.DuckDBPyConnection", destination: Destination) -> Exported:
    import duckdb

    try:
        with destination.begun() as path, interruptible():
            copy = f"copy (select * from {_ROWS}) to {quoted_text(str(path))} ({_options(destination)})"
            ((rows,),) = connection.execute(copy).fetchall()
        return Exported(str(destination.path), rows)
    except duckdb.IOException as error:
        full = _DISK_FULL in str(error)
        raise (StoreFullError if full else StoreError)(
            f"{destination.path} cannot be written ({str(error).splitlines()[0]}); nothing was kept of it"
        ) from None


def _options(destination: Destination) -> str:
    if destination.format == "csv":
        return "format csv, header true, use_tmp_file false"
    if destination.format == "jsonl":
        return "format json, use_tmp_file false"
    options = f"format parquet, compression {destination.compression or 'zstd'}"
    if not destination.partition_by:
        return f"{options}, use_tmp_file false"
    names = ", ".join(map(quoted_name, destination.partition_by))
    return f"{options}, partition_by ({names}), write_partition_columns true"


@contextmanager
def _held(lock: Path, path: Path) -> Iterator[None]:
    """Hold a lock file, so that no two make the same; it is gone afterwards."""
    while True:
        with _writing(path):
            held = FileLock(lock, os.O_RDWR | os.O_CREAT)
        try:
            if not held.take():
                raise StoreLockedError(f"{path} is being written by another process; wait for it to finish")
            if not _is(lock, held.fileno()):  # the process that held it before has removed it
                continue
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
            return
        finally:
            held.close()


def _is(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
