"""The worker: there when there is something to do, asleep when there is not, and gone when it is told to go."""

import contextvars
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from act_fast import Act, Committed, Failure, Lane, LogStore, Ran, StoreClosedError, StoreError
from tests.support.bank import Account, Deposited, Opened
from tests.support.heard import Heard, deposit
from tests.support.processes import until
from tests.support.working import Working, working


def test_it_does_what_was_there_before_and_what_comes(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, name="own")(heard)
    deposit(app, "a")
    with working(app) as worker:
        heard.await_count(1)
        deposit(app, "b", "a")
        heard.await_count(3)
    assert sorted(heard.places) == [("a", 1), ("a", 2), ("b", 1)]
    assert worker.ran is not None
    assert worker.ran.drained.handled == 3
    assert worker.ran.abandoned == 0


def test_stopping_ends_it_though_it_sleeps(app: Act) -> None:
    app.on(Deposited, name="own")(Heard())
    with working(app):
        pass
    assert app.run is not None


def test_stop_without_a_worker_does_nothing(app: Act) -> None:
    app.stop()
    app.on(Deposited, name="own")(Heard())
    deposit(app, "a")
    assert app.settle().drained.handled == 1


def test_it_can_run_again(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, name="own")(heard)
    for count in (1, 2, 3):
        with working(app):
            deposit(app, "a")
            heard.await_count(count)


def test_it_costs_nothing_while_nothing_happens(app: Act) -> None:
    app.on(Deposited, name="own")(Heard())
    looked = 0

    def correlate(*given: int) -> object:
        nonlocal looked
        looked += 1
        return plain(*given)

    port = app._program.port()
    plain = port.correlate
    port.correlate = correlate  # type: ignore[method-assign, assignment]
    with working(app):
        until(lambda: looked)
        time.sleep(0.3)  # nothing is to happen, so there is nothing to wait for
    assert looked <= 3


def test_a_retry_comes_on_time_without_any_outside_kick(app: Act) -> None:
    heard = Heard()

    @app.on(Deposited, to="all", backoff=0.1)
    def second_time(event: Committed[Deposited]) -> None:
        heard(event)
        if len(heard.events) == 1:
            raise ValueError("not yet")

    deposit(app, "a")
    with working(app):
        heard.await_count(2)


def test_a_deferral_ends_on_time_without_any_outside_kick(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, to="all", defer=timedelta(milliseconds=150), name="later")(heard)
    with working(app):
        deposit(app, "a")
        heard.await_count(1)
    assert datetime.now(UTC) >= heard.events[0].created + timedelta(milliseconds=150)


def test_a_lease_of_the_dead_is_taken_over_when_it_ends_without_any_outside_kick() -> None:
    with Act("memory:", Account, lanes=[Lane("default", lease=0.1)]) as app:
        heard = Heard()
        app.on(Deposited, to="all", name="all")(heard)
        deposit(app, "a")
        app.correlate()
        program = app._program
        assert program.port().claim(None, 1, 0, 1, 100, 7, 1)
        with working(app):
            heard.await_count(1)


def test_what_is_done_to_targets_by_hand_wakes_it(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, to="all", retries=0, name="all")(heard)
    deposit(app, "a")
    app.correlate()
    app.block("all")
    with working(app):
        until(lambda: app._program.store.head == 1)
        app.unblock()
        heard.await_count(1)
        app.reset("all")
        heard.await_count(2)


def test_no_wake_up_is_lost_however_events_and_looks_interleave(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, name="own")(heard)
    with working(app):
        for count in range(1, 301):
            deposit(app, f"s{count % 7}")
            if count % 3:
                heard.await_count(count)
        heard.await_count(300)


def test_quick_targets_never_wait_for_a_slow_one(app: Act) -> None:
    heard, proceed = Heard(), threading.Event()

    @app.on(Deposited, name="own")
    def handle(event: Committed[Deposited]) -> None:
        if event.stream == "slow":
            assert proceed.wait(30)
        heard(event)

    with working(app, concurrency=2):
        deposit(app, "slow")
        for count in range(1, 21):
            deposit(app, "quick")
            heard.await_count(count)
        assert {stream for stream, _ in heard.places} == {"quick"}
        proceed.set()
        heard.await_count(21)


def test_a_slow_targets_further_events_follow_when_it_is_ready(app: Act) -> None:
    heard, proceed = Heard(), threading.Event()

    @app.on(Deposited, name="own")
    def handle(event: Committed[Deposited]) -> None:
        if event.position == 1:
            assert proceed.wait(30)
        heard(event)

    with working(app, concurrency=1):
        deposit(app, "slow")
        until(lambda: next(app.targets(), None) and next(app.targets()).holder)
        deposit(app, "slow", "slow", "quick")
        proceed.set()
        heard.await_count(4)
    assert [version for stream, version in heard.places if stream == "slow"] == [1, 2, 3]


