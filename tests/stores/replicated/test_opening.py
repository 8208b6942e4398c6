"""A replica and an ordered log that do not belong together are told apart before either is changed."""

import gc
import os
import threading
import time
from pathlib import Path

import pytest

from act_fast import Act, Committed, LogStore, StoreError, ValidationError, move
from act_fast._core import body_record
from act_fast.errors import StoreFormatError
from act_fast.stores.ordered.memory import Faults, MemoryEngine, MemoryOrderedLog
from act_fast.stores.replicated.store import ReplicatedStore
from tests.support.bank import Account, Deposited
from tests.support.processes import until

EVENT = [("Counted", b"{}")]


def _filled(engine: MemoryEngine, path: Path, count: int) -> None:
    with ReplicatedStore(engine.open(), path) as store:
        for _ in range(count):
            store.append("s", EVENT)


def test_the_replica_of_another_store_is_refused_although_the_log_was_trimmed(tmp_path: Path) -> None:
    engine, other = MemoryEngine(), MemoryEngine()
    _filled(engine, tmp_path / "replica", 30)
    _filled(other, tmp_path / "other", 5)
    other.open().trim(3)
    before = other.entries()
    with pytest.raises(StoreFormatError, match="another store"):
        ReplicatedStore(other.open(), tmp_path / "replica")
    assert other.entries() == before


def test_the_checkpoint_of_another_store_is_refused(tmp_path: Path) -> None:
    engine, other = MemoryEngine(), MemoryEngine()
    with ReplicatedStore(engine.open(), tmp_path / "replica") as store:
        store.append("s", EVENT * 3)
        store.checkpoint(tmp_path / "checkpoints")
    _filled(other, tmp_path / "other", 5)
    with pytest.raises(StoreFormatError, match="another store"):
        ReplicatedStore(other.open(), tmp_path / "new", checkpoints=tmp_path / "checkpoints")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("with_replica", [True, False])
def test_an_engine_that_has_lost_everything_is_not_gone_on_with(tmp_path: Path, with_replica: bool) -> None:
    with ReplicatedStore(MemoryEngine().open(), tmp_path / "replica") as store:
        store.append("s", EVENT)
        store.checkpoint(tmp_path / "checkpoints")
    engine = MemoryEngine()
    path = tmp_path / ("replica" if with_replica else "new")
    with pytest.raises(StoreError, match="lost"):
        ReplicatedStore(engine.open(), path, checkpoints=tmp_path / "checkpoints")
    assert not engine.entries()


def test_a_genesis_that_is_lost_is_appended_again(tmp_path: Path) -> None:
    class Forgetful(MemoryOrderedLog):
        def append(self, record: bytes) -> int:
            try:
                return super().append(record)
            finally:
                self.engine._faults = Faults()

    with ReplicatedStore(Forgetful(MemoryEngine(Faults(lost=1.0))), tmp_path / "replica") as store:
        store.append("s", EVENT)
        assert store.head == 1


def test_whatever_ends_the_thread_that_applies_another_handle_goes_on(tmp_path: Path) -> None:
    engine = MemoryEngine()
    first = ReplicatedStore(engine.open(), tmp_path / "replica")
    first._log.close()  # as when a close is interrupted
    first._applier._thread.join(60)
    with ReplicatedStore(engine.open(), tmp_path / "replica") as second:
        second.append("s", EVENT)
        assert second.head == 1
    first._proposer.close()
    first._applier.close()


def test_a_log_that_was_closed_ends_the_thread_that_applies(tmp_path: Path) -> None:
    log = MemoryEngine().open()
    with ReplicatedStore(log, tmp_path / "replica") as store:
        log.close()
        store._applier._thread.join(60)
        assert not store._applier._thread.is_alive()


def test_a_forked_child_drops_a_store_whatever_the_moment_of_the_fork(tmp_path: Path) -> None:
    store = ReplicatedStore(MemoryEngine().open(), tmp_path / "replica")
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with store._proposer._lock, store._state._lock:
            held.set()
            done.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    child = os.fork()
    if not child:
        store._finalizer()
        store._state.close()
        gc.collect()
        os._exit(0)
    try:
        end = time.monotonic() + 60
        while os.waitpid(child, os.WNOHANG)[0] == 0:
            assert time.monotonic() < end, "the child hangs"
            time.sleep(0.01)
    except AssertionError:
        os.kill(child, 9)
        os.waitpid(child, 0)
        raise
    finally:
        done.set()
        holder.join()
        store.close()


def test_a_store_is_collected_by_a_thread_that_has_its_locks(tmp_path: Path) -> None:
    store = ReplicatedStore(MemoryEngine().open(), tmp_path / "replica")
    proposer, applier, cycle = store._proposer, store._applier, [store]
    cycle.append(cycle)  # type: ignore[arg-type]
    del store, cycle

    def collect() -> None:
        with proposer._lock, applier._closing._cond:
            gc.collect()

    collecting = threading.Thread(target=collect, daemon=True)
    collecting.start()
    collecting.join(60)
    assert not collecting.is_alive()
    until(lambda: not any(each.is_alive() for each in [*proposer._threads, applier._thread]))


def test_a_member_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    engine = MemoryEngine()
    with ReplicatedStore(engine.open(), tmp_path / "replica") as store:
        store_id = bytes.fromhex(store._log.store_id.replace("-", ""))
        engine._land(body_record(store_id, b"s" * 16, 1, store._log.log_time(), "member", b"{"))
        store.append("s", EVENT)
        assert all(each.replica == store.path for each in store.members())


def test_a_record_with_the_last_time_that_there_is_does_not_end_all_appends(tmp_path: Path) -> None:
    engine = MemoryEngine()
    with ReplicatedStore(engine.open(), tmp_path / "replica") as store:
        store_id = bytes.fromhex(store._log.store_id.replace("-", ""))
        engine._land(body_record(store_id, b"s" * 16, 1, 1 << 46, "member", b"{}"))
        until(lambda: store._log.log_time() > 1 << 46)
        store.append("s", EVENT)
        assert store.head == 1


def test_reactions_on_a_replica_that_is_opened_by_its_path_are_refused(tmp_path: Path) -> None:
    with ReplicatedStore(MemoryEngine().open(), tmp_path / "replica") as store:
        store.append("a", [("Deposited", b'{"amount":1}')])
    with Act(tmp_path / "replica", Account) as app:

        @app.on(Deposited)
        def note(event: Committed[Deposited]) -> None: ...

        assert app.load(Account, "a").state.balance == 1
        for verb in (app.settle, lambda: list(app.targets()), app.store.reactions):  # type: ignore[attr-defined]
            with pytest.raises(ValidationError, match="open the store by its address"):
                verb()


def test_a_store_on_several_machines_is_copied_but_not_handed_over(tmp_path: Path) -> None:
    with ReplicatedStore(MemoryEngine().open(), tmp_path / "replica") as store:
        store.append("s", EVENT)
        with pytest.raises(ValidationError, match="hand_over=False"):
            move(store, tmp_path / "target")
        assert not (tmp_path / "target" / "log").exists() or not LogStore(tmp_path / "target").head
        move(store, tmp_path / "copy", hand_over=False)
        with LogStore(tmp_path / "copy") as copied:
            assert copied.head == 1
