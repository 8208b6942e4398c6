"""A copy of the sources to plant faults in, with a build folder of its own; kept, so that the next build is short."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from tests.mutants.mutation import Check, Mutation

__all__ = ["ROOT", "Outcome", "Scratch"]

ROOT: Final = Path(__file__).parents[2]
_COPIED: Final = ("Cargo.toml", "Cargo.lock", "pyproject.toml", "rust", "python", "tests")
_LEFT_OUT: Final = frozenset({"__pycache__", "target"})
_CHECK_SECONDS: Final = 120
_BUILD_SECONDS: Final = 1800
_QUICK: Final = {"CARGO_INCREMENTAL": "1", "CARGO_PROFILE_DEV_OPT_LEVEL": "1", "CARGO_PROFILE_DEV_DEBUG": "0"}


class Outcome(NamedTuple):
    """What has become of a command: whether it succeeded, and what it said. One that hangs has failed."""

    passed: bool
    said: str


class Scratch:
    """A copy, number `number` of those that are used side by side."""

    def __init__(self, number: int) -> None:
        base = ROOT / "target" / "mutants"
        self._tree = base / f"tree-{number}"
        # Bytecode is left out: it is told from younger sources by whole seconds.
        self._env = (
            os.environ
            | _QUICK
            | {
                "CARGO_TARGET_DIR": str(base / f"build-{number}"),
                "PYTHONPATH": str(self._tree / "python"),
                "PYTHONDONTWRITEBYTECODE": "1",
            }
        )
        self._bring_up_to_date()

    @contextmanager
    def planted(self, mutation: Mutation) -> Iterator[None]:
        """Have a fault in the copy for a while."""
        file = self._tree / mutation.file
        text = file.read_text()
        if text.count(mutation.old) != 1:
            raise ValueError(f"{mutation.name}: the old text is not in {mutation.file} exactly once")
        changed = text.replace(mutation.old, mutation.new)
        if file.suffix == ".py":
            compile(changed, str(file), "exec")
        file.write_text(changed)
        try:
            yield
        finally:
            file.write_text(text)

    def build(self, check: Check) -> Outcome:
        """Build what some tests need, so that a fault that does not compile is not taken for one that was noticed."""
        if check.runner == "pytest":
            return Outcome(True, "")
        return self._run([*_program(check), "--no-run"], _BUILD_SECONDS)

    def run(self, check: Check) -> Outcome:
        """Run some tests."""
        if check.runner == "pytest":
            return self.run_pytest([check])
        found = self._run([*_program(check), *filter(None, [check.only])])
        if found.passed and " 0 passed" in found.said:
            return Outcome(False, f"{check}: there are no such tests")
        return found

    def run_pytest(self, checks: Sequence[Check]) -> Outcome:
        """Run some tests of the package together."""
        nodes = [check.target for check in checks]
        return self._run([sys.executable, "-m", "pytest", "--quiet", "--exitfirst", "-p", "no:cacheprovider", *nodes])

    def _run(self, command: Sequence[str], seconds: float = _CHECK_SECONDS) -> Outcome:
        process = subprocess.Popen(
            command,
            cwd=self._tree,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )
        try:
            said, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return Outcome(False, f"not ended after {seconds:g} seconds")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        return Outcome(process.returncode == 0, said)

    def _bring_up_to_date(self) -> None:
        """Only what differs is written, so that what has not changed is not built again."""
        kept = set()
        for source in _files():
            copy = self._tree / source.relative_to(ROOT)
            kept.add(copy)
            content = source.read_bytes()
            if not copy.is_file() or copy.read_bytes() != content:
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(content)
        for copy in [each for each in self._tree.rglob("*") if not each.is_dir()]:
            if copy not in kept:
                copy.unlink()
        for folder in self._tree.rglob("__pycache__"):
            shutil.rmtree(folder, ignore_errors=True)


def _program(check: Check) -> list[str]:
    which = ["--lib"] if check.target == "lib" else ["--test", check.target]
    return ["cargo", "test", "--quiet", "--package", "act-fast-core", *which]


def _files() -> Iterator[Path]:
    for name in _COPIED:
        if (ROOT / name).is_file():
            yield ROOT / name
        for folder, folders, files in os.walk(ROOT / name):
            folders[:] = [each for each in folders if each not in _LEFT_OUT]
            yield from (Path(folder, each) for each in files)
