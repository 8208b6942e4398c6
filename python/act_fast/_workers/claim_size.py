"""How many targets a cycle claims at once, where its caller leaves that open."""

from collections.abc import Sized
from typing import Final

__all__ = ["Size"]

_QUICK_SECONDS: Final = 0.02


class Size:
    """Doubles while full cycles are quick, so that what a claim costs is shared by more.

    Where one is not, so many are claimed next that it would have been. Quick is whatever takes no longer than claiming
    and finishing does: where a store is far away, that is long.

    Args:
        least: what it begins with: as many as are handled at the same time.
    """

    def __init__(self, least: int) -> None:
        self.targets = self._least = least

    def learn(self, leases: Sized, seconds: float, besides: float = 0.0) -> None:
        """Take into account how long the handlers of a cycle took, and its claiming and finishing besides."""
        quick = max(_QUICK_SECONDS, besides)
        if seconds >= quick:
            self.targets = max(self._least, int(self.targets * quick / seconds))
        elif len(leases) >= self.targets:
            self.targets *= 2

    def shrink(self) -> None:
        """Claim no more than are handled at the same time: others may have the rest."""
        self.targets = self._least
