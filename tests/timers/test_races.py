"""What may happen at the same time: doing and cancelling, steps of the clock, other programs and other releases."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from act_fast import Act, Backoff, Committed, Event, LogStore, State, Ticked, action
from act_fast._checks.moments import microseconds_of
from act_fast._timers.names import TICK_STREAM
from act_fast._timers.recurrence import recurrence_of
from act_fast._timers.ticker import Ticker
from act_fast._workers.host import Host
from act_fast.monitoring.overview import look
from act_fast.testing.plugin import MakeApp
from tests.timers.orders import Expired, Order

MANY = 150


@pytest.fixture
def store() -> Iterator[LogStore]:
    with LogStore.memory() as store:
        yield store


def test_of_doing_and_cancelling_exactly_one_wins(store: LogStore) -> None:
    with Act(store, Order) as worker, Act(store, Order) as canceller:
        for number in range(MANY):
            later = canceller.schedule(after=timedelta(0), key=str(number))
            later.do(Order.expire_anyway, f"order-{number}", reason=str(number))
        cancelled = list[str]()

        def cancel() -> None:
            cancelled.extend(str(number) for number in reversed(range(MANY)) if canceller.cancel(str(number)))

        thread = threading.Thread(target=cancel)
        thread.start()
        worker.settle()
        thread.join()
        worker.settle()
        done = [event.data.reason for event in worker.query(events=[Expired])]
        assert sorted(done + cancelled) == sorted(map(str, range(MANY)))


def test_of_many_that_schedule_one_key_all_get_the_same_timer(store: LogStore) -> None:
    with Act(store, Order) as app:
        found = list[object]()

        def schedule() -> None:
            found.append(app.schedule(after=timedelta(hours=1), key="k").do(Order.expire_anyway, "order-1"))

        threads = [threading.Thread(target=schedule) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [app.timer("k")] * 8
        assert store.version("$timer-k") == 1


def test_a_stream_that_changes_while_its_timer_is_done_is_decided_again(act_app: MakeApp) -> None:
    app = act_app(Order)
    app.do(Order.place, "order-1")
    app.include(Meddled)
    app.schedule(after=timedelta(hours=1)).do(Meddled.count, "meddled-1")
    meddling.append(lambda: app.store.append("meddled-1", [Counted(100)]))
    app.testing.advance(hours=2)
    assert [event.data.value for event in app.query(events=[Counted])] == [100, 1]


def test_what_is_cancelled_while_it_is_being_done_is_not_done(act_app: MakeApp) -> None:
    app, cancelled = act_app(Meddled), list[bool]()

    def cancel() -> None:
        thread = threading.Thread(target=lambda: cancelled.append(app.cancel("k")))
        thread.start()
        thread.join()

    meddling.append(cancel)
    app.schedule(after=timedelta(hours=1), key="k").do(Meddled.count, "meddled-1")
    app.testing.advance(hours=2)
    assert cancelled == [True]
    assert [each.status for each in app.timers()] == ["cancelled"]
    assert list(app.query(events=[Counted])) == []


class Counted(Event):
    value: int


class Meddled(State):
    events: int = 0

    @action
    def count(self) -> Counted:
        while meddling:
            meddling.pop()()
        return Counted(1)


meddling = list[Callable[[], object]]()
"""What happens behind the back of the next action."""


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now: str) -> None:
        self.now = datetime.fromisoformat(now).replace(tzinfo=UTC)

    def us(self) -> int:
        return microseconds_of(self.now)


def ticks(store: LogStore) -> list[str]:
    with Act(store) as app:
        events = app.store.load(f"{TICK_STREAM}job")
        return [each.data.decode()[8:24] for each in events if each.name == "$ticked.job"]


def test_a_clock_that_steps_back_ticks_nothing_twice_and_one_that_steps_forward_leaves_nothing_out(
    store: LogStore,
) -> None:
    begun = datetime.now(UTC)
    first = (begun + timedelta(days=2)).strftime("%Y-%m-%d")
    clock = Clock(f"{first}T10:30:00")
    ticker = Ticker(store, clock.us, [("job", recurrence_of("test", "0 * * * *", None, "once"))])
    ticker.tick()
    assert ticks(store) == [f"{first}T10:00"]
    clock.now -= timedelta(hours=5)
    for _ in range(10):
        ticker.tick()
        clock.now += timedelta(minutes=30)
    assert ticks(store) == [f"{first}T10:00"]
    clock.now = datetime.fromisoformat(f"{first}T13:01:00").replace(tzinfo=UTC)
    ticker.tick()
    assert ticks(store) == [f"{first}T10:00", f"{first}T13:00"]


class Stranger(State):
    value: int = 0

    @action
    def act(self) -> None:
        return None


def test_a_program_without_the_state_leaves_its_timers_alone(store: LogStore) -> None:
    with Act(store, Stranger) as stranger, Act(store, Order) as shop:
        shop.schedule(after=timedelta(0), key="k").do(Order.expire_anyway, "order-1")
        stranger.schedule(after=timedelta(0), key="own").do(Stranger.act, "stranger-1")
        stranger.settle()
        assert [each.status for each in shop.timers()] == ["waiting", "done"]
        shop.settle()
        assert [each.status for each in shop.timers()] == ["done", "done"]


def release(with_action: bool) -> type[State]:
    class Later(State, name="Later"):
        value: int = 0

        if with_action:

            @action
            def act(self) -> None:
                return None

    return Later


def test_a_release_without_the_action_leaves_it_for_one_that_has_it(store: LogStore) -> None:
    new, old = release(True), release(False)
    with Act(store, new) as app:
        app.schedule(after=timedelta(0), key="k").do(new.act, "later-1")  # type: ignore[attr-defined]
    with Act(store, old) as app:
        app.settle()
        [target] = app.targets(["$timer-k@1"])
        assert not target.blocked
        assert "there is no such action" in (target.error or "")
    with Act(store, new) as app:
        app.testing.advance(minutes=1)
        assert [each.status for each in app.timers()] == ["done"]


def test_time_that_passes_moves_all_that_waits(act_app: MakeApp) -> None:
    app = act_app(Order)
    heard = list[tuple[str, float]]()
    began = app.testing.now
    app._program.settle_raises = False

    def hear(what: str) -> None:
        heard.append((what, round((app.testing.now - began).total_seconds() / 60, 1)))

    @app.on(Expired, to="deferred", defer=timedelta(minutes=30))
    def deferred(event: Committed[Expired]) -> None:
        hear("deferred")

    @app.on(Expired, to="retried", backoff=Backoff(first=600.0, longest=600.0, jitter=0.0), retries=1)
    def retried(event: Committed[Expired]) -> None:
        if event.attempt == 1:
            raise OSError("not yet")
        hear("retried")

    app.do(Order.expire_anyway, "order-1")
    app.testing.advance(hours=1)
    assert [what for what, _ in heard] == ["retried", "deferred"]
    assert heard[0][1] == 10.0
    assert heard[1][1] == 30.0
    created = app.do(Order.expire_anyway, "order-1").event
    assert created is not None
    assert timedelta(hours=1) <= created.created - began < timedelta(hours=1, minutes=1)


def test_leases_of_those_who_died_end_as_time_passes(store: LogStore) -> None:
    with Act(store, Order) as dead, Act(store, Order) as app:
        handled = list[int]()
        for each in (dead, app):

            @each.on(Expired, to="one", name="one")
            def one(event: Committed[Expired]) -> None:
                handled.append(event.position)

        app.do(Order.expire_anyway, "order-1")
        dead.correlate()
        assert len(dead._cycle(Host(dead), None, 1).claim()) == 1  # and never finishes
        app.settle()
        assert handled == []
        app.testing.advance(minutes=10)
        assert handled == [1]


def test_a_worker_that_dies_before_it_has_said_so_has_done_it_once(store: LogStore) -> None:
    with Act(store, Order) as dead, Act(store, Order) as app:
        app.schedule(after=timedelta(0), key="k").do(Order.expire_anyway, "order-1")
        dead.correlate()
        cycle = dead._cycle(Host(dead), None, 1)
        [lease] = cycle.claim()
        cycle.batch([lease]).handling.run(lease)
        assert lease.done is not None  # and it is never told
        app.settle()
        app.testing.advance(hours=1)
        assert app.load(Order, "order-1").state.expiries == 1
        assert not any(target.lag for target in app.targets())


def test_a_timer_that_waits_is_not_late(store: LogStore) -> None:
    with Act(store, Order) as app:
        for number in range(5):
            app.schedule(after=timedelta(days=3)).do(Order.expire_anyway, f"order-{number}")
        app.settle()
        seen = look(app).reactions["$timers.Order"]
        assert (seen.targets["waiting"], seen.lag, seen.age) == (5, 0, 0.0)
        app.testing.advance(days=4, settle=False)
        assert look(app).reactions["$timers.Order"].lag == 5


def test_a_log_on_disk_goes_by_the_machines_clock(tmp_path: object) -> None:
    with LogStore(f"{tmp_path}/store") as store:
        assert store.clock() is None
        with pytest.raises(Exception, match="only a store in memory has a clock that you can move"):
            store._log.advance(1)


def test_a_tick_that_is_handled_for_long_does_not_hold_up_the_next_tick(act_app: MakeApp) -> None:
    app, dues = act_app(), list[datetime]()

    @app.every(timedelta(hours=1))
    def hourly(tick: Committed[Ticked]) -> None:
        if not dues:
            app.testing.advance(hours=3, settle=False)  # it takes so long
        dues.append(tick.data.due)

    app.testing.advance(hours=6)
    assert len(dues) == len(set(dues)) >= 3
    assert sorted(dues) == dues
