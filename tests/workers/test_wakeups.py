"""No work is slept through, in whatever order a worker's threads, publishers, declarations and `stop` come."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from act_fast import Act, Committed, Lane, Slice
from tests.support.bank import Account, Deposited
from tests.support.heard import Heard, deposit
from tests.support.processes import needs_proc, until
from tests.support.working import working
from tests.workers.interleavings import Schedule, orders, pointed

ROOT = Path(__file__).parents[2]
ORDERS = int(os.environ.get("ACT_FAST_INTERLEAVINGS", "60"))


def explore(
    seed: int, act: Callable[[Act, Heard, Schedule], Callable[[], bool]], concurrency: int, before: int = 0
) -> None:
    """Play a worker beside what `act` begins, in many orders; what it gives must hold once nothing moves any more."""

    def run(choose: Callable[[int, int], int]) -> Schedule:
        schedule, heard = Schedule(choose), Heard()
        with Act("memory:", Account) as app, pytest.MonkeyPatch.context() as patch:

            @app.on(Deposited, name="own")
            def own(event: Committed[Deposited]) -> None:
                schedule.point()
                heard(event)

            for number in range(before):
                deposit(app, f"before-{number}")
            pointed(app, schedule, patch)
            holds = act(app, heard, schedule)
            schedule.begin(lambda: app.run(concurrency=concurrency), "worker")
            try:
                schedule.play()
                as_it_is = (holds(), heard.places, schedule.steps)
            finally:
                schedule.let_go()
            while not schedule.ended("worker"):
                app.stop()
                threading.Event().wait(0.001)
        assert as_it_is[0], as_it_is
        return schedule

    def play() -> None:
        for _ in orders(run, 2, ORDERS, seed):
            pass

    # Not in the main thread: there the verbs are done on a thread of the app's, which the schedule would hold up.
    with ThreadPoolExecutor(1) as elsewhere:
        elsewhere.submit(play).result()


@pytest.mark.parametrize("concurrency", [1, 2])
def test_a_commit_is_never_slept_through(seed: int, concurrency: int) -> None:
    def act(app: Act, heard: Heard, schedule: Schedule) -> Callable[[], bool]:
        schedule.begin(lambda: deposit(app, "a", "b", "a"), "publisher")
        return lambda: len(heard.events) == 3

    explore(seed, act, concurrency)


@pytest.mark.parametrize("concurrency", [1, 2])
def test_a_hand_given_back_is_never_slept_through(seed: int, concurrency: int) -> None:
    explore(seed, lambda app, heard, schedule: lambda: len(heard.events) == 4, concurrency, before=4)


def test_a_declaration_is_never_slept_through(seed: int) -> None:
    def act(app: Act, heard: Heard, schedule: Schedule) -> Callable[[], bool]:
        late = Heard()
        schedule.begin(lambda: app.on(Deposited, name="late", to="late")(late), "declarer")
        return lambda: len(late.events) == 2

    explore(seed, act, 1, before=2)


def test_stop_is_never_slept_through(seed: int) -> None:
    def act(app: Act, heard: Heard, schedule: Schedule) -> Callable[[], bool]:
        schedule.begin(app.stop, "stopper")
        schedule.begin(lambda: deposit(app, "a"), "publisher")
        return lambda: schedule.ended("worker")

    explore(seed, act, 1)


def test_what_another_worker_lets_go_of_is_never_slept_through(seed: int) -> None:
    def act(app: Act, heard: Heard, schedule: Schedule) -> Callable[[], bool]:
        schedule.begin(lambda: app.drain(limit=1), "drainer")
        return lambda: len(heard.events) == 3

    explore(seed, act, 1, before=3)


def test_what_is_handled_by_hand_is_never_slept_through(seed: int) -> None:
    def act(app: Act, heard: Heard, schedule: Schedule) -> Callable[[], bool]:
        app.correlate()
        app.block(pattern="")
        schedule.begin(lambda: app.unblock(pattern=""), "person")
        return lambda: len(heard.events) == 2

    explore(seed, act, 1, before=2)


def test_one_hand_works_through_many_targets(app: Act) -> None:
    heard = Heard()

    @app.on(Deposited, name="own")
    def slow(event: Committed[Deposited]) -> None:
        threading.Event().wait(0.007)  # longer than a worker waits before it goes on
        heard(event)

    for number in range(60):
        deposit(app, f"s{number}")
    with working(app, concurrency=1):
        heard.await_count(60)


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_no_more_run_at_once_than_were_asked_for(concurrency: int) -> None:
    lock = threading.Lock()
    at_work, most = 0, 0
    heard = Heard()

    def enter() -> None:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)

    def leave(event: Committed[Deposited]) -> None:
        nonlocal at_work
        with lock:
            at_work -= 1
        heard(event)

    with Act("memory:", Account) as app:

        @app.on(Deposited, name="threads", to="threads-{stream}")
        def on_a_thread(event: Committed[Deposited]) -> None:
            enter()
            threading.Event().wait(0.007)
            leave(event)

        @app.on(Deposited, name="tasks", to="tasks-{stream}")
        async def on_the_loop(event: Committed[Deposited]) -> None:
            enter()
            leave(event)

        for number in range(8):
            deposit(app, f"s{number}")
        app.settle(concurrency=concurrency)
        assert (len(heard.events), most <= concurrency) == (16, True)
        with working(app, concurrency=concurrency):
            deposit(app, *(f"s{number}" for number in range(8)))
            heard.await_count(32)
        assert most <= concurrency


def test_a_reaction_declared_beside_a_sleeping_worker_begins_at_once(app: Act) -> None:
    first, late = Heard(), Heard()
    app.on(Deposited, name="first", to="first")(first)
    deposit(app, "a")
    with working(app):
        first.await_count(1)
        app.on(Deposited, name="late", to="late")(late)
        late.await_count(1)


def test_a_slice_with_a_lane_of_its_own_included_beside_a_sleeping_worker_begins_at_once(app: Act) -> None:
    first, late = Heard(), Heard()
    app.on(Deposited, name="first", to="first")(first)
    deposit(app, "a")
    with working(app) as worker:
        first.await_count(1)
        mail = Slice(lanes=[Lane("mail")])
        mail.on(Deposited, name="late", to="late", lane="mail")(late)
        app.include(mail)
        late.await_count(1)
        deposit(app, "b")
        late.await_count(2)
        first.await_count(2)
    assert worker.ran is not None
    assert worker.ran.drained.handled == 4


def test_stop_before_run_ends_it_and_the_next_run_goes_on(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, name="own")(heard)
    deposit(app, "a")
    app.stop()
    assert app.run().drained.handled == 0
    with working(app):
        heard.await_count(1)


def test_every_worker_that_begins_at_the_same_time_can_be_stopped(app: Act) -> None:
    app.on(Deposited, name="own")(Heard())
    for _ in range(20):
        ready = threading.Barrier(4)

        def run(ready: threading.Barrier = ready) -> None:
            ready.wait()
            app.run()

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        until(lambda: len(app._program._workers) == 4)
        app.stop()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()


def test_a_clock_that_jumps_past_a_deferral_wakes_it(app: Act, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of day cannot be set in a test, so what is due is told as the store tells it once the clock was set."""
    heard = Heard()
    app.on(Deposited, to="all", name="all")(heard)
    deposit(app, "a")
    app.correlate()
    app.defer("all", until=datetime.now(UTC) + timedelta(hours=1))
    port = app._program.port()
    asleep, jumped = threading.Event(), threading.Event()
    due = port.next_ms

    def next_ms() -> int | None:
        asleep.set()
        return 0 if jumped.is_set() else due()

    monkeypatch.setattr(port, "next_ms", next_ms)
    claim = port.claim

    def claim_after_the_jump(*given: object) -> object:
        if jumped.is_set() and not heard.events:
            jumped.clear()
            app.defer("all", until=datetime(2000, 1, 1, tzinfo=UTC))  # what the jump comes to for the store
        return claim(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(port, "claim", claim_after_the_jump)
    with working(app):
        assert asleep.wait(30)
        jumped.set()
        heard.await_count(1)


IDLE = """
import sys
from act_fast import Act, Committed
from tests.support.bank import Account, Deposited
with Act(sys.argv[1], Account) as app:
    @app.on(Deposited, name="audit")
    def audit(event: Committed[Deposited]) -> None:
        print("handled", flush=True)
    app.do(Account.deposit, "a", amount=1)
    app.run()
"""


@needs_proc
def test_an_idle_worker_wakes_for_nothing(tmp_path: Path) -> None:
    """There come to be two seconds in which none of its threads wakes. Ctrl-C ends it all the same."""
    command = [sys.executable, "-c", IDLE, str(tmp_path / "bank.act")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as worker:
        try:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "handled\n"
            until(lambda: woken(worker.pid, seconds=2) == 0)
        finally:
            worker.send_signal(signal.SIGINT)
        assert worker.wait(60) == 0


def woken(pid: int, seconds: float) -> int:
    """How often threads of a process wake in a time."""
    before = switches(pid)
    time.sleep(seconds)
    return switches(pid) - before


def switches(pid: int) -> int:
    """How often all threads of a process have gone to sleep."""
    found = (path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status"))
    return sum(int(line.split()[1]) for text in found for line in text.splitlines() if line.startswith("voluntary"))
