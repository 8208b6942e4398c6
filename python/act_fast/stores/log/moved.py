"""The note that a log bears once it was moved to another address."""

import os
from pathlib import Path
from typing import Final

from act_fast.errors import StoreError

__all__ = ["check_not_moved", "forget_move", "note_move"]

_NOTE: Final = "moved"


def check_not_moved(path: str) -> None:
    """Refuse to go on with a log that was moved.

    Raises:
        StoreError: it was, and to where.
    """
    try:
        where = (Path(path) / _NOTE).read_text(errors="replace")
    except OSError:
        return
    raise StoreError(
        f"the store at {path} was moved to {where}; open that one. (For reading, this one can still be opened with"
        f" read_only=True. To go on here nevertheless, without what was appended there, remove {Path(path) / _NOTE})"
    )


def note_move(path: str, where: str) -> None:
    """Note where a log was moved to. The note would survive a power cut."""
    note = Path(path) / _NOTE
    fresh = note.with_name(f"{_NOTE}.new")
    with open(fresh, "w") as file:
        file.write(where)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, note)
    _sync(note.parent)


def forget_move(path: str) -> None:
    """Let programs go on with a log that was moved back."""
    note = Path(path) / _NOTE
    if note.exists():
        note.unlink()
        _sync(note.parent)


def _sync(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
