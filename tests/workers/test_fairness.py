"""Who comes first, where little is claimed at a time."""

import pytest

from act_fast import Act, Drained, Lane
from tests.support.bank import Account, Deposited
from tests.support.heard import Heard, deposit


def test_single_drains_do_not_starve_low_priorities(app: Act) -> None:
    heard: list[str] = []
    app.on(Deposited, source="^plain", name="plain")(lambda event: heard.append("plain"))
    app.on(Deposited, source="^urgent", name="urgent", priority=9)(lambda event: heard.append("urgent"))
    for number in range(20):
        deposit(app, f"plain-{number}")
    for number in range(20):
        deposit(app, f"urgent-{number}")
    app.correlate()
    for _ in range(16):
        assert app.drain(limit=1).leased == 1
    assert heard.count("plain") == 4


def test_a_lane_of_one_target_at_a_time_does_not_starve_low_priorities() -> None:
    with Act("memory:", Account, lanes=[Lane("default", targets_max=1)]) as app:
        heard: list[str] = []
        app.on(Deposited, source="^plain", name="plain")(lambda event: heard.append("plain"))
        app.on(Deposited, source="^urgent", name="urgent", priority=9)(lambda event: heard.append("urgent"))
        deposit(app, *(f"plain-{number}" for number in range(9)))
        deposit(app, *(f"urgent-{number}" for number in range(30)))
        app.settle()
        assert "plain" in heard[:4]
        assert heard[:32].count("plain") == 8


@pytest.mark.parametrize("limit", [0, 1, 2, 3, 5, 7])
def test_a_drain_of_several_lanes_keeps_to_its_limit(limit: int) -> None:
    with Act("memory:", Account, lanes=[Lane("mail"), Lane("slow")]) as app:
        heard = Heard()
        for lane in ("default", "mail", "slow"):
            app.on(Deposited, to=f"{lane}-{{stream}}", name=lane, lane=lane)(heard)
        deposit(app, "a", "b", "c")
        app.correlate()
        assert app.drain(limit) == Drained(leased=limit, handled=limit, acked=limit)
        assert app.drain().leased == 9 - limit


@pytest.mark.parametrize(
    "asked",
    [
        [None],
        [["default", "mail", "slow"], ["idle"]],
        [["default", "mail", "slow"], ["slow", "default", "mail"]],
        [["default", "mail"], ["mail", "slow"], ["slow", "default"]],
        [None, ["idle"], None, ["idle"], None, ["idle", "default"], None, ["idle"]],
    ],
)
def test_no_lane_is_left_out_whatever_lanes_are_asked_for_in_between(asked: list[list[str] | None]) -> None:
    with Act("memory:", Account, lanes=[Lane("mail"), Lane("idle"), Lane("slow")]) as app:
        lanes: list[str] = []
        for lane in ("default", "mail", "slow"):
            app.on(Deposited, to=f"{lane}-{{stream}}", name=lane, lane=lane)(
                lambda event, lane=lane: lanes.append(lane)
            )  # type: ignore[misc]
        deposit(app, *(f"s{number}" for number in range(30)))
        app.correlate()
        for number in range(24):
            app.drain(limit=1, lanes=asked[number % len(asked)])
        counts = [lanes.count(lane) for lane in ("default", "mail", "slow")]
        assert max(counts) - min(counts) <= 3, lanes


def test_single_drains_leave_no_lane_out() -> None:
    with Act("memory:", Account, lanes=[Lane("mail")]) as app:
        lanes: list[str] = []
        for lane in ("default", "mail"):
            app.on(Deposited, to=f"{lane}-{{stream}}", name=lane, lane=lane)(
                lambda event, lane=lane: lanes.append(lane)
            )  # type: ignore[misc]
        deposit(app, *(f"s{number}" for number in range(9)))
        app.correlate()
        for _ in range(6):
            app.drain(limit=1)
        assert sorted(lanes) == ["default"] * 3 + ["mail"] * 3
