"""What makes a file's bytes, or a folder's entries, survive a power cut."""

import os

__all__ = ["flush"]


def flush(path: str | os.PathLike[str]) -> None:
    """Return when what a file holds, or which entries a folder has, is on the disk."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
