"""Saying, for as long as a program is a member, that it is there."""

import threading
from collections.abc import Callable
from typing import Final

import msgspec

from act_fast.stores.replicated.membership import THERE_SECONDS, There

__all__ = ["Presence"]


class Presence:
    """A thread that says again and again that a generation is there.

    Args:
        generation: the member's.
        say: proposes a record without waiting for it; false once that is over for good.
    """

    def __init__(self, generation: int, say: Callable[[bytes], bool]) -> None:
        self._said: Final = msgspec.json.encode(There(generation))
        self._say = say
        self._ending = threading.Event()
        threading.Thread(target=self._run, name="act-fast-member", daemon=True).start()

    def end(self) -> None:
        """Say no more."""
        self._ending.set()

    def _run(self) -> None:
        while not self._ending.wait(THERE_SECONDS) and self._say(self._said):
            pass
