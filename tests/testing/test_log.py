"""The embedded log and the log in memory keep the rules of `Store`."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
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

    @pytest.fixture
    def new_store(self, tmp_path: Path) -> Callable[[], OpenStore]:
        paths = map(tmp_path.joinpath, map(str, count()))

        def make() -> OpenStore:
            path = next(paths)
            return lambda: LogStore(path, durability="os", segment_bytes=64 * 1024)

        return make


class TestLogInMemory(StoreConformance):
    lacks = frozenset({"transactions", "handles", "lasting"})

    @pytest.fixture
    def open_store(self) -> Iterator[OpenStore]:
        with ExitStack() as opened:
            yield lambda: opened.enter_context(LogStore.memory(segment_bytes=32 * 1024 * 1024))

    @pytest.fixture
    def new_store(self) -> Callable[[], OpenStore]:
        return lambda: lambda: LogStore.memory(segment_bytes=64 * 1024)
