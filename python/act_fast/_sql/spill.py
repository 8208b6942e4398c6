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
            atexit.register(_end, process, _folders[process][0])
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
        return _new_locked_folder("act-fast-spill-", None)
    with suppress(OSError):
        for folder in root.iterdir():
            _sweep(folder)
    return _new_locked_folder(f"{os.getpid()}-", root)


def _sweep(folder: Path) -> None:
    """Remove what a process has left, if it has."""
    with suppress(OSError):  # it is in use, or somebody else has removed it
        file = _open(folder)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(file)


def _new_locked_folder(prefix: str, root: Path | None) -> tuple[Path, int]:
    """A new folder and the lock on it. A process that sweeps may remove it before it is locked; then, another one."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=root))
        with suppress(FileNotFoundError):
            file = _open(folder)
            with suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
            if folder.exists():
                return folder, file
            os.close(file)


def _open(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _end(process: int, folder: Path) -> None:
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
