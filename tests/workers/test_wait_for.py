"""Waiting for a target: until all that may come to it has been handled, woken by nothing but news of targets."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from act_fast import Act, AsyncAct, Committed, Event, LogStore, StoreClosedError, ValidationError
from tests.support.bank import Account, Deposited
from tests.support.heard import PATIENCE_SECONDS, Heard
from tests.support.working import working


class Paid(Event):
    number: int


class Refunded(Event):
    number: int


@pytest.fixture
def store() -> Iterator[LogStore]:
    with LogStore.memory() as store:
        yield store


def pay(store: LogStore, *numbers: int, stream: str = "s") -> int:
    for number in numbers:
        store.append(stream, [Paid(number)])
    return store.head


def test_a_function_that_may_yet_name_the_target_is_waited_for(store: LogStore) -> None:
    app = Act(store)
    app.on(Paid, to="q", name="fixed")(Heard())
    app.settle()
    app.on(Paid, to=lambda event: "q" if event.data.number == 3 else "other", name="function")(Heard())
    position = pay(store, 1, 2, 3)
    fixed_only = Act(store)
    fixed_only.on(Paid, to="q", name="fixed")(Heard())
    fixed_only.settle()
    assert fixed_only.wait_for(position, "q", timeout=0).watermark == position
    with pytest.raises(TimeoutError):
        app.wait_for(position, "q", timeout=0.01)
    app.settle()
    assert app.wait_for(position, "q", timeout=0).watermark == position


def test_a_reaction_that_was_just_declared_on_the_target_is_waited_for(store: LogStore) -> None:
    app = Act(store)
    app.on(Paid, to="q", name="first")(Heard())
    position = pay(store, 1)
    app.settle()
    app.on(Paid, to="q", name="second")(Heard())
    with pytest.raises(TimeoutError):
        app.wait_for(position, "q", timeout=0.01)
    app.settle()
    assert app.wait_for(position, "q", timeout=0).lag == 0


def test_a_class_that_was_not_correlated_yet_is_waited_for(store: LogStore) -> None:
    before = Act(store)
    before.on(Paid, to="q", name="first")(Heard())
    position = pay(store, 1)
    before.settle()
    app = Act(store)
    app.on(Paid, Refunded, to="q", name="first")(Heard())
    with pytest.raises(TimeoutError):
        app.wait_for(position, "q", timeout=0.01)
    app.settle()
    assert app.wait_for(position, "q", timeout=0).lag == 0


@pytest.mark.parametrize("to", ["q", "{data.number}-{stream}", lambda event: None])
def test_a_target_that_no_event_concerns_is_there_as_soon_as_that_is_known(store: LogStore, to: Any) -> None:
    app = Act(store)
    app.on(Refunded, Paid, to=to, name="mailer", source="elsewhere")(Heard())
    position = pay(store, 1, 2)
    name = "q" if to == "q" else "7-elsewhere"
    with pytest.raises(TimeoutError):
        app.wait_for(position, name, timeout=0.01)
    app.settle()
    found = app.wait_for(position, name, timeout=0)
    assert (found.name, found.watermark, found.lag, found.reactions) == (name, position, 0, ("mailer",))


@pytest.mark.parametrize(
    ("to", "source", "name"),
    [
        ("q", None, "p"),
        ("{stream}", "s", "t"),
        ("{stream}", "^s", "t"),
        ("audit-{stream}", None, "audit"),
        ("audit-{stream}", "s", "audit-t"),
        ("{name}", None, "Other"),
        ("a{{b", None, "a{{b"),
    ],
)
def test_a_target_that_cannot_exist_is_an_error_at_once(
    store: LogStore, to: str, source: str | None, name: str
) -> None:
    app = Act(store)
    app.on(Paid, Refunded, to=to, source=source, name="mailer")(Heard())
    pay(store, 1)
    with pytest.raises(ValidationError, match="no reaction of this app can run under a target"):
        app.wait_for(1, name)
    with pytest.raises(ValidationError, match="no reaction"):
        asyncio.run(AsyncAct(app).wait_for(1, name))
    with pytest.raises(ValidationError, match="no reaction"):
        Act(store).wait_for(0, name)


def test_what_does_the_timers_of_a_state_runs_under_no_other_target(store: LogStore) -> None:
    """It names its targets by a function, so it might run under any, as far as that says."""
    app = Act(store, Account)
    app.on(Deposited, to="audit-{stream}", name="audit")(Heard())
    snapshot = app.do(Account.deposit, "a", amount=1)
    app.settle()
    for each in (app, Act(store), Act(store, Account)):
        with pytest.raises(ValidationError, match="no reaction of this app can run under a target 'audt-a'"):
            each.wait_for(snapshot, "audt-a", timeout=0)
        assert each.wait_for(snapshot, "audit-a", timeout=0).watermark >= snapshot.position
    app.schedule(key="k", after=timedelta(0)).do(Account.deposit, "a", amount=2)
    scheduled = app.store.head
    app.settle()
    assert app.wait_for(scheduled, "$timer-k@1", timeout=0).lag == 0
    assert app.load(Account, "a").state.balance == 3


def test_another_programs_target_can_be_waited_for_before_it_is_there(store: LogStore) -> None:
    worker, waiter = Act(store), Act(store)
    worker.on(Paid, to="q-{stream}", name="mailer")(Heard())
    worker.settle()
    position = pay(store, 1)
    with pytest.raises(TimeoutError):
        waiter.wait_for(position, "q-s", timeout=0.01)
    worker.settle()
    assert not waiter.wait_for(position, "q-s", timeout=0).known


def test_a_wait_is_woken_by_the_acknowledgement_and_by_nothing_else(
    store: LogStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Act(store)
    gate = threading.Event()

    @app.on(Paid, to="q", name="mailer")
    def slow(event: Committed[Paid]) -> None:
        gate.wait(PATIENCE_SECONDS)

    position = pay(store, 1)
    port = app._program.port()
    looks: list[int] = []
    look = port.progress
    asleep = threading.Event()
    wait = port.wait_moves

    def counted(target: str) -> Any:
        looks.append(1)
        return look(target)

    def sleep(seen: int, timeout_ms: int | None = None) -> int:
        asleep.set()
        return wait(seen, timeout_ms)

    monkeypatch.setattr(port, "progress", counted)
    monkeypatch.setattr(port, "wait_moves", sleep)
    found: list[int] = []
    waiter = threading.Thread(target=lambda: found.append(app.wait_for(position, "q").watermark), daemon=True)
    with working(app):
        waiter.start()
        assert asleep.wait(PATIENCE_SECONDS)
        gate.set()
        waiter.join(PATIENCE_SECONDS)
    assert found == [1]
    assert len(looks) <= 4, "once before, and once for each step that correlating and finishing are"


def test_closing_the_app_ends_a_wait(store: LogStore) -> None:
    app = Act(store)
    app.on(Paid, to="q", name="mailer")(Heard())
    position = pay(store, 1)
    errors: list[BaseException] = []
    began = threading.Event()

    def wait() -> None:
        began.set()
        try:
            app.wait_for(position, "q")
        except BaseException as error:
            errors.append(error)

    waiter = threading.Thread(target=wait, daemon=True)
    waiter.start()
    assert began.wait(PATIENCE_SECONDS)
    app.close()
    waiter.join(PATIENCE_SECONDS)
    assert [type(error) for error in errors] == [StoreClosedError]


def test_a_timeout_says_which_reaction_holds(store: LogStore) -> None:
    app = Act(store)
    app.on(Paid, to=lambda event: {}["nobody"], name="mailer", retries=0)(Heard())
    position = pay(store, 1)
    app.settle()
    with pytest.raises(TimeoutError, match="the targets of the event at position 1 cannot be found: KeyError"):
        app.wait_for(position, "q", timeout=0.01)


WORKER = """
import sys
from act_fast import Act, Event, LogStore
class Paid(Event):
    number: int
