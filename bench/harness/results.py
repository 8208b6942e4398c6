"""The measurements of a run by row, and what they were made on."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from bench.harness.row import Curve, Measurement
from bench.rows import ROWS

__all__ = ["Results"]

T = TypeVar("T")


@dataclass(frozen=True)
class Results:
    """What a run brought.

    Attributes:
        facts: what the figures were measured on.
        measured: by the row's key in the order of the report, the subject's measurement first.
        curves: by the row's key, for rows that have an axis.
        missing: benchmarks that brought nothing, and why.
        whole: whether everything was asked for.
        others: by the row's key, what differs from the facts for rows that were measured in another run.
    """

    facts: Mapping[str, str]
    measured: Mapping[str, Sequence[Measurement]]
    curves: Mapping[str, Sequence[Curve]] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    whole: bool = True
    others: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "Results":
        """What `as_json` has saved; rows that there are no more are left out."""
        rows = {key: saved["rows"][key] for key in ROWS if key in saved["rows"]}
        return cls(
            saved["facts"],
            {key: [Measurement(**each) for each in row["measured"]] for key, row in rows.items() if "measured" in row},
            {key: [Curve(**each) for each in row["curves"]] for key, row in rows.items() if "curves" in row},
            saved["missing"],
            others={key: row["facts"] for key, row in rows.items() if "facts" in row},
        )

    def updated(self, later: "Results", ran: Collection[str]) -> "Results":
        """These with the rows of another run in the place of their own; each of those says what it was measured on.

        Args:
            later: the other run, of some benchmarks.
            ran: the benchmarks that it ran.
        """
        differing = {name: said for name, said in later.facts.items() if self.facts.get(name) != said}
        new = {*later.measured, *later.curves}
        left = {key: facts for key, facts in self.others.items() if key not in new}
        return Results(
            self.facts,
            in_order({**self.measured, **later.measured}),
            in_order({**self.curves, **later.curves}),
            {name: why for name, why in self.missing.items() if name not in ran} | dict(later.missing),
            self.whole,
            left | dict.fromkeys(new, differing),
        )

    @classmethod
    def from_benchmarks(
        cls, facts: Mapping[str, str], saved: Mapping[str, Any], missing: Mapping[str, str], whole: bool
    ) -> "Results":
        """From what pytest-benchmark saved: each benchmark carries its rows."""
        extras = [benchmark["extra_info"] for benchmark in saved["benchmarks"]]
        measured = {key: value for extra in extras for key, value in extra.get("rows", {}).items()}
        curves = {key: value for extra in extras for key, value in extra.get("curves", {}).items()}
        return cls(
            facts,
            {key: [Measurement(**each) for each in measured[key]] for key in ROWS if key in measured},
            {key: [Curve(**each) for each in curves[key]] for key in ROWS if key in curves},
            missing,
            whole,
        )

    @property
    def unmeasured(self) -> list[str]:
        """The keys of the rows that nothing was brought for, though it was asked for."""
        if not self.whole:
            return []
        return [key for key in ROWS if key not in self.measured and key not in self.curves]

    def as_json(self) -> dict[str, Any]:
        """For later comparison: every value of every round."""
        rows: dict[str, dict[str, Any]] = {}
        for key, row in ROWS.items():
            if key in self.measured or key in self.curves:
                rows[key] = {"work": row.work, "unit": row.unit}
            if key in self.measured:
                rows[key]["measured"] = [asdict(each) for each in self.measured[key]]
            if key in self.curves:
                rows[key]["axis"] = row.axis
                rows[key]["curves"] = [asdict(each) for each in self.curves[key]]
            if key in self.others:
                rows[key]["facts"] = dict(self.others[key])
        return {"facts": dict(self.facts), "rows": rows, "missing": dict(self.missing)}


def in_order(found: Mapping[str, T]) -> dict[str, T]:
    """By the row's key, in the order of the report."""
    return {key: found[key] for key in ROWS if key in found}
