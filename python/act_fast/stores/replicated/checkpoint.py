"""Checkpoints: a replica as it was, put where new nodes find it.

A checkpoint is a folder with a backup of the log, the state that is kept beside it, and a manifest that says at which
place of the ordered log both are, and what each file must hold. The manifest is written last: without one, a folder is
no checkpoint.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from act_fast._rows import Progress
from act_fast.errors import StoreCorruptError, StoreError, StoreFullError, ValidationError

__all__ = ["Checkpoint", "folder_for", "keep_newest", "list_checkpoints", "load", "newest", "seal"]

_MANIFEST: Final = "checkpoint.json"
_FORMAT: Final = 1
_CHUNK_BYTES: Final = 1024 * 1024


class _File(msgspec.Struct, frozen=True):
    bytes: int
    sha256: str


class Checkpoint(msgspec.Struct, frozen=True):
    """A checkpoint.

    Attributes:
        path: its folder.
        store_id: of which store.
        place: the place in the ordered log after which a node that starts from it continues.
        head: the position of the last event in it.
        created: when it was made.
        files: what it consists of.
    """

    path: str
    store_id: str
    place: int
    head: int
    created: datetime
    files: dict[str, _File]
    format: int = _FORMAT


def seal(folder: Path, store_id: str, place: int, head: int) -> Checkpoint:
    """Write the manifest of a folder that holds all the rest, and flush everything."""
    files = {}
    for path in _files(folder):
        files[path.relative_to(folder).as_posix()] = _File(path.stat().st_size, _digest(path))
        _flush(path)
    made = Checkpoint(str(folder), store_id, place, head, datetime.now(UTC), files)
    fresh = folder / f"{_MANIFEST}.new"
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(made)))
    _flush(fresh)
    for path in {folder, *(path for path in folder.rglob("*") if path.is_dir())}:
        _flush(path)
    os.replace(fresh, folder / _MANIFEST)
    _flush(folder)
    _flush(folder.parent)
    return made


def list_checkpoints(where: Path) -> list[Checkpoint]:
    """The checkpoints in a folder, the oldest first; folders without a manifest are none.

    Raises:
        StoreCorruptError: a manifest cannot be read.
    """
    if not where.is_dir():
        return []
    found = []
    for path in where.glob(f"*/{_MANIFEST}"):
        try:
            made = msgspec.json.decode(path.read_bytes(), type=Checkpoint)
        except FileNotFoundError:
            continue  # removed meanwhile, by whoever keeps the newest ones
        except (msgspec.DecodeError, OSError) as error:
            raise StoreCorruptError(f"{path} is not the manifest of a checkpoint: {error}") from error
        if made.format != _FORMAT:
            raise StoreError(f"{path} has format {made.format}; this version of act-fast reads format {_FORMAT}")
        found.append(msgspec.structs.replace(made, path=str(path.parent)))
    return sorted(found, key=lambda made: (made.place, made.created))


def newest(where: Path) -> Checkpoint | None:
    """The checkpoint that is furthest on; None without one."""
    found = list_checkpoints(where)
    return found[-1] if found else None


def load(checkpoint: Checkpoint, target: Path, progress: Progress | None = None, *, away: Path | None = None) -> None:
    """Make the replica of a checkpoint at a path where nothing is. It is there whole or not at all.

    Args:
        checkpoint: which one.
        target: where.
        progress: called now and then with (bytes done, bytes in all).
        away: where to put what is at `target`, once the new one is whole.

    Raises:
        ValidationError: there is something at `target`.
        StoreCorruptError: a file of the checkpoint is missing, or does not hold what the manifest says.
        StoreFullError: there is no room.
    """
    if away is None and target.exists():
        raise ValidationError(f"there is something at {target} already")
    target.parent.mkdir(parents=True, exist_ok=True)
    making = target.with_name(f".{target.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    source, total, done = Path(checkpoint.path), sum(each.bytes for each in checkpoint.files.values()), 0
    try:
        for name, expected in checkpoint.files.items():
            to = making / name
            to.parent.mkdir(parents=True, exist_ok=True)
            _copy_checked(source / name, to, expected)
            done += expected.bytes
            if progress is not None:
                progress(done, total)
        if away is not None:
            os.rename(target, away)
        os.rename(making, target)
        _flush(target.parent)
    except OSError as error:
        if error.errno == 28:
            raise StoreFullError(f"there is no room for {target}") from error
        raise StoreError(f"the checkpoint {source} cannot be loaded: {error}") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)


def keep_newest(where: Path, count: int) -> list[Checkpoint]:
    """Remove all checkpoints but the newest; those that were removed."""
    removed = list_checkpoints(where)[:-count] if count else []
    for each in removed:
        (Path(each.path) / _MANIFEST).unlink(missing_ok=True)  # first, so that half of one is never taken for one
        shutil.rmtree(each.path, ignore_errors=True)
    return removed


def folder_for(where: Path, place: int) -> Path:
    """Where the next checkpoint goes: its name sorts by place and time."""
    return where / f"{place:020d}-{time.time_ns() // 1_000_000}"


def _copy_checked(source: Path, target: Path, expected: _File) -> None:
    digest, size = hashlib.sha256(), 0
    try:
        with open(source, "rb") as read, open(target, "wb") as written:
            while chunk := read.read(_CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
                written.write(chunk)
            written.flush()
            os.fsync(written.fileno())
    except FileNotFoundError as error:
        raise StoreCorruptError(f"{source} is missing from the checkpoint") from error
    if (size, digest.hexdigest()) != (expected.bytes, expected.sha256):
        raise StoreCorruptError(f"{source} does not hold what the checkpoint's manifest says; use an older checkpoint")


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != _MANIFEST)


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