with LogStore(sys.argv[1], create=False) as store, Act(store) as app:
    app.on(Paid, to="q", name="mailer")(lambda event: None)
    print("ready", flush=True)
    sys.stdin.readline()
    app.settle()
    sys.stdin.readline()
"""


def test_a_wait_is_woken_by_another_process(tmp_path: Path) -> None:
    with LogStore(tmp_path / "store") as store, Act(store) as app:
        app.on(Paid, to="q", name="mailer")(Heard())
        position = pay(store, 1, 2)
        with subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path / "store")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as other:
            assert other.stdin is not None
            assert other.stdout is not None
            try:
                assert other.stdout.readline() == "ready\n"
                found: list[int] = []
                waiter = threading.Thread(
                    target=lambda: found.append(app.wait_for(position, "q").watermark), daemon=True
                )
                waiter.start()
                other.stdin.write("\n")
                other.stdin.flush()
                waiter.join(PATIENCE_SECONDS)
                assert found == [position]
            finally:
                other.kill()


def test_a_wait_is_woken_when_the_last_event_was_skipped(store: LogStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(event: Committed[Paid]) -> None:
        raise ValueError("no")

    app = Act(store)
    app.on(Paid, to="q", name="mailer", retries=0)(refuse)
    position = pay(store, 1)
    app.settle()
    port = app._program.port()
    wait, asleep = port.wait_moves, threading.Event()

    def sleep(seen: int, timeout_ms: int | None = None) -> int:
        asleep.set()
        return wait(seen, timeout_ms)

    monkeypatch.setattr(port, "wait_moves", sleep)
    found: list[int] = []
    waiter = threading.Thread(target=lambda: found.append(app.wait_for(position, "q").watermark), daemon=True)
    waiter.start()
    assert asleep.wait(PATIENCE_SECONDS)
    app.skip("q", reason="no")
    waiter.join(PATIENCE_SECONDS)
    assert found == [position]