def test_slow_lanes_do_not_hold_up_fast_ones() -> None:
    with Act("memory:", Account, lanes=[Lane("slow")]) as app:
        heard, proceed = Heard(), threading.Event()
        app.on(Opened, lane="slow", name="slow")(lambda event: proceed.wait(30))
        app.on(Deposited, name="fast")(heard)
        with working(app, concurrency=1):
            app.do(Account.open, "a", owner="Ada")
            until(lambda: any(target.holder for target in app.targets(lane="slow")))
            deposit(app, "b")
            heard.await_count(1)
            proceed.set()


def test_a_worker_of_some_lanes_leaves_the_others_alone() -> None:
    with Act("memory:", Account, lanes=[Lane("mail")]) as app:
        mail, plain = Heard(), Heard()
        app.on(Deposited, to="mail", lane="mail", name="mail")(mail)
        app.on(Deposited, to="plain", name="plain")(plain)
        with working(app, lanes=["mail"]):
            deposit(app, "a")
            mail.await_count(1)
        assert plain.events == []


def test_stopping_lets_handlers_end_and_begins_no_event_more(app: Act) -> None:
    heard, begun, proceed = Heard(), threading.Event(), threading.Event()

    @app.on(Deposited, to="all")
    def handle(event: Committed[Deposited]) -> None:
        begun.set()
        assert proceed.wait(30)
        heard(event)

    deposit(app, "a", "b")
    with working(app) as worker:
        assert begun.wait(30)
        app.stop()
        time.sleep(0.2)  # long enough for it to look whether it was stopped
        assert worker.running
        proceed.set()
        worker.end()
    assert heard.positions == [1], "what was begun is done, and nothing else"
    assert worker.ran is not None
    assert worker.ran.drained.handled == 1
    (target,) = app.targets()
    assert (target.watermark, target.holder, target.attempts) == (1, None, 0)


def test_a_handler_that_does_not_end_within_the_grace_period_is_abandoned(app: Act) -> None:
    begun, proceed = threading.Event(), threading.Event()

    @app.on(Deposited, to="all")
    def endless(event: Committed[Deposited]) -> None:
        begun.set()
        proceed.wait(30)

    deposit(app, "a")
    with working(app, grace=0.05) as worker:
        assert begun.wait(30)
        app.stop()
        worker.end()
    assert worker.ran is not None
    assert worker.ran.abandoned == 1
    proceed.set()


def test_ctrl_c_ends_it_gracefully(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, name="own")(heard)
    deposit(app, "a")

    def interrupt() -> None:
        heard.await_count(1)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    ran = app.run()
    thread.join()
    assert isinstance(ran, Ran)
    assert ran.drained.handled == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_stop_may_be_called_from_a_signal_handler(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, name="own")(heard)
    before = signal.signal(signal.SIGTERM, lambda number, frame: app.stop())
    try:
        deposit(app, "a")

        def terminate() -> None:
            heard.await_count(1)
            os.kill(os.getpid(), signal.SIGTERM)

        thread = threading.Thread(target=terminate)
        thread.start()
        assert app.run().drained.handled == 1
        thread.join()
    finally:
        signal.signal(signal.SIGTERM, before)


def test_closing_the_app_ends_its_workers(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, name="own")(heard)
    deposit(app, "a")
    with working(app) as worker:
        heard.await_count(1)
        app.close()
        worker.end()
    assert worker.error is None


def test_a_store_closed_under_it_ends_it_with_an_error() -> None:
    store = LogStore.memory()
    app = Act(store, Account)
    app.on(Deposited, name="own")(Heard())
    worker = Working(app, None, 8, 1.0)
    until(lambda: app._program._workers)
    store.close()
    worker.end()
    assert isinstance(worker.error, StoreClosedError)


def test_a_store_that_fails_for_a_while_is_tried_again(app: Act) -> None:
    heard = Heard()
    failures: list[Failure] = []
    app.observe("error", failures.append)
    app.on(Deposited, name="own")(heard)
    port = app._program.port()
    plain, broken = port.claim, [True, True]

    def claim(*given: object) -> object:
        if broken:
            broken.pop()
            raise StoreError("the disk is away")
        return plain(*given)  # type: ignore[arg-type]

    port.claim = claim  # type: ignore[method-assign, assignment]
    deposit(app, "a")
    with working(app):
        heard.await_count(1)
    assert [each.doing for each in failures] == ["working on lane 'default'"] * 2


def test_two_workers_of_one_app_share_the_work(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, name="own")(heard)
    with working(app), working(app):
        for number in range(200):
            deposit(app, f"s{number % 10}")
        heard.await_count(200)
    for stream in range(10):
        assert [version for name, version in heard.places if name == f"s{stream}"] == list(range(1, 21))


