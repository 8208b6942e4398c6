"""What a store's directory is made of."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

__all__ = ["Part", "Segment", "disk_of", "segments_of"]

_KINDS: Final = {
    "log": ("Log", "the events: the source of truth"),
    "index": ("Index", "where events are; can be rebuilt"),
    "analytics": ("Columns", "the older part of the log as tables, for SQL; can be rebuilt"),
    "archive": ("Archive", "parts of the log that were moved out of the way"),
    "reactions": ("Reactions", "how far each target has come"),
    "making": ("In the making", "a log that is to replace this one, or what is left of one"),
}
_FILES_MAX: Final = 20_000


class Part(msgspec.Struct, frozen=True):
    """A folder of the store: what it holds, how many files, and the bytes that they take up on the disk."""

    title: str
    explained: str
    files: int
    bytes: int


class Segment(msgspec.Struct, frozen=True):
    """A file of the log: its name, its size, what it takes up on the disk, and when it was last written."""

    name: str
    bytes: int
    on_disk: int
    written: datetime


def disk_of(folder: Path | None) -> list[Part]:
    """What each folder of a store takes up; empty for a store without a directory."""
    if folder is None:
        return []
    parts = []
    for name, (title, explained) in _KINDS.items():
        files, size = _measured(folder / name)
        if files:
            parts.append(Part(title, explained, files, size))
    return parts


def segments_of(folder: Path | None) -> list[Segment]:
    """The files of the log, the newest first."""
    if folder is None or not (folder / "log").is_dir():
        return []
    found = []
    with os.scandir(folder / "log") as entries:
        for entry in entries:
            stat = entry.stat()
            found.append(
                Segment(entry.name, stat.st_size, stat.st_blocks * 512, datetime.fromtimestamp(stat.st_mtime, UTC))
            )
    return sorted(found, key=lambda each: each.name, reverse=True)


def _measured(folder: Path) -> tuple[int, int]:
    """How many files there are below a folder, and what they take up."""
    files = size = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                size += os.stat(os.path.join(where, name)).st_blocks * 512
            except OSError:  # it has gone meanwhile
                continue
            files += 1
            if files >= _FILES_MAX:
                return files, size
    return files, size
