"""`do` and `decide` under a key: done once, and answered alike, whoever asks and whatever became of the first."""

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from act_fast import (
    Act,
    Actor,
    Append,
    AsyncAct,
    Causation,
    ConcurrencyError,
    DefinitionError,
    Event,
    InvariantError,
    KeyReusedError,
    LogStore,
    Meta,
    State,
    Tag,
    ValidationError,
    View,
    action,
    at,
    decision,
    invariant,
    reducer,
    total,
)
from act_fast.stores.ordered.memory import MemoryEngine
from act_fast.stores.replicated.store import ReplicatedStore

CANCELLED = 50
THREADS = 8


class Deposited(Event):
    amount: int


class Withdrawn(Event):
    amount: int


class Account(State):
    balance: int = total(Deposited.amount) - total(Withdrawn.amount)

    @action(retries=30)
    def deposit(self, amount: int, note: Any = None) -> Deposited:
        return Deposited(amount)

    @action(retries=30)
    def fill_up(self, upto: int) -> Deposited | None:
        return Deposited(upto - self.balance) if self.balance < upto else None

    @action(retries=30)
    def twice(self, amount: int) -> list[Event]:
        return [Deposited(amount), Withdrawn(1)]

    @invariant("has money")
    def has_money(self) -> bool:
        return self.balance > 0

    @action(requires=[has_money])
    def withdraw(self, amount: int) -> Withdrawn:
        return Withdrawn(amount)


@pytest.fixture
def app() -> Iterator[Act]:
    with Act("memory:", Account) as app:
        yield app


def test_a_do_under_a_key_is_done_once_and_answers_the_state_of_the_first_time(app: Act) -> None:
    first = app.once("k").do(Account.twice, "a", amount=50)
    app.do(Account.deposit, "a", amount=20)
    again = app.once("k").do(Account.twice, "a", amount=50)
    for each in (first, again):
        assert (each.state.balance, each.version, each.position, each.appended) == (49, 2, 2, 2)
        assert [event.data for event in each.events] == [Deposited(50), Withdrawn(1)]
    assert (first.repeated, again.repeated) == (False, True)
    assert app.load(Account, "a").state.balance == 69


def test_it_is_not_decided_again_by_another_state(app: Act) -> None:
    assert app.once("k").do(Account.fill_up, "a", upto=50).state.balance == 50
    app.do(Account.withdraw, "a", amount=10)
    assert app.once("k").do(Account.fill_up, "a", upto=50).version == 1
    assert app.load(Account, "a").state.balance == 40


@pytest.mark.parametrize(
    "ask",
    [
        lambda keyed: keyed.do(Account.deposit, "a", amount=2),
        lambda keyed: keyed.do(Account.deposit, "b", amount=1),
        lambda keyed: keyed.do(Account.fill_up, "a", upto=1),
    ],
    ids=["argument", "stream", "action"],
)
def test_another_request_under_the_same_key_is_refused(app: Act, ask: Callable[[Act], object]) -> None:
    app.once("k").do(Account.deposit, "a", amount=1)
    with pytest.raises(KeyReusedError) as refused:
        ask(app.once("k"))
    assert (refused.value.key, refused.value.position) == ("k", 1)
    assert "'k'" in str(refused.value)
    assert app.store.head == 1


def test_arguments_are_the_same_however_they_are_given(app: Act) -> None:
    app.once("k").do(Account.deposit, "a", 1, note={"b": {1, 2}, "a": 1})
    assert app.once("k").do(Account.deposit, "a", amount=1, note={"a": 1, "b": {2, 1}}).repeated


def test_what_the_store_was_given_under_a_key_is_another_request(app: Act) -> None:
    app.store.append("a", [Deposited(1)], key="k")
    with pytest.raises(KeyReusedError):
        app.once("k").do(Account.deposit, "a", amount=1)


def test_what_appends_nothing_leaves_its_key_free(app: Act) -> None:
    with pytest.raises(InvariantError):
        app.once("k").do(Account.withdraw, "a", amount=1)
    app.do(Account.deposit, "a", amount=5)
    assert app.once("k").do(Account.fill_up, "a", upto=5).version == 1
    assert app.once("k").do(Account.withdraw, "a", amount=1).version == 2


