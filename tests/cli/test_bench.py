"""`act-fast bench` measures beside a store or in a directory, leaves nothing, and says what each figure is of."""

import json
from pathlib import Path

from act_fast.cli.benchmark import measure


def test_every_kind_of_work_gets_a_figure(run, tmp_path: Path) -> None:
    ran = run("bench", tmp_path, "--seconds", 0, "--json")
    figures = [json.loads(line) for line in ran.out.splitlines()]
    assert ran.code == 0, ran.err
    assert [(each["work"], each["survives"]) for each in figures] == [(w.name, w.survives) for w in measure.WORKS]
    assert all(0 < each["lowest"] <= each["median"] <= each["highest"] for each in figures)


def test_nothing_is_left_behind(run, tmp_path: Path) -> None:
    assert run("bench", tmp_path, "--seconds", 0).code == 0
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_measured_beside_and_left_alone(run, bank: Path) -> None:
    before = run("info", bank, "--json").out
    files = sorted(bank.rglob("*"))
    assert run("bench", bank, "--seconds", 0).code == 0
    assert run("info", bank, "--json").out == before
    assert sorted(bank.rglob("*")) == files
    assert list(bank.parent.iterdir()) == [bank]


def test_a_store_that_is_not_there_yet_is_measured_where_it_would_be(run, tmp_path: Path) -> None:
    assert run("bench", tmp_path / "new.act", "--seconds", 0).code == 0
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_not_there_is_said_to_be_missing(run, tmp_path: Path) -> None:
    ran = run("bench", tmp_path / "nowhere" / "new.act")
    assert ran.code == 2
    assert str(tmp_path / "nowhere") in ran.err


def test_seconds_that_are_none_are_refused(run, tmp_path: Path) -> None:
    for wrong in ("-1", "soon", "nan", "99999"):
        ran = run("bench", tmp_path, f"--seconds={wrong}")
        assert ran.code == 2
        assert "seconds" in ran.err


def test_on_a_terminal_it_is_a_table(run_on_terminal, tmp_path: Path) -> None:
    shown = run_on_terminal("bench", tmp_path, "--seconds", 0).out
    assert "median" in shown
    assert "power cut" in shown
