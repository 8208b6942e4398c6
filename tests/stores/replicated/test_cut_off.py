"""A machine that cannot reach the engine reads its replica, says so when it is to append, and goes on by itself."""

import threading
from concurrent.futures import Future
from pathlib import Path

import pytest

from act_fast import Act, Committed, StoreError, StoreFullError
from act_fast._core import body_record
from act_fast.errors import EngineAwayError, StoreFormatError
from act_fast.monitoring import look
from act_fast.stores.ordered.memory import MemoryEngine, MemoryOrderedLog
from act_fast.stores.ordered.port import Entry
from act_fast.stores.replicated import proposer
from act_fast.stores.replicated.late import LateLog
from act_fast.stores.replicated.store import ReplicatedStore
from tests.stores.replicated.nodes import facts
from tests.support.bank import Account, Deposited
from tests.support.nats import NatsServers
from tests.support.processes import until
from tests.support.proxy import Proxy

EVENT = [("Counted", b"{}")]


class CutLog(MemoryOrderedLog):
    """A log that cannot be reached as long as `cut` is set."""

    def __init__(self, engine: MemoryEngine) -> None:
        super().__init__(engine)
        self.cut = threading.Event()

    def _submit(self, record: bytes) -> Future[int]:
        self._check_reached()
        return super()._submit(record)

    def _read(self, after: int, bytes_max: int, timeout: float) -> list[Entry]:
        self._check_reached()
        return super()._read(after, bytes_max, timeout)

    def _head(self) -> int:
        self._check_reached()
        return super()._head()

    def _first(self) -> int:
        self._check_reached()
        return super()._first()

    def _check_reached(self) -> None:
        if self.cut.is_set():
            raise EngineAwayError(f"{self.name} cannot be reached")


def note(event: Committed[Deposited]) -> None: ...


def test_a_machine_that_is_cut_off_reads_and_goes_on_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposer, "_PATIENCE_SECONDS", 3600.0)  # an append that cannot be sent is not waited for
    engine, path = MemoryEngine(), tmp_path / "replica"
    with ReplicatedStore(engine.open(), path) as store, Act(store, Account) as app:
        app.on(Deposited)(note)
        app.do(Account.deposit, "a", amount=1)
        app.settle()
        app.do(Account.deposit, "a", amount=2)
    log = CutLog(engine)
    log.cut.set()
    with ReplicatedStore(log, path) as store, Act(store, Account) as app:
        app.on(Deposited)(note)
        assert app.load(Account, "a").state.balance == 3
        assert app.load(Account, "a", at=1).state.balance == 1
        assert app.sql("select count(*) from events").fetchall() == [(2,)]
        assert store.wait(2, timeout=0.01) == 2
        with pytest.raises(TimeoutError, match="nothing new arrives on this machine: memory"):
            app.wait_for(3, "a", timeout=0.01)
        with pytest.raises(EngineAwayError, match="nothing was appended"):
            app.do(Account.deposit, "a", amount=4)
        with pytest.raises(EngineAwayError):
            _ = store.lag
        assert "cannot be reached" in store.trouble
        assert look(app).replica.trouble
        with ReplicatedStore(engine.open(), tmp_path / "other") as other:
            other.append("a", [("Deposited", b'{"amount":8}')])
        log.cut.clear()
        until(lambda: store.head == 3)
        app.do(Account.deposit, "a", amount=16)
        assert app.load(Account, "a").state.balance == 27
        assert not store.trouble
        until(lambda: not store.lag)  # what the node says of itself comes back, too


def test_a_machine_that_is_cut_off_and_has_no_replica_says_so(tmp_path: Path) -> None:
    log = CutLog(MemoryEngine())
    log.cut.set()
    with pytest.raises(EngineAwayError):
        ReplicatedStore(log, tmp_path / "replica")
    assert not (tmp_path / "replica").exists()


def test_what_is_reached_at_last_must_be_the_log_of_this_store(tmp_path: Path) -> None:
    engine, other = MemoryEngine(), MemoryEngine()
    for each, name in ((engine, "replica"), (other, "other")):
        with ReplicatedStore(each.open(), tmp_path / name) as store:
            store.append("s", EVENT)
    before = other.entries()
    log = CutLog(other)
    log.cut.set()
    with ReplicatedStore(log, tmp_path / "replica") as store:
        log.cut.clear()
        until(lambda: "another store" in store.trouble)
        with pytest.raises(StoreError, match="another store"):
            store.append("s", EVENT)
        assert store.head == 1
    assert other.entries() == before
    with pytest.raises(StoreFormatError):
        ReplicatedStore(other.open(), tmp_path / "replica")


def test_a_store_that_is_dropped_while_it_is_cut_off_tries_no_longer(tmp_path: Path) -> None:
    engine, path = MemoryEngine(), tmp_path / "replica"
    ReplicatedStore(engine.open(), path).close()
    log = CutLog(engine)
    log.cut.set()
    store = ReplicatedStore(log, path)
    late, threads = store._ordered, [store._applier._thread, *store._proposer._threads]
    assert isinstance(late, LateLog)
    del store
    until(lambda: not any(each.is_alive() for each in [late._thread, *threads]))


def test_on_nats_it_is_the_same(tmp_path: Path, nats_cluster: NatsServers) -> None:
    with Proxy(nats_cluster.ports[0]) as proxy:
        address = nats_cluster.url("cut_off", ports=[proxy.port]) + f"?replica={tmp_path}/replica"
        with ReplicatedStore(address) as store:
            store.append("s", EVENT)
        port = proxy.port
    with ReplicatedStore(address) as store:
        assert len(facts(store)) == 1
        with pytest.raises(EngineAwayError, match="nothing was appended"):
            store.append("s", EVENT)
        with Proxy(nats_cluster.ports[0], port):
            until(lambda: not store.trouble)
            store.append("s", EVENT, expected_version=1)
            assert store.version("s") == 2


def test_trouble_of_the_one_that_applies_is_seen_by_all_who_share_the_replica(tmp_path: Path) -> None:
    engine, path = MemoryEngine(), tmp_path / "replica"
    with ReplicatedStore(engine.open(), path) as one, ReplicatedStore(engine.open(), path) as two:
        one.append("s", EVENT)
        assert one._applier.applies
        assert not two._applier.applies
        store_id = bytes.fromhex(one._log.store_id.replace("-", ""))
        with one._state._using() as connection:
            ((pages,),) = connection.execute("pragma page_count").fetchall()
            connection.execute(f"pragma max_page_count = {pages}")
        engine._land(body_record(store_id, b"s" * 16, 1, one._log.log_time(), "member", b" " * 50_000))
        until(lambda: one.trouble and two.trouble)
        assert "there is no room" in two.trouble
        assert "which applies" in two.trouble
        with pytest.raises(StoreFullError, match="nothing was appended"):
            two.append("s", EVENT)
        with one._state._using() as connection:
            connection.execute(f"pragma max_page_count = {pages + 1000}")
        until(lambda: not two.trouble)
        two.append("s", EVENT, expected_version=1)


def test_trouble_ends_with_the_one_that_applies(tmp_path: Path) -> None:
    engine, path = MemoryEngine(), tmp_path / "replica"
    log = CutLog(engine)
    with ReplicatedStore(log, path) as one, ReplicatedStore(engine.open(), path) as two:
        two.append("s", EVENT)
        assert one._applier.applies
        log.cut.set()
        until(lambda: two.trouble)
        one.close()
        until(lambda: not two.trouble)
        two.append("s", EVENT, expected_version=1)
