"""What the report makes of measurements: verdicts, whom the project loses to, who was absent, plots."""

import json
from pathlib import Path

import pytest

from bench.harness.duel import Absent
from bench.harness.figures import TIMES
from bench.harness.plots import draw_plots
from bench.harness.report import markdown
from bench.harness.results import Results
from bench.harness.row import Budget, Curve, Measurement, Row
from bench.harness.sentence import measured_sentence
from bench.harness.verdict import Verdict
from bench.peers.absence import needs
from bench.rows.log import APPEND_FSYNC_1, APPEND_SINGLE, GROWTH
from bench.rows.peers import LMDB_SINGLE, RAW_FLUSH

OURS = Measurement("act-fast", 'process: "os"', [90.0, 100.0, 110.0])


def report(row: Row, *measured: Measurement, curves: tuple[Curve, ...] = ()) -> str:
    drawn = {row.key: curves} if curves else {}
    return markdown(Results({"date": "today"}, {row.key: measured}, drawn, whole=False))


def test_a_missed_budget_is_printed_with_its_reason() -> None:
    lmdb = Measurement(LMDB_SINGLE, "none", [180.0, 200.0, 220.0])
    missed = report(APPEND_SINGLE, OURS, lmdb).split("## Missed")[1].split("## The log")[0]
    assert f"0.50 {TIMES} LMDB" in missed
    assert APPEND_SINGLE.why_lost in missed


def test_a_ratio_is_that_of_the_rounds_and_not_of_the_medians() -> None:
    peer = Measurement("peer", "none", [30.0, 20.0, 10.0])
    verdict = Verdict(APPEND_SINGLE, Budget("peer", 4.9), OURS, peer)
    assert verdict.ratios == [3.0, 5.0, 11.0]
    assert verdict.held


def test_a_peer_that_is_absent_is_named_with_the_reason() -> None:
    shown = report(APPEND_SINGLE, OURS, Measurement(LMDB_SINGLE, "", [], "lmdb is not installed"))
    assert "absent: lmdb is not installed" in shown
    assert "not measured: lmdb is not installed" in shown


def test_a_maker_of_contenders_whose_library_is_missing_gives_absent_ones() -> None:
    @needs("no_such_library", "first", "second")
    def make() -> list:
        raise AssertionError("its library would be imported")

    assert [(type(each), each.name) for each in make()] == [(Absent, "first"), (Absent, "second")]
    assert "no_such_library" in make()[0].reason


def test_whom_the_project_loses_to_is_said_under_the_plot() -> None:
    faster, slower = Measurement("hare", "none", [200.0] * 3), Measurement("snail", "none", [1.0] * 3)
    said = measured_sentence(APPEND_SINGLE, [OURS, faster, slower])
    assert f"**Loses to** hare (0.50 {TIMES})" in said
    assert f"100 {TIMES} snail" in said


def test_less_is_better_where_the_unit_says_so() -> None:
    row = Row("key", "work", "ms")
    said = measured_sentence(row, [OURS, Measurement("quick", "none", [10.0] * 3)])
    assert f"**Loses to** quick (0.10 {TIMES})" in said


@pytest.mark.parametrize(
    ("budget", "held"),
    [
        (Budget(limit=100.0), True),
        (Budget(limit=99.0), False),
        (Budget(floor=100.0), True),
        (Budget(floor=101.0), False),
    ],
)
def test_a_budget_without_a_peer_is_held_against_the_median(budget: Budget, held: bool) -> None:
    assert Verdict(Row("key", "work", "ms"), budget, OURS, None).held is held


def test_curves_are_told_from_end_to_end() -> None:
    shown = report(GROWTH, OURS, curves=(Curve("append", [(1_000_000, 1.0), (10_000_000, 0.95)]),))
    assert "append from 1 to 0.95 times" in shown
    assert "| append | 1 | 0.95 |" in shown


def test_rows_that_brought_nothing_are_named_when_everything_was_asked_for() -> None:
    whole = markdown(Results({}, {}, missing={"scenario_flights.py::bench_append": "the flights are not there"}))
    assert "the flights are not there" in whole
    assert APPEND_SINGLE.work in whole


def test_the_same_figures_give_the_same_plots(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    curves = {GROWTH.key: [Curve("append", [(1_000_000, 1.0), (10_000_000, 0.95)])]}
    measured = {APPEND_FSYNC_1.key: [OURS, Measurement(RAW_FLUSH, "power cut", [150.0] * 3)], GROWTH.key: [OURS]}
    for folder in ("one", "two"):
        draw_plots(Results({}, measured, curves), tmp_path / folder)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == [f"{APPEND_FSYNC_1.key}.svg", f"{GROWTH.key}.svg"]
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in names)
    assert RAW_FLUSH in (tmp_path / "one" / f"{APPEND_FSYNC_1.key}.svg").read_text()


def test_rows_of_a_later_run_take_the_place_of_their_own_and_say_what_they_were_measured_on() -> None:
    peer = Measurement(LMDB_SINGLE, "none", [50.0] * 3)
    first = Results(
        {"date": "2026-01-01", "system": "Linux"},
        {APPEND_SINGLE.key: [OURS, peer], APPEND_FSYNC_1.key: [OURS]},
        missing={"a.py::bench_one": "gone", "a.py::bench_two": "gone"},
    )
    better = Measurement("act-fast", 'process: "os"', [900.0] * 3)
    later = Results({"date": "2026-02-02", "system": "Linux"}, {APPEND_SINGLE.key: [better, peer]}, whole=False)
    both = Results.from_json(json.loads(json.dumps(first.as_json()))).updated(later, {"a.py::bench_one"})
    again = Results.from_json(json.loads(json.dumps(both.as_json())))
    shown = markdown(again)
    assert shown == markdown(both)
    assert f"| {APPEND_SINGLE.work} (2026-02-02) |" in shown
    assert f"| {APPEND_FSYNC_1.work} |" in shown
    assert "Measured apart: date 2026-02-02." in shown
    assert again.missing == {"a.py::bench_two": "gone"}
    assert list(again.measured) == [APPEND_SINGLE.key, APPEND_FSYNC_1.key]


def test_a_row_of_an_earlier_run_that_did_not_know_a_peer_says_so() -> None:
    assert "not measured: it was no peer yet" in report(APPEND_SINGLE, OURS)
