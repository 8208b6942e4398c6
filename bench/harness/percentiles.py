"""What a share of all measurements stay below."""

from collections.abc import Sequence

__all__ = ["percentile"]


def percentile(ordered: Sequence[float], of_100: float) -> float:
    """The value that `of_100` of a hundred values do not exceed; `ordered` ascends."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * of_100 / 100))]
