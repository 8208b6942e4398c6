"""Checking the classes of today against a real log."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from act_fast import Act, AsyncAct, Event, LogStore, State, upcast
from act_fast._app.decode_check import check
from tests.timers.orders import Order


class Paid(Event, name="Paid_v2"):
    cents: int

    @upcast(from_="Paid")
    @staticmethod
    def from_euros(old: dict[str, Any]) -> dict[str, Any]:
        return {"cents": old["euros"] * 100}


class Till(State, events=[Paid]):
    cents: int = 0


@pytest.fixture
def store() -> LogStore:
    store = LogStore.memory()
    store.append("a", [("Paid", b'{"euros":2}'), ("Paid_v2", b'{"cents":5}')])
    return store


def test_a_log_whose_events_all_decode_is_healthy(store: LogStore) -> None:
    report = check(Act("memory:", Till), store)
    assert report.healthy
    assert (report.events, report.failures) == (2, 0)
    assert [(each.name, each.events, each.event) for each in report.names] == [
        ("Paid", 1, f"{__name__}.Paid"),
        ("Paid_v2", 1, f"{__name__}.Paid"),
    ]


def test_an_event_that_does_not_decode_is_reported_with_its_place_and_reason(store: LogStore) -> None:
    store.append("b", [("Paid_v2", b'{"cents":"many"}'), ("Paid_v2", b"{}")])
    report = check(Act("memory:", Till), store)
    assert not report.healthy
    assert report.failures == 2
    first = report.names[1].first
    assert first is not None
    assert (first.stream, first.version, first.position) == ("b", 1, 3)
    assert "field 'cents': expected `int`, got `str`" in first.reason
    assert "many" not in first.reason


def test_an_upcaster_that_raises_is_reported(store: LogStore) -> None:
    store.append("b", [("Paid", b'{"pounds":1}')])
    first = check(Act("memory:", Till), store).names[0].first
    assert first is not None
    assert first.reason == "KeyError: 'euros'"


def test_a_name_that_no_class_claims_is_reported(store: LogStore) -> None:
    store.append("b", [("Lost", b"{}"), ("Lost", b"{}")])
    report = check(Act("memory:", Till), store)
    assert (report.names[0].name, report.names[0].event, report.names[0].failures) == ("Lost", None, 2)


def test_a_name_that_no_class_claims_may_be_left_out_on_purpose(store: LogStore) -> None:
    store.append("b", [("Lost", b"{}"), ("Paid_v2", b"{}")])
    for report in (
        check(Act("memory:", Till, unknown="skip"), store),
        check(Act("memory:", Till), store, skip_unknown=True),
    ):
        assert [(each.name, each.event is None, each.failures) for each in report.names] == [
            ("Lost", True, 0),
            ("Paid", False, 0),
            ("Paid_v2", False, 1),
        ]


def test_the_end_of_a_stream_needs_no_class() -> None:
    app = Act("memory:", Till)
    app.close_stream(Till, "t")
    assert check(app, app.store).healthy


def test_progress_is_told(store: LogStore) -> None:
    store.append("b", [("Paid_v2", b'{"cents":5}')] * 10_000)
    told: list[tuple[int, int]] = []
    check(Act("memory:", Till), store, progress=lambda done, of: told.append((done, of)))
    assert told == [(10_000, 10_002)]


def test_an_async_app_can_be_checked_too(store: LogStore) -> None:
    assert check(AsyncAct("memory:", Till), store).healthy


def test_timers_and_ticks_are_the_frameworks_own_and_decode(tmp_path: Path) -> None:
    with Act(tmp_path / "store", Order) as app:
        app.schedule(after=timedelta(0)).do(Order.expire_anyway, "order-1")
        app.every(timedelta(seconds=1), name="second")(lambda tick: None)
        app.settle()
        assert check(app, app.store).healthy
