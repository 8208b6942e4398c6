"""What a line of the results is: the work, its unit, what was promised; and what was measured.

A budget is held against a contender of the same run (a ratio) or against a number (milliseconds, bytes).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

__all__ = ["Budget", "Curve", "Measurement", "Row"]


@dataclass(frozen=True)
class Measurement:
    """One contender's values, one for each round, in the row's unit; none, and the reason, if it was not there."""

    name: str
    durability: str
    values: Sequence[float]
    absent: str = ""

    @property
    def middle(self) -> float:
        return median(self.values)


@dataclass(frozen=True)
class Curve:
    """One contender's line over the row's axis: pairs of where and how much, in the row's unit."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Budget:
    """What was promised.

    At least `factor` times the contender `peer`; without a peer, at most `limit` in the row's unit, or at least
    `floor`.
    """

    peer: str | None = None
    factor: float = 1.0
    limit: float | None = None
    floor: float | None = None


@dataclass(frozen=True)
class Row:
    """One line of the results.

    Attributes:
        key: what saved results and the files of the plots call it.
        work: what is done, in lower case.
        unit: of the values; more is better where it ends in "/s" or "times", otherwise less is.
        budgets: what was promised.
        note: what a reader must know to judge the figures.
        why_lost: printed beside the figures when a budget is missed: why, and what was done about it.
        physical: the contender that nobody can beat, drawn as a line through the plot.
        axis: what the curves run over, if the row has any.
        trace: the curves are traces of something over time, with many points, of which neither more nor less is better.
        stacked: the measurements are parts of a whole, drawn on top of each other.
        picture: where else in the checkout the plot is shown.
    """

    key: str
    work: str
    unit: str
    budgets: tuple[Budget, ...] = ()
    note: str = ""
    why_lost: str = ""
    physical: str = ""
    axis: str = ""
    trace: bool = False
    stacked: bool = False
    picture: str = ""

    @property
    def more_is_better(self) -> bool:
        return self.unit.endswith(("/s", "times"))
