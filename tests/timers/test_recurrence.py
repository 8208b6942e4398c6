"""When cron expressions come: compared with a slow reference that looks at every minute, and at changes of the clocks.

`ACT_FAST_CRON_EXAMPLES=5000` compares more of them.
"""

import os
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSimError
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from act_fast._timers.recurrence import Cron, Interval, latest_before, recurrence_of

EXAMPLES = int(os.environ.get("ACT_FAST_CRON_EXAMPLES", "25"))
MINUTE = timedelta(minutes=1)
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo"]


class Field:
    """A field of an expression: its text, what it matches, and whether it begins with a star."""

    def __init__(self, text: str, matches: set[int]) -> None:
        self.text, self.matches, self.star = text, matches, text.startswith("*")

    def __repr__(self) -> str:
        return self.text


def fields(first: int, last: int) -> st.SearchStrategy[Field]:
    numbers = st.integers(first, last)
    everything = set(range(first, last + 1))
    return st.one_of(
        st.just(Field("*", everything)),
        st.integers(2, 20).map(lambda step: Field(f"*/{step}", set(range(first, last + 1, step)))),
        st.lists(numbers, min_size=1, max_size=4, unique=True).map(
            lambda some: Field(",".join(map(str, some)), set(some))
        ),
        st.tuples(numbers, numbers).map(
            lambda ends: Field(f"{min(ends)}-{max(ends)}", set(range(min(ends), max(ends) + 1)))
        ),
    )


def day_matches(day: Field, month: Field, weekday: Field, local: datetime) -> bool:
    of_month, of_week = local.day in day.matches, local.isoweekday() % 7 in weekday.matches
    both = of_month and of_week if day.star or weekday.star else of_month or of_week
    return local.month in month.matches and both


def reference(every: list[Field], zone: ZoneInfo, moment: datetime, until: datetime) -> datetime | None:
    """The first moment after another one, found by looking at each minute."""
    minute, hour, *days = every
    if minute.star or hour.star:
        at = moment.replace(second=0, microsecond=0) + MINUTE
        while at <= until:
            local = at.astimezone(zone)
            if local.minute in minute.matches and local.hour in hour.matches and day_matches(*days, local):
                return at
            at += MINUTE
        return None
    found = []
    wall = moment.astimezone(zone).replace(tzinfo=None, second=0, microsecond=0) - timedelta(days=1)
    while wall <= until.replace(tzinfo=None) + timedelta(days=1):
        if wall.minute in minute.matches and wall.hour in hour.matches and day_matches(*days, wall):
            there = wall
            while there.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) != there:
                there += MINUTE  # left out that day
            found.append(there.replace(tzinfo=zone).astimezone(UTC))
        wall += MINUTE
    return min((each for each in found if moment < each), default=None)


moments = st.one_of(
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),
    *(
        st.datetimes(at - timedelta(hours=8), at + timedelta(hours=8))
        for at in (
            datetime(2026, 3, 29, 1),
            datetime(2026, 10, 25, 1),
            datetime(2026, 3, 8, 7),
            datetime(2026, 11, 1, 6),
        )
    ),
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    every=st.tuples(fields(0, 59), fields(0, 23), fields(1, 31), fields(1, 12), fields(0, 6)).map(list),
    zone=st.sampled_from(ZONES),
    moment=moments,
)
def test_the_next_moment_is_that_of_a_slow_reference(every: list[Field], zone: str, moment: datetime) -> None:
    moment = moment.replace(tzinfo=UTC)
    until = moment + timedelta(days=2)
    expected = reference(every, ZoneInfo(zone), moment, until)
    try:
        rule = Cron(" ".join(each.text for each in every), UTC if zone == "UTC" else ZoneInfo(zone))
    except CronSimError:
        assume(False)  # such as the 31st of February
    found = rule.next_after(moment)
    if expected is not None or (found is not None and found <= until):
        assert found == expected


BERLIN = ZoneInfo("Europe/Berlin")


def days_of(expression: str, first: str, count: int) -> list[str]:
    """The next moments, in Berlin."""
    rule, at = Cron(expression, BERLIN), datetime.fromisoformat(first).astimezone(UTC)
    found = []
    for _ in range(count):
        after = rule.next_after(at)
        assert after is not None
        found.append(after.astimezone(BERLIN).isoformat())
        at = after
    return found


@pytest.mark.parametrize(
    ("expression", "first", "expected"),
    [
        (  # 02:30 is left out on that day, and comes at 03:00
            "30 2 * * *",
            "2026-03-28T00:00+01:00",
            ["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"],
        ),
        (  # 02:30 is there twice, and comes the first time only
            "30 2 * * *",
            "2026-10-24T00:00+02:00",
            ["2026-10-24T02:30:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"],
        ),
        (  # also seen from within the hour that is there twice
            "30 2 * * *",
            "2026-10-25T02:10+01:00",
            ["2026-10-26T02:30:00+01:00"],
        ),
        (
            "*/30 * * * *",
            "2026-10-25T02:10+02:00",
            ["2026-10-25T02:30:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T02:30:00+01:00"],
        ),
        ("*/30 * * * *", "2026-03-29T01:40+01:00", ["2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00"]),
        ("15,45 2 * * *", "2026-03-29T00:00+01:00", ["2026-03-29T03:00:00+02:00", "2026-03-30T02:15:00+02:00"]),
        ("0 0 29 2 *", "2026-01-01T00:00+01:00", ["2028-02-29T00:00:00+01:00"]),
        ("0 12 13 * 5", "2026-01-01T00:00+01:00", ["2026-01-02T12:00:00+01:00", "2026-01-09T12:00:00+01:00"]),
        ("0 12 * * 7", "2026-01-01T00:00+01:00", ["2026-01-04T12:00:00+01:00"]),
    ],
)
def test_a_change_of_the_clocks_and_other_corners(expression: str, first: str, expected: list[str]) -> None:
    assert days_of(expression, first, len(expected)) == expected


@settings(max_examples=EXAMPLES, deadline=None)
@given(moment=moments, step=st.integers(1, 10**6))
def test_an_interval_is_a_multiple_since_1970(moment: datetime, step: int) -> None:
    moment = moment.replace(tzinfo=UTC)
    found = Interval(timedelta(seconds=step)).next_after(moment)
    assert found is not None
    assert timedelta(0) < found - moment <= timedelta(seconds=step)
    assert int(found.timestamp()) % step == 0


@pytest.mark.parametrize("when", ["* * * * *", "0 3 * * *", "0 0 1 * *", "0 0 29 2 *", timedelta(seconds=7)])
def test_the_last_moment_is_found_without_going_through_them_all(when: str | timedelta) -> None:
    rule = recurrence_of("test", when, None, "once").rule
    now = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
    found = latest_before(rule, now)
    assert found <= now
    following = rule.next_after(found)
    assert following is not None
    assert following > now
    assert rule.next_after(found - timedelta(microseconds=1)) == found
