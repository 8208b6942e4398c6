"""Times and durations at their limits: what takes one does something that makes sense, or says what is wrong."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from act_fast import Act, Backoff, Committed, DefinitionError, Lane, ValidationError
from act_fast._checks.arguments import DUE_MAX_MS
from act_fast.cli.main import main
from tests.support.bank import Account, Deposited
from tests.support.heard import Heard, deposit
from tests.support.processes import until

LAST = datetime.max.replace(tzinfo=UTC, microsecond=999_000)
WEST = timezone(timedelta(hours=-12))
EAST = timezone(timedelta(hours=14))
FAR = {
    "the last moment": datetime.max.replace(tzinfo=UTC),
    "a moment beyond the year 9999 in UTC": datetime.max.replace(tzinfo=WEST),
}


def on_deposit(app: Act) -> Heard:
    heard = Heard()
    app.on(Deposited, name="mail")(heard)
    deposit(app, "a")
    assert app.correlate()
    return heard


def check_that_all_is_seen(app: Act) -> None:
    """Every way to look at a target that waits for good."""
    (target,) = app.targets()
    assert target.due == LAST
    (row,) = app.sql("select due::varchar from targets").fetchall()
    assert row[0].startswith("9999-12-31")
    with pytest.raises(TimeoutError, match="9999"):
        app.wait_for(1, target.name, timeout=0.01)


@pytest.mark.parametrize("moment", FAR.values(), ids=FAR)
def test_a_pause_may_be_for_good(app: Act, moment: datetime) -> None:
    heard = on_deposit(app)
    assert app.defer(pattern="", until=moment) == 1
    app.settle()
    assert heard.positions == []
    check_that_all_is_seen(app)
    assert app.defer(pattern="", until=datetime.min.replace(tzinfo=EAST)) == 1
    app.settle()
    assert heard.positions == [1]


@pytest.mark.parametrize("defer", [timedelta.max, *(lambda event, far=far: far for far in FAR.values())])
def test_an_event_may_be_deferred_for_good(app: Act, defer: Any) -> None:
    heard = Heard()
    when = defer if isinstance(defer, timedelta) else lambda event: defer(event)
    app.on(Deposited, defer=when, name="mail")(heard)
    deposit(app, "a")
    assert app.settle().drained.deferred == 1
    assert heard.positions == []
    check_that_all_is_seen(app)


def test_a_due_time_that_was_stored_beyond_all_years_is_shown_as_the_last(app: Act) -> None:
    on_deposit(app)
    app._program.port().defer(DUE_MAX_MS + 12 * 3_600_000, names=None, pattern="")
    check_that_all_is_seen(app)


def test_a_worker_sleeps_beside_a_target_that_waits_for_good_and_is_woken(app: Act) -> None:
    heard = on_deposit(app)
    app.defer(pattern="", until=datetime.max.replace(tzinfo=UTC))
    worker = threading.Thread(target=app.run)
    worker.start()
    try:
        deposit(app, "b")
        until(lambda: heard.places == [("b", 1)])
        app.defer(["a"], until=datetime.now(UTC))
        deposit(app, "b")
        until(lambda: len(heard.places) == 3)
    finally:
        app.stop()
        worker.join()


@pytest.mark.parametrize(
    ("moment", "why"),
    [
        (None, "not None"),
        (datetime.max, "timezone"),
        (datetime(2026, 1, 1), "timezone"),
        (timedelta.max, "be a datetime"),
        (1e9, "be a datetime"),
        ("2026-01-01", "be a datetime"),
    ],
)
def test_what_is_no_moment_is_refused(app: Act, moment: Any, why: str) -> None:
    on_deposit(app)
    with pytest.raises(ValidationError, match=f"until must .*{why}"):
        app.defer(pattern="", until=moment)
    (target,) = app.targets()
    assert target.due is None


def test_what_is_no_duration_is_refused_when_a_reaction_is_declared(app: Act) -> None:
    for defer in (timedelta.min, timedelta(microseconds=-1), 5, "tomorrow", datetime.max):
        with pytest.raises(DefinitionError, match="defer="):
            app.on(Deposited, defer=defer, name="mail")(Heard())  # type: ignore[arg-type]


@pytest.mark.parametrize("found", [None, datetime.max, timedelta.max, 7])
def test_a_function_that_gives_no_moment_blocks_its_event_with_a_sentence(app: Act, found: Any) -> None:
    def when(event: Committed[Deposited]) -> datetime:
        return found  # type: ignore[no-any-return]

    app.on(Deposited, defer=when, name="mail")(Heard())
    deposit(app, "a")
    app.settle()
    (target,) = app.targets()
    assert target.blocked
    assert "timezone" in (target.error or "")


def test_targets_after_one_that_is_not_there_is_an_error(app: Act) -> None:
    on_deposit(app)
    deposit(app, "b")
    app.correlate()
    assert [target.name for target in app.targets(after="a")] == ["b"]
    assert list(app.targets(after="b")) == []
    with pytest.raises(ValidationError, match='no target "c" to continue after'):
        list(app.targets(after="c"))
    with pytest.raises(ValidationError, match="after"):
        list(app.targets(after=7))  # type: ignore[arg-type]


NO_SECONDS = {
    "None": None,
    "nan": float("nan"),
    "negative": -1,
    "text": "1",
    "a timedelta": timedelta.max,
    "True": True,
}


@pytest.mark.parametrize("seconds", NO_SECONDS.values(), ids=NO_SECONDS)
def test_what_is_no_number_of_seconds_is_refused(app: Act, seconds: Any) -> None:
    attempts: list[Callable[[], object]] = [
        lambda: Lane("slow", lease=seconds),
        lambda: app.run(grace=seconds),
        lambda: app.on(Deposited, name="mail", backoff=seconds)(Heard()),
        lambda: Backoff(first=seconds),
        lambda: Backoff(longest=seconds),
    ]
    if seconds is not None:
        attempts += [
            lambda: app.store.wait(0, timeout=seconds),
            lambda: app.wait_for(1, "a", timeout=seconds),
        ]
    for attempt in attempts:
        with pytest.raises((ValidationError, DefinitionError)):
            attempt()


LONG = {"inf": float("inf"), "vast": 10**5000, "1e300": 1e300, "the longest": timedelta.max.total_seconds()}


@pytest.mark.parametrize("seconds", LONG.values(), ids=LONG)
def test_any_number_of_seconds_is_long_enough(app: Act, seconds: Any) -> None:
    on_deposit(app)
    app.settle()
    assert app.store.wait(0, timeout=seconds) == 1
    assert app.wait_for(1, "a", timeout=seconds).watermark == 1
    assert Lane("slow", lease=seconds).lease == seconds
    worker = threading.Thread(target=lambda: app.run(grace=seconds))
    worker.start()
    app.stop()
    worker.join()


def test_a_backoff_of_any_size_is_a_wait() -> None:
    assert Backoff(first=1e300, factor=1e300, longest=5, jitter=0).wait(10**9) == 5
    assert Backoff(first=0, factor=1e300).wait(100) == 0
    for wrong in ({"first": float("inf")}, {"longest": float("inf")}, {"longest": 1e300}, {"factor": float("inf")}):
        with pytest.raises(DefinitionError, match="backoff"):
            Backoff(**wrong)  # type: ignore[arg-type]


NO_POSITION = {
    "vast": 10**5000,
    "vast below 0": -(10**5000),
    "2**63": 2**63,
    "negative": -1,
    "None": None,
    "a float": 1.0,
    "nan": float("nan"),
    "a duration": timedelta.max,
}


@pytest.mark.parametrize("number", NO_POSITION.values(), ids=NO_POSITION)
def test_what_is_no_position_is_refused(app: Act, number: Any) -> None:
    on_deposit(app)
    attempts: list[Callable[[], object]] = [
        lambda: app.wait_for(number, "a"),
        lambda: app.store.load("a", after=number),
        lambda: list(app.store.query(after=number)),
        lambda: app.store.wait(number, timeout=0),
    ]
    if number is not None:
        attempts += [
            lambda: app.drain(limit=number),
            lambda: list(app.targets(limit=number)),
            lambda: app.sql("select 1", at=number),
        ]
    for attempt in attempts:
        with pytest.raises(ValidationError):
            attempt()


def test_moments_at_both_ends_of_time_are_bounds_like_any_other(app: Act) -> None:
    on_deposit(app)
    ends = [datetime.min.replace(tzinfo=EAST), datetime.max.replace(tzinfo=WEST)]
    assert list(app.query(created_after=ends[0], created_before=ends[1])) == list(app.query())
    assert list(app.query(created_before=ends[0])) == list(app.query(created_after=ends[1])) == []
    assert app.sql("select count(*) from events", at=ends[0]).fetchall() == [(0,)]
    assert app.sql("select count(*) from events", at=ends[1]).fetchall() == [(1,)]


def test_the_command_shows_a_target_that_waits_for_good(store_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with Act(store_path, Account) as app:
        on_deposit(app)
        app.defer(pattern="", until=datetime.max.replace(tzinfo=WEST))
    assert main(["targets", str(store_path), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["due"].startswith("9999-12-31T23:59:59")
    assert main(["targets", str(store_path)]) == 0
    assert main(["why", str(store_path), "a"]) == 0
    assert "9999" in capsys.readouterr().out
