"""How many events were appended in each part of a span of time: found by bisection, so the log is not read."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

import msgspec

from act_fast.stores.capabilities import replay_groups_of
from act_fast.stores.port import Store
from act_fast.stores.time_travel import cut_at

__all__ = ["SPANS", "Rates", "rates"]

SPANS: Final[Mapping[str, timedelta]] = {
    "5 min": timedelta(minutes=5),
    "1 h": timedelta(hours=1),
    "24 h": timedelta(days=1),
    "30 days": timedelta(days=30),
}
_PARTS: Final = 60
_PARTS_DISTANT: Final = 10
"""Each costs a question to a database."""
_NOW: Final = timedelta(seconds=10)


class Rates(msgspec.Struct, frozen=True):
    """Events by parts of a span of time.

    Attributes:
        until: when the span ends.
        part: how long each part is.
        counts: how many events were appended in each.
        recent: events per second in the last seconds of it.
    """

    until: datetime
    part: timedelta
    counts: list[int]
    recent: float

    @property
    def mean(self) -> float:
        """Events per second over all of it."""
        return sum(self.counts) / (self.part.total_seconds() * len(self.counts))


def rates(store: Store, until: datetime, span: timedelta, head: int) -> Rates:
    """The events of a span of time, up to a position."""
    parts = _PARTS if replay_groups_of(store) is not None else _PARTS_DISTANT
    part = span / parts
    ends = [min(head, cut_at(store, until - part * (parts - number))) for number in range(parts)] + [head]
    recent = head - min(head, cut_at(store, until - _NOW))
    counts = [later - earlier for earlier, later in pairwise(ends)]
    return Rates(until, part, counts, recent / _NOW.total_seconds())