def test_a_repetition_is_answered_whatever_has_become_of_the_stream(app: Act) -> None:
    first = app.expecting(0).once("k").do(Account.deposit, "a", amount=1)
    app.close_stream(Account, "a")
    assert app.expecting(0).once("k").do(Account.deposit, "a", amount=1).version == first.version == 1
    with pytest.raises(ConcurrencyError):
        app.expecting(1).once("l").do(Account.deposit, "b", amount=1)
    assert not app.expecting(0).once("l").do(Account.deposit, "b", amount=1).repeated


def test_a_key_does_not_count_who_asks_and_observers_hear_of_one_commit(app: Act) -> None:
    heard: list[int] = []
    app.observe("committed", lambda snapshot: heard.append(snapshot.version))
    app.acting(Actor("ada")).once("k").do(Account.deposit, "a", amount=1)
    app.acting(Actor("bob")).once("k").do(Account.deposit, "a", amount=1)
    assert heard == [1]
    (event,) = app.query()
    assert event.meta.actor == Actor("ada")
    assert event.tags == ("key=k",)


def test_what_cannot_be_told_apart_or_is_no_key_is_refused(app: Act) -> None:
    with pytest.raises(ValidationError, match=r"Account\.deposit cannot be done once"):
        app.once("k").do(Account.deposit, "a", amount=1, note=object())
    for wrong in ("", "a\nb", "x" * 509):
        with pytest.raises(ValidationError):
            app.once(wrong).do(Account.deposit, "a", amount=1)
    with pytest.raises(ValidationError):
        app.once(7)  # type: ignore[arg-type]
    assert app.store.head == 0


def test_a_store_that_keeps_no_keys_says_so() -> None:
    class Overridden(LogStore):
        pass

    with Overridden.memory() as store:
        app = Act(store, Account)
        with pytest.raises(ValidationError, match="Overridden keeps no keys"):
            app.once("k").do(Account.deposit, "a", amount=1)


def test_of_many_callers_at_once_one_acts_and_all_get_its_answer(tmp_path: Path) -> None:
    with Act(tmp_path / "bank.act", Account) as app:
        start = threading.Barrier(THREADS)

        def ask(_: int) -> list[tuple[int, int]]:
            start.wait(60)
            found = [app.once(f"k-{turn}").do(Account.deposit, "a", amount=1) for turn in range(10)]
            return [(each.version, each.state.balance) for each in found]

        with ThreadPoolExecutor(THREADS) as threads:
            answers = list(threads.map(ask, range(THREADS)))
        assert all(each == answers[0] for each in answers)
        assert sorted(answers[0]) == [(turn, turn) for turn in range(1, 11)]
        assert app.load(Account, "a").version == 10


async def test_fifty_that_were_cancelled_are_done_once_when_they_are_asked_again(tmp_path: Path) -> None:
    async with AsyncAct(tmp_path / "bank.act", Account) as app:
        tasks = [
            asyncio.create_task(app.once(f"k-{number}").do(Account.deposit, f"a-{number % 5}", amount=1))
            for number in range(CANCELLED)
        ]
        while app.sync.store.head < CANCELLED // 5:  # some are done, some under way, some have not begun
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert any(isinstance(each, asyncio.CancelledError) for each in outcomes)
        done = app.sync.store.head
        again = await asyncio.gather(
            *(app.once(f"k-{number}").do(Account.deposit, f"a-{number % 5}", amount=1) for number in range(CANCELLED))
        )
        assert sum(each.repeated for each in again) == done
        assert app.sync.store.head == CANCELLED
        for stream in range(5):
            assert (await app.load(Account, f"a-{stream}")).state.balance == CANCELLED // 5


ASKING = """
import sys
from act_fast import Act
from tests.app.test_once import Account

with Act(sys.argv[1], Account) as app:
    print("ready", flush=True)
    number = int(sys.argv[2])
    while True:
        app.once(f"k-{number}").do(Account.deposit, "a", amount=1)
        number += 1
"""


def test_what_a_killed_process_may_have_done_is_done_once_when_another_asks(tmp_path: Path) -> None:
    path, root = tmp_path / "bank.act", Path(__file__).parents[2]
    asked = 0
    for _ in range(3):
        command = [sys.executable, "-c", ASKING, str(path), str(asked)]
        process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE)
        with process:
            assert process.stdout is not None
            process.stdout.readline()
            with Act(path, Account) as app:
                app.store.wait(asked + 20, timeout=60)
                process.send_signal(signal.SIGKILL)
                process.wait(60)
                # It died in the middle of one, and nobody knows which: all that it may have asked is asked again.
                asked = app.store.head + 5
                for number in range(asked):
                    assert app.once(f"k-{number}").do(Account.deposit, "a", amount=1).version == number + 1
                assert app.load(Account, "a").state.balance == asked


