"""Ordered logs in engines that have no log but conditional puts: blocks of records under the numbers 0, 1, 2 and so on.

A writer puts what waits as one block under the next free number; if another writer has that number already, under the
one after it. So blocks are in one order, and a reader that has read a number has read all before it. A put without an
answer is repeated with the same number and the same bytes, which can do nothing twice.

The records of block n end at the place before (n + 1) * 65536. A block that is trimmed stays as an empty one: its
number must never be free again, since a writer that has slept would put something there.
"""

import os
import random
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final, Protocol, TypeVar
from zlib import crc32

from act_fast.errors import (
    EngineAwayError,
    EngineError,
    OutcomeUnknownError,
    StoreClosedError,
    StoreCorruptError,
    StoreError,
)
from act_fast.stores.ordered.handle import Handle
from act_fast.stores.ordered.port import Entry

__all__ = ["BLOCK_OVERHEAD", "Blocks", "NumberedLog"]

_MAGIC: Final = b"afb1"
_ID_BYTES: Final = 16
_HEAD: Final = struct.Struct(f"<4s{_ID_BYTES}sI")
_LENGTH: Final = struct.Struct("<I")
_PLACES: Final = 1 << 16
_RECORDS_MAX: Final = _PLACES // 2
BLOCK_OVERHEAD: Final = _HEAD.size + 2 * _LENGTH.size
"""How many bytes a block has besides its one record."""

_AWAY_SECONDS: Final = 10.0
_OPEN_SECONDS: Final = 2.0
_AGAIN_SECONDS: Final = 0.05
_CLOSE_SECONDS: Final = 5.0
_AHEAD_MAX: Final = 16
_AHEAD_BYTES: Final = 8 * 1024 * 1024
_FOUND_BYTES_MAX: Final = 16 * 1024 * 1024

_T = TypeVar("_T")


class Blocks(Protocol):
    """What an engine offers: immutable blocks of bytes by number. Any number of threads may use it.

    A verb raises `EngineAwayError` when it had no answer, so that it is not known what it did; with any other error it
    did nothing.

    Attributes:
        bytes_max: how large a block may be.
        poll_seconds: how long to wait, at least and at most, before looking again for a block that is not there.
    """

    bytes_max: int
    poll_seconds: tuple[float, float]

    def put(self, number: int, block: bytes) -> bool:
        """Put a block, durably, unless the number is taken; whether it was put."""
        ...

    def get(self, number: int, count: int) -> Sequence[bytes]:
        """The blocks from a number on, at most so many; fewer when one is not there, or when they are large."""
        ...

    def size(self, number: int) -> int | None:
        """How large a block is, as everybody sees it by now; None when it is not there."""
        ...

    def empty(self, first: int, below: int) -> None:
        """Replace the blocks from one number to below another by empty ones, in their order."""
        ...

    def close(self) -> None:
        """Let go of the engine."""
        ...


