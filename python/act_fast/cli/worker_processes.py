"""Worker processes: so many that run one app, replaced when they die, ended gracefully when asked."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Final

from act_fast._runtime.backoff import Backoff
from act_fast._runtime.logger import log

__all__ = ["Workers"]

_RESTART: Final = Backoff(first=0.5, factor=2.0, longest=30.0)
_HEALTHY_SECONDS: Final = 30.0
"""A process that has lived so long has not died of what killed the one before."""
_KILL_SECONDS: Final = 5.0
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_END_POLL_SECONDS: Final = 0.2

Tell = Callable[[str], object]


class Place:
    """One of the places for a process: who is there, and when the next one may begin."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: SpawnProcess | None = None
        self.began: float = 0.0
        self.begin_at: float = 0.0
        self.deaths = 0


class Workers:
    """Keeps processes at work until it is told to stop.

    Args:
        count: how many.
        work: what each of them does; must be importable, as must its arguments. It ends itself upon SIGTERM.
        arguments: what it is given.
        grace_seconds: how long a process that was told to end may take.
        tell: is told what happens, in a line.
    """

    def __init__(
        self, count: int, work: Callable[..., object], arguments: Sequence[object], grace_seconds: float, tell: Tell
    ) -> None:
        self._places = [Place(number + 1) for number in range(count)]
        self._work = work
        self._arguments = tuple(arguments)
        self._grace_seconds = grace_seconds
        self._tell = tell
        self._asked = 0
        self._context = multiprocessing.get_context("spawn")

    @property
    def _stopping(self) -> bool:
        return self._asked > 0

    def run(self) -> bool:
        """Work until SIGTERM or Ctrl-C, a second of which ends at once; whether all processes have ended gracefully."""
        with self._signals() as signalled:
            while not self._stopping:
                self._begin_due()
                alive = [each.process.sentinel for each in self._places if each.process is not None]
                wait([signalled, *alive], self._seconds_to_next())
                self._note_deaths()
            return self._end()

    def _begin_due(self) -> None:
        for place in self._places:
            if place.process is None and time.monotonic() >= place.begin_at and not self._stopping:
                process = self._context.Process(target=self._work, args=self._arguments, name=f"worker {place.number}")
                with _ctrl_c_held():
                    process.start()
                place.process, place.began = process, time.monotonic()
                self._tell(f"worker {place.number} is process {process.pid}")

    def _seconds_to_next(self) -> float | None:
        waiting = [place.begin_at for place in self._places if place.process is None]
        return max(0.0, min(waiting) - time.monotonic()) if waiting else None

    def _note_deaths(self) -> None:
        for place in self._places:
            process = place.process
            if process is None or process.is_alive():
                continue
            process.join()
            lived = time.monotonic() - place.began
            place.deaths = 1 if lived > _HEALTHY_SECONDS else place.deaths + 1
            seconds = _RESTART.wait(place.deaths)
            place.process, place.begin_at = None, time.monotonic() + seconds
            ended = f"worker {place.number} has ended ({_reason(process.exitcode)})"
            self._tell(ended if self._stopping else f"{ended}; restarting in {seconds:.1f} s")

    def _end(self) -> bool:
        self._note_deaths()  # one that was dead before it could be told to end has not failed to end gracefully
        processes = [place.process for place in self._places if place.process is not None]
        if processes:
            self._tell(f"shutting down, within {self._grace_seconds:g} s; press Ctrl-C again to end at once")
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + self._grace_seconds + _KILL_SECONDS
        while self._asked < 2 and (left := deadline - time.monotonic()) > 0:
            alive = [process.sentinel for process in processes if process.is_alive()]
            if not alive:
                break
            wait(alive, min(left, _END_POLL_SECONDS))
        late = [process for process in processes if process.is_alive()]
        why = "is killed, as requested" if self._asked > 1 else "did not end within its grace period and is killed"
        for process in late:
            log.warning("process %s %s", process.pid, why)
            process.kill()
            process.join()
        # One that was told to end before it had begun ends by the signal.
        return not late and all(process.exitcode in (0, -signal.SIGTERM) for process in processes)

    @contextmanager
    def _signals(self) -> Iterator[int]:
        """A file that can be read from when it is time to stop."""
        reading, writing = os.pipe()
        os.set_blocking(writing, False)

        def stop(number: int, frame: FrameType | None) -> None:
            self._asked += 1
            with suppress(BlockingIOError):
                os.write(writing, b"\0")

        before = [signal.signal(each, stop) for each in _SIGNALS]
        try:
            yield reading
        finally:
            for each, handler in zip(_SIGNALS, before, strict=True):
                signal.signal(each, handler)
            os.close(reading)
            os.close(writing)


def end_with_parent(stop: Callable[[], object]) -> None:
    """In a worker process: stop too when the process that has begun this one is gone, however it went."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        stop()

    threading.Thread(target=watch, name="act-fast-parent", daemon=True).start()


def leave_ctrl_c_to_parent() -> None:
    """In a worker process: a terminal sends Ctrl-C to all, but the parent process decides when this one ends."""
    signal.signal(signal.SIGINT, _nothing)  # and not SIG_IGN, which programs that are run from here would inherit
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def stop_upon_sigterm(stop: Callable[[], object]) -> None:
    """In a worker process: SIGTERM stops it gracefully; a second one ends it at once."""

    def handle(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        stop()

    signal.signal(signal.SIGTERM, handle)


@contextmanager
def _ctrl_c_held() -> Iterator[None]:
    """Let a process that begins here not hear of Ctrl-C before it knows what to do: it would die of it, and say so."""
    resource_tracker.ensure_running()  # by itself, since that lets signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _nothing(number: int, frame: FrameType | None) -> None:
    pass


def _reason(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        try:
            return signal.Signals(-exit_code).name
        except ValueError:
            return f"signal {-exit_code}"
    return f"exit code {exit_code}"