def test_keys_survive_backup_export_and_restore(tmp_path: Path) -> None:
    with Act(tmp_path / "bank.act", Account) as app:
        first = app.once("k").do(Account.twice, "a", amount=50)
        given = app.store.append_many([Append("b", [Deposited(1)]), Append("c", [Deposited(2)])], key="l")
        app.store.backup(tmp_path / "backup.act")  # type: ignore[attr-defined]
        for kind in ("jsonl", "csv", "parquet"):
            app.export(tmp_path / f"out.{kind}")
            with Act(tmp_path / f"{kind}.act", Account) as other:
                other.restore(tmp_path / f"out.{kind}", replace=True)
    for name in ("backup", "jsonl", "csv", "parquet"):
        with Act(tmp_path / f"{name}.act", Account) as app:
            again = app.once("k").do(Account.twice, "a", amount=50)
            assert (again.version, again.position, again.repeated) == (first.version, first.position, True), name
            appends = [Append("b", [Deposited(1)]), Append("c", [Deposited(2)])]
            assert app.store.append_many(appends, key="l") == given
            with pytest.raises(KeyReusedError):
                app.store.append("b", [Deposited(1)], key="l")


def test_a_key_counts_as_used_for_as_long_as_the_store_keeps_it(tmp_path: Path) -> None:
    for wrong in (timedelta(hours=23), timedelta(0), 7, "1d"):
        with pytest.raises(ValidationError, match="keys_for"):
            LogStore(tmp_path / "bank.act", keys_for=wrong)  # type: ignore[arg-type]
    old = tmp_path / "old.jsonl"
    with LogStore(tmp_path / "bank.act", keys_for=timedelta(days=1)) as store:
        store.append("a", [Deposited(1)], key="k")
        store.export(old)
    line = old.read_text()
    created = line.partition('"created":"')[2].partition('"')[0]
    old.write_text(line.replace(created, "2020-01-01T00:00:00Z"))
    with LogStore(tmp_path / "old.act", keys_for=timedelta(days=1)) as store:
        store.restore(old, replace=True)
        assert store.append("a", [Deposited(2)], key="k").first_version == 2
        assert store.append("a", [Deposited(2)], key="k").first_version == 2
        with pytest.raises(KeyReusedError):
            store.append("a", [Deposited(1)], key="k")
    for name, forever in (("forever.act", None), ("longest.act", timedelta.max)):
        with LogStore(tmp_path / name, keys_for=forever) as store:
            store.restore(old, replace=True)
            assert store.append("a", [Deposited(1)], key="k").first_version == 1


def test_in_memory_the_age_of_a_key_goes_by_the_clock_that_a_test_moves() -> None:
    with pytest.raises(ValidationError, match="keys_for"):
        LogStore.memory(keys_for=timedelta(hours=23))
    with LogStore.memory(keys_for=timedelta(days=2)) as store:
        app = Act(store, Account)
        for _ in range(2):
            assert not app.once("k").do(Account.deposit, "a", amount=50).repeated
            app.testing.advance(days=1)
            assert app.once("k").do(Account.deposit, "a", amount=50).repeated
            with pytest.raises(KeyReusedError):
                store.append("b", [Deposited(1)], key="k")
            app.testing.advance(days=1)
        assert store.append("b", [Deposited(1)], key="k").first_version == 1


class Seat(Event):
    course: Tag[str]
    who: str


class Course(View, name="course"):
    taken: int = 0

    @reducer
    def seat(self, event: Seat) -> None:
        self.taken += 1


@decision(retries=20)
def take(course: Course, account: Account, who: str) -> list[Event | Append]:
    return [Seat("art", who), Append("account-7", [Deposited(account.balance + 1)])]


def test_a_decision_under_a_key_is_made_once(app: Act) -> None:
    given = Course.of("art"), at(Account, "account-7")
    first = app.once("k").decide(take, *given, "ada")
    app.decide(take, *given, "bob")
    again = app.once("k").decide(take, *given, "ada")
    assert not first.repeated
    assert again.repeated
    assert (list(again.events), again.appended, again.position) == (list(first.events), first.appended, first.position)
    assert app.store.head == 4
    with pytest.raises(KeyReusedError):
        app.once("k").decide(take, *given, "cyd")
    with pytest.raises(KeyReusedError):
        app.once("k").decide(take, Course.of("music"), at(Account, "account-7"), "ada")


