"""The files that SQL keeps beside a log, as far as a store knows of them."""

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

__all__ = ["analytics_bytes"]

_FOLDER: Final = "analytics"


def analytics_bytes(path: str) -> int:
    """What they take up on the disk, in the directory of a store."""
    return sum(_sizes(os.path.join(path, _FOLDER)))


def _sizes(folder: str) -> Iterator[int]:
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # removed meanwhile
                yield os.stat(os.path.join(parent, name)).st_blocks * 512
