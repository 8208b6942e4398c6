"""The limit of open files that a process has, which is no fault of a database."""

import errno
import os
from typing import Final

__all__ = ["at_limit", "is_limit"]

_LIMITS: Final = (errno.EMFILE, errno.ENFILE)


def is_limit(error: OSError) -> bool:
    """Whether an error says that nothing more can be opened."""
    return error.errno in _LIMITS


def at_limit() -> bool:
    """Whether this process can open nothing more."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return is_limit(error)
    return False
