"""Forked processes for tests: each runs one function, says lines through a pipe, and may be killed at any moment."""

import faulthandler
import gc
import os
import resource
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

PATIENCE_SECONDS = 60.0

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc and at threads as Linux has them")

Tell = Callable[[object], None]

# Here, so that a child that hangs while it is born says where.
faulthandler.register(signal.SIGUSR1, file=sys.__stderr__)


class Process:
    """A child of this one."""

    def __init__(self, body: Callable[[Tell], None]) -> None:
        reading, writing = os.pipe()
        collecting = gc.isenabled()
        gc.disable()
        self.pid = os.fork()
        if self.pid == 0:
            gc.freeze()  # what earlier tests have left is not ended here: DuckDB and others wait for threads then
            gc.enable()
            os.close(reading)
            _run(body, writing)
        if collecting:
            gc.enable()
        os.close(writing)
        self._reading = reading
        self._said = b""
        self._status: int | None = None

    @property
    def running(self) -> bool:
        """Whether nobody has seen its end."""
        return self._status is None

    def kill(self) -> None:
        """End it at once, without any clean-up."""
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Its exit code, once it has ended; a negative one names the signal that ended it."""
        if self._status is None:
            self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._status

    def next_line(self, seconds: float = PATIENCE_SECONDS) -> str:
        """The next line it says; "" when it has ended without another one."""
        while b"\n" not in self._said:
            if not ready(self._reading, seconds):
                os.kill(self.pid, signal.SIGUSR1)
                ready(self._reading, 1)  # it says where it is
                raise TimeoutError(f"process {self.pid} has said nothing for {seconds} seconds")
            piece = os.read(self._reading, 65536)
            if not piece:
                return ""
            self._said += piece
        line, _, self._said = self._said.partition(b"\n")
        return line.decode()

    def next_news(self) -> str:
        """The first line that it says from now on; what it has said before is passed over."""
        while ready(self._reading, 0) and (piece := os.read(self._reading, 65536)):
            self._said += piece
        self._said = self._said[self._said.rfind(b"\n") + 1 :]
        return self.next_line()

    def lines(self) -> Iterator[str]:
        """All it still says, until it has ended."""
        while line := self.next_line():
            yield line

    def forget(self) -> None:
        """Kill it if it is still there, and let go of its pipe."""
        if self._status is None:
            self.kill()
            self.wait()
        os.close(self._reading)


def _run(body: Callable[[Tell], None], writing: int) -> None:
    code = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(2 * PATIENCE_SECONDS))  # no test leaves a process behind
        body(lambda line: _write_all(writing, f"{line}\n".encode()))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def ready(file: int, seconds: float) -> bool:
    """Whether `file` has something to read within `seconds`; of any number, unlike with `select`."""
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


@contextmanager
def started(*bodies: Callable[[Tell], None]) -> Iterator[list[Process]]:
    """A process for each body, gone at the end."""
    processes: list[Process] = []
    try:
        for body in bodies:
            processes.append(Process(body))
        yield processes
    finally:
        for process in processes:
            process.forget()


def run(*bodies: Callable[[Tell], None]) -> list[list[str]]:
    """What each body said, when all have ended well."""
    with started(*bodies) as processes:
        said = [list(process.lines()) for process in processes]
        assert [process.wait() for process in processes] == [0] * len(bodies)
        return said


def until(condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    """Look again and again until `condition` holds; for what has no way to be awaited."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.001)


def asleep(thread: threading.Thread) -> bool:
    """Whether a thread of this process sleeps in the kernel, and not until it may go on in the interpreter."""

    def look() -> list[str]:
        lines = Path(f"/proc/self/task/{thread.native_id}/status").read_text().splitlines()
        return [line for line in lines if line.startswith(("State:", "voluntary"))]

    before = look()
    time.sleep(0.01)
    return look() == before and "S (sleeping)" in before[0]


def open_below(path: Path, replaced: bool = False) -> int:
    """How many files this process has open below a path; `replaced`: that have lost their names."""
    found = 0
    for each in os.listdir("/proc/self/fd"):
        try:
            name = os.readlink(f"/proc/self/fd/{each}")
            found += name.startswith(str(path)) and (not replaced or name.endswith("(deleted)"))
        except OSError:
            continue  # that of the listing itself
    return found


def as_nobody() -> None:
    """Give up the rights of root."""
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


def take_descriptors() -> list[int]:
    """Open files until this process can open no more; what they are."""
    taken: list[int] = []
    with suppress(OSError):
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    return taken


def limit_descriptors(more: int) -> int:
    """Let this process open so many files besides those that it has from its parent; its limit."""
    limit = max(map(int, os.listdir("/dev/fd"))) + 1 + more
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    return limit
