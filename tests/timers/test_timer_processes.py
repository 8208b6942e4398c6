"""Worker processes that are killed while timers are due: each is done once, and each second ticks once."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from act_fast import Act, Ticked
from tests.support.processes import until
from tests.support.servers import PostgresServer
from tests.timers.orders import Expired, Order
from tests.workers.test_processes import Fleet

TIMERS = int(os.environ.get("ACT_FAST_TIMERS_COUNT", "200"))
KILLS = int(os.environ.get("ACT_FAST_TIMERS_KILLS", "6"))
SEED = int(os.environ.get("ACT_FAST_SEED", "0")) or random.randrange(10**6)


def done(app: Act) -> Callable[[], bool]:
    return lambda: not any(True for _ in app.timers(status="waiting"))


def work_and_die(app: Act, address: str, fleet: Fleet, timers: int, kills: int) -> set[str]:
    """Schedule timers, cancel some while they come due, and kill workers meanwhile; the keys of the cancelled ones."""
    print(f"ACT_FAST_SEED={SEED}")
    chance = random.Random(SEED)
    for number in range(timers):
        later = app.schedule(after=timedelta(seconds=chance.uniform(0, 4)), key=f"t{number}")
        later.do(Order.expire_anyway, f"order-{number}", reason=f"t{number}")
    cancelled = set()
    for _ in range(kills):
        for number in chance.sample(range(timers), timers // 10):
            if app.cancel(f"t{number}"):
                cancelled.add(f"t{number}")
        until(lambda: bool(fleet.workers))
        os.kill(chance.choice([*fleet.workers.values()]), signal.SIGKILL)
        time.sleep(chance.uniform(0.1, 6 / kills))
    until(done(app), 120)
    return cancelled


def check(app: Act, cancelled: set[str], timers: int) -> None:
    reasons = Counter(event.data.reason for event in app.query(events=[Expired]) if event.stream.startswith("order-"))
    assert set(reasons.values()) <= {1}, f"done twice: {reasons.most_common(5)}"
    assert set(reasons) == {f"t{number}" for number in range(timers)} - cancelled
    assert all(each.status == ("cancelled" if each.key in cancelled else "done") for each in app.timers())


def check_ticks(app: Act) -> None:
    """Each moment has one tick, in order, and each second is either a tick or was counted as missed."""
    ticks = [msgspec.json.decode(each.data, type=Ticked) for each in app.store.load("$every-second", after=1)]
    for before, after in pairwise(ticks):
        assert after.due - before.due == timedelta(seconds=1 + after.missed)


@pytest.mark.parametrize("where", ["log", "postgres"])
def test_timers_are_done_once_by_workers_that_are_killed(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    address = str(tmp_path / "store")
    timers, kills = TIMERS, KILLS
    if where == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        address, timers, kills = server.url(server.new_database()), TIMERS // 4, KILLS // 2
    monkeypatch.setenv("ACT_FAST_TIMERS", address)
    with Act(address, Order) as app:
        fleet = Fleet(tmp_path, "--workers", "4", app="tests.timers.worker:make")
        try:
            cancelled = work_and_die(app, address, fleet, timers, kills)
            until(lambda: app.store.version("$every-second") > 4, 120)
            assert fleet.end() == 0
        finally:
            fleet.forget()
        check(app, cancelled, timers)
        check_ticks(app)


def test_timers_that_came_due_while_nobody_was_there_are_done_at_the_next_start(tmp_path: Path) -> None:
    with Act(tmp_path / "store", Order) as app:
        for number in range(20):
            app.schedule(after=timedelta(0), key=str(number)).do(Order.expire_anyway, f"order-{number}")
    with Act(tmp_path / "store", Order) as app:
        app.settle()
        assert [each.status for each in app.timers()] == ["done"] * 20
