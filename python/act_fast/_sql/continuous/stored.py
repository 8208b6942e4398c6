"""What a view has come to, as a file beside the log: written whole or not at all, and checked before it is believed."""

import os
import re
import secrets
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from act_fast._runtime.file_lock import FileLock
from act_fast._runtime.flushing import flush
from act_fast._runtime.logger import log
from act_fast._sql.parts.manifest import FOLDER, fingerprint
from act_fast.errors import ActError
from act_fast.stores.capabilities import analytics_max_of, columns_of
from act_fast.stores.port import Store

__all__ = ["Files", "Stored", "files_of"]

_FORMAT: Final = 1
_VIEWS: Final = "views"
_SUFFIX: Final = ".view"
_TEMPORARY: Final = "new-"
_CRC_BYTES: Final = 4
_STALE_S: Final = 24 * 3600
_GENERATIONS: Final = 2


class _Head(msgspec.Struct, frozen=True):
    """What the first line of a file says: whose groups these are, and as of which position."""

    format: int
    store: str
    mark: str
    position: int
    fingerprint: str


class Stored(msgspec.Struct, frozen=True):
    """The groups of a view as of a position."""

    position: int
    groups: bytes


class Files:
    """The files of one view of one store: the newest two are kept, so that one before the newest can be gone on from.

    Args:
        folder: where they are, among those of other views.
        name: what the view is called.
        mark: of what is kept.
    """

    def __init__(self, folder: Path, name: str, mark: str) -> None:
        self._folder = folder
        self._name = re.sub(r"[^a-z0-9]", "_", name.casefold())
        self._mark = mark

    def read(self, store: Store, most: int) -> Stored | None:
        """What was written down last of the log as it is, as of no more than a position; None where nothing was."""
        for position, path in reversed(self._present()):
            if position <= most and (found := self._read(path, store)) is not None:
                return found
        return None

    def write(self, store: Store, stored: Stored) -> bool:
        """Write it down, unless another process is at it, or it cannot be; whether it was."""
        try:
            store.flush()  # a file must never hold what a power cut may yet take from the log
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._folder / "lock", os.O_RDWR | os.O_CREAT)
            try:
                return lock.take() and self._write(store, stored)
            finally:
                lock.close()
        except (ActError, OSError) as error:
            log.debug("the view %s could not be written to %s: %s", self._name, self._folder, error)
            return False

    def _read(self, path: Path, store: Store) -> Stored | None:
        try:
            whole = path.read_bytes()
        except OSError:
            return None  # a newer one has come, and this one gone
        body = whole[:-_CRC_BYTES]
        line, _, groups = body.partition(b"\n")
        try:
            if int.from_bytes(whole[-_CRC_BYTES:], "little") != zlib.crc32(body):
                raise msgspec.DecodeError("its checksum is wrong")
            head = msgspec.json.decode(line, type=_Head)
        except msgspec.MsgspecError as error:
            log.warning("%s is damaged (%s); what it held is counted again", path, error)
            with suppress(OSError):  # a folder that is for reading only
                path.unlink(missing_ok=True)
            return None
        reader = columns_of(store)
        if (head.format, head.store, head.mark) != (_FORMAT, reader.store_id, self._mark):
            return None
        known = head.position <= reader.head and fingerprint(store, head.position) == head.fingerprint
        return Stored(head.position, groups) if known else None

    def _write(self, store: Store, stored: Stored) -> bool:
        known = fingerprint(store, stored.position)
        if known is None:
            return False
        head = _Head(_FORMAT, columns_of(store).store_id, self._mark, stored.position, known)
        body = msgspec.json.encode(head) + b"\n" + stored.groups
        most = analytics_max_of(store)
        if most is not None and len(body) + _size_of(self._folder.parent) > most:
            return False
        for left in self._folder.glob(f"{_TEMPORARY}*"):
            left.unlink(missing_ok=True)
        made = self._folder / f"{_TEMPORARY}{secrets.token_hex(8)}"
        made.write_bytes(body + zlib.crc32(body).to_bytes(_CRC_BYTES, "little"))
        flush(made)
        os.replace(made, self._folder / f"{self._stem}-{stored.position:012}{_SUFFIX}")
        flush(self._folder)
        self._clear()
        return True

    @property
    def _stem(self) -> str:
        return f"{self._name}-{self._mark[:12]}"

    def _present(self) -> list[tuple[int, Path]]:
        """The positions of those that are there, in order, and where they are."""
        found = []
        for path in self._folder.glob(f"{self._stem}-*{_SUFFIX}"):
            position = path.stem.rpartition("-")[2]
            if position.isdigit():
                found.append((int(position), path))
        return sorted(found)

    def _clear(self) -> None:
        """Remove what is older than the newest two, and what other definitions of the view have not used for long."""
        old = [path for _, path in self._present()[:-_GENERATIONS]]
        for path in self._folder.glob(f"{self._name}-*-*{_SUFFIX}"):
            with suppress(OSError):
                if not path.name.startswith(f"{self._stem}-") and path.name.count("-") == 2:
                    old += [path] if time.time() - path.stat().st_mtime > _STALE_S else []
        for path in old:
            path.unlink(missing_ok=True)


def files_of(store: Store, name: str, mark: str) -> Files | None:
    """The files of a view; None where there are to be none."""
    reader = columns_of(store)
    if reader.path == "memory:" or analytics_max_of(store) == 0:
        return None
    return Files(Path(reader.path) / FOLDER / _VIEWS, name, mark)


def _size_of(folder: Path) -> int:
    found = 0
    for inside, _, files in os.walk(folder):
        for file in files:
            with suppress(OSError):
                found += os.stat(os.path.join(inside, file)).st_size
    return found