class NumberedLog(Handle):
    """A log of numbered blocks.

    Args:
        name: where it is, for people: without credentials.
        blocks: the engine.
    """

    def __init__(self, name: str, blocks: Blocks) -> None:
        super().__init__(name, blocks.bytes_max - BLOCK_OVERHEAD)
        self._blocks = blocks
        self._dice = random.Random()
        self._queue: deque[tuple[bytes, Future[int]]] = deque()
        self._changed = threading.Condition()
        self._written = 0  # how many blocks this handle has put
        self._last = -1
        self._floor = 0
        self._found: list[Entry] = []
        self._ahead = 1
        try:
            self._last = self._patiently(self._end, _OPEN_SECONDS)
        except BaseException:
            blocks.close()
            raise
        self._writer = threading.Thread(target=self._write_all, name="act-fast-numbered", daemon=True)
        self._writer.start()

    def forked(self) -> None:
        """Threads that held a lock stayed with the parent."""
        self._changed = threading.Condition()

    # Appending

    def _submit(self, record: bytes) -> Future[int]:
        future: Future[int] = Future()
        with self._changed:
            self._check_open()
            self._queue.append((record, future))
            self._changed.notify_all()
        return future

    def _write_all(self) -> None:
        """The writer's thread: whatever waits becomes a block, one after another."""
        while True:
            with self._changed:
                while not self._queue and not self._is_closed:
                    self._changed.wait()
                if not self._queue:
                    return
                batch = self._next_batch()
            try:
                number = self._write(_encode([record for record, _ in batch]))
            except BaseException as error:
                for _, future in batch:
                    future.set_exception(error)
            else:
                first = (number + 1) * _PLACES - len(batch)
                for place, (_, future) in enumerate(batch, first):
                    future.set_result(place)

    def _next_batch(self) -> list[tuple[bytes, Future[int]]]:
        batch = [self._queue.popleft()]
        room = self._blocks.bytes_max - BLOCK_OVERHEAD - len(batch[0][0])
        while self._queue and len(batch) < _RECORDS_MAX and len(self._queue[0][0]) + _LENGTH.size <= room:
            batch.append(self._queue.popleft())
            room -= len(batch[-1][0]) + _LENGTH.size
        return batch

    def _write(self, block: bytes) -> int:
        """Put a block under the next free number; that number."""
        end = time.monotonic() + (_CLOSE_SECONDS if self._is_closed else _AWAY_SECONDS)
        number, doubtful = self._last + 1, False
        while True:
            try:
                put = self._blocks.put(number, block) or (doubtful and self._is_ours(number, block))
            except EngineAwayError as error:
                doubtful = True
                if time.monotonic() > end:
                    raise self._unknown() from error
                time.sleep(_AGAIN_SECONDS)
                continue
            except StoreError as error:
                if doubtful:
                    raise self._unknown() from error
                raise
            if put:
                with self._changed:
                    self._last = max(self._last, number)
                    self._written += 1
                    self._changed.notify_all()
                return number
            # The writer that has a number has it for good. Its block may not be there yet, and then this is tried
            # again.
            following = self._patiently(self._end) + 1
            if following == number:
                time.sleep(self._dice.random() * _AGAIN_SECONDS)
            else:
                number, doubtful = following, False

    def _is_ours(self, number: int, block: bytes) -> bool:
        return self._blocks.get(number, 1)[:1] == [block]

    def _unknown(self) -> OutcomeUnknownError:
        return OutcomeUnknownError(f"{self.name} has not answered in time; the record may be there, or come later")

    # Reading

    def _read(self, after: int, bytes_max: int, timeout: float) -> list[Entry]:
        end = time.monotonic() + timeout
        pause, longest = self._blocks.poll_seconds
        while True:
            self._check_open()
            written = self._written
            page = self._page(after, bytes_max)
            left = end - time.monotonic()
            if page or left <= 0:
                return page
            with self._changed:
                if self._written == written and not self._is_closed:
                    self._changed.wait(min(pause, left))
            pause = min(pause * 2, longest)

    def _page(self, after: int, bytes_max: int) -> list[Entry]:
        with self._changed:
            found = self._found
        if not found or not found[0].place <= after + 1 <= found[-1].place:
            number = (after + 1) // _PLACES
            found = self._entries(number, after)
            with self._changed:
                self._found = found if sum(len(each.record) for each in found) <= _FOUND_BYTES_MAX else []
        page: list[Entry] = []
        size = 0
        for entry in found[_behind(found, after) :]:
            if page and size >= bytes_max:
                break
            page.append(entry)
            size += len(entry.record)
        return page

    def _entries(self, number: int, after: int) -> list[Entry]:
        """The records of the blocks from a number on."""
        blocks = self._patiently(lambda: self._blocks.get(number, self._ahead))
        self._ahead = _following(self._ahead, blocks)
        found: list[Entry] = []
        for each, block in enumerate(blocks, number):
            if not block:
                if found:
                    break
                raise self._trimmed(after, self.first())
            records = _decode(block, each, self.name)
            found += [Entry((each + 1) * _PLACES - len(records) + at, record) for at, record in enumerate(records)]
        return found

    # What there is

    def _head(self) -> int:
        return max((self._patiently(self._end) + 1) * _PLACES - 1, 0)

    def _first(self) -> int:
        return max(self._patiently(self._lowest) * _PLACES, 1)

    def _trim(self, below: int) -> None:
        first, number = self._patiently(self._lowest), below // _PLACES
        if first < number:
            self._patiently(lambda: self._blocks.empty(first, number))
        with self._changed:
            self._found = []

    def _end(self) -> int:
        """The last number that is taken; -1 when none is."""
        low, step = self._last, 1
        while self._blocks.size(low + step) is not None:
            low, step = low + step, step * 2
        while step > 1:  # low is taken, low + step is not
            step //= 2
            if self._blocks.size(low + step) is not None:
                low += step
        self._last = max(self._last, low)
        return low

    def _lowest(self) -> int:
        """The first number that was not trimmed."""
        low, high = self._floor, self._end() + 1
        if low < high and self._blocks.size(low):
            return low
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if not self._blocks.size(middle) else (low, middle)
        self._floor = low
        return low

    def _patiently(self, ask: Callable[[], _T], seconds: float | None = None) -> _T:
        """Ask again while the engine is away, for some seconds."""
        end = time.monotonic() + (_AWAY_SECONDS if seconds is None else seconds)
        while True:
            try:
                return ask()
            except EngineAwayError:
                if time.monotonic() > end or self._is_closed:
                    self._check_open()
                    raise
                time.sleep(_AGAIN_SECONDS)

    def _close(self) -> None:
        with self._changed:
            self._changed.notify_all()
        self._writer.join(_CLOSE_SECONDS)
        with self._changed:
            left, self._queue = self._queue, deque()
        for _, future in left:
            future.set_exception(StoreClosedError(f"the log at {self.name} was closed; nothing was appended"))
        self._blocks.close()


def _following(asked: int, blocks: Sequence[bytes]) -> int:
    """How many blocks to ask for next, when these came of so many: more while there are as many, and not too large."""
    if len(blocks) < asked:
        return max(len(blocks), 1)
    fitting = _AHEAD_BYTES * len(blocks) // max(sum(map(len, blocks)), 1)
    return max(min(asked * 2, fitting, _AHEAD_MAX), 1)


def _behind(entries: list[Entry], after: int) -> int:
    """How many of them are at or before a place."""
    low, high = 0, len(entries)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if entries[middle].place <= after else (low, middle)
    return low


def _encode(records: list[bytes]) -> bytes:
    lengths = b"".join(_LENGTH.pack(len(each)) for each in records)
    block = b"".join([_HEAD.pack(_MAGIC, os.urandom(_ID_BYTES), len(records)), lengths, *records])
    return block + _LENGTH.pack(crc32(block))


def _decode(block: bytes, number: int, name: str) -> list[bytes]:
    end = len(block) - _LENGTH.size
    if end < _HEAD.size or _LENGTH.unpack_from(block, end)[0] != crc32(block[:end]):
        raise StoreCorruptError(f"block {number} of {name} is damaged; restore it from a backup")
    magic, _, count = _HEAD.unpack_from(block)
    if magic != _MAGIC:
        raise EngineError(f"block {number} of {name} is of another format; use a newer version of act-fast")
    lengths = struct.unpack_from(f"<{count}I", block, _HEAD.size)
    records, at = [], _HEAD.size + count * _LENGTH.size
    for length in lengths:
        records.append(block[at : at + length])
        at += length
    return records
