"""Several nodes share a store: what one appends all have, and none has anything else."""

import os
import threading
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from act_fast import Act, Append, Committed, ConcurrencyError, OutcomeUnknownError, StoreError, ValidationError
from act_fast.stores.log.store import LogStore
from act_fast.stores.ordered.memory import Faults, MemoryEngine
from act_fast.stores.replicated.changes import Change, packed
from act_fast.stores.replicated.state import State
from act_fast.stores.replicated.store import ReplicatedStore
from tests.stores.replicated.nodes import at_once, facts, level, nodes
from tests.support.bank import Account, Deposited
from tests.support.processes import until

EVENT = [("Counted", b"{}")]
TURNS = int(os.environ.get("ACT_FAST_PROGRAMS", "10"))


def test_what_one_node_appends_the_others_have(tmp_path: Path) -> None:
    with nodes(tmp_path, 3) as (one, other, third):
        one.append("s1", EVENT)
        other.wait(0, timeout=60)
        other.append("s1", EVENT, expected_version=1)
        third.append_many([Append("s2", EVENT), Append("s3", EVENT)])
        assert [(position, stream, version) for position, stream, version, *_ in level((one, other, third))] == [
            (1, "s1", 1),
            (2, "s1", 2),
            (3, "s2", 1),
            (4, "s3", 1),
        ]


def test_of_many_that_expect_one_version_one_wins_whichever_node_it_is_on(tmp_path: Path) -> None:
    with nodes(tmp_path, 3) as stores:
        for turn in range(10):
            won: list[int] = []
            lost: list[tuple[str, int, int]] = []

            def append(
                at: int, turn: int = turn, won: list[int] = won, lost: list[tuple[str, int, int]] = lost
            ) -> None:
                try:
                    stores[at % 3].append("s", [("Won", f'{{"by":{at}}}'.encode())], expected_version=turn)
                    won.append(at)
                except ConcurrencyError as error:
                    lost.append((error.stream, error.expected, error.actual))

            at_once(*(partial(append, at) for at in range(9)))
            assert len(won) == 1
            assert lost == [("s", turn, turn + 1)] * 8
        assert len(level(stores)) == 10


def test_a_conflict_says_the_version_that_was_in_the_way(tmp_path: Path) -> None:
    with nodes(tmp_path, 1) as (store,):
        store.append("s", EVENT * 3)
        with pytest.raises(ConcurrencyError) as caught:
            store.append_many([Append("t", EVENT, 0), Append("s", EVENT, 1)])
        assert (caught.value.stream, caught.value.expected, caught.value.actual) == ("s", 1, 3)
        with pytest.raises(ConcurrencyError) as caught:
            store.append_many([Append("t", EVENT, 0), Append("t", EVENT, 0)])
        assert (caught.value.stream, caught.value.expected, caught.value.actual) == ("t", 0, 1)
        assert store.head == 3


@pytest.mark.parametrize("turn", range(TURNS))
def test_whatever_the_engine_does_what_was_acknowledged_is_there_once(tmp_path: Path, seed: int, turn: int) -> None:
    faults = Faults(
        seed=seed + turn, away=0.05, lost=0.1, landed=0.1, late=0.1, doubled=0.1, held=0.2, hidden=0.1, cut=0.05
    )
    acknowledged: list[bytes] = []
    refused: list[bytes] = []

    with nodes(tmp_path, 3, faults) as stores:

        def append(at: int) -> None:
            store = stores[at % 3]
            for number in range(15):
                data = f'{{"by":{at},"number":{number}}}'.encode()
                expected = store.version("shared") if number % 3 == 0 else None
                stream = f"own-{at}" if expected is None else "shared"
                try:
                    store.append(stream, [("Counted", data)], expected_version=expected)
                    acknowledged.append(data)
                except OutcomeUnknownError:
                    raise  # the engine answers within the time that it has
                except (ConcurrencyError, StoreError):
                    refused.append(data)

        at_once(*(partial(append, at) for at in range(6)))
        there = Counter(data for *_, data, _ in level(stores))
    assert all(there[data] == 1 for data in acknowledged), f"seed {seed + turn}"
    assert not any(there[data] for data in refused), f"seed {seed + turn}"


def test_a_replica_goes_on_where_it_was_when_it_is_opened_again(tmp_path: Path) -> None:
    engine = MemoryEngine()
    with ReplicatedStore(engine.open(), tmp_path / "one") as one:
        one.append("s", EVENT * 5)
    with ReplicatedStore(engine.open(), tmp_path / "other") as other:
        assert other.head == 5
        other.append("s", EVENT, expected_version=5)
    with ReplicatedStore(engine.open(), tmp_path / "one") as one:
        assert one.version("s") == 6
        assert not one.verify().problems


def test_several_handles_share_a_replica_and_another_one_applies_when_one_is_closed(tmp_path: Path) -> None:
    engine = MemoryEngine()
    first = ReplicatedStore(engine.open(), tmp_path / "replica")
    with ReplicatedStore(engine.open(), tmp_path / "replica") as second:
        first.append("s", EVENT)
        assert second.version("s") == 1
        second.append("s", EVENT, expected_version=1)
        first.close()
        second.append("s", EVENT, expected_version=2)
        assert second.version("s") == 3


