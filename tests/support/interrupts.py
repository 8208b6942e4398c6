"""Ctrl-C at any moment at which Python heeds it: after calls and at the beginning of functions and turns of loops."""

import dis
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

__all__ = ["InterruptedAfter"]

_HEEDING = ("CALL", "JUMP_BACKWARD", "RESUME")


class InterruptedAfter:
    """Raises KeyboardInterrupt in this thread after so many moments in a module, for as long as the block lasts.

    Args:
        moments: how many.
        file: the module's file.
        begin: asked at each step until it says yes; moments are counted from there.

    Attributes:
        raised: whether there were so many.
    """

    def __init__(self, moments: int, file: str, begin: Callable[[], bool]) -> None:
        self.raised = False
        self._left = moments
        self._file = file
        self._begin = begin
        self._begun = False
        self._last: dict[FrameType, str] = {}  # what each function did last
        self._before: Any = None

    def __enter__(self) -> "InterruptedAfter":
        self._before = sys.gettrace()
        sys.settrace(self._enters)
        return self

    def __exit__(self, *raised: object) -> None:
        sys.settrace(self._before)
        self._last.clear()

    def _enters(self, frame: FrameType, event: str, given: object) -> Any:
        if frame.f_code.co_filename != self._file:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._steps

    def _steps(self, frame: FrameType, event: str, given: object) -> Any:
        if event == "opcode" and not self.raised:
            last, now = self._last.get(frame, ""), dis.opname[frame.f_code.co_code[frame.f_lasti]]
            # How `with` calls `__enter__` differs by version; no interrupt comes before its block.
            self._last[frame] = "enter" if last == "LOAD_SPECIAL" else now
            self._begun = self._begun or self._begin()
            if self._begun and last.startswith(_HEEDING):
                self._left -= 1
            if self._left < 0:
                self.raised = True
                sys.settrace(None)
                raise KeyboardInterrupt
        return self._steps
