"""`python -m tests.mutants`: plant one fault after the other, and see whether the tests notice; exit code 1 if not."""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

from tests.mutants.catalog import MUTATIONS
from tests.mutants.mutation import Check, Mutation
from tests.mutants.scratch import Scratch


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", help="a mutation, or the beginning of some names")
    parser.add_argument("--list", action="store_true", help="name the mutations and the tests that have to notice them")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="so many at once, each in a copy of its own")
    asked = parser.parse_args()
    chosen = [each for each in MUTATIONS if not asked.only or each.name.startswith(tuple(asked.only))]
    if not chosen:
        parser.error(f"no mutation is called {', '.join(asked.only)}; --list names all")
    if asked.list:
        for each in chosen:
            print(f"{each.name}  {each.file}  {'; '.join(map(str, each.checks))}")
        return 0
    scratches: SimpleQueue[Scratch] = SimpleQueue()
    for number in range(max(asked.jobs, 1)):
        scratches.put(Scratch(number))
    if not _all_pass(list(dict.fromkeys(check for each in chosen for check in each.checks)), scratches):
        return 2
    with ThreadPoolExecutor(max(asked.jobs, 1)) as pool:
        found = list(pool.map(lambda each: _try(each, scratches), chosen))
    survived = [each.name for each, verdict in zip(chosen, found, strict=True) if verdict != "killed"]
    print(f"{len(chosen)} mutations, {len(chosen) - len(survived)} killed, {len(survived)} not")
    return 1 if survived else 0


def _all_pass(checks: Sequence[Check], scratches: "SimpleQueue[Scratch]") -> bool:
    """Whether the tests pass as long as nothing is planted: otherwise they say nothing."""
    scratch = scratches.get()
    passed = True
    python = [check for check in checks if check.runner == "pytest"]
    outcomes = [("pytest", scratch.run_pytest(python))] if python else []
    for check in checks:
        if check.runner == "cargo":
            built = scratch.build(check)
            outcomes.append((str(check), scratch.run(check) if built.passed else built))
    for what, outcome in outcomes:
        if not outcome.passed:
            print(f"fails without any mutation: {what}\n{outcome.said[-4000:]}", file=sys.stderr)
            passed = False
    scratches.put(scratch)
    return passed


def _try(mutation: Mutation, scratches: "SimpleQueue[Scratch]") -> str:
    scratch = scratches.get()
    try:
        with scratch.planted(mutation):
            verdict = _verdict(mutation, scratch)
    finally:
        scratches.put(scratch)
    print(f"{verdict}: {mutation.name}", flush=True)
    return verdict


def _verdict(mutation: Mutation, scratch: Scratch) -> str:
    for check in mutation.checks:
        built = scratch.build(check)
        if not built.passed:
            print(built.said[-4000:], file=sys.stderr)
            return "does not build"
        if not scratch.run(check).passed:
            return "killed"
    return "survived"


if __name__ == "__main__":
    sys.exit(main())
