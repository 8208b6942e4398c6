"""Timers: an action is done later, once, or not at all once it was cancelled; by the clock of a store in memory."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest

from act_fast import Act, Actor, AsyncAct, Committed, DefinitionError, Event, State, ValidationError, action
from act_fast.testing.plugin import MakeApp
from tests.timers.orders import Expired, Order, Placed

HOUR = timedelta(hours=1)


@pytest.fixture
def app(act_app: MakeApp) -> Act:
    app = act_app(Order)
    app.do(Order.place, "order-1")
    return app


def status(app: Act) -> str:
    return app.load(Order, "order-1").state.status


def test_an_action_is_done_when_its_time_has_come_and_not_before(app: Act) -> None:
    timer = app.schedule(after=HOUR).do(Order.expire, "order-1", reason="late")
    assert timer.status == "waiting"
    app.testing.advance(minutes=59)
    assert status(app) == "open"
    app.testing.advance(minutes=2)
    assert status(app) == "expired"
    found = app.timer(timer.key)
    assert found is not None
    assert (found.status, found.due) == ("done", timer.due)


def test_a_time_may_be_named_and_one_that_is_past_is_now(app: Act) -> None:
    app.schedule(at=app.testing.now + HOUR).do(Order.expire, "order-1", reason="late")
    app.testing.advance(hours=1, seconds=1)
    assert status(app) == "expired"
    app.schedule(at=datetime(2020, 1, 1, tzinfo=UTC)).do(Order.expire_anyway, "order-1")
    app.settle()
    assert app.load(Order, "order-1").state.expiries == 2


def test_what_was_cancelled_is_never_done(app: Act) -> None:
    app.schedule(after=HOUR, key="k").do(Order.expire, "order-1", reason="late")
    assert app.cancel("k")
    assert app.cancel("k")
    app.testing.advance(days=1)
    assert status(app) == "open"
    assert [each.status for each in app.timers()] == ["cancelled"]


def test_cancelling_what_was_done_says_that_it_is_too_late(app: Act) -> None:
    app.schedule(after=HOUR, key="k").do(Order.expire, "order-1", reason="late")
    app.testing.advance(hours=2)
    assert app.cancel("k") is False
    assert [each.status for each in app.timers()] == ["done"]


def test_a_key_that_nobody_scheduled_cannot_be_cancelled(app: Act) -> None:
    with pytest.raises(ValidationError, match="no timer was ever scheduled under the key 'k'"):
        app.cancel("k")


def test_scheduling_the_same_again_changes_nothing(app: Act) -> None:
    first = app.schedule(after=HOUR, key="k").do(Order.expire, "order-1", reason="late")
    app.testing.advance(minutes=30, settle=False)
    assert app.schedule(after=HOUR, key="k").do(Order.expire, "order-1", reason="late") == first
    app.testing.advance(days=1)
    done = app.schedule(after=HOUR, key="k").do(Order.expire, "order-1", reason="late")
    assert done.status == "done"
    app.testing.advance(days=1)
    assert app.load(Order, "order-1").state.expiries == 1


@pytest.mark.parametrize("other", ["action", "stream", "argument", "time"])
def test_a_key_is_for_one_thing_only(app: Act, other: str) -> None:
    app.schedule(after=HOUR, key="k").do(Order.expire, "order-1", reason="late")
    later = app.schedule(after=HOUR if other != "time" else 2 * HOUR, key="k")
    with pytest.raises(ValidationError, match=r"was scheduled for something else: Order.expire of 'order-1'"):
        later.do(
            Order.expire_anyway if other == "action" else Order.expire,
            "order-2" if other == "stream" else "order-1",
            reason="other" if other == "argument" else "late",
        )


def test_a_timer_may_take_the_place_of_another_one_sooner_or_later(app: Act) -> None:
    app.schedule(after=3 * HOUR, key="k").do(Order.expire, "order-1", reason="first")
    app.testing.advance(hours=1)
    app.schedule(after=HOUR, key="k", replace=True).do(Order.expire, "order-1", reason="sooner")
    app.testing.advance(minutes=30)
    app.schedule(after=HOUR, key="k", replace=True).do(Order.expire, "order-1", reason="later")
    app.testing.advance(minutes=45)
    assert status(app) == "open"
    app.testing.advance(hours=9)
    assert [event.data for event in app.query(events=[Expired])] == [Expired("later")]


def test_what_is_over_may_be_scheduled_again(app: Act) -> None:
    for _ in range(2):
        app.schedule(after=HOUR, key="k", replace=True).do(Order.expire_anyway, "order-1")
        app.testing.advance(hours=2)
    assert app.load(Order, "order-1").state.expiries == 2


def test_an_action_that_decides_nothing_is_done_all_the_same(app: Act) -> None:
    app.schedule(after=HOUR, key="k").do(Order.expire, "order-1", reason="late")
    app.do(Order.pay, "order-1")
    app.testing.advance(hours=2)
    assert status(app) == "paid"
    assert app.cancel("k") is False


def test_the_events_and_the_end_of_the_timer_are_one_commit(app: Act) -> None:
    actor = Actor("ada")
    with app.context(correlation="request-7"):
        timer = app.acting(actor).schedule(after=HOUR).do(Order.expire, "order-1", reason="late")
    app.testing.advance(hours=2)
    expired, done = app.store.query(after=app.store.head - 2)
    assert (expired.name, done.name, done.stream) == ("Expired", "$done", f"$timer-{timer.key}")
    assert expired.created == done.created
    assert expired.meta.actor == actor
    assert expired.meta.correlation == "request-7"
    assert expired.meta.event is not None
    assert expired.meta.event.stream == done.stream


def test_an_action_that_raises_is_retried_and_then_blocks_its_own_target_only(app: Act) -> None:
    app.do(Order.expire_anyway, "order-1")
    app.do(Order.place, "order-2")
    app.schedule(after=HOUR, key="bad").do(Order.insist, "order-1")
    app.schedule(after=2 * HOUR, key="good").do(Order.expire, "order-2", reason="late")
    app._program.settle_raises = False
    app.testing.advance(days=1)
    [blocked] = app.blocked()
    assert "not expired" in (blocked.error or "")
    assert [each.status for each in app.timers()] == ["waiting", "done"]
    bad = app.timer("bad")
    assert bad is not None
    assert bad.target == blocked.name
    assert app.cancel("bad")
    app.settle()
    assert list(app.blocked()) == []


def test_arguments_are_checked_when_it_is_scheduled(app: Act) -> None:
    with pytest.raises(ValidationError, match="argument 'reason'"):
        app.schedule(after=HOUR).do(Order.expire, "order-1", reason=7)  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match="Stranger is not a state of this app"):
        app.schedule(after=HOUR).do(Stranger.act, "order-1")
    assert list(app.timers()) == []


class Stranger(State):
    @action
    def act(self) -> None:
        return None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either at= .* or after="),
        ({"at": datetime(2030, 1, 1, tzinfo=UTC), "after": HOUR}, "either at= .* or after="),
        ({"at": datetime(2030, 1, 1)}, "timezone-aware"),
        ({"after": -HOUR}, "from 0 to 100 years"),
        ({"after": 3600}, "must be a timedelta"),
        ({"after": HOUR, "key": ""}, "1 to 400 bytes"),
        ({"after": HOUR, "key": "k" * 401}, "1 to 400 bytes"),
        ({"after": HOUR, "replace": True}, "needs a key="),
    ],
)
def test_what_makes_no_sense_is_refused(app: Act, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        app.schedule(**options)  # type: ignore[arg-type]


class Weighed(Event):
    grams: int


class Scale(State):
    @action
    def weigh(self, when: datetime, parts: dict[int, float], *, note: str = "") -> Weighed:
        assert isinstance(when, datetime)
        assert note == "ok"
        return Weighed(sum(key for key in parts))


def test_arguments_come_back_as_they_were_given(act_app: MakeApp) -> None:
    app = act_app(Scale)
    app.schedule(after=HOUR).do(Scale.weigh, "scale", datetime(2026, 1, 1, tzinfo=UTC), {2: 0.5, 3: 1.0}, note="ok")
    app.testing.advance(hours=1)
    [event] = app.query(events=[Weighed])
    assert event.data == Weighed(5)


def test_many_timers_come_in_the_order_in_which_they_are_due(app: Act) -> None:
    for number in (5, 3, 9, 1, 7):
        app.schedule(after=number * HOUR).do(Order.expire_anyway, "order-1", reason=str(number))
    app.testing.advance(days=1)
    found = list(app.query(events=[Expired]))
    assert [event.data.reason for event in found] == ["1", "3", "5", "7", "9"]
    assert [round((event.created - found[0].created) / HOUR) for event in found] == [0, 2, 4, 6, 8]


def test_an_app_without_timers_has_no_more_reactions_than_it_declares(app: Act) -> None:
    app.settle()
    assert app.reactions == ()
    assert app.cursors() == []


def test_timers_are_done_by_an_app_that_was_opened_later(tmp_path: object) -> None:
    path = f"{tmp_path}/store"
    with Act(path, Order) as app:
        app.do(Order.place, "order-1")
        app.schedule(after=timedelta(0)).do(Order.expire, "order-1", reason="late")
    with Act(path, Order) as app:
        app.settle()
        assert status(app) == "expired"


def test_time_is_moved_in_memory_only(tmp_path: object) -> None:
    with Act(f"{tmp_path}/store", Order) as app, pytest.raises(ValidationError, match=r"only be moved .* in memory"):
        app.testing.advance(days=1)


async def test_timers_are_awaited_too(act_app: MakeApp) -> None:
    app = AsyncAct(act_app(Order))
    await app.do(Order.place, "order-1")
    await app.schedule(after=HOUR, key="k").do(Order.expire, "order-1", reason="late")
    assert [each.key async for each in app.timers(status="waiting")] == ["k"]
    await app.testing.advance(hours=2)
    assert (await app.load(Order, "order-1")).state.status == "expired"
    assert await app.cancel("k") is False
    found = await app.timer("k")
    assert found is not None
    assert found.ended is not None
    assert found.ended <= app.testing.now


def test_the_first_timer_that_a_handler_schedules_is_done_at_its_time(app: Act) -> None:
    @app.on(Placed)
    def wait(event: Committed[Placed]) -> None:
        app.schedule(after=HOUR, key="k").do(Order.expire, event.stream, reason="late")

    app.testing.advance(days=1)
    found = app.timer("k")
    assert found is not None
    assert found.ended is not None
    assert found.ended - found.due < timedelta(minutes=1)


def test_what_a_handler_schedules_for_now_is_done_by_the_same_settle(app: Act) -> None:
    @app.on(Placed)
    def at_once(event: Committed[Placed]) -> None:
        app.schedule(after=timedelta(0), key="k").do(Order.expire, event.stream, reason="late")

    app.settle()
    assert status(app) == "expired"


def test_threads_that_settle_at_once_may_find_the_first_timer_together(act_app: MakeApp) -> None:
    threads = 4
    for _ in range(20):
        app = act_app(Order)
        app.do(Order.place, "order-1")
        app.schedule(after=timedelta(0)).do(Order.expire, "order-1", reason="late")
        start = threading.Barrier(threads)

        def settle(app: Act = app, start: threading.Barrier = start) -> None:
            start.wait(60)
            app.settle()

        with ThreadPoolExecutor(threads) as pool:
            for each in [pool.submit(settle) for _ in range(threads)]:
                each.result()
        assert status(app) == "expired"


@pytest.mark.parametrize(
    "at", [datetime.max.replace(tzinfo=UTC), datetime.max.replace(tzinfo=timezone(-timedelta(hours=12)))]
)
def test_a_timer_may_wait_until_the_last_moment_that_there_is(app: Act, at: datetime) -> None:
    for _ in range(2):
        timer = app.schedule(at=at, key="k").do(Order.expire, "order-1", reason="late")
        assert timer.due.year == 9999
    app.settle()
    assert status(app) == "open"


def test_a_moment_before_the_first_one_is_now(app: Act) -> None:
    app.schedule(at=datetime.min.replace(tzinfo=timezone(timedelta(hours=12)))).do(
        Order.expire, "order-1", reason="late"
    )
    app.settle()
    assert status(app) == "expired"


@pytest.mark.parametrize(("stream", "said"), [("a\rb", "line breaks"), ("$timer-k", "the timer's own stream")])
def test_a_stream_on_which_it_could_never_be_done_is_refused(app: Act, stream: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        app.schedule(after=HOUR, key="k").do(Order.expire, stream, reason="late")


def test_a_request_key_or_a_version_is_not_silently_ignored(app: Act) -> None:
    with pytest.raises(ValidationError, match=r"once\(key\) is not for `schedule`"):
        app.once("k").schedule(after=HOUR)
    with pytest.raises(ValidationError, match=r"expecting\(version\) is not for `schedule`"):
        app.expecting(1).schedule(after=HOUR)


class Sorted(State):
    @action
    def sort(self, wanted: set[str], by: dict[int, str]) -> None: ...


def test_the_order_of_a_set_makes_no_other_timer(act_app: MakeApp) -> None:
    app = act_app(Sorted)
    wanted = {f"w{n}" for n in range(50)}
    timer = app.schedule(after=HOUR, key="k").do(Sorted.sort, "s", wanted=wanted, by={2: "b", 1: "a"})
    assert timer.arguments == {"wanted": sorted(wanted), "by": {"1": "a", "2": "b"}}


def test_a_timer_that_was_redacted_is_never_done_and_holds_up_no_other(act_app: MakeApp) -> None:
    app = act_app(Order)
    for key in ("a", "b"):
        app.schedule(after=timedelta(hours=1), key=key).do(Order.expire_anyway, f"order-{key}", reason="secret")
    app.redact([1], drop=True, reason="r")
    assert [(each.key, each.status) for each in app.timers()] == [("a", "cancelled"), ("b", "waiting")]
    assert app.cancel("a")
    app.testing.advance(hours=2)
    assert [event.data.reason for event in app.query(events=[Expired])] == ["secret"]
    assert [each.status for each in app.timers()] == ["cancelled", "done"]
    app.schedule(after=timedelta(hours=1), key="a", replace=True).do(Order.expire_anyway, "order-a", reason="again")
    app.testing.advance(hours=2)
    assert [each.status for each in app.timers()] == ["done", "done"]
