"""Counts everything that the guard looks at, in processes of their own, so that nothing of ours is counted with it."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

__all__ = [
    "CORE_TURNS",
    "Uncounted",
    "count_core",
    "count_package",
    "count_python",
    "installed_core",
    "installed_package",
]

HERE = Path(__file__).resolve().parent
CORE_TURNS = {
    "append": (100, 1_100),
    "append_tagged": (100, 1_100),
    "append_batch": (2, 12),
    "append_many": (2, 12),
    "load": (2, 12),
    "query": (2, 22),
    "react": (20, 220),
}
"""Each work of `core_work.py`, done so many times, and so many more: what is done once cancels out."""

PACKAGE_TURNS = {"replay": (2, 12), "arrow": (2, 102), "restore": (1, 4)}
"""The same of `package_work.py`."""

WORDS = {
    "append": "instructions of an append",
    "append_tagged": "instructions of an append with a tag",
    "append_batch": "instructions of a commit of 1,000 events",
    "append_many": "instructions of a commit to 1,000 streams",
    "load": "instructions of a load of 1,000 events",
    "query": "instructions of a query of 1,000 events",
    "react": "instructions of an event appended, correlated, claimed and acknowledged",
    "replay": "instructions of a replay of 2,000 events, declared fields",
    "arrow": "instructions of 2,000 events as Arrow batches",
    "restore": "instructions of a restore of 2,000 events from JSON lines",
}
COLLECTED = re.compile(r"Collected : (\d+)")
PROFILE_VARIABLES = "CARGO_PROFILE_RELEASE_"


class Uncounted(Exception):
    """Why something cannot be counted here."""


def installed_package() -> Path:
    """The folder that `act_fast` is imported from."""
    spec = find_spec("act_fast")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent.parent


def installed_core() -> Path:
    """The compiled module."""
    spec = find_spec("act_fast._core")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin)


def count_python(package: Path) -> dict[str, float]:
    """Bytecodes and bytes, of the package in that folder."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-sP", str(HERE / "python_work.py"), str(package), scratch]
        counted: dict[str, float] = json.loads(said_by(command).stdout)
    return counted


def count_core(core: Path) -> dict[str, float]:
    """Instructions of each work of the core, on that compiled module.

    Raises:
        Uncounted: valgrind is not here or does not run, or the module was not built as it is released.
    """
    # Without site-packages: nothing but the module is there.
    return count([sys.executable, "-sSP", str(HERE / "core_work.py"), str(core)], CORE_TURNS)


def count_package(package: Path) -> dict[str, float]:
    """Instructions of each work that only the package as a whole does.

    Raises:
        Uncounted: as `count_core`.
    """
    return count([sys.executable, "-sP", str(HERE / "package_work.py"), str(package)], PACKAGE_TURNS)


def count(driver: list[str], turns: Mapping[str, tuple[int, int]]) -> dict[str, float]:
    if shutil.which("valgrind") is None:
        raise Uncounted("valgrind is not installed")
    changed = [name for name in os.environ if name.startswith(PROFILE_VARIABLES)]
    if changed:
        raise Uncounted(f"the module may have been built with another profile: {', '.join(changed)}")
    for work in turns:
        said_by([*driver, work, "1"])  # modules are compiled when they are imported for the first time
    asked = [(work, times) for work, both in turns.items() for times in both]
    with ThreadPoolExecutor(os.cpu_count()) as runs:
        counted = dict(
            zip(asked, runs.map(lambda each: instructions([*driver, each[0], str(each[1])]), asked), strict=True)
        )
    return {
        WORDS[work]: (counted[work, many] - counted[work, few]) / (many - few) for work, (few, many) in turns.items()
    }


def instructions(driver: list[str]) -> int:
    try:
        said = said_by(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *driver]).stderr
    except subprocess.CalledProcessError as failure:
        said_by(driver)  # fails too, unless it is valgrind that does not know this processor
        raise Uncounted(f"valgrind does not run here: {failure.stderr.strip().splitlines()[-1]}") from None
    found = COLLECTED.search(said)
    assert found is not None, said
    return int(found[1])


def said_by(command: list[str]) -> "subprocess.CompletedProcess[str]":
    # Names hash alike in every run, so that dictionaries are walked alike; numpy has no threads that wait for work in a
    # loop, whose turns would count.
    environment = os.environ | {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
