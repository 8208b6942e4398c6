"""The sentence under a plot: what the figures mean, and whom the project loses to."""

from collections.abc import Sequence
from statistics import median

from bench.harness.figures import TIMES, figure, ratios
from bench.harness.row import Curve, Measurement, Row

__all__ = ["curves_sentence", "measured_sentence"]

EVEN = 0.05
"""Closer than this, nobody is called faster."""

SELF = "act-fast"


def measured_sentence(row: Row, measurements: Sequence[Measurement]) -> str:
    """Who is beaten and who is not, beside the contenders that are not ourselves in another form."""
    if row.stacked:
        return f"{figure(sum(each.middle for each in measurements))} {row.unit} in all."
    subject, *others = measurements
    peers = [each for each in others if each.values and not each.name.startswith(SELF)]
    parts = [f"act-fast: {figure(subject.middle)} {row.unit}"]
    physical = next((each for each in peers if each.name == row.physical), None)
    if physical is not None:
        parts.append(f"{share(row, subject, physical):.0%} of what the machine itself does")
    compared = [(share(row, subject, each), each.name) for each in peers if each is not physical]
    lost = [f"{name} ({each:.2f} {TIMES})" for each, name in compared if each < 1 - EVEN]
    even = [name for each, name in compared if abs(each - 1) <= EVEN]
    won = [(each, name) for each, name in compared if each > 1 + EVEN]
    if won:
        least, nearest = min(won)
        best, farthest = max(won)
        over = f"{figure(least)} {TIMES} {nearest}"
        parts.append(over if len(won) == 1 else f"between {over} and {figure(best)} {TIMES} {farthest}")
    if even:
        parts.append(f"even with {', '.join(even)}")
    sentence = ", ".join(parts) + "."
    return sentence + (f" **Loses to** {', '.join(lost)}." if lost else "")


def share(row: Row, subject: Measurement, peer: Measurement) -> float:
    """How many times the peer the subject is, above 1 where it is better."""
    together = len(subject.values) == len(peer.values)
    ratio = median(ratios(subject, peer)) if together else subject.middle / peer.middle
    return ratio if row.more_is_better else 1 / ratio


def curves_sentence(row: Row, curves: Sequence[Curve]) -> str:
    """From where to where each line runs."""
    ends = [
        f"{curve.name} from {figure(curve.points[0][1])} to {figure(curve.points[-1][1])} {row.unit}"
        for curve in curves
        if curve.points
    ]
    first, last = curves[0].points[0][0], curves[0].points[-1][0]
    return f"Between {row.axis} {figure(first)} and {figure(last)}: {'; '.join(ends)}."
