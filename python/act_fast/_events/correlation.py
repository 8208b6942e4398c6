"""Correlation ids: sixteen letters and digits, unique, sorted by time."""

import os
from typing import Final

from act_fast._core import correlation

__all__ = ["new_correlation"]

_BITS: Final = 20


def _drawn() -> int:
    return int.from_bytes(os.urandom(4), "big") >> (32 - _BITS)


_process = _drawn()


def new_correlation() -> str:
    """A new id. Ids of one process sort in the order they were made; those of several, as their clocks agree."""
    return correlation(_process)


def _begin() -> None:
    global _process
    _process = _drawn()


os.register_at_fork(after_in_child=_begin)
