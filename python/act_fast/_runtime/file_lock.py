"""Locks on files that no forked child has, whatever the moment of the fork, so that a lock ends with its process."""

import fcntl
import os
import threading
from contextlib import suppress
from typing import Final

__all__ = ["FileLock"]

_guard: Final = threading.RLock()
"""Held from before a file is opened until it is known here, and during a fork."""
_open: Final[set[int]] = set()


class FileLock:
    """An open file that may be locked. Closed at the latest when it is collected.

    Args:
        path: the file.
        flags: how it is opened, as for `os.open`.

    Raises:
        OSError: it cannot be opened.
    """

    __slots__ = ("_file", "_process")

    def __init__(self, path: str | os.PathLike[str], flags: int) -> None:
        self._file = -1
        self._process = os.getpid()
        with _guard:
            self._file = os.open(path, flags | os.O_CLOEXEC, 0o644)
            _open.add(self._file)

    def take(self) -> bool:
        """Take the lock alone; False when another process holds it."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def wait(self) -> None:
        """Take the lock alone, waiting for the process that has it."""
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def share(self) -> None:
        """Take the lock together with all others who share it, waiting for one who has it alone."""
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def fileno(self) -> int:
        """The descriptor."""
        return self._file

    def close(self) -> None:
        """Let go of the lock. Closing again does nothing."""
        if self._process != os.getpid():
            return  # closed when this process was forked
        with _guard:
            file, self._file = self._file, -1
            if file >= 0:
                _open.discard(file)
                os.close(file)

    def __del__(self) -> None:
        with suppress(OSError, AttributeError):
            self.close()


def _in_child() -> None:
    for file in _open:
        os.close(file)
    _open.clear()
    _guard.release()


os.register_at_fork(before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_in_child)
