"""What came of work that an app has done, for whoever watches."""

from typing import NamedTuple

__all__ = ["Done"]


class Done(NamedTuple):
    """What is told of work that is done: where its last event is, and how many were folded and appended."""

    position: int
    replayed: int
    appended: int
    repeated: bool
