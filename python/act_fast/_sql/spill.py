"""Where DuckDB puts what does not fit in memory: a folder for each database that no other process looks into."""

import atexit
import fcntl
import os
import shutil
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["new_spill_folder"]

_lock = threading.Lock()
_folders: Final[dict[int, tuple[Path, int]]] = {}
_made = 0


def new_spill_folder() -> str:
    """A folder for one database. DuckDB makes it when it needs it, and lets SQL write there: so nothing else is in it.

    It goes with the process; what a process has left that was killed is removed by the next one of the same user.
    """
    global _made
    with _lock:
        process = os.getpid()
        if process not in _folders:
            _folders[process] = _begin()
            atexit.register(_end, process)
        _made += 1
        return str(_folders[process][0] / str(_made))


def _in_child() -> None:
    """Take a new lock: a thread that is not here may have held it."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_in_child)


def _begin() -> tuple[Path, int]:
    """This process's own folder, and the lock on it that says that the process is there."""
    root = Path(tempfile.gettempdir()) / f"act-fast-spill-{os.getuid()}"
    try:
        root.mkdir(mode=0o700, exist_ok=True)
        found = root.lstat()
        ours = root.is_dir() and not root.is_symlink() and found.st_uid == os.getuid() and not found.st_mode & 0o077
    except OSError:
        ours = False
    if not ours:  # somebody else has taken the name
        folder = Path(tempfile.mkdtemp(prefix="act-fast-spill-"))
        return folder, _locked(folder)
    with suppress(OSError):
        _sweep(root)
    folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=root))
    return folder, _locked(folder)


def _sweep(root: Path) -> None:
    for folder in root.iterdir():
        file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            continue
        finally:
            os.close(file)


def _locked(folder: Path) -> int:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


def _end(process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(_folders[process][0], ignore_errors=True)
