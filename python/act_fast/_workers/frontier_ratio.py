"""How a cycle's claims are split between targets that lag behind and targets near the head."""

import math
from collections.abc import Iterable
from typing import Final

from act_fast._workers.lease import Lease

__all__ = ["Ratio"]

_LEAST: Final = 0.2
_MOST: Final = 0.8


class Ratio:
    """The share of the lagging frontier. It follows the work found: half at first, then by events per target leased."""

    def __init__(self) -> None:
        self.share = 0.5

    def split(self, targets: int) -> tuple[int, int]:
        """So many targets as (lagging, leading)."""
        lagging = math.ceil(targets * self.share)
        return lagging, targets - lagging

    def learn(self, leases: Iterable[Lease]) -> None:
        """Take what a cycle has found into account."""
        events, targets = [0, 0], [0, 0]
        for lease in leases:
            events[lease.lagging] += lease.handled
            targets[lease.lagging] += 1
        leading, lagging = (found / max(1, count) for found, count in zip(events, targets, strict=True))
        if leading + lagging:
            self.share = min(max(lagging / (leading + lagging), _LEAST), _MOST)
        else:
            self.share = 0.5
