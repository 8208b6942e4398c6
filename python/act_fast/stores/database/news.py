"""News of the log's head and of reactions: one thread and one connection for all that wait on a store.

Where the database has notifications the thread listens for them, and looks at the head at least once a second besides:
one that was lost costs a moment, not an event. It also sends those of this process, at most one within a few
milliseconds, so that many appends share one, and never within an append's own transaction. Where there are none, it
looks more often.
"""

import asyncio
import concurrent.futures
import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from act_fast._runtime.forks import tell_in_child
from act_fast.errors import StoreClosedError, StoreError
from act_fast.stores.database.bell import Bell
from act_fast.stores.database.connections import Connections, ready

__all__ = ["Listener", "News", "Told"]

_LOOK_SECONDS: Final = 1.0
_LOOK_UNHEARD_SECONDS: Final = (0.01, 0.1)
"""How often to look where no notification comes through: soon after something was appended, and later on."""

_GATHER_SECONDS: Final = 0.01
"""Others are told no more often: what comes in between is gathered."""

_IDLE_SECONDS: Final = 10.0
"""How long the thread stays when there is nothing to do."""

_PATIENCE_SECONDS: Final = 10.0
"""How long the database may be away before those who wait are told."""

_RETRY_SECONDS: Final = 0.2

_Future: TypeAlias = concurrent.futures.Future[int] | asyncio.Future[int]


class Told(NamedTuple):
    """What one process tells the others.

    Attributes:
        head: the last position that it has appended, 0 for none.
        work: whether there may be something to do for reactions.
        moves: whether targets may have moved on.
    """

    head: int = 0
    work: bool = False
    moves: bool = False

    def __bool__(self) -> bool:
        return self.head > 0 or self.work or self.moves

    def __or__(self, other: "Told") -> "Told":
        """Both together."""
        return Told(max(self.head, other.head), self.work or other.work, self.moves or other.moves)


