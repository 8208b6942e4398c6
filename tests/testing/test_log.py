"""The embedded log and the log in memory keep the rules of `Store`."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from act_fast import LogStore
from act_fast.testing.conformance import OpenStore, StoreConformance


class TestLogOnDisk(StoreConformance):
    lacks = frozenset({"transactions"})

    @pytest.fixture
    def open_store(self, store_path: Path) -> Iterator[OpenStore]:
        with ExitStack() as opened:
            yield lambda: opened.enter_context(LogStore(store_path, durability="os", segment_bytes=32 * 1024 * 1024))


class TestLogInMemory(StoreConformance):
    lacks = frozenset({"transactions", "handles", "lasting"})

    @pytest.fixture
    def open_store(self) -> Iterator[OpenStore]:
        with ExitStack() as opened:
            yield lambda: opened.enter_context(LogStore.memory(segment_bytes=32 * 1024 * 1024))
