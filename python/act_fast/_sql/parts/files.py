"""The way in for the files of what has settled: a file system for DuckDB that opens these for reading, and can no more.

A locked database has no access to the disk's own files. Whatever access it is given there is one for writing too, so
it is given this instead. Files have names here that say nothing of where they are; a name that was not given out
leads nowhere.
"""

import hashlib
import io
import os
import secrets
import threading
from _thread import interrupt_main
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

__all__ = ["PREFIX", "PartFiles", "name_of"]

PROTOCOL: Final = "act-fast-part"
PREFIX: Final = f"{PROTOCOL}://"

P = ParamSpec("P")
T = TypeVar("T")

_secret: Final = secrets.token_bytes(16)
_paths: Final[dict[str, Path]] = {}


def name_of(path: Path) -> str:
    """What a file is called in SQL; always the same in a process, so that DuckDB knows again what it has read of it."""
    name = f"{PREFIX}{hashlib.blake2b(os.fsencode(path), key=_secret, digest_size=16).hexdigest()}.duckdb"
    _paths[name] = path
    return name


def _not_now(function: Callable[P, T]) -> Callable[P, T]:
    """Lets Ctrl-C wait until DuckDB has the word again, which stops for it, but takes an error here for a file's."""

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except KeyboardInterrupt:
            interrupt_main()
            return function(*args, **kwargs)

    return called


class PartFiles(AbstractFileSystem):  # type: ignore[misc]
    """Files that were given a name, for reading. What an `AbstractFileSystem` has for writing, it lacks."""

    protocol = PROTOCOL
    cachable = False

    @_not_now
    def open(self, path: str, mode: str = "rb", *unused: Any, **options: Any) -> Any:
        """See fsspec."""
        if mode != "rb":
            raise PermissionError(f"{path} is read-only")
        return _PartFile(_path(path))

    @_not_now
    def info(self, path: str, **options: Any) -> dict[str, Any]:
        """See fsspec."""
        return {"name": path, "size": _path(path).stat().st_size, "type": "file"}

    def exists(self, path: str, **options: Any) -> bool:
        """See fsspec."""
        return path in _paths

    def isfile(self, path: str) -> bool:
        """See fsspec."""
        return path in _paths

    def isdir(self, path: str) -> bool:
        """See fsspec."""
        return False

    def glob(self, path: str, maxdepth: int | None = None, **options: Any) -> list[str]:
        """See fsspec; a pattern finds nothing, since it would tell names."""
        return [path.removeprefix(PREFIX)] if path in _paths else []

    def ls(self, path: str, detail: bool = True, **options: Any) -> Iterable[Any]:
        """See fsspec."""
        return []

    @_not_now
    def modified(self, path: str) -> datetime:
        """See fsspec."""
        return datetime.fromtimestamp(_path(path).stat().st_mtime, UTC)


class _PartFile(io.RawIOBase):
    """A file whose place is each thread's own: DuckDB's threads share it, and look for a place in a step of its own."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._size = os.fstat(self._file).st_size
        self._places = threading.local()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: self._size}[whence]
        self._places.at = start + offset
        return self.tell()

    def tell(self) -> int:
        return getattr(self._places, "at", 0)

    @_not_now
    def read(self, size: int = -1) -> bytes:
        at = self.tell()
        found = os.pread(self._file, max(0, self._size - at) if size < 0 else size, at)
        self._places.at = at + len(found)
        return found

    def close(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)
        super().close()


def _path(name: str) -> Path:
    try:
        return _paths[name]
    except KeyError:
        raise FileNotFoundError(f"there is no file {name}") from None