class Listener(Protocol):
    """A connection that hears what others tell, if the database has notifications.

    Attributes:
        hears: whether it does.
    """

    hears: bool

    def fileno(self) -> int:
        """The file that can be read when there is something to hear."""
        ...

    def heard(self) -> Told:
        """Take in what there is to hear from others."""
        ...

    def tell(self, told: Told) -> None:
        """Tell others."""
        ...

    def look(self) -> tuple[int, int]:
        """The position of the last event, and the number of the last change of reactions."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


_EVERYTHING: Final = Told(work=True, moves=True)


class News:
    """Those who wait for news of one store, in this process, and what they wait with.

    Attributes:
        work: rings when there may be something to do for reactions: the head has moved, or another process has said so.
        moves: rings when targets may have moved on.

    Args:
        connections: to the database.
        listen: makes a listener. It raises what the client of the database raises.
        tells: whether others are to be told of what this process appends.
    """

    def __init__(self, connections: Connections[Any], listen: Callable[[], Listener], *, tells: bool) -> None:
        self._connections = connections
        self._listen = listen
        self._tells = tells
        self._lock = threading.RLock()
        self._waiters: dict[_Future, int] = {}
        self.work: Bell = Bell(self._watching)
        self.moves: Bell = Bell(self._watching)
        self._watchers = 0
        self._head = self._change = 0
        self._untold = Told()  # what other processes have not been told of
        self._told_at = 0.0
        self._thread: threading.Thread | None = None
        self._listener: Listener | None = None  # the thread's own
        self._unheard = _LOOK_UNHEARD_SECONDS[0]
        self._closed = False
        self._wake_reading, self._wake_writing = -1, -1
        tell_in_child(self)

    def forked(self) -> None:
        """The thread that held the lock stayed with the parent, and so did the news thread and all waiters."""
        self._lock = threading.RLock()

    @contextlib.contextmanager
    def above(self, after: int, future: _Future) -> Iterator[None]:
        """Let `future` get the next head above `after`, for as long as the block lasts."""
        try:
            with self._lock:
                if self._head > after:
                    _settle_soon(future, self._head)
                else:
                    self._waiters[future] = after
                    self._begin()
            yield
        finally:
            with self._lock:
                self._waiters.pop(future, None)

    def appended(self, head: int) -> None:
        """Take note that this process has appended up to a position."""
        with self._lock:
            self._reached(head)
            if self._tells:
                self._tell(Told(head))

    def tell(self, told: Told) -> None:
        """Tell all who wait, here and elsewhere. A signal handler may do so, too."""
        self._ring(told)
        if self._tells:
            with self._lock:
                self._tell(told)

    def _ring(self, told: Told) -> None:
        if told.work:
            self.work.ring()
        if told.moves:
            self.moves.ring()

    def _tell(self, told: Told) -> None:
        untold, self._untold = self._untold, self._untold | told
        if not untold and not self._closed:  # otherwise the thread is about to tell
            try:
                self._begin()
            except (OSError, RuntimeError):  # no thread can be had; the others look for themselves
                self._untold = Told()

    @contextlib.contextmanager
    def _watching(self) -> Iterator[None]:
        """Have the thread listen for as long as the block lasts."""
        with self._lock:
            self._connections.check()
            self._begin()
            self._watchers += 1
        try:
            yield
        finally:
            with self._lock:
                self._watchers -= 1
        self._connections.check()

    def close(self) -> None:
        """End the thread, and every wait with an error. What others are still to be told is told first."""
        if not self._connections.ours:
            return  # the thread stayed with the parent, and perhaps it held the lock when this process was forked
        with self._lock:
            thread = self._thread
        self.abandon()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def abandon(self) -> None:
        """The same, without waiting for it: for when the store is collected."""
        if not self._connections.ours:
            return
        with self._lock:
            self._closed = True
            self._tell_all(StoreClosedError("this store was closed while it was waited on; open it again"))
            self._wake()
            self._ring(_EVERYTHING)

    def _begin(self) -> None:
        """See to it that the thread is there and knows of what has changed."""
        if self._closed:
            self._tell_all(StoreClosedError("this store was closed; open it again"))
        elif self._thread is None:
            self._wake_reading, self._wake_writing = os.pipe()
            os.set_blocking(self._wake_reading, False)
            os.set_blocking(self._wake_writing, False)
            self._thread = threading.Thread(target=self._run, name="act-fast-news", daemon=True)
            try:
                self._thread.start()
            except BaseException:
                self._end()
                raise
        else:
            self._wake()

    def _wake(self) -> None:
        if self._wake_writing >= 0:
            with contextlib.suppress(BlockingIOError):
                os.write(self._wake_writing, b"!")

    def _run(self) -> None:
        away_since: float | None = None
        try:
            while self._wanted():
                try:
                    self._turn(self._listening())
                    away_since = None
                except self._connections.errors as error:
                    self._drop()
                    now = time.monotonic()
                    away_since = now if away_since is None else away_since
                    if self._closed or now - away_since > _PATIENCE_SECONDS:
                        self._tell_away(error)
                        away_since = now
                    self._sleep(_RETRY_SECONDS)
        except BaseException as error:
            with self._lock:
                self._tell_all(error if isinstance(error, Exception) else StoreError(f"waiting was ended by {error!r}"))
                self._untold = Told()
                self._end()
            self._ring(_EVERYTHING)
            if not isinstance(error, StoreClosedError):
                raise
        finally:
            self._drop()

    def _wanted(self) -> bool:
        """Whether there is anything to do or to wait for; sleep a while in case there will be."""
        end = time.monotonic() + _IDLE_SECONDS
        while True:
            with self._lock:
                if not self._closed and (self._waiters or self._watchers or self._untold):
                    return True
                left = end - time.monotonic()
                if (self._closed and not self._untold) or left <= 0:
                    self._end()
                    return False
                if self._closed:
                    return True  # once more, for what is untold
            self._sleep(left)

    def _end(self) -> None:
        os.close(self._wake_reading)
        os.close(self._wake_writing)
        self._wake_reading = self._wake_writing = -1
        self._thread = None

    def _listening(self) -> Listener:
        if self._listener is None:
            self._listener = self._listen()
            self._look_at_head(self._listener)
            self._ring(_EVERYTHING)  # what came before was not heard
        return self._listener

    def _drop(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()

    def _turn(self, listener: Listener) -> None:
        """Tell others, wait until something happens or it is time to look, and tell those who wait here."""
        if self._untold:
            self._sleep(self._told_at + _GATHER_SECONDS - time.monotonic(), waking=False)
            with self._lock:
                untold, self._untold = self._untold, Told()
            listener.tell(untold)
            self._told_at = time.monotonic()
        heard = (listener.fileno(),) if listener.hears else ()
        end = time.monotonic() + (_LOOK_SECONDS if heard else self._unheard)
        while True:
            with self._lock:
                if self._closed or self._untold or not (self._waiters or self._watchers):
                    return
            if heard:  # also before the first sleep: it may have come in while others were told
                told = listener.heard()
                self._ring(told)
                if told.head:
                    break
            left = end - time.monotonic()
            if left <= 0:
                break
            if self._wake_reading in ready((*heard, self._wake_reading), left):
                self._drain()
        self._look_at_head(listener)

    def _look_at_head(self, listener: Listener) -> None:
        head, change = listener.look()
        if change != self._change:  # the notification of this change may have been lost
            self._change = change
            self._ring(_EVERYTHING)
        with self._lock:
            often, seldom = _LOOK_UNHEARD_SECONDS
            self._unheard = often if head > self._head else min(2 * self._unheard, seldom)
            self._reached(head)

    def _reached(self, head: int) -> None:
        if head > self._head:
            self._head = head
            self.work.ring()
        for future in [future for future, after in self._waiters.items() if after < head]:
            del self._waiters[future]
            _settle_soon(future, head)

    def _tell_away(self, error: Exception) -> None:
        try:
            with self._connections.asking():
                raise error
        except Exception as told:
            with self._lock:
                self._tell_all(told)
                self._untold = Told()
            self._ring(_EVERYTHING)

    def _tell_all(self, outcome: Exception) -> None:
        for future in self._waiters:
            _settle_soon(future, outcome)
        self._waiters.clear()

    def _sleep(self, seconds: float, *, waking: bool = True) -> None:
        """Sleep until woken, or until the time is over."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self._closed:
            if ready((self._wake_reading,), left):
                self._drain()
                if waking:
                    return

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake_reading, 4096):
                pass


def _settle_soon(future: _Future, outcome: int | Exception) -> None:
    """Settle a future: one of an event loop in that loop's own thread."""
    if isinstance(future, concurrent.futures.Future):
        _settle(future, outcome)
    else:
        with contextlib.suppress(RuntimeError):  # a loop that was closed has no one left to tell
            future.get_loop().call_soon_threadsafe(_settle, future, outcome)


def _settle(future: _Future, outcome: int | Exception) -> None:
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
