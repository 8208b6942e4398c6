"""The ordered log in memory keeps the rules of `OrderedLog`."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from act_fast.stores.ordered.memory import Faults, MemoryEngine
from act_fast.testing.conformance.ordered_log import OpenLog, OrderedLogConformance


class TestMemory(OrderedLogConformance):
    lacks = frozenset({"disturbances"})

    @pytest.fixture
    def engine(self) -> MemoryEngine:
        return MemoryEngine()

    @pytest.fixture
    def open_log(self, engine: MemoryEngine) -> Iterator[OpenLog]:
        with ExitStack() as opened:
            yield lambda: opened.enter_context(engine.open())


class TestMemoryWithGaps(TestMemory):
    @pytest.fixture
    def engine(self, seed: int) -> MemoryEngine:
        return MemoryEngine(Faults(seed=seed), step_max=7)
