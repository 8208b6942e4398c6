"""The note that a log bears once it was moved to another address."""

import os
from typing import Final

from act_fast.errors import StoreError

__all__ = ["check_not_moved", "forget_move", "note_move"]

_NOTE: Final = "moved"


def check_not_moved(path: str) -> None:
    """Refuse to go on with a log that was moved.

    Raises:
        StoreError: it was, and to where.
    """
    note = os.path.join(path, _NOTE)
    try:
        with open(note, errors="replace") as file:
            where = file.read()
    except OSError:
        return
    raise StoreError(
        f"the store at {path} was moved to {where}; open that one. (For reading, this one can still be opened with"
        f" read_only=True. To continue here anyway, without what was appended there, remove {note})"
    )


def note_move(path: str, where: str) -> None:
    """Note where a log was moved to. The note would survive a power cut."""
    from act_fast._runtime.flushing import flush  # only a move needs it

    note = os.path.join(path, _NOTE)
    fresh = f"{note}.new"
    with open(fresh, "w") as file:
        file.write(where)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, note)
    flush(path)


def forget_move(path: str) -> None:
    """Let programs go on with a log that was moved back."""
    from act_fast._runtime.flushing import flush

    note = os.path.join(path, _NOTE)
    if os.path.exists(note):
        os.unlink(note)
        flush(path)
