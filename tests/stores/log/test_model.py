"""The log against a plain list, with what the kit does not know of: its durabilities, and indexes that are made again.

ACT_FAST_EXAMPLES sets how many random sequences of steps are tried.
"""

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule

from act_fast import LogStore
from act_fast.testing.conformance import OpenStore
from act_fast.testing.conformance.model import StoreAndList, compare_with_list

EXAMPLES = int(os.environ.get("ACT_FAST_EXAMPLES", "40"))


class LogAndList(StoreAndList):
    """Handles on one log, and the list of all events that it should hold."""

    @rule(at=st.integers(0, 2))
    def rebuild_index(self, at: int) -> None:
        log = self.at(at)
        assert isinstance(log, LogStore)
        log.rebuild_index()


@pytest.mark.parametrize(("durability", "share"), [("os", 1), ("fsync", 4)])
def test_any_sequence_of_verbs_has_the_answers_of_a_plain_list(tmp_path: Path, durability: str, share: int) -> None:
    paths = map(tmp_path.joinpath, map(str, count()))

    def new_store() -> OpenStore:
        path = next(paths)
        open_one: Callable[..., LogStore] = LogStore
        return lambda: open_one(path, segment_bytes=64 * 1024, durability=durability)

    compare_with_list(lambda: LogAndList(new_store), max(1, EXAMPLES // share))
