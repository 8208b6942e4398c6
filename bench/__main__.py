"""`python -m bench [micro|scenario|compare …]`: measure beside the peers and write RESULTS.md, its plots and results/.

`--quick` measures everything roughly and prints the report instead; so does a choice by kind or `-k`. With `--update`
the rows of a choice take the place of their own in what was written last, each with what it was measured on.
`python -m bench guard` is another thing: see `guard/command.py`.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.guard.command import main as guard
from bench.harness.facts import facts
from bench.harness.outcomes import Outcomes
from bench.harness.plots import draw_plots
from bench.harness.report import markdown
from bench.harness.results import Results
from bench.harness.sizes import CHECKOUT, QUICK, sizes_from_environment
from bench.rows import ROWS

HERE = Path(__file__).resolve().parent
KINDS = ("micro", "compare", "scenario")


def main() -> int:
    if sys.argv[1:2] == ["guard"]:
        return guard(sys.argv[2:])
    asked = arguments()
    if asked.list_rows:
        print("\n".join(ROWS))
        return 0
    if asked.quick:
        for name, value in QUICK.items():
            os.environ.setdefault(name, value)
    os.chdir(CHECKOUT)
    where = facts(sizes_from_environment())
    outcomes = Outcomes()
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "benchmarks.json"
        status = pytest.main([*pytest_options(saved, asked.kinds, asked.k)], plugins=[outcomes])
        if not (saved.exists() and saved.stat().st_size):
            return int(status) or 1
        found = json.loads(saved.read_text())
        results = Results.from_benchmarks(where, found, outcomes.missing, whole=not (asked.k or asked.kinds))
    if asked.update:
        ran = {each["fullname"].rsplit("/", 1)[-1] for each in found["benchmarks"]} | {*outcomes.missing}
        results = last_written(asked.output or HERE).updated(results, ran)
    publish(results, asked.output or (HERE if asked.update or (results.whole and not asked.quick) else None))
    return int(status)


def last_written(folder: Path) -> Results:
    """The results that were written there last."""
    *_, newest = sorted((folder / "results").glob("*.json"))
    return Results.from_json(json.loads(newest.read_text()))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "kinds", nargs="*", choices=[*KINDS, []], metavar="KIND", help="micro, compare or scenario; all"
    )
    parser.add_argument("--quick", action="store_true", help="a rough run of everything in a minute")
    parser.add_argument("-k", metavar="EXPRESSION", help="only the benchmarks whose names match, as pytest has it")
    parser.add_argument("--update", action="store_true", help="renew the rows of a choice in what was written last")
    parser.add_argument("--output", type=Path, metavar="DIRECTORY", help="where RESULTS.md and results/ are written")
    parser.add_argument("--list-rows", action="store_true", help="print the keys of the table's rows, and end")
    return parser.parse_args()


def pytest_options(saved: Path, kinds: list[str], matching: str | None) -> list[str]:
    files = [str(path) for kind in kinds or KINDS for path in sorted(HERE.glob(f"{kind}_*.py"))]
    return [
        *("-c", str(HERE / "pytest.ini"), "--rootdir", str(CHECKOUT)),
        f"--benchmark-json={saved}",
        "--benchmark-columns=min,median,max,rounds",
        "--benchmark-sort=fullname",
        "--durations=10",
        *(["-k", matching] if matching else []),
        *files,
    ]


def publish(results: Results, folder: Path | None) -> None:
    report = markdown(results)
    if folder is None:
        print(report)
        return
    (folder / "results").mkdir(parents=True, exist_ok=True)
    day = max([results.facts["date"], *(each.get("date", "") for each in results.others.values())])
    (folder / "results" / f"{day}.json").write_text(json.dumps(results.as_json(), indent=1) + "\n")
    (folder / "RESULTS.md").write_text(report)
    if find_spec("matplotlib") is None:
        print("no plots: matplotlib is not installed: pip install --group bench")
    else:
        draw_plots(results, folder / "plots")
        if folder == HERE:
            show_pictures(results, folder / "plots")
    print(f"written: {folder / 'RESULTS.md'}")


def show_pictures(results: Results, plots: Path) -> None:
    """Put the plots that the documentation shows where it shows them."""
    for key, row in ROWS.items():
        if row.picture and (key in results.curves or key in results.measured):
            shutil.copyfile(plots / f"{key}.svg", CHECKOUT / row.picture)


if __name__ == "__main__":
    sys.exit(main())
