"""Work that Ctrl-C cannot cut in two: it is done on another thread, while the main thread waits for it.

Python raises KeyboardInterrupt in the main thread only, after any bytecode: between the claim of a lease and the
variable that is to hold it, or between a lock that is taken and the block that lets go of it. No `finally` covers all
of these places. So what must not stop halfway is never run there.
"""

import contextvars
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from act_fast._runtime.daemon_threads import Daemons

if TYPE_CHECKING:
    from act_fast._runtime.bell import Bell

__all__ = ["apart", "check_interrupted", "in_caller", "on_interrupt"]

T = TypeVar("T")

_LOOK_SECONDS: Final = 0.5
"""When a waiting caller looks for signals: the system may give Ctrl-C to any thread, which wakes no other one. After
that it sleeps where any signal wakes it, unless others have signals noted: then it goes on looking."""
_PATIENCE_SECONDS: Final = 10.0
"""How long an interrupted caller waits for what has begun to come to an end."""


class _Work:
    """A piece of work. All its steps are single ones, since the caller may be interrupted between any two."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.begun = False
        self.interrupted = False
        self.stops: list[Callable[[], object]] = []
        self.outcome: list[tuple[Any, BaseException | None]] = []
        self._call = call
        self._thread = 0
        self._bell: Bell | None = None
        # Condition variables are not for threads that Ctrl-C reaches: they are written in Python. Queues are not.
        self._for_caller: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._for_thread: SimpleQueue[None] = SimpleQueue()

    @property
    def here(self) -> bool:
        """Whether this is the thread that it is done on."""
        return self._thread == threading.get_ident()

    def run(self) -> None:
        """Do it, on another thread, unless the caller has been interrupted already."""
        self._thread = threading.get_ident()
        self.begun = True
        try:
            if self.interrupted:
                raise KeyboardInterrupt
            _current.set(self)
            self.outcome.append((self._call(), None))
        except BaseException as error:
            self.outcome.append((None, error))
        finally:
            self._thread = 0
            del self._call  # it holds on to an app
            self.stops.clear()
            self._tell_caller(None)

    def call(self, function: Callable[[], object]) -> None:
        """Have the caller call a function, and wait until it has.

        Raises:
            KeyboardInterrupt: the caller was interrupted, perhaps by the function.
        """
        done: list[None] = []

        def call() -> None:
            function()
            done.append(None)
            self._for_thread.put(None)

        self._tell_caller(call)
        while not done and not self.interrupted:
            self._for_thread.get()
        if not done:
            raise KeyboardInterrupt

    def interrupt(self) -> None:
        """Let it end at the next place where it can."""
        self.interrupted = True
        self._for_thread.put(None)
        for stop in tuple(self.stops):
            stop()

    def serve(self) -> None:
        """Call what it wants to have called here, until it has ended."""
        asleep = False
        while not self.outcome:
            try:
                call = self._for_caller.get(not asleep, _LOOK_SECONDS)
            except Empty:
                asleep = self._sleep()
                continue  # a signal that another thread was given is seen to here
            if call is not None:
                call()
                del call

    def _sleep(self) -> bool:
        """Sleep until this is told something or a signal comes; False where a signal might be slept through."""
        try:
            from act_fast._runtime.bell import main_bell
        except (ImportError, OSError):  # no descriptor is left
            return False
        self._bell = main_bell
        return main_bell.sleep(unless=lambda: not self._for_caller.empty())

    def _tell_caller(self, call: Callable[[], object] | None) -> None:
        self._for_caller.put(call)
        if self._bell is not None:
            self._bell.ring()

    def wait(self, seconds: float) -> None:
        """Sleep until it has ended, or the time is over."""
        end = time.monotonic() + seconds
        while not self.outcome and (left := end - time.monotonic()) > 0:
            with suppress(Empty):
                self._for_caller.get(timeout=min(left, _LOOK_SECONDS))


_current: ContextVar[_Work | None] = ContextVar("act_fast_apart", default=None)


def apart(daemons: Daemons, call: Callable[[], T], *, patience: float = _PATIENCE_SECONDS) -> T:
    """Call a function where Ctrl-C does not reach it, and wait for what it gives.

    Anything that interrupts the wait asks the function to end, and goes on once it has, or after `patience` seconds; a
    second Ctrl-C goes on at once. What had begun then comes to its end all the same.
    """
    if threading.current_thread() is not threading.main_thread():
        return call()
    work = _Work(call)
    context = contextvars.copy_context()
    try:
        daemons.do(lambda: context.run(work.run))
        work.serve()
    except BaseException:
        work.interrupt()
        if work.begun:
            work.wait(patience)
        raise
    found, error = work.outcome[0]
    if error is not None:
        try:
            raise error
        finally:
            del error  # its traceback holds this frame
    return cast(T, found)


def in_caller(function: Callable[[], object]) -> None:
    """Call a function in the thread that waits for this work; here when none does."""
    work = _current.get()
    if work is not None and work.here:
        work.call(function)
    else:
        function()


def check_interrupted() -> None:
    """Raise KeyboardInterrupt when the thread that waits for this work has been interrupted."""
    work = _current.get()
    if work is not None and work.interrupted and not work.outcome:
        raise KeyboardInterrupt


class on_interrupt:
    """Have a function called if the thread that waits for this work is interrupted in the block, or was before."""

    def __init__(self, stop: Callable[[], object]) -> None:
        self._stop = stop
        self._work = _current.get()

    def __enter__(self) -> None:
        if self._work is not None:
            self._work.stops.append(self._stop)
            if self._work.interrupted:
                self._stop()

    def __exit__(self, *_: object) -> None:
        if self._work is not None and self._stop in self._work.stops:
            self._work.stops.remove(self._stop)
