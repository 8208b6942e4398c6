"""An ordered log in memory, with faults where they are asked for: for tests and simulations."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final, TypeAlias

from act_fast._runtime.forks import tell_in_child
from act_fast.errors import EngineAwayError, OutcomeUnknownError
from act_fast.stores.ordered.handle import Handle
from act_fast.stores.ordered.port import Entry

__all__ = ["Faults", "MemoryEngine", "MemoryOrderedLog"]

_RECORD_BYTES_MAX: Final = 1024 * 1024
_TURN_CHANCE: Final = 0.3

_Held: TypeAlias = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What goes wrong, and how often: each a chance from 0 to 1, drawn from a source that begins with `seed`.

    Attributes:
        seed: the same seed and the same calls in the same order have the same faults.
        away: `EngineAwayError`; the record does not land.
        lost: `OutcomeUnknownError`; the record does not land.
        landed: `OutcomeUnknownError`; the record has landed.
        late: `OutcomeUnknownError`; the record lands some turns later, behind others, or with the next `settle`.
        doubled: the record lands twice, the second time some turns later; the place is that of the first.
        held: the future is done some turns later, so that futures are not done in the order of the places.
        hidden: a read shows nothing that this handle has not been able to read before.
        cut: a read raises `EngineAwayError`, as when a connection breaks.
    """

    seed: int = 0
    away: float = 0.0
    lost: float = 0.0
    landed: float = 0.0
    late: float = 0.0
    doubled: float = 0.0
    held: float = 0.0
    hidden: float = 0.0
    cut: float = 0.0


class MemoryEngine:
    """The records of a log in memory, which any number of handles share.

    Each `submit`, `read` and `turn` is a turn: what is late or held comes then, or not, by chance. So with such faults
    a single thread that waits for a future makes turns, as `append` does.

    Args:
        faults: what goes wrong; None for nothing.
        first: the place of the first record.
        step_max: places grow by 1 to that many, by chance.
    """

    def __init__(self, faults: Faults | None = None, *, first: int = 1, step_max: int = 1) -> None:
        self._faults = faults or Faults()
        self._dice = random.Random(self._faults.seed)
        self._step_max = step_max
        self._first = first
        self._head = first - 1
        self._entries: list[Entry] = []
        self._pending: list[_Held] = []
        self._changed = threading.Condition()
        tell_in_child(self)

    def forked(self) -> None:
        """Threads that held a lock stayed with the parent."""
        self._changed = threading.Condition()

    def open(self, name: str = "memory", *, max_record: int = _RECORD_BYTES_MAX) -> "MemoryOrderedLog":
        """A handle on the log."""
        return MemoryOrderedLog(self, name, max_record)

    def turn(self) -> None:
        """Let time pass: some of what is late lands, some of what is held is done."""
        self._release(lambda: self._dice.random() < _TURN_CHANCE)

    def settle(self) -> None:
        """Let everything that is late land, and everything that is held be done, in an order of chance."""
        self._release(lambda: True)

    def entries(self) -> list[Entry]:
        """All that is there."""
        with self._changed:
            return list(self._entries)

    def _release(self, chosen: Callable[[], bool]) -> None:
        with self._changed:
            going = [each for each in self._pending if chosen()]
            self._pending = [each for each in self._pending if each not in going]
            self._dice.shuffle(going)
        for each in going:
            each()

    def _land(self, record: bytes) -> int:
        with self._changed:
            self._head += self._dice.randint(1, self._step_max) if self._entries else 1
            self._entries.append(Entry(self._head, record))
            self._changed.notify_all()
            return self._head

    def _hold(self, held: _Held) -> None:
        with self._changed:
            self._pending.append(held)

    def _happens(self, chance: float) -> bool:
        with self._changed:
            return chance > 0 and self._dice.random() < chance


class MemoryOrderedLog(Handle):
    """A handle on a log in memory.

    Args:
        engine: what it shares with other handles; None for one of its own.
        name: what errors call it.
        max_record: how many bytes a record may have.
    """

    def __init__(
        self, engine: MemoryEngine | None = None, name: str = "memory", max_record: int = _RECORD_BYTES_MAX
    ) -> None:
        super().__init__(name, max_record)
        self.engine: MemoryEngine = engine or MemoryEngine()
        self._seen = 0

    def append(self, record: bytes) -> int:
        """Append a record and wait until it is durable; its place."""
        future = self.submit(record)
        while not future.done():
            self.engine.turn()
        return future.result()

    @property
    def dense(self) -> bool:
        """Whether each place is one more than that before it."""
        return self.engine._step_max == 1

    def _submit(self, record: bytes) -> Future[int]:
        engine, faults = self.engine, self.engine._faults
        engine.turn()
        future: Future[int] = Future()
        if engine._happens(faults.away):
            return self._done(future, lambda: future.set_exception(EngineAwayError(f"{self.name} is away")))
        if engine._happens(faults.lost):
            return self._unknown(future)
        if engine._happens(faults.late):
            engine._hold(lambda: _forget(engine._land(record)))
            return self._unknown(future)
        place = engine._land(record)
        if engine._happens(faults.doubled):
            engine._hold(lambda: _forget(engine._land(record)))
        if engine._happens(faults.landed):
            return self._unknown(future)
        return self._done(future, lambda: future.set_result(place))

    def _unknown(self, future: Future[int]) -> Future[int]:
        unknown = OutcomeUnknownError(f"{self.name} has not answered in time; the record may be there, or come later")
        return self._done(future, lambda: future.set_exception(unknown))

    def _done(self, future: Future[int], end: _Held) -> Future[int]:
        if self.engine._happens(self.engine._faults.held):
            self.engine._hold(end)
        else:
            end()
        return future

    def _read(self, after: int, bytes_max: int, timeout: float) -> list[Entry]:
        engine, faults = self.engine, self.engine._faults
        engine.turn()
        if engine._happens(faults.cut):
            raise EngineAwayError(f"the connection to {self.name} broke")
        hidden = engine._happens(faults.hidden)
        end = time.monotonic() + timeout
        with engine._changed:
            while True:
                self._check_open()
                if after + 1 < engine._first:
                    raise self._trimmed(after, engine._first)
                if not hidden:
                    self._seen = engine._head
                found = _page(engine._entries, after, self._seen, bytes_max)
                left = end - time.monotonic()
                if found or left <= 0:
                    return found
                hidden = False
                engine._changed.wait(left)

    def _head(self) -> int:
        with self.engine._changed:
            return self.engine._head

    def _first(self) -> int:
        with self.engine._changed:
            return self.engine._first

    def _trim(self, below: int) -> None:
        engine = self.engine
        with engine._changed:
            gone = [each.place for each in engine._entries if each.place < below]
            engine._entries = engine._entries[len(gone) :]
            engine._first = gone[-1] + 1 if gone else engine._first

    def _close(self) -> None:
        with self.engine._changed:
            self.engine._changed.notify_all()


def _page(entries: list[Entry], after: int, seen: int, bytes_max: int) -> list[Entry]:
    low, high = 0, len(entries)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if entries[middle].place <= after else (low, middle)
    found: list[Entry] = []
    size = 0
    for entry in entries[low:]:
        if entry.place > seen or (found and size >= bytes_max):
            break
        found.append(entry)
        size += len(entry.record)
    return found


def _forget(place: int) -> None:
    """A record that landed behind its future's back."""
