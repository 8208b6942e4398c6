"""The guard lets pass what is as it was, and stops what got slower: in Python, and in the core where valgrind is."""

import os
import shutil
from pathlib import Path

import pytest

from bench.guard import counting
from bench.guard.baseline import ABOVE_MAX, Finding, accept, compare
from bench.guard.command import main

SLOWER_DO = """

_do = Act.do


def _slower(self, *args, **kwargs):
    for _ in range(50):
        pass
    return _do(self, *args, **kwargs)


Act.do = _slower
"""

SLOWER_CORE = """
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader

loader = ExtensionFileLoader("act_fast._core", {core!r})
core = module_from_spec(spec_from_loader("act_fast._core", loader))
loader.exec_module(core)


class Log:
    @staticmethod
    def memory(*sizes):
        return Log(core.Log.memory(*sizes))

    def __init__(self, log):
        self.log = log

    def append(self, stream, events, expected_version):
        self.log.version(stream)
        self.log.version(stream)
        return self.log.append(stream, events, expected_version)
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package that may be spoiled."""
    source = counting.installed_package() / "act_fast"
    shutil.copytree(source, tmp_path / "act_fast", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.fixture
def baseline(tmp_path: Path, package: Path) -> Path:
    """What the copy counts before it is spoiled."""
    path = tmp_path / "baseline.json"
    accept(counting.count_python(package), path)
    return path


@pytest.fixture
def without_valgrind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting.shutil, "which", lambda _: None)


@pytest.mark.usefixtures("without_valgrind")
def test_what_is_as_it_was_passes(package: Path, baseline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--package", str(package), "--baseline", str(baseline)]) == 0
    assert "TOO MANY" not in capsys.readouterr().out


@pytest.mark.usefixtures("without_valgrind")
def test_a_planted_slowdown_is_stopped(package: Path, baseline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (package / "act_fast" / "_app" / "act.py").open("a") as source:
        source.write(SLOWER_DO)
    assert main(["--package", str(package), "--baseline", str(baseline)]) == 1
    said = capsys.readouterr()
    assert [line for line in said.out.splitlines() if "TOO MANY" in line and "bytecodes of a do" in line]
    assert "--accept" in said.err


@pytest.mark.usefixtures("without_valgrind")
def test_a_slowdown_that_is_accepted_passes(package: Path, baseline: Path) -> None:
    with (package / "act_fast" / "_app" / "act.py").open("a") as source:
        source.write(SLOWER_DO)
    assert main(["--package", str(package), "--baseline", str(baseline), "--accept"]) == 0
    assert main(["--package", str(package), "--baseline", str(baseline)]) == 0


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
def test_a_planted_slowdown_of_the_core_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(counting.PROFILE_VARIABLES)]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(counting, "CORE_TURNS", {"append": counting.CORE_TURNS["append"]})
    core = counting.installed_core()
    path = tmp_path / "baseline.json"
    accept(counting.count_core(core), path)
    slower = tmp_path / "slower_core.py"
    slower.write_text(SLOWER_CORE.format(core=str(core)))
    (finding,) = compare(counting.count_core(slower), path)
    assert finding.failed


def test_counts_of_another_interpreter_are_not_compared(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    path.write_text('{"CPython 2.7 pdp11": {"bytecodes of a do": 1}}')
    assert list(compare({"bytecodes of a do": 1_000}, path)) == []


def test_the_bound_is_a_tenth_in_both_directions() -> None:
    assert ABOVE_MAX == 0.1
    assert Finding("f", 111, 100).failed
    assert not Finding("f", 109, 100).failed
    assert Finding("f", 89, 100).gained
    assert not Finding("f", 91, 100).gained
