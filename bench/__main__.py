"""`python -m bench`: measure everything beside its peers and write RESULTS.md and results/<date>.json.

`--quick` measures everything roughly and prints the report instead; so does `-k`, for the benchmarks that match.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import pytest

from bench.facts import facts
from bench.report import Results, markdown
from bench.rows import ROWS
from bench.sizes import CHECKOUT, QUICK, sizes_from_environment

HERE = Path(__file__).resolve().parent


def main() -> int:
    asked = arguments()
    if asked.list_rows:
        print("\n".join(ROWS))
        return 0
    if asked.quick:
        for name, value in QUICK.items():
            os.environ.setdefault(name, value)
    os.chdir(CHECKOUT)
    where = facts(sizes_from_environment())
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "benchmarks.json"
        status = pytest.main([*pytest_options(saved), *(["-k", asked.k] if asked.k else [])])
        if status != 0:
            return int(status)
        results = Results.from_benchmarks(where, json.loads(saved.read_text()))
    publish(results, asked.output or (None if asked.quick or asked.k else HERE))
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a rough run of everything in half a minute")
    parser.add_argument("-k", metavar="EXPRESSION", help="only the benchmarks whose names match, as pytest has it")
    parser.add_argument("--output", type=Path, metavar="DIRECTORY", help="where RESULTS.md and results/ are written")
    parser.add_argument("--list-rows", action="store_true", help="print the keys of the table's rows, and end")
    return parser.parse_args()


def pytest_options(saved: Path) -> list[str]:
    options = ["-c", str(HERE / "pytest.ini"), "--rootdir", str(CHECKOUT), str(HERE)]
    return [
        *options,
        f"--benchmark-json={saved}",
        "--benchmark-columns=min,median,max,rounds",
        "--benchmark-sort=fullname",
    ]


def publish(results: Results, folder: Path | None) -> None:
    report = markdown(results)
    if folder is None:
        print(report)
        return
    (folder / "results").mkdir(parents=True, exist_ok=True)
    (folder / "results" / f"{results.facts['date']}.json").write_text(json.dumps(results.as_json(), indent=1) + "\n")
    (folder / "RESULTS.md").write_text(report)
    print(f"written: {folder / 'RESULTS.md'}")


if __name__ == "__main__":
    sys.exit(main())
