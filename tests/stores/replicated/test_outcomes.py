"""What a caller is told of an append is so, whatever becomes of acknowledgements."""

import threading
from concurrent.futures import Future
from pathlib import Path

import pytest

from act_fast import Appended, OutcomeUnknownError, StoreFullError
from act_fast._core import body_record
from act_fast.stores.ordered.memory import MemoryEngine, MemoryOrderedLog
from act_fast.stores.replicated.store import ReplicatedStore
from tests.stores.replicated.nodes import facts
from tests.support.processes import until

EVENT = [("Counted", b"{}")]
MANY = 100


class Reluctant(MemoryOrderedLog):
    """Answers for the first record that holds a word only when it is told to."""

    def __init__(self, engine: MemoryEngine, word: bytes, *, lands: bool, error: Exception | None) -> None:
        super().__init__(engine)
        self.asked, self.answer = threading.Event(), threading.Event()
        self._word, self._lands, self._error = word, lands, error

    def _submit(self, record: bytes) -> Future[int]:
        if self._word not in record or self.asked.is_set():
            return super()._submit(record)
        future: Future[int] = Future()
        place = self.engine._land(record) if self._lands else 0
        self.asked.set()

        def end() -> None:
            self.answer.wait()
            if self._error is None:
                future.set_result(place)
            else:
                future.set_exception(self._error)

        threading.Thread(target=end, daemon=True).start()
        return future


class Asked(threading.Thread):
    """An append in a thread of its own."""

    def __init__(self, store: ReplicatedStore, stream: str) -> None:
        super().__init__(daemon=True)
        self.outcome: list[Appended | Exception] = []
        self._store, self._stream = store, stream
        self.start()

    def run(self) -> None:
        try:
            self.outcome.append(self._store.append(self._stream, EVENT, expected_version=0))
        except Exception as error:
            self.outcome.append(error)


@pytest.mark.parametrize("lands", [True, False])
def test_a_lost_acknowledgement_may_take_longer_than_many_records_that_follow(tmp_path: Path, lands: bool) -> None:
    log = Reluctant(MemoryEngine(), b"slow-one", lands=lands, error=OutcomeUnknownError("no answer"))
    with ReplicatedStore(log, tmp_path / "replica") as store:
        asked = Asked(store, "slow-one")
        assert log.asked.wait(60)
        for _ in range(MANY):
            store.append("s", EVENT)
        log.answer.set()
        asked.join(60)
        position = 1 if lands else MANY + 1
        assert asked.outcome == [Appended(1, 1, position, position)]
        assert store.version("slow-one") == 1


def test_an_append_that_landed_but_cannot_be_looked_up_is_not_said_to_have_failed(tmp_path: Path) -> None:
    log = Reluctant(MemoryEngine(), b"slow-one", lands=True, error=None)
    store = ReplicatedStore(log, tmp_path / "replica")
    asked = Asked(store, "slow-one")
    assert log.asked.wait(60)
    store._log.close()  # as when a close is interrupted
    log.answer.set()
    asked.join(60)
    (outcome,) = asked.outcome
    assert isinstance(outcome, OutcomeUnknownError)
    store._proposer.close()
    store._applier.close()
    log.close()


def test_an_engine_that_has_lost_what_it_acknowledged_is_found_out(tmp_path: Path) -> None:
    engine = MemoryEngine()
    with ReplicatedStore(engine.open(), tmp_path / "replica") as store:
        for number in range(5):
            store.append("s", EVENT, expected_version=number)
        before = facts(store)
        with engine._changed:  # it goes on with what it had some records ago
            engine._entries, engine._head = engine._entries[:3], engine._entries[2].place
        with pytest.raises(OutcomeUnknownError, match="lost"):
            store.append("t", EVENT)
        assert facts(store) == before


def test_a_full_disk_is_said_at_once_and_appends_go_on_when_there_is_room(tmp_path: Path) -> None:
    engine = MemoryEngine()
    with ReplicatedStore(engine.open(), tmp_path / "replica") as store:
        store.append("s", EVENT)
        store_id = bytes.fromhex(store._log.store_id.replace("-", ""))
        with store._state._using() as connection:
            ((pages,),) = connection.execute("pragma page_count").fetchall()
            connection.execute(f"pragma max_page_count = {pages}")
        engine._land(body_record(store_id, b"s" * 16, 1, store._log.log_time(), "member", b" " * 50_000))
        until(lambda: store._applier.trouble)
        with pytest.raises(StoreFullError, match="nothing was appended"):
            store.append("s", EVENT)
        with store._state._using() as connection:
            connection.execute(f"pragma max_page_count = {pages + 1000}")
        until(lambda: not store._applier.trouble)
        store.append("s", EVENT, expected_version=1)
