"""Checkpoints: a replica as it was, put where new nodes find it.

A checkpoint is a folder with a backup of the log, the state that is kept beside it, and a manifest that says at which
place of the ordered log both are, and what each file must hold. The manifest is written last: without one, a folder is
no checkpoint.
"""

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from act_fast._rows import Progress
from act_fast._runtime.flushing import flush
from act_fast.errors import StoreCorruptError, StoreError, StoreFullError, ValidationError
from act_fast.stores.replicated.shelves import MANIFEST, Shelf, shelf_at

__all__ = ["Checkpoint", "Where", "keep_newest", "list_checkpoints", "load", "name_for", "newest", "seal"]

_FORMAT: Final = 1


Where: TypeAlias = "str | os.PathLike[str] | Shelf"
"""A folder, an address in object storage, or either of them opened."""


class _File(msgspec.Struct, frozen=True):
    bytes: int
    sha256: str


class Checkpoint(msgspec.Struct, frozen=True):
    """A checkpoint.

    Attributes:
        path: its folder, or its address in object storage, without credentials.
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


def seal(folder: Path, path: str, store_id: str, place: int, head: int) -> Checkpoint:
    """Write the manifest of a folder that holds all the rest, and flush everything. `path` is where it will be."""
    files = {}
    for file in _files(folder):
        files[file.relative_to(folder).as_posix()] = _File(file.stat().st_size, _digest(file))
        flush(file)
    made = Checkpoint(path, store_id, place, head, datetime.now(UTC), files)
    fresh = folder / f"{MANIFEST}.new"
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(made)))
    flush(fresh)
    for inner in {folder, *(each for each in folder.rglob("*") if each.is_dir())}:
        flush(inner)
    os.replace(fresh, folder / MANIFEST)
    flush(folder)
    flush(folder.parent)
    return made


def list_checkpoints(where: Where) -> list[Checkpoint]:
    """The checkpoints in a folder or in object storage, the oldest first; those without a manifest are none.

    Raises:
        StoreCorruptError: a manifest cannot be read.
    """
    found, shelf = [], shelf_at(where)
    for name, manifest in shelf.manifests():
        path = f"{shelf.name}/{name}"
        try:
            made = msgspec.json.decode(manifest, type=Checkpoint)
        except msgspec.DecodeError as error:
            raise StoreCorruptError(f"{path}/{MANIFEST} is not the manifest of a checkpoint: {error}") from error
        if made.format != _FORMAT:
            raise StoreError(f"{path} has format {made.format}; this version of act-fast reads format {_FORMAT}")
        found.append(msgspec.structs.replace(made, path=path))
    return sorted(found, key=lambda made: (made.place, made.created))


def newest(where: Where) -> Checkpoint | None:
    """The checkpoint that is furthest on; None without one."""
    found = list_checkpoints(where)
    return found[-1] if found else None


def load(
    where: Where,
    checkpoint: Checkpoint,
    target: Path,
    progress: Progress | None = None,
    *,
    away: Path | None = None,
) -> None:
    """Make the replica of a checkpoint at a path where nothing is. It is there whole or not at all.

    Args:
        where: where it is.
        checkpoint: which one.
        target: where to.
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
    shelf, total, done = shelf_at(where), sum(each.bytes for each in checkpoint.files.values()), 0
    try:
        for name, expected in checkpoint.files.items():
            to = making / name
            to.parent.mkdir(parents=True, exist_ok=True)
            _copy_checked(shelf.read(_name(checkpoint), name), f"{checkpoint.path}/{name}", to, expected)
            done += expected.bytes
            if progress is not None:
                progress(done, total)
        if away is not None:
            os.rename(target, away)
        os.rename(making, target)
        flush(target.parent)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StoreFullError(f"there is no room for {target}") from error
        raise StoreError(f"the checkpoint {checkpoint.path} cannot be loaded: {error}") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)


def keep_newest(where: Where, count: int) -> list[Checkpoint]:
    """Remove all checkpoints but the newest; those that were removed."""
    removed = list_checkpoints(where)[:-count] if count else []
    for each in removed:
        shelf_at(where).remove(_name(each))
    return removed


def name_for(place: int) -> str:
    """The name of the next checkpoint: it sorts by place and time."""
    return f"{place:020d}-{time.time_ns() // 1_000_000}"


def _name(checkpoint: Checkpoint) -> str:
    return checkpoint.path.rsplit("/", 1)[-1]


def _copy_checked(chunks: Iterable[bytes], source: str, target: Path, expected: _File) -> None:
    digest, size = hashlib.sha256(), 0
    with open(target, "wb") as written:
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            written.write(chunk)
        written.flush()
        os.fsync(written.fileno())
    if (size, digest.hexdigest()) != (expected.bytes, expected.sha256):
        raise StoreCorruptError(f"{source} does not hold what the checkpoint's manifest says; use an older checkpoint")


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != MANIFEST)


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
