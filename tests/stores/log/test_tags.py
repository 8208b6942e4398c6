"""Deciding on tags from many threads and processes at once: of those that compete, exactly one wins."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from act_fast import Append, Condition, ConditionError, ConflictError, Durability, LogStore, Query
from tests.support.processes import Tell, started

THREADS = 16
PROCESSES = 4
DURABILITIES: list[Durability] = ["fsync", "os"]
each_durability = pytest.mark.parametrize("durability", DURABILITIES)


@each_durability
def test_of_sixteen_threads_exactly_one_takes_the_last_seat(store_path: Path, durability: Durability) -> None:
    seats, rounds = 3, 6
    barrier = threading.Barrier(THREADS)
    with LogStore(store_path, durability=durability) as store:

        def enrol(number: int) -> list[str]:
            outcomes = []
            for turn in range(rounds):
                course = f"course:{turn}"
                boundary = Query.of(names=["Enrolled"], tags=[course])
                barrier.wait(60)
                while True:
                    after = store.head
                    taken = list(store.query(matching=boundary))
                    if len(taken) == seats:
                        outcomes.append("full")
                        break
                    event = ("Enrolled", b"{}", [course, f"student:{number}"])
                    try:
                        store.append(f"enrolment-{number}", [event], condition=Condition(boundary, after))
                    except ConditionError:
                        continue
                    outcomes.append("enrolled")
                    break
            return outcomes

        with ThreadPoolExecutor(THREADS) as pool:
            outcomes = list(pool.map(enrol, range(THREADS)))
        for turn in range(rounds):
            assert [each[turn] for each in outcomes].count("enrolled") == seats
            assert len(list(store.query(tags=[f"course:{turn}"]))) == seats
        assert store.verify().healthy


def invoicing(path: Path, durability: Durability, turns: int) -> Callable[[Tell], None]:
    def body(tell: Tell) -> None:
        series = Query.of(tags=["series:2026"])
        with LogStore(path, durability=durability) as store:
            done = 0
            while done < turns:
                after = store.head
                last = next(store.query(matching=series, backwards=True, limit=1), None)
                number = 1 + (json.loads(last.data)["number"] if last else 0)
                event = ("Invoiced", b'{"number":%d}' % number, ["series:2026", f"n:{number}"])
                try:
                    store.append(f"invoice-{number}", [event], condition=Condition(series, after))
                except ConflictError:
                    continue
                done += 1
        tell("done")

    return body


@each_durability
def test_invoices_of_four_processes_have_numbers_without_gap_or_double(
    store_path: Path, durability: Durability
) -> None:
    turns = 25
    LogStore(store_path, durability=durability).close()
    with started(*(invoicing(store_path, durability, turns) for _ in range(PROCESSES))) as processes:
        assert [process.next_line() for process in processes] == ["done"] * PROCESSES
    with LogStore(store_path, durability=durability) as store:
        numbers = [json.loads(event.data)["number"] for event in store.query(tags=["series:2026"])]
        assert numbers == list(range(1, PROCESSES * turns + 1))
        assert all(store.version(f"invoice-{number}") == 1 for number in numbers)
        assert store.verify().healthy


def own_boundary(path: Path, number: int, turns: int) -> Callable[[Tell], None]:
    def body(tell: Tell) -> None:
        with LogStore(path, durability="os") as store:
            after, mine = 0, Query.of(tags=[f"account:{number}"])
            for _ in range(turns):
                event = ("Deposited", b"1", [f"account:{number}", "all"])
                after = store.append("log", [event], condition=Condition(mine, after)).last_position
        tell("done")

    return body


def test_processes_with_boundaries_of_their_own_never_conflict(store_path: Path) -> None:
    turns = 100
    LogStore(store_path, durability="os").close()
    with started(*(own_boundary(store_path, number, turns) for number in range(PROCESSES))) as processes:
        assert [process.next_line() for process in processes] == ["done"] * PROCESSES
    with LogStore(store_path, durability="os") as store:
        assert len(list(store.query(tags=["all"]))) == PROCESSES * turns


def test_tags_and_conditions_hold_over_reopening_and_an_index_made_anew(store_path: Path) -> None:
    unique = Condition(Query.of(tags=["email:ada"]))
    with LogStore(store_path, durability="os") as store:
        store.append("a", [("Registered", b"1", ["email:ada"])], condition=unique)
    with LogStore(store_path, durability="os") as store:
        with pytest.raises(ConditionError):
            store.append("b", [("Registered", b"1", ["email:ada"])], condition=unique)
        store.rebuild_index()
        with pytest.raises(ConditionError) as caught:
            store.append_many([Append("b", [("Registered", b"1")], condition=unique)])
        assert caught.value.position == 1


@pytest.mark.parametrize("name", ["all.jsonl", "all.csv", "all.parquet"])
def test_an_export_and_its_restore_keep_tags(store_path: Path, tmp_path: Path, name: str) -> None:
    tagged = [(), ("a",), ("größe:ü", 'quote"d', "comma,'d"), ("x" * 512,)]
    with LogStore(store_path) as store:
        for number, tags in enumerate(tagged):
            store.append(f"s-{number % 2}", [("A", b"1", tags), ("B", b"2")])
        store.export(tmp_path / name)
        before = [(event.stream, event.name, event.tags) for event in store.query()]
    with LogStore(tmp_path / "restored") as restored:
        restored.restore(tmp_path / name)
        assert [(event.stream, event.name, event.tags) for event in restored.query()] == before
        assert [event.position for event in restored.query(tags=["a"])] == [3]
        with pytest.raises(ConditionError):
            restored.append("c", [("C", b"1")], condition=Condition(Query.of(tags=['quote"d'])))
        assert restored.verify().healthy


def test_a_backup_keeps_tags(store_path: Path, tmp_path: Path) -> None:
    with LogStore(store_path) as store:
        store.append("a", [("A", b"1", ["x", "y"])])
        store.backup(tmp_path / "copy")
    with LogStore(tmp_path / "copy") as copy:
        assert [event.tags for event in copy.query(tags=["y"])] == [("x", "y")]
