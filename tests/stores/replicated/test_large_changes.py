"""What is too large for one record: a change of reactions goes in parts, a commit is refused before it is proposed."""

from pathlib import Path

import pytest

from act_fast import Act, Committed, ValidationError
from act_fast._core import body_record, commits_record
from act_fast.stores.ordered.memory import MemoryEngine
from act_fast.stores.replicated.changes import Change, ChangePart, packed
from act_fast.stores.replicated.state import Applied, State
from act_fast.stores.replicated.store import ReplicatedStore
from tests.stores.replicated.nodes import facts, level
from tests.support.bank import Account, Deposited
from tests.support.processes import until

RECORD_BYTES = 20_000
TARGETS = 1_000


def test_a_change_of_many_targets_is_one_change_on_every_node(tmp_path: Path) -> None:
    engine, handled = MemoryEngine(), []

    def app_on(store: ReplicatedStore) -> Act:
        app = Act(store, Account)

        @app.on(Deposited)
        def note(event: Committed[Deposited]) -> None:
            handled.append(event.stream)

        return app

    with (
        ReplicatedStore(engine.open(max_record=RECORD_BYTES), tmp_path / "one") as one,
        ReplicatedStore(engine.open(max_record=RECORD_BYTES), tmp_path / "two") as two,
    ):
        app = app_on(one)
        for number in range(TARGETS):
            one.append(f"account-{number}", [("Deposited", b'{"amount":1}')])
        app.settle()
        assert len(handled) == TARGETS
        assert app.reset(pattern="account") == TARGETS
        app.settle()
        assert len(handled) == 2 * TARGETS
        level((one, two))
        number, mark, *_ = one._state.standing(0, 0)
        until(lambda: two._state.standing(0, 0)[:2] == (number, mark))
        assert sum(1 for _ in app_on(two).targets()) == TARGETS
        assert two._state._ask("select count(*) from parts") == [(0,)]


def _parts(number: int, mark: int, lines: int) -> list[Applied]:
    change = Change(number, mark, 0, packed((number * 1000 + at, b"x" * 64) for at in range(lines)))
    parts = ChangePart.of(change, 1000)
    return [Applied(at, "part", b"s" * 16, at, 1000, part.body()) for at, part in enumerate(parts, mark * 100)]


@pytest.mark.parametrize("seed", range(3))
def test_parts_may_come_in_any_order_and_once_more(tmp_path: Path, seed: int) -> None:
    import random

    dice = random.Random(seed)
    first, second = _parts(1, 7, 50), _parts(2, 8, 50)
    states = [State(tmp_path / name) for name in ("plain", "mixed")]
    states[0].take(first + second, [])
    places = [each.place for each in first]
    dice.shuffle(first)
    first = [each._replace(place=place) for place, each in zip(places, first, strict=True)]
    for each in first:
        states[1].take([each], [])
        if dice.random() < 0.5:
            states[1].take([each], [])
    states[1].take(first[-3:], [])  # as after a crash
    states[1].take(second, [])
    assert states[0].changes(0) == states[1].changes(0)
    assert [number for number, *_ in states[0].changes(0)] == [1, 2]
    for state in states:
        state.close()


def test_a_change_without_its_last_part_never_counts_and_is_forgotten(tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    parts = _parts(1, 7, 50)
    assert not state.take(parts[:-1], [])
    later = [each._replace(time_ms=10_000_000) for each in _parts(1, 9, 50)]
    assert state.take(later, [])
    assert not state.take([parts[-1]._replace(time_ms=10_000_000, place=later[-1].place + 1)], [])
    assert [mark for _, mark, _ in state.changes(0)] == [9]
    assert state._ask("select count(*) from parts") == [(1,)]
    state.close()


def test_a_part_that_is_none_stops_the_replica_and_loses_nothing(tmp_path: Path) -> None:
    engine = MemoryEngine()
    with ReplicatedStore(engine.open(), tmp_path / "replica") as store:
        store.append("s", [("Counted", b"{}")])
        store_id = bytes.fromhex(store._log.store_id.replace("-", ""))
        engine._land(body_record(store_id, b"s" * 16, 1, store._log.log_time(), "part", b"nothing"))
        until(lambda: "too short" in store.trouble)
        assert len(facts(store)) == 1
    with pytest.raises(Exception, match="too short"):
        ReplicatedStore(engine.open(), tmp_path / "replica")
    assert not list(tmp_path.glob("replica.*")), "it is the record that is damaged, and not the replica"


def test_a_commit_that_is_too_large_is_refused_before_it_is_proposed(tmp_path: Path) -> None:
    engine = MemoryEngine()
    with ReplicatedStore(engine.open(max_record=RECORD_BYTES), tmp_path / "replica") as store:
        before = engine.entries()
        with pytest.raises(ValidationError, match=r"may have 20,000 bytes in memory"):
            store.append("s", [("Counted", b'"' + b"x" * RECORD_BYTES + b'"')])
        assert engine.entries() == before


def test_meta_that_is_no_json_is_refused_by_every_replica(tmp_path: Path) -> None:
    engine = MemoryEngine()
    with ReplicatedStore(engine.open(), tmp_path / "replica") as store:
        store_id = bytes.fromhex(store._log.store_id.replace("-", ""))
        commits = [(1000, meta, [("s", [("Counted", b"{}")], None)]) for meta in (b"{", b'{"actor":"me"}', b"")]
        engine._land(commits_record(store_id, b"s" * 16, 1, store._log.log_time(), commits))
        until(lambda: store.head)
        assert store.head == 2
