"""`every`: one tick for each moment, whoever notices it; by the clock of a store in memory."""

import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from act_fast import Act, AsyncAct, Committed, DefinitionError, LogStore, Slice, Ticked
from act_fast.testing.plugin import MakeApp
from tests.timers.orders import Order

DAY = timedelta(days=1)


def test_a_function_is_called_at_each_moment(act_app: MakeApp) -> None:
    app, ticks = act_app(), list[datetime]()

    @app.every("0 3 * * *", tz="Europe/Berlin")
    def nightly(tick: Committed[Ticked]) -> None:
        ticks.append(tick.data.due)
        assert timedelta(0) <= tick.created - tick.data.due < timedelta(minutes=1)

    app.testing.advance(days=5)
    assert len(ticks) == 5
    berlin = ZoneInfo("Europe/Berlin")
    assert {(each.astimezone(berlin).hour, each.astimezone(berlin).minute) for each in ticks} == {(3, 0)}
    assert all(b - a == DAY for a, b in pairwise(ticks))


def test_an_interval_is_counted_from_1970(act_app: MakeApp) -> None:
    app, ticks = act_app(), list[datetime]()

    @app.every(timedelta(minutes=10))
    def often(tick: Committed[Ticked]) -> None:
        ticks.append(tick.data.due)

    app.testing.advance(hours=1)
    assert len(ticks) == 6
    assert all(each.minute % 10 == 0 and not each.second for each in ticks)


def missed_by(store: LogStore, missed: str, days: float) -> list[tuple[datetime, int]]:
    ticks = list[tuple[datetime, int]]()
    with Act(store) as app:

        @app.every("0 3 * * *", missed=missed)  # type: ignore[arg-type]
        def nightly(tick: Committed[Ticked]) -> None:
            ticks.append((tick.data.due, tick.data.missed))

        app.settle()
        app.testing.advance(days=days, settle=False)  # nobody is there
        app.settle()
        app.settle()
    return ticks


def test_missed_moments_are_made_up_for_by_one_tick() -> None:
    with LogStore.memory() as store:
        [(due, missed)] = missed_by(store, "once", 10)
        assert missed == 9
        assert timedelta(0) <= datetime.now(UTC) + 10 * DAY - due < DAY


def test_missed_moments_are_each_made_up_for_if_that_is_asked() -> None:
    with LogStore.memory() as store:
        ticks = missed_by(store, "each", 10)
        assert [missed for _, missed in ticks] == [0] * 10
        assert all(b - a == DAY for (a, _), (b, _) in pairwise(ticks))


@pytest.mark.parametrize(("missed", "expected"), [("once", 1), ("each", 3000)])
def test_very_many_missed_moments_cost_no_more_than_they_must(missed: str, expected: int) -> None:
    with LogStore.memory() as store:
        ticks = missed_by(store, missed, 3000)
        assert len(ticks) == expected
        assert len(set(ticks)) == expected
        assert max(due for due, _ in ticks) + DAY > datetime.now(UTC) + 3000 * DAY


def test_what_was_never_seen_before_has_missed_nothing(act_app: MakeApp) -> None:
    app, ticks = act_app(), list[datetime]()

    @app.every("* * * * *")
    def each_minute(tick: Committed[Ticked]) -> None:
        ticks.append(tick.data.due)

    app.settle()
    assert ticks == []


def test_two_apps_tick_once() -> None:
    ticks = list[tuple[str, datetime]]()
    with LogStore.memory() as store, Act(store) as one, Act(store) as other:
        for app, name in ((one, "one"), (other, "other")):

            @app.every("0 * * * *", name="hourly")
            def hourly(tick: Committed[Ticked], name: str = name) -> None:
                ticks.append((name, tick.data.due))

        one.settle()
        for number in range(20):
            one.testing.advance(hours=1, settle=False)
            for app in (one, other) if number % 2 else (other, one):
                app.settle()
        moments = [moment for _, moment in ticks]
        assert len(moments) == 20 == len(set(moments))