def test_an_idle_worker_takes_its_share_of_what_another_one_is_busy_with() -> None:
    lanes = [Lane("default", events_max=2, lease=3600)]
    with Act("memory:", Account, lanes=lanes) as app:
        other = Act(app.store, Account, lanes=lanes)
        mine, others = Heard(), Heard()
        go_on = threading.Event()

        @app.on(Deposited, name="own")
        def slow(event: Committed[Deposited]) -> None:
            mine(event)
            go_on.wait(0.05)

        other.on(Deposited, name="own")(others)
        for stream in "abcd":
            app.do(Account.deposit_each, stream, amounts=[1] * 400)
        with working(app):
            mine.await_count(4)
            with working(other):
                others.await_count(1)
        go_on.set()
        other.close()


def test_context_variables_of_who_runs_it_are_there_in_the_handlers_of_every_lane() -> None:
    tenant = contextvars.ContextVar("tenant", default="nobody")
    with Act("memory:", Account, lanes=[Lane("mail")]) as app:
        heard, seen = Heard(), set()

        def look(event: Committed[Deposited]) -> None:
            seen.add(tenant.get())
            heard(event)

        app.on(Deposited, to="plain", name="plain")(look)
        app.on(Deposited, to="mail", lane="mail", name="mail")(look)
        deposit(app, "a")
        tenant.set("ada")

        def stop() -> None:
            heard.await_count(2)
            app.stop()

        thread = threading.Thread(target=stop)
        thread.start()
        app.run()
        thread.join()
    assert seen == {"ada"}


def test_workers_of_two_programs_share_the_work_of_a_store(app: Act) -> None:
    other = Act(app.store, Account)
    heard = Heard()
    for each in (app, other):
        each.on(Deposited, name="own")(heard)
    with working(app), working(other):
        for number in range(200):
            deposit(app, f"s{number % 10}")
        heard.await_count(200)
    assert len(set(heard.positions)) == len(heard.positions) == 200
    other.close()


def test_reactions_declared_while_it_runs_are_taken_up(app: Act) -> None:
    first, late = Heard(), Heard()
    app.on(Deposited, name="first")(first)
    with working(app):
        deposit(app, "a")
        first.await_count(1)
        app.on(Deposited, to="late", name="late")(late)
        deposit(app, "a")
        late.await_count(2)
    assert late.positions == [1, 2]


@pytest.mark.parametrize("verb", ["settle", "drain"])
def test_a_stop_while_the_app_settles_or_drains_concerns_nothing_later(app: Act, verb: str) -> None:
    heard = Heard()

    @app.on(Deposited, to="all", name="all")
    def handle(event: Committed[Deposited]) -> None:
        heard(event)
        if event.position == 1:
            app.stop()

    deposit(app, "a")
    if verb == "settle":
        assert app.settle().stopped
        assert not app.settle().stopped
    else:
        app.correlate()
        assert app.drain().handled == 1
    deposit(app, "b")
    with working(app):
        heard.await_count(2)


def test_a_settle_ends_by_itself_and_says_that_a_stop_came(app: Act) -> None:
    times = 0

    @app.on(Deposited, to="all", name="all")
    def handle(event: Committed[Deposited]) -> None:
        nonlocal times
        times += 1
        app.stop()
        if times < 4:
            app.do(Account.deposit, "a", amount=1)

    deposit(app, "a")
    settled = app.settle()
    assert (settled.stopped, settled.drained.handled) == (True, 4)


def test_a_stop_before_a_settle_is_kept_for_the_next_run_and_one_from_elsewhere_ends_both(app: Act) -> None:
    heard = Heard()
    begun, proceed = threading.Event(), threading.Event()

    @app.on(Deposited, to="all", name="all")
    def handle(event: Committed[Deposited]) -> None:
        heard(event)
        begun.set()
        assert proceed.wait(30)

    app.stop()
    assert not app.settle().stopped
    assert app.run().drained.handled == 0
    deposit(app, "a")
    with ThreadPoolExecutor(1) as pool:
        settling = pool.submit(app.settle)
        assert begun.wait(30)
        with working(app) as worker:
            until(lambda: app._program._workers)
            deposit(app, "b")
            app.stop()
            proceed.set()
            worker.end()
        assert settling.result(30).stopped
    assert not app.settle().stopped
    assert 1 in heard.positions


def test_a_settle_that_was_interrupted_is_not_taken_for_one_under_way(app: Act) -> None:
    @app.on(Deposited, to="all", name="all")
    def handle(event: Committed[Deposited]) -> None: ...

    deposit(app, "a")
    begun = app._program.begin_pass()
    del begun  # as when Ctrl-C comes before the block that would end it
    app.stop()
    assert app.run().drained.handled == 0, "the stop is kept for the next run"
