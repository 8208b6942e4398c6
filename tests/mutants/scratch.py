"""A copy of the sources to plant faults in; kept, as is what is built from it, so that the next build is short."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from tests.mutants.mutation import Check, Mutation
from tests.mutants.switches import VARIABLE

__all__ = ["ROOT", "Outcome", "Scratch"]

ROOT: Final = Path(__file__).parents[2]
_COPIED: Final = ("Cargo.toml", "Cargo.lock", "pyproject.toml", "rust", "python", "examples", "tests")
_LEFT_OUT: Final = frozenset({"__pycache__", "target"})
_CHECK_SECONDS: Final = 300
_BUILD_SECONDS: Final = 1800
_CARGO: Final = ("cargo", "test", "--quiet", "--package", "act-fast-core")
_QUICK: Final = {"CARGO_INCREMENTAL": "1", "CARGO_PROFILE_DEV_OPT_LEVEL": "1", "CARGO_PROFILE_DEV_DEBUG": "0"}


class Outcome(NamedTuple):
    """What has become of a command: whether it succeeded, what it said, and whether it ended at all."""

    passed: bool
    said: str
    ended: bool = True


class Scratch:
    """A copy.

    Args:
        name: tells copies that are used side by side apart.
        changed: what is in some files instead of what is in the repository.
    """

    def __init__(self, name: str, changed: Mapping[str, str] = MappingProxyType({})) -> None:
        base = ROOT / "target" / "mutants"
        self._tree = base / f"tree-{name}"
        # Bytecode is left out: it is told from younger sources by whole seconds.
        self._env = (
            os.environ
            | _QUICK
            | {
                "CARGO_TARGET_DIR": str(base / "build"),
                "PYTHONPATH": str(self._tree / "python"),
                "PYTHONDONTWRITEBYTECODE": "1",
            }
        )
        self._bring_up_to_date({ROOT / file: text.encode() for file, text in changed.items()})

    @contextmanager
    def planted(self, mutation: Mutation) -> Iterator[None]:
        """Have a fault in the copy for a while."""
        file = self._tree / mutation.file
        text = file.read_text()
        place = mutation.place_in(text)
        changed = text[:place] + mutation.new + text[place + len(mutation.old) :]
        compile(changed, str(file), "exec")
        file.write_text(changed)
        try:
            yield
        finally:
            file.write_text(text)

    def build(self, checks: Sequence[Check]) -> Outcome:
        """Build the tests of the core that some checks run."""
        return self._run(
            [*_CARGO, "--no-run", *_options(dict.fromkeys(check.target for check in checks))], _BUILD_SECONDS
        )

    def run(self, check: Check, awake: int = 0) -> Outcome:
        """Run some tests, with a fault of the core awake or none."""
        if check.runner == "pytest":
            return self.run_pytest([check])
        command = [*_CARGO, *_options([check.target]), *filter(None, [check.only])]
        found = self._run(command, awake=awake)
        if found.passed and " 0 passed" in found.said:
            return Outcome(False, f"{check}: there are no such tests")
        return found

    def run_pytest(self, checks: Sequence[Check]) -> Outcome:
        """Run some tests of the package together, for as long as each of them may take by itself."""
        nodes = [check.target for check in checks]
        return self._run(
            [sys.executable, "-m", "pytest", "--quiet", "--exitfirst", "-p", "no:cacheprovider", *nodes],
            len(nodes) * _CHECK_SECONDS,
        )

    def _run(self, command: Sequence[str], seconds: float = _CHECK_SECONDS, awake: int = 0) -> Outcome:
        process = subprocess.Popen(
            command,
            cwd=self._tree,
            env=self._env | {VARIABLE: str(awake)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )
        try:
            said, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return Outcome(False, f"not ended after {seconds:g} seconds", ended=False)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        return Outcome(process.returncode == 0, said)

    def _bring_up_to_date(self, changed: Mapping[Path, bytes]) -> None:
        """Only what differs is written, so that what has not changed is not built again."""
        kept = set()
        for source in _files():
            copy = self._tree / source.relative_to(ROOT)
            kept.add(copy)
            content = changed.get(source) or source.read_bytes()
            if not copy.is_file() or copy.read_bytes() != content:
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(content)
        for copy in [each for each in self._tree.rglob("*") if not each.is_dir()]:
            if copy not in kept:
                copy.unlink()
        for folder in self._tree.rglob("__pycache__"):
            shutil.rmtree(folder, ignore_errors=True)


def _options(programs: Iterable[str]) -> Iterator[str]:
    for program in programs:
        yield from ["--lib"] if program == "lib" else ["--test", program]


def _files() -> Iterator[Path]:
    for name in _COPIED:
        if (ROOT / name).is_file():
            yield ROOT / name
        for folder, folders, files in os.walk(ROOT / name):
            folders[:] = [each for each in folders if each not in _LEFT_OUT]
            yield from (Path(folder, each) for each in files)
