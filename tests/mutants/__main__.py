"""`python -m tests.mutants`: plant one fault after the other, and see whether the tests notice; exit code 1 if not."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

from tests.mutants.catalog import MUTATIONS, core_with_all_planted, number_of
from tests.mutants.mutation import Check, Mutation
from tests.mutants.scratch import Outcome, Scratch


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", help="a mutation, or the beginning of some names")
    parser.add_argument("--under", default="", metavar="FOLDER", help="those that are planted in this folder or file")
    parser.add_argument("--list", action="store_true", help="name the mutations and the tests that have to notice them")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="so many at once")
    asked = parser.parse_args()
    begins = tuple(asked.only or ("",))
    chosen = [each for each in MUTATIONS if each.name.startswith(begins) and each.file.startswith(asked.under)]
    if not chosen:
        parser.error("no mutation is called so, or none is planted there; --list names all")
    if asked.list:
        for each in chosen:
            print(f"{each.name}  {each.file}  {'; '.join(map(str, each.checks))}")
        return 0
    jobs = max(asked.jobs, 1)
    core = [each for each in chosen if each.runner == "cargo"]
    package = [each for each in chosen if each.runner == "pytest"]
    survived = _try_core(core, jobs) if core else []
    if survived is not None and package:
        more = _try_package(package, jobs)
        survived = None if more is None else survived + more
    if survived is None:
        return 2
    print(
        f"{len(chosen)} mutations, {len(chosen) - len(survived)} killed, {len(survived)} not {survived or ''}".strip()
    )
    return 1 if survived else 0


def _try_core(chosen: Sequence[Mutation], jobs: int) -> list[str] | None:
    """Which mutations of the core survive; None if nothing can be said."""
    scratch, checks = Scratch("core", core_with_all_planted()), _checks(chosen)
    print(f"building the core with {len(chosen)} mutations asleep in it", flush=True)
    if not _passes("the build", scratch.build(checks)):
        return None
    if not all([_passes(str(check), scratch.run(check)) for check in checks]):
        return None
    return _survivors(chosen, jobs, lambda each: _verdict(each, lambda check: scratch.run(check, number_of(each))))


def _try_package(chosen: Sequence[Mutation], jobs: int) -> list[str] | None:
    """Which mutations of the package survive; None if nothing can be said."""
    scratches: SimpleQueue[Scratch] = SimpleQueue()
    for number in range(jobs):
        scratches.put(Scratch(str(number)))

    def tried(mutation: Mutation) -> str:
        scratch = scratches.get()
        try:
            with scratch.planted(mutation):
                return _verdict(mutation, scratch.run)
        finally:
            scratches.put(scratch)

    scratch = scratches.get()
    passed = _passes("pytest", scratch.run_pytest(_checks(chosen)))
    scratches.put(scratch)
    return _survivors(chosen, jobs, tried) if passed else None


def _checks(chosen: Sequence[Mutation]) -> list[Check]:
    return list(dict.fromkeys(check for each in chosen for check in each.checks))


def _passes(what: str, outcome: Outcome) -> bool:
    """Whether all is well as long as no fault is awake: otherwise the tests say nothing."""
    if not outcome.passed:
        print(f"fails without any mutation: {what}\n{outcome.said[-4000:]}", file=sys.stderr)
    return outcome.passed


def _survivors(chosen: Sequence[Mutation], jobs: int, tried: Callable[[Mutation], str]) -> list[str]:
    def told(mutation: Mutation) -> str:
        started = time.monotonic()
        verdict = tried(mutation)
        print(f"{verdict}: {mutation.name}, {time.monotonic() - started:.0f} s", flush=True)
        return verdict

    with ThreadPoolExecutor(jobs) as pool:
        verdicts = list(pool.map(told, chosen))
    return [each.name for each, verdict in zip(chosen, verdicts, strict=True) if verdict == "survived"]


def _verdict(mutation: Mutation, run: Callable[[Check], Outcome]) -> str:
    for check in mutation.checks:
        outcome = run(check)
        if not outcome.passed:
            return "killed" if outcome.ended else "killed by a test that did not end"
    return "survived"


if __name__ == "__main__":
    sys.exit(main())
