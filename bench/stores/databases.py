"""Servers to measure on, and the durability that they give."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TypeVar

import pytest

from tests.support.servers import Unavailable

__all__ = ["FLUSHED", "started"]

S = TypeVar("S")

FLUSHED = "power cut: the server flushes each commit"


def started(server: AbstractContextManager[S]) -> Iterator[S]:
    """For a fixture: a server, or none of the benchmarks that need it."""
    try:
        with server as running:
            yield running
    except Unavailable as reason:
        pytest.skip(str(reason))
