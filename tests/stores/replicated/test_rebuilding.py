"""A replica that is damaged is made again by itself; never when it is the engine that has lost something."""

import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from act_fast import StoreCorruptError, StoreError
from act_fast.errors import StoreFormatError, StoreLockedError
from act_fast.stores.ordered.memory import MemoryEngine
from act_fast.stores.replicated.store import ReplicatedStore
from tests.stores.replicated.nodes import Facts, facts
from tests.support.processes import Tell, started, until

EVENT = [("Counted", b'{"of": "what is there"}')]


def _filled(engine: MemoryEngine, path: Path) -> Facts:
    with ReplicatedStore(engine.open(), path) as store:
        for _ in range(50):
            store.append("s", EVENT)
        return facts(store)


def _log_head(path: Path) -> None:
    (first, *_) = sorted((path / "log").iterdir())
    with open(first, "r+b") as file:
        file.write(b"\0" * 64)


def _log_middle(path: Path) -> None:
    (first, *_) = sorted((path / "log").iterdir())
    content = bytearray(first.read_bytes())
    content[content.index(b"what is there")] ^= 1
    first.write_bytes(content)
    (path / "control").unlink()  # so that the log is gone through when it is opened


def _log_gone(path: Path) -> None:
    for each in (path / "log").iterdir():
        each.unlink()


def _state_head(path: Path) -> None:
    (path / "replica" / "state.sqlite").write_bytes(b"nothing that a database would begin with" * 100)


def _state_core(path: Path) -> None:
    with sqlite3.connect(path / "replica" / "state.sqlite") as connection:
        connection.execute("update core set state = ?", (b"nothing that was kept",))
    connection.close()


DAMAGES = [_log_head, _log_middle, _log_gone, _state_head, _state_core]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("with_checkpoint", [True, False])
def test_a_damaged_replica_is_made_again(
    tmp_path: Path, damage: Callable[[Path], None], with_checkpoint: bool, caplog: pytest.LogCaptureFixture
) -> None:
    engine, path, checkpoints = MemoryEngine(), tmp_path / "[replica] 1*", tmp_path / "checkpoints"
    before = _filled(engine, path)
    if with_checkpoint:
        with ReplicatedStore(engine.open(), path) as store:
            store.trim(store.checkpoint(checkpoints))
            store.append("s", EVENT)
            before = facts(store)
    damage(path)
    with ReplicatedStore(engine.open(), path, checkpoints=checkpoints) as store:
        assert facts(store) == before
        (aside,) = store.set_aside
        assert aside.path.startswith(f"{path}.damaged-")
        assert aside.why
        assert not store.verify().problems
        store.append("s", EVENT, expected_version=len(before))
    assert f"{path} is rebuilt" in caplog.text
    with ReplicatedStore(engine.open(), path, checkpoints=checkpoints) as store:
        assert len(facts(store)) == len(before) + 1
        assert len(store.set_aside) == 1


def test_what_a_verification_finds_is_made_again_when_it_is_opened_next(tmp_path: Path) -> None:
    engine, path = MemoryEngine(), tmp_path / "replica"
    before = _filled(engine, path)
    with ReplicatedStore(engine.open(), path) as store:
        (first, *_) = sorted((path / "log").iterdir())
        with open(first, "r+b") as file:
            file.seek(first.read_bytes().index(b"what is there"))
            file.write(b"W")
        assert store.verify().problems
    with ReplicatedStore(engine.open(), path) as store:
        assert facts(store) == before
        assert not store.verify().problems
        assert len(store.set_aside) == 1


def test_what_a_verification_finds_is_read_around_as_long_as_it_cannot_be_made_again(tmp_path: Path) -> None:
    engine, path = MemoryEngine(), tmp_path / "replica"
    before = _filled(engine, path)
    with ReplicatedStore(engine.open(), path) as store:
        (first, *_) = sorted((path / "log").iterdir())
        with open(first, "r+b") as file:
            file.seek(first.read_bytes().index(b"what is there"))
            file.write(b"W")
        assert store.verify().problems
        with ReplicatedStore(engine.open(), path) as other:  # while the first has it open
            assert len(list(other.load("s", after=1))) == len(before) - 1
        engine.open().trim(20)
    with ReplicatedStore(engine.open(), path) as store:  # there is nothing to make it of
        assert len(list(store.load("s", after=1))) == len(before) - 1
        with pytest.raises(StoreCorruptError):
            list(store.load("s"))
        assert not store.set_aside


