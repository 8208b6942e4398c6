"""The folder that DuckDB spills into: each process has one of its own, and removes only those that nobody uses."""

import fcntl
import tempfile
from pathlib import Path

import pytest

from act_fast._sql import spill
from tests.support.processes import Tell, run


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(spill, "_folders", {})
    return tmp_path


@pytest.mark.parametrize("when", ["before it is opened", "before it is locked"])
def test_a_folder_that_another_process_sweeps_away_is_made_again(
    root: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    swept: list[Path] = []
    opened, locked = spill._open, fcntl.flock

    def sweep() -> None:
        if not swept:
            (found,) = root.glob("act-fast-spill-*/*")
            swept.append(found)
            spill._sweep(found)

    def open_late(folder: Path) -> int:
        if when == "before it is opened":
            sweep()
        return opened(folder)

    def lock_late(file: int, how: int) -> None:
        if when == "before it is locked":
            sweep()
        locked(file, how)

    monkeypatch.setattr(spill, "_open", open_late)
    monkeypatch.setattr(fcntl, "flock", lock_late)
    made = Path(spill.new_spill_folder()).parent
    assert made.is_dir()
    assert not swept[0].exists()


def test_processes_that_begin_at_the_same_time_leave_each_other_theirs(root: Path) -> None:
    def body(tell: Tell) -> None:
        for _ in range(50):
            spill._folders.clear()
            folder = Path(spill.new_spill_folder()).parent
            assert folder.is_dir()
        tell("ok")

    assert run(*[body] * 4) == [["ok"]] * 4


def test_what_a_killed_process_has_left_is_removed(root: Path) -> None:
    def body(tell: Tell) -> None:
        tell(Path(spill.new_spill_folder()).parent)

    ((left,),) = run(body)  # it ends as if it were killed: nothing is cleaned up
    assert Path(left).is_dir()
    spill.new_spill_folder()
    assert not Path(left).exists()