def test_several_actions_under_a_key_are_done_once(app: Act) -> None:
    app.do(Account.deposit, "a", amount=100)
    calls = Account.withdraw.at("a", amount=30), Account.deposit.at("b", amount=30), Account.fill_up.at("a", upto=1)
    first = app.once("k").do_many(*calls)
    app.do(Account.deposit, "b", amount=1)
    again = app.once("k").do_many(*calls)
    for each in (first, again):
        assert [(one.stream, one.version, one.state.balance) for one in each] == [
            ("a", 2, 70),
            ("b", 1, 30),
            ("a", 2, 70),
        ]
    assert [one.repeated for one in (*first, *again)] == [False] * 3 + [True] * 3
    assert app.store.head == 4
    with pytest.raises(KeyReusedError):
        app.once("k").do_many(*calls[:2])
    with pytest.raises(KeyReusedError):
        app.once("k").do(Account.withdraw, "a", amount=30)


def test_of_many_that_decide_at_once_one_appends(app: Act) -> None:
    start = threading.Barrier(THREADS)

    def ask(_: int) -> list[int]:
        start.wait(60)
        given = Course.of("art"), at(Account, "account-7")
        return [app.once(f"k-{turn}").decide(take, *given, "ada").position for turn in range(5)]

    with ThreadPoolExecutor(THREADS) as threads:
        answers = list(threads.map(ask, range(THREADS)))
    assert all(each == answers[0] for each in answers)
    assert app.store.head == 10


def test_any_node_of_a_replicated_store_gives_the_answer(tmp_path: Path) -> None:
    engine = MemoryEngine()
    with (
        ReplicatedStore(engine.open("one"), tmp_path / "one") as one,
        ReplicatedStore(engine.open("two"), tmp_path / "two") as two,
    ):
        apps = [Act(store, Account) for store in (one, two)]
        start = threading.Barrier(2)

        def ask(app: Act) -> list[tuple[int, int]]:
            start.wait(60)
            found = [app.once(f"k-{turn}").do(Account.deposit, "a", amount=turn) for turn in range(20)]
            return [(each.version, each.state.balance) for each in found]

        with ThreadPoolExecutor(2) as threads:
            answers = list(threads.map(ask, apps))
        assert answers[0] == answers[1]
        assert one.head == 20
        with pytest.raises(KeyReusedError):
            apps[1].once("k-3").do(Account.deposit, "a", amount=4)
        given = [Append("b", [Deposited(1)]), Append("c", [Deposited(2)])]
        assert one.append_many(given, key="l") == two.append_many(given, key="l")
        with pytest.raises(KeyReusedError):
            two.append("b", [Deposited(1)], key="l")


def test_an_action_cannot_do_anything_once(app: Act) -> None:
    class Wrong(State):
        @action
        def go(self) -> Deposited:
            app.once("k").do(Account.deposit, "a", amount=1)
            return Deposited(1)

    with Act("memory:", Wrong, debug=True) as wrong, pytest.raises(DefinitionError):
        wrong.do(Wrong.go, "w")


class Thing(State):
    @action
    def measure(self, value: float | None) -> Deposited:
        return Deposited(1)

    @action
    def name(self, by: dict[int, str]) -> Deposited:
        return Deposited(1)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_json_would_have_as_null_is_not_the_same_as_none(value: float) -> None:
    with Act("memory:", Thing) as app:
        app.once("k").do(Thing.measure, "a", value=None)
        with pytest.raises(ValidationError, match="no number"):
            app.once("k").do(Thing.measure, "a", value=value)


def test_keys_of_a_dict_need_not_be_text() -> None:
    with Act("memory:", Thing) as app:
        app.once("k").do(Thing.name, "a", by={1: "b", 2: "a"})
        assert app.once("k").do(Thing.name, "a", by={2: "a", 1: "b"}).repeated
        with pytest.raises(KeyReusedError):
            app.once("k").do(Thing.name, "a", by={1: "b"})


@decision
def top_up(account: Account, amount: int, /, *others: int, by: str = "me", **more: int) -> Deposited:
    return Deposited(amount)


@decision
def fill(account: Account, amount: int = 5) -> Deposited:
    return Deposited(amount)


