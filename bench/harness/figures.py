"""How figures are written: three digits that mean something, and ratios round by round."""

from collections.abc import Sequence
from statistics import median

from bench.harness.row import Measurement

__all__ = ["TIMES", "figure", "ratios", "spread"]

TIMES = "\N{MULTIPLICATION SIGN}"


def ratios(subject: Measurement, peer: Measurement) -> list[float]:
    """Round by round where both ran in the same rounds."""
    return [mine / theirs for mine, theirs in zip(subject.values, peer.values, strict=True)]


def spread(values: Sequence[float], sign: str = "") -> str:
    """The median, and the lowest and the highest in brackets."""
    middle, low, high = (figure(value) for value in (median(values), min(values), max(values)))
    sign = f" {sign}" if sign else ""
    return f"{middle}{sign}" if len(values) == 1 else f"{middle}{sign} ({low} … {high})"


def figure(value: float) -> str:
    """Three digits that mean something, and whole numbers with separators."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
