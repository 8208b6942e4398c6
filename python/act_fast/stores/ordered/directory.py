"""An ordered log in a directory, one file for each block: for trials and tests, and for the programs of one machine."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from act_fast._runtime.flushing import flush
from act_fast.errors import EngineError, EngineRefusedError, StoreFullError, ValidationError
from act_fast.stores.ordered.address import parts_of
from act_fast.stores.ordered.numbered import NumberedLog

__all__ = ["DirectoryOrderedLog"]

_BLOCK_BYTES_MAX: Final = 16 * 1024 * 1024
_FILES: Final = 4096
_POLL_SECONDS: Final = (0.001, 0.02)
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_REFUSED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)


class DirectoryOrderedLog(NumberedLog):
    """A log in a directory of a local disk, made when it is not there. It is as durable as that disk.

    Args:
        address: `dir:///path`.

    Raises:
        EngineRefusedError: the directory may not be written to.
    """

    def __init__(self, address: str) -> None:
        parts = parts_of(address)
        if parts.hosts or not parts.path:
            raise ValidationError("a directory's address has three slashes and a whole path, as in dir:///var/lib/bank")
        path = Path("/") / parts.path
        super().__init__(f"dir://{path}", _Files(path))


class _Files:
    """Blocks as files, in folders of some thousand."""

    bytes_max = _BLOCK_BYTES_MAX
    poll_seconds = _POLL_SECONDS

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._asking():
            (path / "new").mkdir(parents=True, exist_ok=True)

    def put(self, number: int, block: bytes) -> bool:
        """Write a file, and give it its name unless there is one of that name."""
        with self._asking():
            path = self._folder(number) / str(number)
            new = self._new(block)
            try:
                os.link(new, path)
            except FileExistsError:
                return False
            finally:
                new.unlink()
            flush(path.parent)
            return True

    def get(self, number: int, count: int) -> list[bytes]:
        """Read files until one is not there."""
        found: list[bytes] = []
        with self._asking(), suppress(FileNotFoundError):
            for each in range(number, number + count):
                found.append(self._file(each).read_bytes())
        return found

    def size(self, number: int) -> int | None:
        """The size of a file."""
        with self._asking():
            try:
                return self._file(number).stat().st_size
            except FileNotFoundError:
                return None

    def empty(self, first: int, below: int) -> None:
        """Put an empty file in the place of each."""
        with self._asking():
            for number in range(first, below):
                os.replace(self._new(b""), self._file(number))

    def close(self) -> None:
        """Nothing is open."""

    def _new(self, block: bytes) -> Path:
        """A file that has no name yet, safe on the disk."""
        path = self._path / "new" / uuid4().hex
        with open(path, "xb") as file:
            file.write(block)
            file.flush()
            os.fsync(file.fileno())
        return path

    def _file(self, number: int) -> Path:
        return self._path / f"{number // _FILES:08x}" / str(number)

    def _folder(self, number: int) -> Path:
        folder = self._file(number).parent
        if not folder.exists():
            folder.mkdir(exist_ok=True)
            flush(self._path)
        return folder

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            told = f"the directory {self._path}"
            if error.errno in _FULL:
                raise StoreFullError(f"{told} has no room: {error.strerror}; nothing was appended") from error
            if error.errno in _REFUSED:
                raise EngineRefusedError(f"{told} refuses: {error.strerror}") from error
            raise EngineError(f"{told} cannot be used: {error.strerror}") from error
