"""The ordered log in a directory keeps the rules of `OrderedLog`."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from act_fast.stores.ordered.directory import DirectoryOrderedLog
from act_fast.testing.conformance.ordered_log import OpenLog, OrderedLogConformance


class TestDirectory(OrderedLogConformance):
    lacks = frozenset({"disturbances"})

    @pytest.fixture
    def open_log(self, tmp_path: Path) -> Iterator[OpenLog]:
        with ExitStack() as opened:
            yield lambda: opened.enter_context(DirectoryOrderedLog(f"dir://{tmp_path}/log"))
