"""What wakes a main thread that sleeps without end: a piece of news, or a signal, whichever thread that was given to.

A signal only interrupts the thread that the system gives it to. Python notes it there, and leaves the rest to the main
thread, which may be asleep. So it has the system note it once more, in a pipe that the main thread sleeps on.
"""

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from act_fast._runtime.forks import tell_in_child

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Bell", "main_bell"]

_MANY_BYTES: Final = 4096
_NONE: Final = -1
"""What stands for no descriptor where signals are noted."""


class Bell:
    """Rings in one thread, the main thread. Made by the first sleep, and kept as long as the process lives."""

    def __init__(self) -> None:
        self._pipe: tuple[int, int] | None = None
        tell_in_child(self)

    def forked(self) -> None:
        """The pipe is the parent's; what rings here must not wake it."""
        pipe, self._pipe = self._pipe, None
        if pipe is None:
            return
        others = signal.set_wakeup_fd(_NONE)
        if others not in (_NONE, pipe[1]):
            signal.set_wakeup_fd(others)
        for each in pipe:
            os.close(each)

    def ring(self) -> None:
        """Wake who sleeps; who is awake will not sleep the next time. Any thread may do this."""
        pipe = self._pipe
        if pipe is not None:
            with suppress(BlockingIOError):  # it has rung so often already
                os.write(pipe[1], b"\0")

    def sleep(self, unless: "Callable[[], object]") -> bool:
        """Sleep until it rings or a signal comes, unless there is something to do; only in the main thread.

        A thread that gives it something to do rings afterwards.

        Returns:
            False: a signal that comes might be slept through, since it cannot be noted here.
        """
        try:
            reading, writing = self._pipe or self._make()
            others = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        except (OSError, ValueError):  # no descriptor is left, or Python takes another thread for the main one
            return False
        try:
            if others not in (_NONE, writing):
                return False
            if not unless():
                os.read(reading, _MANY_BYTES)
            return True
        finally:
            with suppress(OSError, ValueError):  # that of others has been closed
                signal.set_wakeup_fd(_NONE if others == writing else others)

    def _make(self) -> tuple[int, int]:
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        self._pipe = reading, writing
        return reading, writing


main_bell: Final = Bell()
"""The main thread's."""
