"""What is said of the replica of a store on several machines."""

import time
from pathlib import Path

import pytest

from act_fast import Act, ConcurrencyError, EngineAwayError, LogStore
from act_fast.monitoring import check_health, look, metrics_text
from act_fast.stores.ordered.memory import MemoryEngine
from act_fast.stores.replicated import ReplicatedStore
from tests.support.bank import Account
from tests.support.processes import until

EVENT = [("Counted", b"{}")]


def test_a_replica_that_keeps_up_is_healthy(tmp_path: Path) -> None:
    with ReplicatedStore(MemoryEngine().open(), tmp_path / "one") as store:
        store.append("s", EVENT)
        while (overview := look(store)).replica is None or overview.replica.lag or not overview.replica.members:
            time.sleep(0.01)  # until what it says of itself has come back
        assert (overview.replica.lag, overview.replica.members, overview.replica.trouble) == (0, 1, "")
        assert check_health(store).healthy
        assert "act_fast_replica_members 1\n" in metrics_text(store)
        assert "act_fast_replica_stuck 0\n" in metrics_text(store)


def test_an_engine_that_is_away_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = MemoryEngine().open()
    with ReplicatedStore(log, tmp_path / "one") as store:

        def away() -> int:
            raise EngineAwayError("memory is away")

        monkeypatch.setattr(log, "head", away)
        overview = look(store)
        assert overview.replica is not None
        assert (overview.replica.lag, overview.replica.trouble) == (None, "memory is away")
        assert not check_health(store).healthy
        assert "act_fast_replica_stuck 1\n" in metrics_text(store)


def test_what_was_proposed_is_counted(tmp_path: Path) -> None:
    with Act(ReplicatedStore(MemoryEngine().open(), tmp_path / "one"), Account) as app:
        for amount in (1, 2, 3):
            app.do(Account.deposit, "a", amount=amount)
        with pytest.raises(ConcurrencyError):
            app.store.append("a", EVENT, expected_version=1)
        store = app.store
        assert isinstance(store, ReplicatedStore)
        until(lambda: store.proposed.commits == 4)
        assert (store.proposed.refused, store.proposed.failed, store.proposed.unknown) == (1, 0, 0)
        assert 0 < store.proposed.records <= 4
        assert 0 < store.proposed.seconds < 60
        text = metrics_text(app)
        assert "act_fast_proposed_commits_total 4\n" in text
        assert "act_fast_proposed_refused_total 1\n" in text
        assert "act_fast_replica_set_aside 0\n" in text
        assert "act_fast_proposed_commits_total 4\n" in metrics_text(store)
        store.close()


def test_a_store_on_one_machine_has_no_replica() -> None:
    with LogStore.memory() as store:
        assert look(store).replica is None
        assert "replica" not in metrics_text(store)
