"""The thread that claims calls quick handlers itself; a slow one holds up only the events of its own target."""

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from act_fast import Act, Committed, Failure
from act_fast._workers import lead
from tests.support.bank import Account, Deposited
from tests.support.heard import Heard, deposit
from tests.support.processes import until
from tests.support.working import working


def note_claims(app: Act) -> set[int]:
    """The threads that claim from now on."""
    threads: set[int] = set()
    port = app._program.port()
    plain = port.claim

    def claim(*given: Any) -> Any:
        threads.add(threading.get_ident())
        return plain(*given)

    port.claim = claim  # type: ignore[method-assign]
    return threads


def one_by_one(app: Act, heard: Heard, stream: str, events: int) -> None:
    for count in range(len(heard.events) + 1, len(heard.events) + 1 + events):
        deposit(app, stream)
        heard.await_count(count)


@pytest.mark.parametrize("quiet_looks", [0, 1, 20])
def test_a_handler_that_is_slow_after_quick_ones_is_taken_over_from_and_quick_ones_lead_again(
    app: Act, monkeypatch: pytest.MonkeyPatch, quiet_looks: int
) -> None:
    monkeypatch.setattr(lead, "_QUIET_LOOKS", quiet_looks)
    heard, proceed = Heard(), threading.Semaphore(0)
    handling: set[int] = set()

    @app.on(Deposited, name="own")
    def handle(event: Committed[Deposited]) -> None:
        handling.add(threading.get_ident())
        if event.stream.startswith("slow"):
            assert proceed.acquire(timeout=30)
        heard(event)

    claiming = note_claims(app)
    with working(app, concurrency=4):
        for turn in range(3):
            until(lambda: led(app, heard, claiming, handling))
            deposit(app, f"slow-{turn}")
            one_by_one(app, heard, "quick", 20)
            assert not any(stream == f"slow-{turn}" for stream, _ in heard.places)
            deposit(app, f"slow-{turn}")
            proceed.release()
            proceed.release()
            until(lambda turn=turn: [v for s, v in heard.places if s == f"slow-{turn}"] == [1, 2])
    assert sorted(heard.positions) == list(range(1, app.store.head + 1)), "each once"


def led(app: Act, heard: Heard, claiming: set[int], handling: set[int]) -> bool:
    """Whether a quick event was handled in the thread that claims, and by none besides."""
    one_by_one(app, heard, "quick", 1)
    claiming.clear()
    handling.clear()
    one_by_one(app, heard, "quick", 3)
    return len(handling) == 1 and handling <= claiming


@pytest.mark.parametrize("concurrency", [1, 2, 5])
def test_no_more_handlers_than_allowed_are_at_work_and_each_stream_is_in_order(
    app: Act, seed: int, concurrency: int
) -> None:
    dice = random.Random(seed)
    heard, lock = Heard(), threading.Lock()
    at_work = most = 0
    naps = [dice.choice([0.0] * 20 + [0.002, 0.02]) for _ in range(997)]

    @app.on(Deposited, name="own")
    def handle(event: Committed[Deposited]) -> None:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        if nap := naps[event.position % 997]:
            threading.Event().wait(nap)
        heard(event)
        with lock:
            at_work -= 1

    events = 600
    with working(app, concurrency=concurrency):
        for number in range(events):
            deposit(app, f"s{dice.randrange(17)}")
            if dice.random() < 0.1:
                heard.await_count(number + 1)
        heard.await_count(events)
    assert most <= concurrency
    assert sorted(heard.positions) == list(range(1, events + 1))
    for stream in range(17):
        versions = [version for name, version in heard.places if name == f"s{stream}"]
        assert versions == list(range(1, len(versions) + 1))


def test_a_stop_waits_for_a_handler_that_keeps_the_lead_no_longer_than_its_grace(app: Act) -> None:
    heard, begun, proceed = Heard(), threading.Event(), threading.Event()

    @app.on(Deposited, name="own")
    def handle(event: Committed[Deposited]) -> None:
        if event.stream == "slow":
            app.stop()
            begun.set()
            proceed.wait(30)
        heard(event)

    with working(app, grace=0.05) as worker:
        one_by_one(app, heard, "quick", 5)
        deposit(app, "slow")
        assert begun.wait(30)
        worker.end()
    assert worker.ran is not None
    assert worker.ran.abandoned == 1
    proceed.set()
    heard.await_count(6)


def test_a_thread_that_cannot_begin_to_lead_is_tried_again(app: Act) -> None:
    heard = Heard()
    failures: list[Failure] = []
    app.observe("error", failures.append)
    app.on(Deposited, name="own")(heard)
    daemons = app._program.daemons
    plain, refused = daemons.do, [True, True]

    def do(work: Callable[[], object]) -> None:
        if refused:
            refused.pop()
            raise RuntimeError("can't start new thread")
        plain(work)

    daemons.do = do  # type: ignore[method-assign]
    with working(app):
        one_by_one(app, heard, "a", 2)
    assert [each.doing for each in failures] == ["working on lane 'default'"] * 2


def test_what_an_app_raises_in_the_thread_that_leads_is_told_and_tried_again(app: Act) -> None:
    heard = Heard()
    failures: list[Failure] = []
    app.observe("error", failures.append)
    app.on(Deposited, name="own")(heard)
    port = app._program.port()
    plain, broken = port.finish, [True]

    def finish(*given: Any) -> Any:
        if broken:
            broken.pop()
            raise OSError("the disk is away")
        return plain(*given)

    port.finish = finish  # type: ignore[method-assign]
    app._program.renewer()
    with Act(app.store, Account) as other, working(app):
        deposit(other, "a")
        heard.await_count(1)
        until(lambda: failures)
    assert [each.doing for each in failures] == ["working on lane 'default'"]
