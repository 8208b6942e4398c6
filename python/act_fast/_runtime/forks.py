"""What a forked child inherits: locks that others held, threads that stayed behind. Objects with either are told.

Descriptors that carry locks are closed in the child by the core, in `rust/sys/src/fork.rs`; what a child asks of a
parent's store is refused where the store is.
"""

import os
from collections.abc import Iterator
from itertools import chain
from typing import Final, Protocol
from weakref import WeakSet

__all__ = ["tell_in_child"]


class Inherited(Protocol):
    """Something that a child has to begin again with."""

    def forked(self) -> None:
        """Take new locks, and forget the threads: this is a child, and no other thread is in it."""


_told: Final[WeakSet[Inherited]] = WeakSet()


def tell_in_child(inherited: Inherited) -> None:
    """Have `forked` called in every child that is forked from now on."""
    _told.add(inherited)


def _in_child() -> None:
    told = tuple(_told)
    # What one lets go of may need a lock of another one to end, so nothing ends before all have new locks.
    held = [[getattr(each, name, None) for name in (*_slots(each), *getattr(each, "__dict__", ()))] for each in told]
    for each in told:
        each.forked()
    del held


def _slots(each: object) -> Iterator[str]:
    return chain.from_iterable(getattr(cls, "__slots__", ()) for cls in type(each).__mro__)


os.register_at_fork(after_in_child=_in_child)
