"""A command on a terminal of its own, which takes what is typed and keeps all that is shown, byte for byte."""

import fcntl
import os
import pty
import struct
import sys
import termios
import time
from types import TracebackType
from typing import Self

from tests.support.processes import ready

TIMEOUT_SECONDS = 60


class Terminal:
    """`act-fast` with a controlling terminal, so that Ctrl-C goes to all of its processes.

    Attributes:
        shown: everything so far.
    """

    def __init__(self, *arguments: str) -> None:
        self.shown = ""
        self._code: int | None = None
        self.process, self._file = pty.fork()
        if self.process == 0:
            os.environ.update(TERM="xterm-256color", PYTHONWARNINGS="ignore")
            os.execv(sys.executable, [sys.executable, "-m", "act_fast.cli", *arguments])
        fcntl.ioctl(self._file, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))

    @classmethod
    def run(cls, *arguments: str) -> str:
        """Run a command to its end; what it has shown."""
        with cls(*arguments) as terminal:
            terminal.end()
            return terminal.shown

    def press(self, text: str) -> None:
        """Press keys."""
        os.write(self._file, text.encode())

    def until(self, text: str) -> None:
        """Read until a text is shown."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while text not in self.shown:
            assert self._read(deadline), f"it has ended without {text!r}: {self.shown}"

    def end(self) -> int:
        """Read until it ends; its exit code."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while self._read(deadline):
            pass
        if self._code is None:
            self._code = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        return self._code

    def _read(self, deadline: float) -> bool:
        assert ready(self._file, max(0.0, deadline - time.monotonic())), f"it shows nothing more: {self.shown}"
        try:
            part = os.read(self._file, 65536)
        except OSError:  # how Linux says that nobody holds the other end any more
            return False
        self.shown += part.decode(errors="surrogateescape")
        return bool(part)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._code is None:
            os.kill(self.process, 9)
            os.waitpid(self.process, 0)
        os.close(self._file)
