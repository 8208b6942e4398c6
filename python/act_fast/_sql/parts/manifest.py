"""What has settled in the log, kept once more as files of DuckDB's: which files there are, and whether they are stale.

A series is a folder of immutable files, each of a range of positions, and a manifest that lists them. A new manifest
has a new number; it appears by rename, whole. Whoever reads a series holds a shared lock on its manifest, and a file
is removed only when no manifest is left that lists it and can still be in somebody's hands.
"""

import hashlib
import os
import re
import threading
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from act_fast._runtime.file_lock import FileLock
from act_fast.errors import ArchiveUnavailableError
from act_fast.stores.capabilities import columns_of
from act_fast.stores.port import Store

__all__ = [
    "FOLDER",
    "FORMAT",
    "STORAGE",
    "Checked",
    "LockedManifest",
    "Manifest",
    "Part",
    "Series",
    "checksum",
    "distrust",
    "fingerprint",
    "manifests",
    "read",
]

FOLDER: Final = "analytics"
FORMAT: Final = 2

STORAGE: Final = "v2.0.0"
"""The storage format of the files, which every DuckDB from that version on reads."""

_MANIFEST: Final = re.compile(r"manifest-(\d{8})\.json")
_CHUNK_BYTES: Final = 1 << 20
_TRIES_MAX: Final = 10

_sound_lock = threading.Lock()
_sound: dict[tuple[str, int, int, int], int] = {}


def _in_child() -> None:
    """Take a new lock: a thread that is not here may have held it."""
    global _sound_lock
    _sound_lock = threading.Lock()


os.register_at_fork(after_in_child=_in_child)


class Part(msgspec.Struct, frozen=True):
    """One file: events after one position up to another, and what makes sure that it is what was written."""

    file: str
    after: int
    upto: int
    rows: int
    bytes: int
    crc: int


class Manifest(msgspec.Struct, frozen=True):
    """What a series holds.

    Attributes:
        format: how all of this is written.
        storage: the storage format of DuckDB's that its files have.
        store: the id of the store that it was made from.
        mark: of what the columns are, and how they come to be.
        upto: the last position that it covers.
        fingerprint: of the event there.
        failed: how many of its events could not be read.
        parts: its files, in the order of positions.
    """

    format: int
    storage: str
    store: str
    mark: str
    upto: int
    fingerprint: str
    failed: int
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Series:
    """The files of one relation of one store.

    Attributes:
        folder: where they are.
        store: the store's id.
        mark: of the relation's columns.
    """

    folder: Path
    store: str
    mark: str


@dataclass(frozen=True)
class Checked:
    """A manifest that was found to be sound, and whose files were.

    Attributes:
        series: whose it is.
        number: its number.
        manifest: what it says.
        looked: what told each of its files from any other.
    """

    series: Series
    number: int
    manifest: Manifest
    looked: list[tuple[int, int, int]] | None

    def lock(self, series: Series) -> "LockedManifest | None":
        """The same once more, if it is still what a series has; None where anything was written or changed since."""
        if series != self.series or manifests(series.folder)[-1:] != [self.number]:
            return None
        try:
            lock = FileLock(series.folder / manifest_name(self.number), os.O_RDONLY)
            lock.share()
        except OSError:
            return None
        held = LockedManifest(lock, series, self.number, self.manifest)
        return held if held.checked == self and self.looked is not None else None


class LockedManifest:
    """A manifest that nobody takes the files of away, as long as this object lives.

    Attributes:
        manifest: what it says.
        number: its number.
        folder: where it is.
        paths: its files.
        checked: the same without the lock, for who has found that it is sound.
    """

    def __init__(self, lock: FileLock, series: Series, number: int, manifest: Manifest) -> None:
        self._lock = lock
        self.manifest = manifest
        self.number = number
        self.folder: Path = series.folder
        self.paths = [self.folder / part.file for part in manifest.parts]
        self.checked = Checked(series, number, manifest, self._look())

    def _look(self) -> list[tuple[int, int, int]] | None:
        try:
            found = [os.stat(path) for path in (self.folder / manifest_name(self.number), *self.paths)]
        except OSError:
            return None
        return [(each.st_ino, each.st_mtime_ns, each.st_size) for each in found]


def read(series: Series, store: Store) -> LockedManifest | None:
    """What a series holds, checked; None when there is nothing, or nothing that can be believed."""
    for _ in range(_TRIES_MAX):
        numbers = manifests(series.folder)
        if not numbers:
            return None
        number = numbers[-1]
        try:
            lock = FileLock(series.folder / manifest_name(number), os.O_RDONLY)
        except FileNotFoundError:
            continue  # a younger one has come, and this one gone
        try:
            lock.share()
            if os.fstat(lock.fileno()).st_nlink:
                manifest = msgspec.json.decode(_all_of(lock.fileno()), type=Manifest)
                held = LockedManifest(lock, series, number, manifest)
                return None if _is_stale(series, manifest, store) else held
        except (OSError, msgspec.MsgspecError):
            return None
    return None


def distrust(held: LockedManifest) -> None:
    """Remove a manifest whose files are not what they should be, so that they are made again, where that may be."""
    with suppress(OSError):
        (held.folder / manifest_name(held.number)).unlink(missing_ok=True)


def manifests(folder: Path) -> list[int]:
    """The numbers of the manifests in a folder, in order."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return sorted(int(found[1]) for name in names if (found := _MANIFEST.fullmatch(name)))


def manifest_name(number: int) -> str:
    """The file of a manifest."""
    return f"manifest-{number:08}.json"


def fingerprint(store: Store, position: int) -> str | None:
    """Of the event at a position; None when there is none."""
    page = columns_of(store).query({"after": position - 1, "before": position + 1}).next_page(1)
    return hashlib.sha256(repr(page[0]).encode()).hexdigest()[:32] if page else None


def checksum(path: Path) -> tuple[int, int]:
    """Size and checksum of a file; read once by this process, as long as the file stays as it is."""
    with open(path, "rb") as file:
        found = os.fstat(file.fileno())
        key = (str(path), found.st_ino, found.st_mtime_ns, found.st_size)
        with _sound_lock:
            known = _sound.get(key)
        if known is None:
            known = 0
            while chunk := file.read(_CHUNK_BYTES):
                known = zlib.crc32(chunk, known)
            with _sound_lock:
                _sound[key] = known
        return found.st_size, known


def _is_stale(series: Series, manifest: Manifest, store: Store) -> bool:
    """Whether a manifest is of another series or another log, or its files are not what was written."""
    if (manifest.format, manifest.store, manifest.mark) != (FORMAT, series.store, series.mark):
        return True
    if manifest.storage != STORAGE:
        return True
    try:
        if fingerprint(store, manifest.upto) != manifest.fingerprint:
            return True
    except ArchiveUnavailableError:
        pass  # as long as it is archived, it stays what it was
    return any(checksum(series.folder / part.file) != (part.bytes, part.crc) for part in manifest.parts)


def _all_of(file: int) -> bytes:
    found = b""
    while chunk := os.read(file, _CHUNK_BYTES):
        found += chunk
    return found
