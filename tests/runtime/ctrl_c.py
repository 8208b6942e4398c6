"""Ctrl-C at a chosen bytecode, delivered by the interpreter itself, and so only where it could really come.

A program is first traced to list the bytecodes after which the interpreter looks for signals. Then it runs again, and
just before one of them SIGINT is marked as pending, by a function of C: as a trace function it runs no bytecode of its
own, so that the signal comes to nothing but the program.
"""

import ctypes
import dis
import signal
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple

__all__ = ["Point", "interrupted", "points_of"]

_LOOKS: Final = ("CALL", "RESUME", "JUMP_BACKWARD", "SEND", "INSTRUMENTED")
"""How the names of bytecodes begin after which the interpreter looks for signals. Others do no harm: it comes later."""

_pend: Any = ctypes.PyDLL(None).PyErr_SetInterrupt
_pend.argtypes = [ctypes.py_object] * 3  # those of a trace function; it takes none, and sees none
_pend.restype = None


class Point(NamedTuple):
    """Where to interrupt: just after the trace event of this number, in the frame that it is for.

    Attributes:
        after: the event that comes before it in the same frame.
        code: the code that the bytecode is of.
        at: the bytecode.
    """

    after: int
    code: CodeType
    at: int


class _Steps:
    """Counts the bytecodes of the main thread, in all Python code that it runs."""

    def __init__(self, until: int | None = None) -> None:
        self.count = 0
        self.until = until
        self.points: list[Point] = []
        self._last: dict[int, int] = {}
        self._looks: dict[CodeType, frozenset[int]] = {}

    def enter(self, frame: FrameType, event: str, _: object) -> Any:
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        self.count += 1
        if self.until is None:
            self._last[id(frame)] = self.count
        return _pend if self.count == self.until else self.step

    def step(self, frame: FrameType, event: str, _: object) -> Any:
        if event != "opcode":
            return self.step
        self.count += 1
        if self.until is None:
            self._note(frame)
        elif self.count == self.until:
            return _pend
        return self.step

    def _note(self, frame: FrameType) -> None:
        code, at = frame.f_code, frame.f_lasti
        looks = self._looks.get(code)
        if looks is None:
            found = (each.offset for each in dis.get_instructions(code) if each.opname.startswith(_LOOKS))
            looks = self._looks[code] = frozenset(found)
        if at in looks:
            self.points.append(Point(self._last[id(frame)], code, at))
        self._last[id(frame)] = self.count


def points_of(program: Callable[[], object]) -> list[Point]:
    """All points at which a program can be interrupted, in the order in which it comes to them."""
    steps = _Steps()
    _run(program, steps)
    return steps.points


def interrupted(program: Callable[[], object], point: Point) -> tuple[str, BaseException | None]:
    """Run a program with a Ctrl-C at a point: where that came, and what the program raised.

    It may come nowhere, as threads are not as quick each time, or where Python drops it, as in a generator that is
    being thrown away; where it came is empty then.
    """
    came: list[str] = []

    def handle(number: int, frame: FrameType | None) -> None:
        _stop(frame)
        came.append(_place(frame))
        raise KeyboardInterrupt

    before, reporting = signal.signal(signal.SIGINT, handle), sys.unraisablehook
    sys.unraisablehook = lambda dropped: came.clear()
    try:
        try:
            _run(program, _Steps(point.after))
        finally:
            signal.signal(signal.SIGINT, before)
            sys.unraisablehook = reporting
    except BaseException as error:
        return "".join(came), error
    return "".join(came), None


def _run(program: Callable[[], object], steps: _Steps) -> None:
    sys.settrace(steps.enter)
    try:
        program()
    finally:
        sys.settrace(None)


def _stop(frame: FrameType | None) -> None:
    """Trace no more: the clean-up that follows is left alone."""
    sys.settrace(None)
    while frame is not None:
        frame.f_trace = None
        frame = frame.f_back


def _place(frame: FrameType | None) -> str:
    if frame is None:
        return "nowhere"
    name = frame.f_code.co_filename.rpartition("python/")[2]
    return f"{name}:{frame.f_lineno} in {frame.f_code.co_qualname}, at bytecode {frame.f_lasti}"
