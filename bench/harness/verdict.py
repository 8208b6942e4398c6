"""A budget, and what the run says about it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median

from bench.harness.figures import TIMES, figure, ratios, spread
from bench.harness.results import Results
from bench.harness.row import Budget, Measurement, Row
from bench.rows import ROWS

__all__ = ["Verdict", "verdicts_of"]


@dataclass(frozen=True)
class Verdict:
    """A budget beside what was measured; `peer` is whom it names, if it names one."""

    row: Row
    budget: Budget
    subject: Measurement
    peer: Measurement | None

    @property
    def measured(self) -> bool:
        """Whether there is anything to judge by."""
        return bool(self.subject.values) and (self.peer is None or bool(self.peer.values))

    @property
    def ratios(self) -> list[float]:
        assert self.peer is not None
        return ratios(self.subject, self.peer)

    @property
    def held(self) -> bool:
        if self.peer is not None:
            return median(self.ratios) >= self.budget.factor
        if self.budget.limit is not None and self.subject.middle > self.budget.limit:
            return False
        return self.budget.floor is None or self.subject.middle >= self.budget.floor

    @property
    def promised(self) -> str:
        if self.peer is not None:
            return f"{self.budget.factor:g} {TIMES}"
        least = [f"at least {figure(self.budget.floor)} {self.row.unit}"] if self.budget.floor is not None else []
        most = [f"at most {figure(self.budget.limit)} {self.row.unit}"] if self.budget.limit is not None else []
        return ", ".join(least + most)

    def cells(self) -> list[str]:
        """Work, durability, figure, unit, beside whom, ratio, budget, held."""
        absent = self.subject.absent or (self.peer.absent if self.peer else "")
        held = f"not measured: {absent}" if not self.measured else "yes" if self.held else "**no**"
        mine = spread(self.subject.values) if self.subject.values else ""
        beside = ratio = ""
        if self.peer is not None:
            beside = self.peer.name
            if self.measured:
                beside = f"{self.peer.name}: {spread(self.peer.values)} ({self.peer.durability})"
                ratio = spread(self.ratios, TIMES)
        return [self.row.work, self.subject.durability, mine, self.row.unit, beside, ratio, self.promised, held]

    def reason(self) -> str:
        """Why it was missed, as a line of a list."""
        if self.peer is None:
            missed = f"{figure(self.subject.middle)} {self.row.unit} where {self.promised} was asked"
        else:
            missed = f"{median(self.ratios):.2f} {TIMES} {self.peer.name} where {self.promised} was asked"
        return f"* **{self.row.work}**: {missed}. {self.row.why_lost}".rstrip()


def verdicts_of(results: Results) -> Iterator[Verdict]:
    """Every budget of every row that was measured."""
    for key, measurements in results.measured.items():
        subject, *peers = measurements
        by_name = {peer.name: peer for peer in peers}
        for budget in ROWS[key].budgets:
            yield Verdict(ROWS[key], budget, subject, peer_of(budget, by_name))


def peer_of(budget: Budget, by_name: Mapping[str, Measurement]) -> Measurement | None:
    """Whom a budget names; an earlier run may not have known it."""
    if budget.peer is None:
        return None
    return by_name.get(budget.peer) or Measurement(budget.peer, "", [], "it was no peer yet")
