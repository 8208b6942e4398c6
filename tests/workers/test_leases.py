"""Leases: one holder at a time, kept while it lives, taken over when it does not."""

import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from act_fast import Act, Committed, Drained, Lane
from tests.support.bank import Account, Deposited
from tests.support.heard import Heard, deposit
from tests.support.processes import needs_proc, until

BRIEF = Lane("default", lease=0.05)
LONG = Lane("default", lease=3600)
ROOT = Path(__file__).parent.parent.parent


def hold(app: Act) -> list[object]:
    """Lease all targets, as a process that dies at once would."""
    program = app._program
    port = program.port()
    lane = program.catalog().lanes["default"]
    return list(port.claim(None, 10, 10, 10, int(lane.lease * 1000), program.holder, app.store.head))


def test_a_target_that_is_held_is_nobody_elses() -> None:
    with Act("memory:", Account, lanes=[LONG]) as app:
        heard = Heard()
        app.on(Deposited, name="own")(heard)
        deposit(app, "a")
        app.correlate()
        hold(app)
        assert app.settle().drained == Drained()
        (target,) = app.targets()
        assert target.holder is not None
        assert target.lease_seconds is not None
        assert 3590 < target.lease_seconds <= 3600


def test_a_lease_that_runs_out_is_taken_over_and_counts_as_an_attempt() -> None:
    with Act("memory:", Account, lanes=[BRIEF]) as app:
        heard = Heard()
        app.on(Deposited, name="own")(heard)
        deposit(app, "a")
        app.correlate()
        hold(app)
        claimed: list[int] = []
        app.observe("claimed", lambda each: claimed.append(each.attempts))
        until(lambda: app.settle().drained.handled)
        assert claimed == [2]
        assert heard.positions == [1]


def test_when_every_attempt_has_lost_its_lease_the_target_is_blocked_without_another() -> None:
    with Act("memory:", Account, lanes=[BRIEF]) as app:
        heard = Heard()
        app.on(Deposited, retries=1, name="own")(heard)
        deposit(app, "a")
        app.correlate()
        hold(app)
        until(lambda: hold(app))
        until(lambda: app.settle().drained.blocked)
        assert heard.positions == []
        (blocked,) = app.blocked()
        assert str(blocked.error).startswith("LeaseLost: 2 attempts were started and none has finished")


def test_without_blocking_a_lost_lease_is_no_end() -> None:
    with Act("memory:", Account, lanes=[BRIEF]) as app:
        heard = Heard()
        app.on(Deposited, retries=0, block=False, name="own")(heard)
        deposit(app, "a")
        app.correlate()
        hold(app)
        until(lambda: app.settle().drained.handled)
        assert heard.positions == [1]


def test_a_live_holder_renews_its_lease_while_its_handler_takes_long() -> None:
    lanes = [Lane("default", lease=1.0)]  # long enough to be renewed in time on a busy machine, too
    with Act("memory:", Account, lanes=lanes) as app:
        other = Act(app.store, Account, lanes=lanes)
        begun, proceed = threading.Event(), threading.Event()
        heard = Heard()

        @app.on(Deposited, name="own")
        def slow(event: Committed[Deposited]) -> None:
            begun.set()
            assert proceed.wait(30)

        other.on(Deposited, name="own")(heard)
        deposit(app, "a")
        drained: list[Drained] = []
        thread = threading.Thread(target=lambda: drained.append(app.settle().drained))
        thread.start()
        assert begun.wait(30)
        renewed: list[float] = []

        def three_lease_times() -> bool:
            """Look as long as an unrenewed lease would have ended many times over, by the leases' own clock."""
            (target,) = other.targets()
            assert target.lease_seconds is not None, "the lease has run out"
            renewed.append(target.lease_seconds)
            return sum(1 for a, b in pairwise(renewed) if b > a) >= 5

        until(three_lease_times)
        assert other.settle().drained == Drained()
        proceed.set()
        thread.join()
        assert drained == [Drained(leased=1, handled=1, acked=1)]
        assert heard.positions == []


def test_a_lease_stolen_in_the_middle_of_a_handler_is_reported_and_its_outcome_dropped() -> None:
    with Act("memory:", Account) as app:

        @app.on(Deposited, to="all", name="own")
        def stolen(event: Committed[Deposited]) -> None:
            if event.position == 1 and not resets:
                resets.append(app.reset("all"))

        resets: list[int] = []
        deposit(app, "a", "b")
        app.correlate()
        assert app.drain() == Drained(leased=1, lost=1)
        assert app.settle().drained == Drained(leased=1, handled=2, acked=1)


def test_no_further_event_is_begun_once_it_is_known_that_the_lease_was_lost(caplog: pytest.LogCaptureFixture) -> None:
    with Act("memory:", Account, lanes=[BRIEF]) as app:
        begun: list[int] = []

        @app.on(Deposited, to="all", name="own")
        def stolen(event: Committed[Deposited]) -> None:
            begun.append(event.position)
            if begun == [1]:
                app.reset("all")
                until(lambda: "the lease on 'all' was lost while its events were handled" in caplog.text)

        deposit(app, "a", "b")
        app.correlate()
        assert app.drain() == Drained(leased=1, lost=1)
        assert begun == [1]
        app.settle()
        assert begun == [1, 1, 2]


def test_a_holder_is_known_by_its_process() -> None:
    import os

    with Act("memory:", Account) as app:
        app.on(Deposited, name="own")(lambda event: held.append(next(app.targets()).holder))
        held: list[int | None] = []
        deposit(app, "a")
        app.settle()
        assert held == [os.getpid()]


@needs_proc
def test_a_lease_is_given_back_where_its_handling_cannot_begin(tmp_path: Path) -> None:
    """As in a process without descriptors, which can import nothing: what it needs for this is imported only then."""
    program = f"""
import os, resource
from act_fast import Act, LogStore
from act_fast._workers import correlating, settle
from tests.support.bank import Account, Deposited
from tests.support.processes import take_descriptors

app = Act(LogStore({str(tmp_path / "bank.act")!r}), Account)
heard = []
app.on(Deposited, to="one", retries=0, name="hears")(lambda event: heard.append(event.position))
app.do(Account.deposit, "a", amount=1)
app.correlate()
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
taken = take_descriptors()
try:
    app.settle()
except OSError as error:
    print(error.errno, next(app.targets("one")).attempts)
for each in taken:
    os.close(each)
app.settle()
print(heard, next(app.targets("one")).attempts)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout.splitlines() == ["24 0", "[1] 0"], done.stderr
