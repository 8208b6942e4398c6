"""From an export to a log: JSON lines, CSV, and Parquet, of which DuckDB makes columns."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from act_fast._checks.extras import need
from act_fast._checks.sql_text import quoted_files
from act_fast._core import Restoring
from act_fast._rows import Progress
from act_fast._runtime.interruptible import interruptible
from act_fast.errors import RestoreError, ValidationError
from act_fast.stores.port import Store
from act_fast.stores.values import Restored

if TYPE_CHECKING:
    import duckdb

__all__ = ["check_empty", "check_source", "restore_into"]

_VIEW: Final = "rows_to_restore"
_FILE: Final = "file_to_restore"
_NULL_FOLDER: Final = "__HIVE_DEFAULT_PARTITION__"
_NEEDED: Final = ("stream", "name", "data")
_TEXT: Final = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}


def check_source(source: str | os.PathLike[str]) -> Path:
    """The file or folder that is to be restored from.

    Raises:
        ValidationError: it is not there, or its name does not say what it is.
    """
    try:
        path = Path(source)
    except TypeError:
        raise ValidationError(f"source must be text or a Path, not {type(source).__name__}") from None
    if not path.exists():
        raise ValidationError(f"there is nothing at {path} to restore from")
    if not path.is_dir() and path.suffix not in (*_TEXT, ".parquet"):
        raise ValidationError(
            f"{path} cannot be restored from: its name must end in .jsonl, .csv or .parquet, or it must be a folder of"
            " Parquet files"
        )
    if path.suffix not in _TEXT:
        need("restoring from Parquet", "duckdb")
    return path


def check_empty(store: Store) -> None:
    """Refuse to replace what is in a store.

    Raises:
        ValidationError: it holds events.
    """
    if head := store.head:
        raise ValidationError(
            f"{store!r} holds {head} events, which would be gone, since a restore replaces everything in a store:"
            " restore to a new path, or pass replace=True (on the command line, --replace) to replace them"
        )


def restore_into(begin: Callable[[], Restoring], path: Path, progress: Progress | None) -> Restored:
    """Restore from a file, or give it up."""
    restoring = begin()
    try:
        kind = _TEXT.get(path.suffix)
        if kind is not None and path.is_file():
            restoring.text(str(path), kind, progress)
        else:
            _from_parquet(restoring, path, progress)
        return Restored(str(path), *restoring.finish())
    except ValidationError as error:
        raise RestoreError(f"{path}: {error}; nothing was changed", str(path)) from None
    finally:
        restoring.cancel()


def _from_parquet(restoring: Restoring, path: Path, progress: Progress | None) -> None:
    import duckdb

    source = str(path)
    try:
        with interruptible(), duckdb.connect() as connection:
            total = _bytes(path)
            count, columns = _columns(connection, path)
            told = progress and (lambda done, rows: progress(total * done // max(rows, 1), total))
            restoring.columns(columns, source, count, told)
    except duckdb.Error as error:
        what = str(error).splitlines()[0]
        raise RestoreError(f"{source}: it cannot be read as Parquet ({what}); nothing was changed", source) from None


def _files(path: Path) -> list[Path]:
    return sorted(path.rglob("*.parquet")) if path.is_dir() else [path]


def _bytes(path: Path) -> int:
    try:
        return sum(each.stat().st_size for each in _files(path))
    except OSError as error:
        what = f"{error.filename or path}: {error.strerror or error}"
        raise RestoreError(f"{path} cannot be read ({what}); nothing was changed", str(path)) from error


def _columns(connection: "duckdb.DuckDBPyConnection", path: Path) -> tuple[int, "duckdb.DuckDBPyRelation"]:
    """How many rows there are, and their columns, in the order of their positions if they state any."""
    files = _files(path)
    if not files and (path / "log").is_dir():
        raise RestoreError(
            f"{path} is a store, or the backup of one, not an export; open it as it is, or put it in the other's place"
            " while no program uses that; nothing was changed",
            str(path),
        )
    if not files:
        raise RestoreError(f"{path}: there are no Parquet files in it; nothing was changed", str(path))
    read = f"read_parquet({quoted_files(files)}, union_by_name=true, hive_partitioning=false, filename={_FILE})"
    # Named, as DuckDB would look for a variable in Python frames, where Ctrl-C can lose it.
    connection.execute(f"create view {_VIEW} as select * from {read}")
    found = connection.view(_VIEW)
    types = {name: str(kind) for name, kind in zip(found.columns, found.types, strict=True)}
    for file, name in _named_twice(connection, files):
        if name in types and name in _COLUMNS:
            what = f"it has more than one column `{name}`; an event has one of each"
            raise RestoreError(f"{file}: {what}; nothing was changed", str(path))
    columns = [f"{_column(path, files, name, types)}::{_TYPES.get(name, 'VARCHAR')}" for name in _COLUMNS]
    count = found.aggregate("count(*)").fetchall()[0][0]
    order = " order by position" if "position" in types and len(files) > 1 else ""
    return count, connection.sql(f"select {', '.join(columns)} from {_VIEW}{order}")


def _named_twice(connection: "duckdb.DuckDBPyConnection", files: list[Path]) -> Iterator[tuple[Path, str]]:
    """The files with two columns of a name, of which DuckDB calls the second one something else; and that name."""
    asked = f"select file_name, name, num_children from parquet_schema({quoted_files(files)})"
    left: dict[str, list[int]] = {}
    found: Counter[tuple[str, str]] = Counter()
    for file, name, children in connection.execute(asked).fetchall():  # parents before their children
        open_parents = left.setdefault(file, [])
        if len(open_parents) == 1:
            found[file, name] += 1
        if open_parents:
            open_parents[-1] -= 1
        open_parents.append(children or 0)
        while len(open_parents) > 1 and open_parents[-1] == 0:
            open_parents.pop()
    return ((Path(file), name) for (file, name), count in found.items() if count > 1)


_COLUMNS: Final = ("position", "commit", "stream", "version", "name", "created", "data", "meta", "tags")
_WHOLE: Final = ("position", "commit", "version")
_NEVER: Final = 2**63 - 1
"""A time that no log can hold."""
_TYPES: Final = dict.fromkeys(_WHOLE, "UBIGINT") | {"created": "BIGINT"}


def _column(path: Path, files: list[Path], name: str, types: dict[str, str]) -> str:
    kind = types.get(name)
    if kind is None:
        if _is_in_folders(path, files, name):
            return _of_folders(path, name)
        if name in _NEEDED:
            raise RestoreError(
                f"{path}: there is no column `{name}`; every event has stream, name and data; nothing was changed",
                str(path),
            )
        return "null"
    if name in _WHOLE and "INT" in kind:
        return f'"{name}"'
    if name == "created" and kind.startswith("TIMESTAMP"):
        return f"(case when isfinite(created) then epoch_us(created) when created is not null then {_NEVER} end)"
    if name == "tags" and kind == "VARCHAR[]":
        return "(case when len(tags) > 0 then to_json(tags) end)"
    if name not in (*_WHOLE, "created") and (kind in ("VARCHAR", "JSON") or kind.startswith("ENUM")):
        return f'"{name}"'
    wanted = "a whole number" if name in _WHOLE else "a timestamp" if name == "created" else "text"
    raise RestoreError(
        f"{path}: the column `{name}` is of type {kind}, but must be {wanted}; nothing was changed", str(path)
    )


def _is_in_folders(path: Path, files: list[Path], name: str) -> bool:
    """Whether each file that lacks a column is in a folder below the path that gives its value, as `name=Deposited`."""
    folders = (file.relative_to(path).parent.parts for file in files)
    return name in (*_NEEDED, *_WHOLE) and all(any(each.startswith(f"{name}=") for each in parts) for parts in folders)


def _of_folders(path: Path, name: str) -> str:
    below = f"{_FILE}[{len(str(path)) + 1}:]"
    return f"nullif(url_decode(regexp_extract({below}, '/{name}=([^/]*)/', 1)), '{_NULL_FOLDER}')"
