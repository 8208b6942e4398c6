"""Two releases at work on one target: the one that lets go of it wakes the one that can go on with it."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from act_fast import Act, Committed, Event, Lane, LogStore
from tests.support.heard import PATIENCE_SECONDS, Heard
from tests.support.working import working


class A(Event):
    number: int


class B(Event):
    number: int


LONG = [Lane("default", lease=3600.0)]


@pytest.fixture
def store() -> Iterator[LogStore]:
    with LogStore.memory() as store:
        yield store


class Slow:
    """A handler that waits at a gate."""

    def __init__(self) -> None:
        self.begun, self.gate, self.heard = threading.Event(), threading.Event(), Heard()

    def __call__(self, event: Committed[Any]) -> None:
        self.begun.set()
        assert self.gate.wait(PATIENCE_SECONDS)
        self.heard(event)


def asleep(app: Act, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when a worker of an app has gone to sleep while its target is leased."""
    port, slept = app._program.port(), threading.Event()
    wait = port.wait_news

    def noted(seen: int, timeout_ms: int | None = None) -> int:
        if any(target.holder is not None for target in app.targets()):
            slept.set()
        return wait(seen, timeout_ms)

    monkeypatch.setattr(port, "wait_news", noted)
    return slept


def test_a_release_that_takes_more_goes_on_as_soon_as_the_other_lets_go(
    store: LogStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = Act(store, lanes=LONG), Act(store, lanes=LONG)
    slow, heard = Slow(), Heard()
    old.on(A, to="q", name="mailer")(slow)
    new.on(A, B, to="q", name="mailer")(heard)
    store.append("s", [A(1)])
    with working(old):
        assert slow.begun.wait(PATIENCE_SECONDS)
        slept = asleep(new, monkeypatch)
        with working(new):
            store.append("s", [B(2)])
            assert slept.wait(PATIENCE_SECONDS)
            slow.gate.set()
            heard.await_count(1)
    assert (slow.heard.positions, heard.positions) == ([1], [2])


@pytest.mark.parametrize("how", ["stop", "drain", "settle"])
def test_what_is_left_when_a_program_stops_is_taken_by_another(
    store: LogStore, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    lanes = [Lane("default", lease=3600.0, events_max=1)]
    one, two = Act(store, lanes=lanes), Act(store, lanes=lanes)
    slow, heard = Slow(), Heard()
    one.on(A, to="q", name="mailer")(slow)
    two.on(A, to="q", name="mailer")(heard)
    store.append("s", [A(1), A(2)])
    one.correlate()
    run = {"stop": one.run, "drain": one.drain, "settle": lambda: one.settle(1)}[how]
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert slow.begun.wait(PATIENCE_SECONDS)
    slept = asleep(two, monkeypatch)
    with working(two):
        assert slept.wait(PATIENCE_SECONDS)
        if how == "stop":
            one.stop()
        slow.gate.set()
        heard.await_count(1)
    thread.join(PATIENCE_SECONDS)
    assert slow.heard.positions + heard.positions == [1, 2]
