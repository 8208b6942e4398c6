"""The replicated store keeps the rules of `Store`, and gives the same answers as the log."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from act_fast import LogStore
from act_fast.stores.ordered.memory import MemoryEngine
from act_fast.stores.replicated.store import ReplicatedStore
from act_fast.testing.conformance import OpenStore, Program, StoreConformance, differences, reaction_differences

PROGRAMS = int(os.environ.get("ACT_FAST_PROGRAMS", "10"))


class TestReplicated(StoreConformance):
    lacks = frozenset({"transactions"})

    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Iterator[OpenStore]:
        engine = MemoryEngine()
        with ExitStack() as opened:
            yield lambda: opened.enter_context(
                ReplicatedStore(engine.open(max_record=64 * 1024 * 1024), tmp_path / "replica")
            )

    @pytest.fixture
    def new_store(self, tmp_path: Path) -> Callable[[], OpenStore]:
        paths = map(tmp_path.joinpath, map(str, count()))

        def make() -> OpenStore:
            path, engine = next(paths), MemoryEngine()
            return lambda: ReplicatedStore(engine.open(), path)

        return make


def test_the_same_program_has_the_same_ends_on_the_log_and_replicated(tmp_path: Path, seed: int) -> None:
    for turn in range(PROGRAMS):
        with LogStore.memory() as log, ReplicatedStore(MemoryEngine().open(), tmp_path / str(turn)) as store:
            assert differences(Program(seed + turn, tags=turn % 2 == 0), log, store) == [], f"seed {seed + turn}"


def test_the_same_reactions_have_the_same_ends_on_the_log_and_replicated(tmp_path: Path, seed: int) -> None:
    for turn in range(PROGRAMS):
        with LogStore.memory() as log, ReplicatedStore(MemoryEngine().open(), tmp_path / str(turn)) as store:
            assert reaction_differences(seed + turn, log, store) == [], f"seed {seed + turn}"
