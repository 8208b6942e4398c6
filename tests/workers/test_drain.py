"""Draining: one cycle of claiming, handling and finishing."""

import sqlite3
import threading

import pytest

from act_fast import Act, Committed, Drained, Lane, ValidationError
from tests.support.bank import Account, Deposited, Opened
from tests.support.heard import Heard, deposit


def test_a_cycle_says_what_it_has_done(app: Act) -> None:
    app.on(Deposited, name="own")(Heard())
    deposit(app, "a", "b", "a")
    assert app.drain() == Drained(), "nothing is correlated so far"
    app.correlate()
    assert app.drain() == Drained(leased=2, handled=3, acked=2)
    assert app.drain() == Drained()


def test_the_handler_is_given_the_event_with_all_that_is_known_of_it(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, name="own")(heard)
    with app.context(correlation="request-1"):
        deposit(app, "a", amount=7)
    app.settle()
    (event,) = heard.events
    assert event == next(app.query())
    assert (event.data, event.name, event.stream, event.version, event.position) == (
        Deposited(7),
        "Deposited",
        "a",
        1,
        1,
    )
    assert event.meta.correlation == "request-1"


def test_the_events_of_a_target_come_in_order_whatever_their_stream(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, to="all", name="all")(heard)
    deposit(app, *"abcabcabc")
    app.settle()
    assert heard.positions == list(range(1, 10))


def test_the_reactions_of_an_event_run_in_the_order_they_were_declared_in(app: Act) -> None:
    ran: list[str] = []
    for name in ("z", "a", "m"):
        app.on(Deposited, to="all", name=name)(lambda event, name=name: ran.append(f"{name}{event.position}"))
    deposit(app, "x", "y")
    app.settle()
    assert ran == ["z1", "a1", "m1", "z2", "a2", "m2"]


def test_a_limit_bounds_the_targets_that_are_leased(app: Act) -> None:
    app.on(Deposited, name="own")(Heard())
    deposit(app, *"abc")
    app.correlate()
    assert app.drain(limit=0) == Drained()
    assert app.drain(limit=2).leased == 2
    assert app.drain(limit=2).leased == 1
    with pytest.raises(ValidationError, match="limit must not be negative"):
        app.drain(limit=-1)


def test_what_a_handler_does_names_the_event_as_its_cause_and_keeps_the_correlation(app: Act) -> None:
    @app.on(Opened)
    def welcome(event: Committed[Opened]) -> None:
        app.do(Account.deposit, f"gift-{event.stream}", amount=5)

    @app.on(Opened, to="count", name="given")
    def count(event: Committed[Opened], given: Act) -> None:
        given.do(Account.deposit, "count", amount=1)

    with app.context(correlation="request-1"):
        app.do(Account.open, "a", owner="Ada")
    with app.context(correlation="request-2"):
        app.do(Account.open, "b", owner="Ben")
    app.settle()
    for stream in ("gift-a", "gift-b"):
        (gift,) = app.query(stream=stream)
        source = stream.removeprefix("gift-")
        assert gift.meta.correlation == {"a": "request-1", "b": "request-2"}[source]
        assert gift.meta.causation is not None
        assert gift.meta.causation.event is not None
        assert (gift.meta.causation.event.name, gift.meta.causation.event.stream) == ("Opened", source)
        assert gift.meta.causation.action is not None
        assert gift.meta.causation.action.name == "Account.deposit"
    counted = [each.meta.causation.event.stream for each in app.query(stream="count") if each.meta.causation.event]  # type: ignore[union-attr]
    assert counted == ["a", "b"]


def test_the_cause_ends_with_the_handler(app: Act) -> None:
    app.on(Deposited, name="own")(Heard())
    deposit(app, "a")
    app.settle()
    deposit(app, "b")
    (later,) = app.query(stream="b")
    assert later.meta.causation is not None
    assert later.meta.causation.event is None


def test_an_event_committed_in_the_middle_of_a_cycle_waits_for_the_next(app: Act) -> None:
    heard = Heard()

    @app.on(Deposited, to="all")
    def again(event: Committed[Deposited]) -> None:
        heard(event)
        if event.position < 3:
            deposit(app, "a")

    deposit(app, "a")
    app.correlate()
    assert app.drain().handled == 1
    assert app.drain().handled == 0, "not correlated"
    app.settle()
    assert heard.positions == [1, 2, 3]


def test_the_targets_of_a_cycle_are_handled_at_the_same_time(app: Act) -> None:
    together = threading.Barrier(4, timeout=30)
    app.on(Deposited, name="own")(lambda event: together.wait())
    deposit(app, *"abcd")
    assert app.settle(concurrency=4).drained.handled == 4


def test_no_more_of_them_than_asked_for(app: Act) -> None:
    at_work, most = [0], [0]
    lock = threading.Lock()
    seen_two = threading.Event()

    @app.on(Deposited)
    def count(event: Committed[Deposited]) -> None:
        with lock:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
            if at_work[0] == 2:
                seen_two.set()
        assert seen_two.wait(30)
        with lock:
            at_work[0] -= 1

    deposit(app, *"abcdefgh")
    app.settle(concurrency=2)
    assert most == [2]


def test_a_single_target_is_handled_in_the_thread_that_drains(app: Act) -> None:
    database = sqlite3.connect(":memory:")  # refuses other threads
    database.execute("create table seen (position)")
    app.on(Deposited, to="one", name="one")(
        lambda event: database.execute("insert into seen values (?)", [event.position])
    )
    deposit(app, *"abc")
    assert app.settle().drained.handled == 3
    assert database.execute("select count(*) from seen").fetchone() == (3,)
    database.close()


def test_a_handler_may_settle_too(app: Act) -> None:
    heard = Heard()
    app.on(Opened, to="o", name="opened")(lambda event: (deposit(app, "z"), app.settle()))
    app.on(Deposited, to="d", name="deposited")(heard)
    app.do(Account.open, "a", owner="Ada")
    app.settle()
    assert heard.places == [("z", 1)]


def test_settling_can_be_bounded(app: Act) -> None:
    @app.on(Deposited, to="for-ever")
    def again(event: Committed[Deposited]) -> None:
        deposit(app, "a")

    deposit(app, "a")
    assert app.settle(passes=0).passes == 0
    settled = app.settle(passes=5)
    assert (settled.passes, settled.drained.handled) == (5, 5)


def test_only_the_lanes_asked_for_are_drained() -> None:
    with Act("memory:", Account, lanes=[Lane("mail")]) as app:
        plain, mail = Heard(), Heard()
        app.on(Deposited, to="plain", name="plain")(plain)
        app.on(Deposited, to="mail", lane="mail", name="mail")(mail)
        deposit(app, "a")
        app.settle(lanes=["mail"])
        assert (plain.positions, mail.positions) == ([], [1])
        with pytest.raises(ValidationError, match="there is no lane 'post'; there is 'mail', 'default'"):
            app.drain(lanes=["post"])
        app.settle()
        assert plain.positions == [1]


def test_more_events_than_a_window_holds_come_whole(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, to="all", name="all")(heard)
    app.do(Account.deposit_each, "a", amounts=[1] * 1234)
    assert app.settle().drained.handled == 1234
    assert heard.positions == list(range(1, 1235))


def test_a_closed_app_drains_no_more(app: Act) -> None:
    app.on(Deposited, name="own")(Heard())
    app.close()
    with pytest.raises(Exception, match="closed"):
        app.drain()