def test_a_decision_is_the_same_however_its_arguments_are_spelled(app: Act) -> None:
    account = at(Account, "a")
    app.once("k").decide(fill, account)
    assert app.once("k").decide(fill, account, 5).repeated
    assert app.once("k").decide(fill, account, amount=5).repeated
    with pytest.raises(KeyReusedError):
        app.once("k").decide(fill, account, 6)
    app.once("l").decide(top_up, account, 1, 2, 3, left=4)
    assert app.once("l").decide(top_up, account, 1, 2, 3, by="me", left=4).repeated
    with pytest.raises(KeyReusedError):
        app.once("l").decide(top_up, account, 1, 2, 4, left=4)


def test_calls_of_one_commit_on_one_stream_are_each_answered_as_the_first_time(app: Act) -> None:
    calls = [
        Account.twice.at("a", amount=50),
        Account.fill_up.at("a", upto=10),
        Account.deposit.at("b", amount=1),
        Account.deposit.at("a", amount=5),
        Account.fill_up.at("c", upto=0),
    ]
    first = app.once("k").do_many(*calls)
    app.do(Account.deposit, "a", amount=7)
    again = app.once("k").do_many(*calls)
    assert [(each.state, each.version, each.position, each.appended) for each in again] == [
        (each.state, each.version, each.position, each.appended) for each in first
    ]
    assert [[event.position for event in each.events] for each in again] == [
        [event.position for event in each.events] for each in first
    ]
    assert [each.repeated for each in again] == [True] * 5
    with pytest.raises(KeyReusedError):
        app.once("k").do_many(*calls[:4])


def test_calls_of_one_commit_are_told_apart_also_if_an_earlier_version_appended_them(app: Act) -> None:
    calls = [Account.twice.at("a", amount=50), Account.deposit.at("b", amount=1), Account.deposit.at("a", amount=5)]
    first = app.once("k").do_many(*calls)
    found = list(app.store.query())
    action = found[0].meta.action
    assert action is not None
    assert action.counts == (2, 1, 1)
    before = msgspec.structs.replace(action, digest=f"{action.digest}.2.1.1", counts=())
    with Act("memory:", Account) as other:
        appends = [Append(s, [(each.name, each.data) for each in found if each.stream == s]) for s in "ab"]
        other.store.append_many(appends, key="k", meta=Meta(causation=Causation(before)))
        again = other.once("k").do_many(*calls)
    assert [(each.state, each.version, each.position, each.appended) for each in again] == [
        (each.state, each.version, each.position, each.appended) for each in first
    ]


def test_calls_that_an_earlier_version_did_not_tell_apart_are_answered_as_all_of_them_left_it(app: Act) -> None:
    calls = [Account.twice.at("a", amount=50), Account.deposit.at("b", amount=1), Account.deposit.at("a", amount=5)]
    *_, of_b, last = app.once("k").do_many(*calls)
    found = list(app.store.query())
    action = found[0].meta.action
    assert action is not None
    before = Meta(causation=Causation(msgspec.structs.replace(action, counts=())))
    with Act("memory:", Account) as other:
        appends = [Append(s, [(each.name, each.data) for each in found if each.stream == s]) for s in "ab"]
        other.store.append_many(appends, key="k", meta=before)
        other.do(Account.deposit, "a", amount=7)
        again = other.once("k").do_many(*calls)
    assert [(each.state, each.version, each.appended) for each in again] == [
        (last.state, last.version, 3),
        (of_b.state, of_b.version, 1),
        (last.state, last.version, 3),
    ]


def test_a_decision_whose_data_is_gone_is_answered_without_it(app: Act) -> None:
    given = (Course.of("art"), at(Account, "account-7"))
    first = app.once("k").decide(take, *given, "ada")
    app.redact([first.position], drop=True, reason="r")
    again = app.once("k").decide(take, *given, "ada")
    assert (again.position, again.appended, again.repeated) == (first.position, first.appended, True)
    assert len(again.events) == len(first.events) - 1


def test_a_key_that_was_given_in_another_way_is_pointed_the_right_one() -> None:
    with Act("memory:", Account) as app:
        with pytest.raises(ValidationError, match=r"unknown argument `key`; .* write once\(key\)\.do"):
            app.do(Account.deposit, "a-1", amount=1, key="k")  # type: ignore[call-arg]
        app.do(Account.deposit, "a-1", amount=1)
        with pytest.raises(ValidationError, match=r"once\(key\) is not for `restart_stream`"):
            app.once("k").restart_stream(Account, "a-1")
        assert app.store.version("a-1") == 1
