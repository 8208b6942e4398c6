"""Searching files for values that must not be there."""

import mmap
import os
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

import msgspec

from act_fast._checks.extras import has
from act_fast._checks.sql_text import quoted_files, quoted_name, quoted_text
from act_fast.errors import ArchiveUnavailableError
from act_fast.stores.port import Store

__all__ = ["Search"]

_FOUND_MAX: Final = 100
_LOG_FILE: Final = b"ACTFLOG\0"
_COMPRESSED: Final = (b"\3\0\0\0", b"\4\0\0\0")
"""The formats of log files, behind their first bytes, whose events are compressed or elsewhere: see docs/format.md."""

_TABLES: Final = (".parquet", ".duckdb")
"""Files that hold tables, whose values are compressed."""


class Search:
    """A search for values, as they are and as JSON writes them.

    Args:
        values: what to search for.

    Attributes:
        files: how many files were searched.
        bytes: how many bytes they have.
        parts: how many of them are Parquet, or DuckDB's.
        found: where one of the values is.
        unreachable: what could not be searched.
    """

    def __init__(self, values: Iterable[str]) -> None:
        self._texts = sorted(set(values))
        self._needles = sorted({form for text in self._texts for form in _forms(text)})
        self.files = 0
        self.bytes = 0
        self.parts = 0
        self.found: list[str] = []
        self.unreachable: list[str] = []
        self._compressed: list[Path] = []

    def store(self, store: Store) -> None:
        """Search a store: its files where it has some here, and what it holds anywhere else."""
        path = getattr(store, "path", None)
        if isinstance(path, str) and os.path.isdir(path):
            self._tree(Path(path))
            self._archived(store)
            if self._compressed:
                self._compressed.clear()
                self._answered(store)
            return
        self._held(store)
        if path != "memory:":
            self.unreachable.append(f"the files of {store!r}, its own logs and its backups, beside what it answers")

    def path(self, path: Path) -> None:
        """Search a file, or all files in a directory."""
        self._tree(path)
        self.unreachable += [
            f"{each}, which is compressed: decompress a copy, and search that" for each in self._compressed
        ]
        self._compressed.clear()

    def _tree(self, path: Path) -> None:
        if path.is_dir():
            for each in sorted(path.rglob("*")):
                if each.is_file():
                    self._file(each)
        elif path.is_file():
            self._file(path)
        else:
            self.unreachable.append(f"{path}, which is not there")

    def _file(self, path: Path) -> None:
        try:
            size = path.stat().st_size
            self.parts += path.suffix in _TABLES
            self.files += 1
            self.bytes += size
            # One text may stand in a compressed file as it is, and the next one not.
            if self._texts and _is_compressed(path):
                self._compressed.append(path)
            if size and self._needles and self._in_file(path):
                self._note(str(path))
            elif self._texts and path.suffix in _TABLES:
                self._tables(path, str(path))
        except OSError as error:
            self.unreachable.append(f"{path}: {error.strerror}")

    def _in_file(self, path: Path) -> bool:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return any(data.find(needle) >= 0 for needle in self._needles)

    def _archived(self, store: Store) -> None:
        """The Parquet files of a store's archive. Its objects hold what the store answers."""
        files = getattr(store, "archived_parquet", None)
        if files is None:
            return
        try:
            for name, data in files():
                self.parts += 1
                self.files += 1
                self.bytes += len(data)
                if self._in_bytes(data):
                    self._note(name)
                elif self._texts:
                    with NamedTemporaryFile(suffix=".parquet") as file:
                        file.write(data)
                        file.flush()
                        self._tables(Path(file.name), name)
        except ArchiveUnavailableError as error:
            self.unreachable.append(str(error))

    def _tables(self, path: Path, name: str) -> None:
        """The values of a Parquet file or one of DuckDB's, which are compressed."""
        if not has("duckdb"):
            self.unreachable.append(f"{name}, which is compressed: it takes act-fast[sql] to look into it")
            return
        duckdb: Any = import_module("duckdb")
        try:
            with duckdb.connect() as connection:
                if any(map(self._in_rows, _asked(connection, path))):
                    self._note(name)
        except duckdb.Error as error:
            self.unreachable.append(f"{name}: {type(error).__name__}")

    def _in_rows(self, rows: Any) -> bool:
        while page := rows.fetchmany(10_000):
            if self._in_bytes(repr(page).encode()) or self._in_bytes(msgspec.json.encode(page, enc_hook=str)):
                return True
        return False

    def _answered(self, store: Store) -> None:
        """What a store answers, where its files do not show it."""
        try:
            self._held(store)
            self.unreachable.append("snapshots in compressed log files that newer ones have replaced")
        except ArchiveUnavailableError as error:
            self.unreachable.append(str(error))

    def _held(self, store: Store) -> None:
        """The events and the snapshots that a store has."""
        for event in store.query():
            self.bytes += len(event.data)
            beside = f"{event.stream}\n{event.meta!r}".encode()
            if self._in_bytes(event.data) or self._in_bytes(beside):
                self._note(f"event {event.position}")
        for stream in store.streams():
            snapshot = store.latest_snapshot(stream.stream)
            if snapshot is not None and self._in_bytes(snapshot.data):
                self._note(f"the snapshot of {stream.last_position}")

    def _in_bytes(self, data: bytes) -> bool:
        return any(needle in data for needle in self._needles)

    def _note(self, place: str) -> None:
        if len(self.found) < _FOUND_MAX:
            self.found.append(place)


def _is_compressed(path: Path) -> bool:
    """Whether a file is one of a log whose events are compressed, or elsewhere."""
    with path.open("rb") as file:
        return file.read(8) == _LOG_FILE and file.read(4) in _COMPRESSED


def _asked(connection: Any, path: Path) -> Iterator[Any]:
    """All rows of a file, table by table."""
    if path.suffix == ".parquet":
        yield connection.execute(f"select * from read_parquet({quoted_files([path])})")
        return
    connection.execute(f"attach {quoted_text(str(path))} as searched (read_only)")
    asked = "select schema_name, table_name from duckdb_tables() where database_name = 'searched'"
    for schema, table in connection.execute(asked).fetchall():
        yield connection.execute(f"select * from searched.{quoted_name(schema)}.{quoted_name(table)}")


def _forms(text: str) -> Iterator[bytes]:
    """A text as files may hold it."""
    yield text.encode()
    yield msgspec.json.encode(text)[1:-1]
    yield text.encode("unicode_escape")
