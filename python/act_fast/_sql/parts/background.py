"""Making the files of what has settled in the background: questions are answered from the log until they are there.

One thread for each process makes one series after the other. It begins a little after it is asked to, so that the
answer that is being read then has the machine for itself, and a program that asks and ends makes nothing.
"""

import atexit
import os
import threading
from pathlib import Path
from time import monotonic
from typing import Final

from act_fast._runtime.forks import tell_in_child
from act_fast._runtime.logger import log
from act_fast._sql.parts.builder import Build, EventBuild, MakeScan, NoRoom
from act_fast._sql.parts.manifest import Checked, LockedManifest, Series, read
from act_fast.errors import StoreClosedError
from act_fast.stores.capabilities import analytics_max_of, stay_with
from act_fast.stores.port import Store

__all__ = ["PART_EVENTS", "builds", "settled_parts"]

PART_EVENTS: Final = 100_000
"""From so many events on, reading them again and again costs more than writing them down."""

_DELAY_S: Final = 1.0
_RETRY_S: Final = 60.0
_NO_ROOM_RETRY_S: Final = 3600.0
_IDLE_S: Final = 10.0
_LEAVE_S: Final = 60.0
_STEPS_MAX: Final = 10_000


def settled_parts(
    series: Series | None, store: Store, cut: int, make: MakeScan, *, begins: bool, known: Checked | None = None
) -> LockedManifest | None:
    """What is written down of a relation up to a cut; where writing more down pays, that may be begun.

    It is not read again where it is `known`, and still stands.
    """
    if series is None or analytics_max_of(store) == 0:
        return None
    held = (None if known is None else known.lock(series)) or read(series, store)
    after = 0 if held is None else held.manifest.upto
    if begins and after < cut and make(after, cut).width >= PART_EVENTS:
        builds.ask(series, store, cut, EventBuild(series, store, make))
    return held


class Job:
    """A series that is to be brought up to a cut, and that stops when its log goes."""

    def __init__(self, series: Series, store: Store, cut: int, build: Build) -> None:
        self.due = monotonic() + _DELAY_S
        self._series = series
        self._cut = cut
        self._build = build
        self._over = threading.Event()
        self._process = os.getpid()
        stay_with(store, self)

    def run(self) -> float:
        """Write all of it down; answers after how many seconds it may be tried again."""
        try:
            for _ in range(_STEPS_MAX):
                if not self._build.step(self._cut) or self._build.stopped:
                    break
        except StoreClosedError:
            return 0.0
        except Exception as error:
            if not self._build.stopped:
                # Nothing is lost but time: the log has it all.
                log.warning("settled events could not be written to %s: %s", self._series.folder, error)
                return _NO_ROOM_RETRY_S if isinstance(error, NoRoom) else _RETRY_S
        return 0.0

    def end(self) -> None:
        """Say that nothing more is done."""
        self._over.set()

    def leave(self) -> None:
        """Stop at once: the log is about to go. Comes back when nothing more is done to its files."""
        self._build.stop()
        if self._process != os.getpid() or builds.working_here:
            return  # the thread has stayed in the parent, or is this one
        builds.drop(self)
        deadline = monotonic() + _LEAVE_S
        while not self._over.wait(0.01) and monotonic() < deadline:
            self._build.stop()


class _Builds:
    """The series of this process that are to be written down, and the thread that does it."""

    def __init__(self) -> None:
        self.forked()
        tell_in_child(self)
        atexit.register(self._leave_all)

    def forked(self) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[Path, Job] = {}
        self._running: Job | None = None
        self._failed: dict[Path, float] = {}
        self._thread: threading.Thread | None = None

    @property
    def working_here(self) -> bool:
        """Whether this is the thread that writes."""
        return threading.current_thread() is self._thread

    def ask(self, series: Series, store: Store, cut: int, build: Build) -> None:
        """Have a series brought up to a cut, unless that is under way or has just failed."""
        folder = series.folder
        with self._changed:
            if folder in self._waiting or monotonic() < self._failed.get(folder, 0.0):
                return
            self._waiting[folder] = Job(series, store, cut, build)
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="act-fast-parts", daemon=True)
                self._thread.start()

    def drop(self, job: Job) -> None:
        """Forget a job that has not begun."""
        with self._changed:
            for folder in [
                folder for folder, each in self._waiting.items() if each is job and job is not self._running
            ]:
                del self._waiting[folder]
                job.end()
            self._changed.notify_all()

    def wait(self, timeout: float = 60.0) -> bool:
        """Have everything written down now that waits; whether it is."""
        deadline = monotonic() + timeout
        with self._changed:
            for job in self._waiting.values():
                job.due = 0.0
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._waiting, max(0.0, deadline - monotonic()))

    def _run(self) -> None:
        while (found := self._next()) is not None:
            folder, job = found
            retry_s = _RETRY_S
            try:
                retry_s = job.run()
            finally:
                with self._changed:
                    self._running = None
                    self._waiting.pop(folder, None)
                    self._failed[folder] = monotonic() + retry_s
                    job.end()
                    self._changed.notify_all()
                del found, job  # they hold on to a store

    def _next(self) -> tuple[Path, Job] | None:
        """The next job that is due; None when there has been none for a while, and the thread ends."""
        with self._changed:
            deadline = monotonic() + _IDLE_S
            while True:
                now = monotonic()
                folder = min(self._waiting, key=lambda each: self._waiting[each].due, default=None)
                if folder is None and now >= deadline:
                    self._thread = None
                    return None
                due = deadline if folder is None else self._waiting[folder].due
                if folder is not None and due <= now:
                    self._running = self._waiting[folder]
                    return folder, self._running
                self._changed.wait(due - now)

    def _leave_all(self) -> None:
        """At the end of the process: DuckDB must not be at work when the interpreter goes."""
        for job in tuple(self._waiting.values()):
            job.leave()


builds: Final = _Builds()
"""Those of this process."""
