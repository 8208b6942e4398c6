"""Lanes and priorities: who is worked on first, and who never has to wait for whom."""

from act_fast import Act, Claimed, Lane
from tests.support.bank import Account, Deposited, Opened
from tests.support.heard import Heard, deposit


def claims(app: Act) -> list[str]:
    told: list[str] = []
    app.observe("claimed", lambda each: told.append(each.target))
    return told


def test_a_lane_bounds_how_many_of_its_targets_are_held_at_once() -> None:
    with Act("memory:", Account, lanes=[Lane("default", targets_max=3)]) as app:
        app.on(Deposited, name="own")(Heard())
        deposit(app, *"abcdefg")
        app.correlate()
        assert [app.drain().leased for _ in range(4)] == [3, 3, 1, 0]


def test_a_lane_bounds_how_many_events_are_fetched_at_once() -> None:
    with Act("memory:", Account, lanes=[Lane("default", events_max=2)]) as app:
        told: list[Claimed] = []
        app.observe("claimed", told.append)
        app.on(Deposited, name="own")(Heard())
        deposit(app, *"aaa")
        app.settle()
        assert [each.events for each in told] == [2, 1]


def test_a_higher_priority_comes_first() -> None:
    with Act("memory:", Account, lanes=[Lane("default", targets_max=1)]) as app:
        app.on(Deposited, to="plain-{stream}", name="plain")(Heard())
        app.on(Opened, to="urgent-{stream}", priority=5, name="urgent")(Heard())
        deposit(app, *"abc")
        for stream in "xyz":
            app.do(Account.open, stream, owner="Ada")
        told = claims(app)
        app.settle()
        assert told[:3] == ["urgent-x", "urgent-y", "urgent-z"]


def test_low_priorities_have_a_share_so_that_they_do_not_starve() -> None:
    with Act("memory:", Account, lanes=[Lane("default", targets_max=8)]) as app:
        app.on(Deposited, to="plain-{stream}", name="plain")(Heard())
        app.on(Opened, to="urgent-{stream}", priority=5, name="urgent")(Heard())
        deposit(app, *"abcdefghij")
        for number in range(40):
            app.do(Account.open, f"u{number}", owner="Ada")
        told: list[Claimed] = []
        app.observe("claimed", told.append)
        app.correlate()
        app.drain()
        lagging = [each.target for each in told if each.lagging]
        assert len(lagging) == 4
        assert sum(name.startswith("plain") for name in lagging) == 1


def test_a_later_weaker_subscription_overwrites_neither_priority_nor_lane() -> None:
    with Act("memory:", Account, lanes=[Lane("fast")]) as app:
        app.on(Opened, to="same", priority=5, lane="fast", name="strong")(Heard())
        app.do(Account.open, "a", owner="Ada")
        app.settle()
        app.on(Deposited, to="same", priority=1, name="weak")(Heard())
        deposit(app, "a")
        app.settle()
        (target,) = app.targets()
        assert (target.priority, target.lane) == (5, "fast")


def test_a_priority_set_by_hand_stands() -> None:
    with Act("memory:", Account, lanes=[Lane("default", targets_max=1)]) as app:
        app.on(Deposited, name="own")(Heard())
        deposit(app, *"abc")
        app.correlate()
        assert app.prioritize("c", 9) == 1
        assert app.prioritize("c", 9) == 0, "nothing changed"
        told = claims(app)
        app.settle()
        assert told[0] == "c"
