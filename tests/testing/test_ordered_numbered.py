"""Logs of numbered blocks keep the rules of `OrderedLog`, whatever becomes of the engine's answers."""

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pytest

from act_fast.errors import EngineAwayError, OutcomeUnknownError, StoreCorruptError
from act_fast.stores.ordered import numbered
from act_fast.stores.ordered.numbered import NumberedLog
from act_fast.testing.conformance.ordered_log import Disturb, OpenLog, OrderedLogConformance, read_all, records


class ShakyBlocks:
    """Blocks in memory, whose answers are lost by chance: before the work, after it, or long before it is done.

    Attributes:
        lost: the chance that an answer is lost.
        to_lose: how many answers are lost for certain from now on.
    """

    bytes_max = 64 * 1024
    poll_seconds = (0.001, 0.01)

    def __init__(self, dice: random.Random, lost: float = 0.0) -> None:
        self.blocks: dict[int, bytes] = {}
        self.lost = lost
        self.to_lose = 0
        self.late: list[tuple[int, bytes]] = []
        self._dice = dice
        self._lock = threading.RLock()

    def put(self, number: int, block: bytes) -> bool:
        with self._lock:
            if self._loses():
                if self._dice.random() < 0.3:
                    self.late.append((number, block))
                    raise EngineAwayError("late")
                if self._dice.random() < 0.5:
                    raise EngineAwayError("not done")
                self._put(number, block)
                raise EngineAwayError("done")
            if self.late and self._dice.random() < 0.5:
                self._put(*self.late.pop(0))
            return self._put(number, block)

    def get(self, number: int, count: int) -> Sequence[bytes]:
        with self._lock:
            self._lose()
            found = [self.blocks.get(each) for each in range(number, number + count)]
            return [each for each in found[: found.index(None) if None in found else count] if each is not None]

    def size(self, number: int) -> int | None:
        with self._lock:
            self._lose()
            return len(self.blocks[number]) if number in self.blocks else None

    def empty(self, first: int, below: int) -> None:
        with self._lock:
            self.blocks |= dict.fromkeys(range(first, below), b"")
            self._lose()

    def close(self) -> None: ...

    def _put(self, number: int, block: bytes) -> bool:
        assert number == 0 or number - 1 in self.blocks, "a number was left out"
        return self.blocks.setdefault(number, block) is block

    def _loses(self) -> bool:
        self.to_lose -= self.to_lose > 0
        return self.to_lose > 0 or self._dice.random() < self.lost

    def _lose(self) -> None:
        if self._loses():
            raise EngineAwayError("lost")


class TestNumbered(OrderedLogConformance):
    LOST = 0.0

    @pytest.fixture
    def blocks(self, dice: random.Random) -> ShakyBlocks:
        return ShakyBlocks(dice, self.LOST)

    @pytest.fixture
    def open_log(self, blocks: ShakyBlocks) -> Iterator[OpenLog]:
        with ExitStack() as opened:
            yield lambda: opened.enter_context(NumberedLog("numbered", blocks))

    @pytest.fixture
    def disturb(self, blocks: ShakyBlocks) -> Disturb:
        def lose() -> None:
            blocks.to_lose = 4

        return lose


class TestNumberedOnABadDay(TestNumbered):
    LOST = 0.2


@pytest.fixture
def blocks(dice: random.Random) -> ShakyBlocks:
    return ShakyBlocks(dice)


def test_without_an_answer_the_outcome_is_unknown(blocks: ShakyBlocks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbered, "_AWAY_SECONDS", 0.2)
    with NumberedLog("numbered", blocks) as log:
        blocks.lost = 1.0
        with pytest.raises(OutcomeUnknownError):
            log.append(b"one")
        with pytest.raises(EngineAwayError):
            log.head()
        blocks.lost = 0.0
        last = log.append(b"two")
        assert [each.record for each in read_all(log)][-1] == b"two"
        assert log.head() >= last


def test_what_waits_goes_into_one_block(blocks: ShakyBlocks) -> None:
    with NumberedLog("numbered", blocks) as log:
        with blocks._lock:
            futures = [log.submit(record) for record in records(200)]
        assert futures[-1].result(60) % 65536 == 65535
        assert len(blocks.blocks) <= 3
        assert [each.record for each in read_all(log)] == records(200)


@pytest.mark.parametrize("at", [0, 5, 30, 60, -1])
def test_a_damaged_block_is_never_read(blocks: ShakyBlocks, at: int) -> None:
    with NumberedLog("numbered", blocks) as log:
        log.append(bytes(100))
        block = bytearray(blocks.blocks[0])
        block[at] ^= 1
        blocks.blocks[0] = bytes(block)
        with pytest.raises(StoreCorruptError, match="block 0 of numbered is damaged"):
            log.read()


def test_the_head_of_a_long_log_is_found_in_a_few_steps(blocks: ShakyBlocks) -> None:
    blocks.blocks = dict.fromkeys(range(100_000), b"block") | dict.fromkeys(range(40_000), b"")
    asked: list[int] = []
    size = blocks.size
    blocks.size = lambda number: asked.append(number) or size(number)  # type: ignore[method-assign, func-returns-value]
    with NumberedLog("numbered", blocks) as log:
        assert log.head() == 100_000 * 65536 - 1
        assert log.first() == 40_000 * 65536
        assert len(asked) < 100


def test_a_reader_asks_for_no_more_blocks_at_once_than_it_can_hold() -> None:
    small, large = bytes(1000), bytes(3 * 1024 * 1024)
    assert [numbered._following(1, [small]), numbered._following(8, [small] * 8)] == [2, 16]
    assert [numbered._following(16, [small] * 16), numbered._following(8, [small] * 3)] == [16, 3]
    assert [numbered._following(2, [large] * 2), numbered._following(1, []), numbered._following(1, [large])] == [
        2,
        1,
        2,
    ]
    assert numbered._following(4, [bytes(16 * 1024 * 1024)] * 4) == 1
