"""Timers and ticks on every kind of store, with two workers each; on several machines, one on each of two."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from act_fast import Act, Committed, Ticked
from tests.support.mariadb import MariaDbServer
from tests.support.processes import until
from tests.support.servers import PostgresServer
from tests.timers.orders import Expired, Order

COUNT = 12


@pytest.fixture(params=["log", "memory", "postgres", "mysql", "replicated"])
def addresses(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """Where the two apps are; the same place but for a replicated store."""
    match request.param:
        case "memory":
            return ["memory:"]
        case "postgres":
            postgres: PostgresServer = request.getfixturevalue("postgres")
            return [postgres.url(postgres.new_database())] * 2
        case "mysql":
            mariadb: MariaDbServer = request.getfixturevalue("mariadb")
            return [mariadb.url(mariadb.new_database())] * 2
        case "replicated":
            return [f"dir://{tmp_path}/log?replica={tmp_path}/{number}" for number in (1, 2)]
        case _:
            return [str(tmp_path / "store")] * 2


@pytest.fixture
def apps(addresses: list[str]) -> Iterator[list[Act]]:
    with ExitStack() as opened:
        apps = [opened.enter_context(Act(address, Order)) for address in addresses]
        yield apps if len(apps) == 2 else [apps[0], opened.enter_context(Act(apps[0].store, Order))]


@contextmanager
def working(apps: list[Act]) -> Iterator[None]:
    threads = [threading.Thread(target=app.run) for app in apps]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for app in apps:
            app.stop()
        for thread in threads:
            thread.join()


def over(app: Act) -> Callable[[], bool]:
    return lambda: not any(True for _ in app.timers(status="waiting"))


def test_timers_are_done_once_and_cancelled_for_good(apps: list[Act]) -> None:
    one, other = apps
    with working(apps):
        for number in range(COUNT):
            later = one.schedule(
                after=timedelta(seconds=0.1 * number + (60 if number % 3 == 2 else 0)), key=str(number)
            )
            later.do(Order.expire_anyway, f"order-{number}", reason=str(number))
        other.store.wait(one.store.head - 1, 30)
        for number in range(2, COUNT, 3):
            assert other.cancel(str(number))
        until(over(one), 60)
    reasons = Counter(event.data.reason for event in one.query(events=[Expired]))
    assert reasons == {str(number): 1 for number in range(COUNT) if number % 3 != 2}


def test_each_moment_ticks_once(apps: list[Act]) -> None:
    ticks: list[datetime] = []
    for app in apps:

        @app.every(timedelta(seconds=1), name="second")
        def second(tick: Committed[Ticked]) -> None:
            ticks.append(tick.data.due)

    with working(apps):
        until(lambda: len(set(ticks)) > 2, 60)
    stored = [event.data for event in apps[0].store.load("$every-second") if event.name != "$began"]
    assert len(set(stored)) == len(stored)
    assert [*dict.fromkeys(ticks)] == sorted(set(ticks))
