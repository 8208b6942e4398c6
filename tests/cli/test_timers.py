"""`act-fast timers` lists what is to be done later."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from act_fast import Act
from tests.timers.orders import Order

DUE = datetime(2100, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    with Act(tmp_path / "shop.act", Order) as app:
        app.do(Order.place, "order-1")
        app.schedule(at=DUE, key="waits").do(Order.expire, "order-1", reason="late")
        app.schedule(at=DUE, key="gone").do(Order.expire_anyway, "order-2")
        app.cancel("gone")
        app.schedule(after=timedelta(0), key="ran").do(Order.expire_anyway, "order-3")
        app.settle()
    return tmp_path / "shop.act"


def test_timers_that_wait_are_listed(run, shop: Path) -> None:
    ran = run("timers", shop)
    assert [row[:6] + row[8:] for row in ran.rows] == [
        *(
            ["waits", "waiting", "2100-01-02T03:04:05Z", "Order.expire", "order-1", '{"reason":"late"}', target]
            for target in ["$timer-waits@1"]
        )
    ]


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        (["--all"], ["waits", "gone", "ran"]),
        (["--all", "--limit", "2"], ["waits", "gone"]),
        (["--all", "--key", "ran"], ["ran"]),
        (["--key", "ran"], []),
    ],
)
def test_timers_are_narrowed_by(run_here, shop: Path, options: list[str], keys: list[str]) -> None:
    assert [row[0] for row in run_here("timers", shop, *options).rows] == keys


def test_timers_as_json_say_what_became_of_them(run_here, shop: Path) -> None:
    lines = [json.loads(line) for line in run_here("timers", shop, "--all", "--json").out.splitlines()]
    assert [line["status"] for line in lines] == ["waiting", "cancelled", "done"]
    assert [line["ended"] is None for line in lines] == [True, False, False]
    assert lines[0]["arguments"] == {"reason": "late"}


def test_a_store_without_timers_has_none(run_here, tmp_path: Path) -> None:
    Act(tmp_path / "empty.act").close()
    ran = run_here("timers", tmp_path / "empty.act")
    assert (ran.code, ran.out) == (0, "")


def test_a_timer_is_cancelled_by_its_key_and_it_is_kept_by_whom(run, shop: Path) -> None:
    ran = run("cancel", shop, "waits")
    assert (ran.code, ran.rows) == (0, [["waits", "cancelled"]])
    with Act(shop, Order) as app:
        timer = app.timer("waits")
        assert timer is not None
        assert timer.status == "cancelled"
        *_, last = app.store.load("$timer-waits")
    assert last.meta.actor is not None


@pytest.mark.parametrize(("key", "code"), [("gone", 0), ("ran", 1), ("never", 2)])
def test_cancelling_says_whether_it_came_in_time(run_here, shop: Path, key: str, code: int) -> None:
    assert run_here("cancel", shop, key).code == code
