"""The benchmarks run from end to end at tiny sizes. What they measure that way means nothing and is not looked at."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
TINY = {"ACT_FAST_BENCH_SCALE": "0.002", "ACT_FAST_BENCH_ROUNDS": "1", "ACT_FAST_BENCH_EVENTS": "2000"}


def run(*arguments: str, directory: Path) -> str:
    # Told of other test processes, pytest-benchmark would measure nothing.
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    environment = alone | TINY | {"ACT_FAST_BENCH_DIR": str(directory)}
    done = subprocess.run(
        [sys.executable, "-m", "bench", *arguments], cwd=CHECKOUT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    run("--quick", "--output", str(folder), directory=folder / "data")
    return folder


def test_the_report_has_every_row(output: Path) -> None:
    rows = run("--list-rows", directory=output).split()
    (saved,) = (output / "results").glob("*.json")
    told = json.loads(saved.read_text())
    assert all("not there" in reason for reason in told["missing"].values())
    assert [row for row in rows if row in told["rows"] or (told["missing"] and row.startswith("flights"))] == rows


def test_every_line_of_the_report_says_its_durability(output: Path) -> None:
    (saved,) = (output / "results").glob("*.json")
    measured = [each for row in json.loads(saved.read_text())["rows"].values() for each in row.get("measured", ())]
    report = (output / "RESULTS.md").read_text()
    assert all(f"| {each['name']} | {each['durability']} |" in report for each in measured)
    assert all(each["durability"] for each in measured if not each["absent"])


def test_nothing_is_left_of_the_data(output: Path) -> None:
    assert list((output / "data").iterdir()) == []