def test_a_replica_refuses_to_be_written_to_as_a_log(tmp_path: Path) -> None:
    with nodes(tmp_path, 1) as (store,):
        store.append("s", EVENT)
        before = facts(store)
        with (
            LogStore(store.path, durability=None) as log,
            pytest.raises(ValidationError, match="replica"),
        ):
            log.append("s", EVENT)
        assert facts(store) == before


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    engine = MemoryEngine()
    ReplicatedStore(MemoryEngine().open(), tmp_path / "other").close()
    LogStore(tmp_path / "log").close()
    for name in ("other", "log"):
        with pytest.raises(StoreError):
            ReplicatedStore(engine.open(), tmp_path / name)


def test_a_log_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    engine = MemoryEngine()
    with engine.open() as log:
        log.append(b"hello")
    with pytest.raises(StoreError, match="another program"):
        ReplicatedStore(engine.open(), tmp_path / "replica")


def test_a_record_that_cannot_be_read_stops_the_replica_and_reads_go_on(tmp_path: Path) -> None:
    engine = MemoryEngine()
    with ReplicatedStore(engine.open(), tmp_path / "one") as store:
        store.append("s", EVENT)
        record = bytearray(engine.entries()[-1].record)
        record[-1] ^= 1
        with engine.open() as log:
            log.append(bytes(record))
        assert store.version("s") == 1
        until(lambda: store._applier.trouble)
        before = engine.entries()
        with pytest.raises(StoreError, match=r"nothing was appended: .*damaged"):
            store.append("s", EVENT)
        assert engine.entries() == before
    with pytest.raises(StoreError, match="damaged"):
        ReplicatedStore(engine.open(), tmp_path / "two")


def test_a_commit_that_does_not_fit_into_a_record_is_refused_before_it_is_proposed(tmp_path: Path) -> None:
    engine = MemoryEngine()
    with ReplicatedStore(engine.open(max_record=10_000), tmp_path / "one") as store:
        with pytest.raises(ValueError, match="does not fit into a record"):
            store.append("s", [("Large", b'"' + b"x" * 10_000 + b'"')])
        store.append("s", [("Small", b"{}")])
        assert store.head == 1


def test_an_app_runs_on_a_replica_as_on_a_log(tmp_path: Path) -> None:
    with nodes(tmp_path, 2) as (one, other):
        app, elsewhere = Act(one, Account), Act(other, Account)
        app.do(Account.open, "a", owner="Ada")
        other.wait(one.head - 1, timeout=60)
        elsewhere.do(Account.deposit, "a", amount=5)
        app.do(Account.deposit_at_last, "a", amount=7)
        other.wait(one.head - 1, timeout=60)
        assert elsewhere.load(Account, "a").state.balance == 12
        assert app.sql("select count(*) from events").fetchall() == [(3,)]


def test_every_event_is_handled_once_by_one_of_the_nodes_in_the_order_of_its_target(tmp_path: Path) -> None:
    with nodes(tmp_path, 3) as stores:
        handled: list[tuple[str, int]] = []
        apps = [Act(each, Account) for each in stores]
        for app in apps:

            @app.on(Deposited)
            def note(event: Committed[Deposited]) -> None:
                handled.append((event.stream, event.version))

        workers = [threading.Thread(target=app.run) for app in apps]
        for worker in workers:
            worker.start()
        try:
            for number in range(20):
                for stream in ("a", "b", "c", "d"):
                    apps[number % 3].do(Account.deposit_at_last, stream, amount=1)
            for stream in ("a", "b", "c", "d"):
                apps[0].wait_for(stores[0].head, stream, timeout=30)
        finally:
            for app in apps:
                app.stop()
            for worker in workers:
                worker.join()
        assert Counter(handled) == Counter((stream, version) for stream in "abcd" for version in range(1, 21))
        for stream in "abcd":
            assert [version for each, version in handled if each == stream] == list(range(1, 21))


def test_changes_of_different_lines_do_not_get_in_each_others_way(tmp_path: Path) -> None:
    def body(number: int, mark: int, *written: int) -> bytes:
        return Change(number, mark, 0, packed((address, bytes(64)) for address in written)).body()

    engine = MemoryEngine()
    with ReplicatedStore(engine.open(), tmp_path / "one") as store:
        propose = store._proposer.propose
        propose("reactions", body(1, 11, 1, 2))
        propose("reactions", body(1, 12, 3))  # has not seen the first, and has written another line
        propose("reactions", body(1, 13, 2, 4))  # has written one that the first has written, too
        propose("reactions", body(3, 14, 2, 4))
        propose("reactions", body(3, 14, 2, 4))  # the same once more
        propose("reactions", body(9, 15, 9))  # of a change that is not there yet
        assert kept(store) == [(1, 11), (2, 12), (3, 14)]
    with ReplicatedStore(engine.open(), tmp_path / "other") as store:
        assert kept(store) == [(1, 11), (2, 12), (3, 14)]


def kept(store: ReplicatedStore) -> list[tuple[int, int]]:
    with closing(State(Path(store.path) / "replica")) as state:
        return [(number, mark) for number, mark, _ in state.changes(0)]


def test_many_targets_are_changed_at_once_although_their_lines_are_more_than_a_record_may_have(tmp_path: Path) -> None:
    count, engine = 2_000, MemoryEngine()
    with ReplicatedStore(engine.open(max_record=count * 64), tmp_path / "replica") as store:
        app = Act(store, Account)

        @app.on(Deposited)
        def note(event: Committed[Deposited]) -> None:
            pass

        for at in range(0, count, 500):
            store.append_many([Append(f"a-{each}", [("Deposited", b'{"amount":1}')]) for each in range(at, at + 500)])
        while not app.correlate(500).caught_up:
            pass
        assert app.block(pattern="a-", error="closed for today") == count
        assert app.unblock(pattern="a-") == count