def test_a_damaged_replica_without_a_checkpoint_stays_where_the_log_is_trimmed(tmp_path: Path) -> None:
    engine, path = MemoryEngine(), tmp_path / "replica"
    _filled(engine, path)
    engine.open().trim(20)
    _log_head(path)
    with pytest.raises(StoreError, match="checkpoint"):
        ReplicatedStore(engine.open(), path)
    assert [each.name for each in tmp_path.iterdir() if not each.name.startswith(".")] == ["replica"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_replica_is_not_made_again_from_an_engine_that_has_lost_records(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    engine, path = MemoryEngine(), tmp_path / "replica"
    _filled(engine, path)
    if damage is _log_middle:
        pytest.skip("nothing is left that would say how far the replica was")
    damage(path)
    engine._entries, engine._head = engine._entries[:30], engine._entries[29].place
    with pytest.raises(StoreError, match="lost"):
        ReplicatedStore(engine.open(), path)
    assert not list(tmp_path.glob("replica.*"))


def test_a_damaged_replica_of_another_store_is_left_alone(tmp_path: Path) -> None:
    engine, other, path = MemoryEngine(), MemoryEngine(), tmp_path / "replica"
    _filled(engine, path)
    _filled(other, tmp_path / "other")
    _state_head(path)
    with pytest.raises(StoreFormatError, match="another store"):
        ReplicatedStore(other.open(), path)
    assert not list(tmp_path.glob("replica.*"))


def test_a_replica_is_not_made_again_while_other_processes_have_it_open(tmp_path: Path) -> None:
    address, path = f"dir://{tmp_path}/log?replica={tmp_path}/replica", tmp_path / "replica"
    with ReplicatedStore(address) as store:
        store.append("s", EVENT)

    def stay(tell: Tell) -> None:
        with ReplicatedStore(address):
            tell("open")
            until(lambda: (tmp_path / "end").exists())

    with started(stay) as (other,):
        assert other.next_line() == "open"
        _state_head(path)
        (path / "replica" / "state.sqlite-wal").unlink(missing_ok=True)
        with pytest.raises((StoreLockedError, StoreCorruptError)):
            ReplicatedStore(address)
        (tmp_path / "end").touch()
        other.wait()
    with ReplicatedStore(address) as store:
        assert store.version("s") == 1


STEPS = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree", "sqlite3.connect", "fcntl.flock")


@pytest.mark.parametrize("with_checkpoint", [True, False])
def test_a_kill_at_any_step_leaves_what_the_next_can_go_on_with(tmp_path: Path, with_checkpoint: bool) -> None:
    """The steps are what Python's own audit hook tells: each file of the replica that is opened, renamed or removed."""
    place, every = tmp_path / "0", int(os.environ.get("ACT_FAST_STEPS_EVERY", "3"))
    address = f"dir://{tmp_path}/log"
    with ReplicatedStore(address, place) as store:
        for _ in range(5):
            store.append("s", EVENT)
        before = facts(store)
        if with_checkpoint:
            store.checkpoint(tmp_path / "checkpoints")
    step, survived = 1, False
    while not survived:
        path = tmp_path / f"{step}"
        with ReplicatedStore(address, path):
            pass
        _log_head(path)

        def open_it(tell: Tell, path: Path = path, last: int = step) -> None:
            left, near = last, (f"{tmp_path}/{last}", f"{tmp_path}/.{last}", f"{tmp_path}/checkpoints")

            def count(event: str, arguments: tuple[object, ...]) -> None:
                nonlocal left
                if event in STEPS and (event == "fcntl.flock" or str(arguments[0]).startswith(near)):
                    left -= 1
                    if not left:
                        os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(count)
            with ReplicatedStore(address, path, checkpoints=tmp_path / "checkpoints") as store:
                left = -1
                tell(len(facts(store)))

        with started(open_it) as (process,):
            survived = process.next_line() == str(len(before))
            assert process.wait() == (0 if survived else -signal.SIGKILL)
        with ReplicatedStore(address, path, checkpoints=tmp_path / "checkpoints") as store:
            assert facts(store) == before
            assert not store.verify().problems
            assert len(store.set_aside) == 1
        step += every
    assert step > 12
