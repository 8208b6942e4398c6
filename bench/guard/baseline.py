"""What was counted when the baseline was last moved, by interpreter and machine, and how far above it is allowed."""

import json
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ABOVE_MAX", "BASELINE", "Finding", "accept", "compare", "here"]

BASELINE = Path(__file__).resolve().parent / "baseline.json"

ABOVE_MAX = 0.10
"""Counts wander by about a hundredth between runs, so a tenth is a change of the code and nothing else."""


@dataclass(frozen=True)
class Finding:
    """A count beside its baseline."""

    figure: str
    counted: float
    baseline: float

    @property
    def above(self) -> float:
        """0.1: a tenth more than the baseline; infinite where that is nothing."""
        if not self.baseline:
            return float("inf") if self.counted else 0.0
        return self.counted / self.baseline - 1

    @property
    def failed(self) -> bool:
        return self.above > ABOVE_MAX

    @property
    def gained(self) -> bool:
        """Whether the baseline had better be moved, so that the gain is not lost again unseen."""
        return self.above < -ABOVE_MAX


def here() -> str:
    """The interpreter and machine: counts of different ones cannot be compared."""
    return f"{platform.python_implementation()} {'.'.join(platform.python_version_tuple()[:2])} {platform.machine()}"


def compare(counted: Mapping[str, float], path: Path = BASELINE) -> Iterator[Finding]:
    """Every count that the baseline knows."""
    known = read(path).get(here(), {})
    for figure, count in counted.items():
        if figure in known:
            yield Finding(figure, count, known[figure])


def accept(counted: Mapping[str, float], path: Path = BASELINE) -> None:
    """Move the baseline of this interpreter and machine; what could not be counted here stays."""
    known = read(path)
    known[here()] = dict(sorted((known.get(here(), {}) | {k: round(v, 1) for k, v in counted.items()}).items()))
    path.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")


def read(path: Path) -> dict[str, dict[str, float]]:
    return json.loads(path.read_text()) if path.exists() else {}