def test_a_new_rule_takes_effect_at_once_and_the_old_program_stands_back() -> None:
    daily, hourly = list[datetime](), list[datetime]()
    with LogStore.memory() as store, Act(store) as old, Act(store) as new:

        @old.every("0 3 * * *", name="job")
        def old_job(tick: Committed[Ticked]) -> None:
            daily.append(tick.data.due)

        @new.every("0 * * * *", name="job")
        def new_job(tick: Committed[Ticked]) -> None:
            hourly.append(tick.data.due)

        old.settle()
        new.testing.advance(days=1)
        assert len(hourly) == 24
        old.testing.advance(days=1, settle=False)
        old.settle()
        assert daily == []
        assert [each.name for each in store.load("$every-job", limit=2)] == ["$began", "$began"]


def test_a_tick_is_retried_and_blocked_like_any_event(act_app: MakeApp) -> None:
    app, attempts = act_app(), list[int]()
    app._program.settle_raises = False

    @app.every("0 3 * * *", retries=2)
    def fails(tick: Committed[Ticked]) -> None:
        attempts.append(tick.attempt)
        raise OSError("no")

    app.testing.advance(days=1)
    assert attempts == [1, 2, 3]
    assert [each.name for each in app.blocked()] == ["fails"]


async def test_handlers_may_be_async_and_take_the_app(act_app: MakeApp) -> None:
    app = AsyncAct(act_app(Order))

    @app.every("0 3 * * *")
    async def place(tick: Committed[Ticked], app: AsyncAct) -> None:
        await app.do(Order.place, f"order-{tick.data.due:%d}")

    await app.testing.advance(days=3)
    assert len(list(app.sync.store.streams(pattern="^order-"))) == 3


def test_a_slice_may_have_what_recurs() -> None:
    part, ticks = Slice(), list[datetime]()

    @part.every(timedelta(hours=1))
    def hourly(tick: Committed[Ticked]) -> None:
        ticks.append(tick.data.due)

    with Act("memory:", part) as app:
        app.testing.advance(hours=3)
    assert len(ticks) == 3


@pytest.mark.parametrize(
    ("when", "options", "message"),
    [
        ("0 3 * *", {}, "five fields"),
        ("61 3 * * *", {}, "not a cron expression"),
        ("0 0 31 2 *", {}, "not a cron expression|never comes"),
        ("0 3 * * *", {"tz": "Mars/Olympus"}, "no time zone 'Mars/Olympus'"),
        ("0 3 * * *", {"missed": "never"}, "missed= must be"),
        (timedelta(0), {}, "at least a second"),
        (timedelta(hours=1), {"tz": "UTC"}, "same in every time zone"),
        (7, {}, "give a cron expression"),
    ],
)
def test_what_makes_no_sense_is_refused(when: object, options: dict[str, object], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        Slice().every(when, **options)  # type: ignore[arg-type]


def test_an_interval_that_would_never_end_is_refused(act_app: MakeApp) -> None:
    with pytest.raises(DefinitionError, match="at most 100 years"):
        act_app().every(timedelta.max)


@pytest.mark.parametrize("apps", [1, 4])
def test_time_passes_for_one_after_the_other(apps: int) -> None:
    with LogStore.memory() as store:
        ticks, programs = list[tuple[int, datetime]](), [Act(store) for _ in range(apps)]
        for app in programs:

            @app.every(timedelta(minutes=10), name="often")
            def often(tick: Committed[Ticked]) -> None:
                ticks.append((tick.position, tick.data.due))

        programs[0].settle()
        before = programs[0].testing.now
        threads = [
            threading.Thread(target=lambda app=programs[each % apps]: app.testing.advance(hours=3)) for each in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(ticks) == 4 * 18
        assert all(later == due + timedelta(minutes=10) for (_, due), (_, later) in pairwise(ticks))
        assert timedelta(0) <= programs[0].testing.now - before - timedelta(hours=12) < timedelta(minutes=1)
        for app in programs:
            app.close()


def test_a_handler_may_let_time_pass(act_app: MakeApp) -> None:
    app, hours = act_app(), list[int]()

    @app.every(timedelta(hours=1))
    def hourly(tick: Committed[Ticked]) -> None:
        hours.append(tick.data.due.hour)
        if len(hours) == 1:
            app.testing.advance(seconds=1)

    app.testing.advance(hours=3)
    assert len(hours) == 3
