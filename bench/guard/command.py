"""`python -m bench guard`: count, and compare with the baseline; `--accept` moves the baseline, on purpose."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.guard.baseline import ABOVE_MAX, BASELINE, Finding, accept, compare, here
from bench.guard.counting import Uncounted, count_core, count_package, count_python, installed_core, installed_package

__all__ = ["main"]

HOW_TO_MOVE = "if that is the price of something worth it, move the baseline: python -m bench guard --accept"


def main(argv: Sequence[str]) -> int:
    """Run the guard; 1 if something costs more than it may."""
    asked = arguments(argv)
    counted = count_python(asked.package)
    try:
        counted |= count_core(asked.core) | count_package(asked.package)
    except Uncounted as reason:
        print(f"guard: instructions are not counted: {reason}")
    if asked.accept:
        accept(counted, asked.baseline)
        print(f"guard: baseline moved: {asked.baseline}")
        return 0
    findings = list(compare(counted, asked.baseline))
    if not findings:
        print(f"guard: there is no baseline for {here()}; make one: python -m bench guard --accept")
    for finding in findings:
        if finding.failed or finding.gained or asked.verbose:
            print(line(finding))
    failed = [finding for finding in findings if finding.failed]
    if failed:
        print(f"guard: {HOW_TO_MOVE}", file=sys.stderr)
    return 1 if failed else 0


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench guard", description=__doc__)
    parser.add_argument("--accept", action="store_true", help="make what is counted now the baseline")
    parser.add_argument("--verbose", action="store_true", help="print every count")
    parser.add_argument("--baseline", type=Path, default=BASELINE, metavar="FILE", help="another baseline")
    parser.add_argument("--package", type=Path, default=None, metavar="FOLDER", help="where act_fast is found")
    parser.add_argument("--core", type=Path, default=None, metavar="FILE", help="the compiled module")
    asked = parser.parse_args(argv)
    asked.package = asked.package or installed_package()
    asked.core = asked.core or installed_core()
    return asked


def line(finding: Finding) -> str:
    verdict = "TOO MANY" if finding.failed else "fewer: accept, to keep it so" if finding.gained else "as ever"
    return (
        f"guard: {finding.figure}: {finding.counted:,.1f}, baseline {finding.baseline:,.1f} ({finding.above:+.1%},"
        f" {ABOVE_MAX:+.0%} allowed): {verdict}"
    )
