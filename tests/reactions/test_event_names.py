"""How far a reaction has been correlated is kept for each event it takes: releases that differ lose nothing."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from act_fast import Act, Committed, Event, LogStore, Projection, ValidationError, on
from tests.support.heard import Heard


class A(Event):
    number: int


class B(Event):
    number: int


class C(Event):
    number: int


@pytest.fixture
def store() -> Iterator[LogStore]:
    with LogStore.memory() as store:
        yield store


def release(store: LogStore, *events: type[Event], **options: object) -> tuple[Act, Heard]:
    """A program with the reaction "mailer", which takes these events."""
    app, heard = Act(store), Heard()
    app.on(*events, **{"name": "mailer", "to": "q", **options})(heard)  # type: ignore[call-overload]
    return app, heard


def put(store: LogStore, *events: Event, stream: str = "s") -> None:
    for event in events:
        store.append(stream, [event])


def test_an_event_that_only_the_new_release_takes_is_not_passed_over_by_the_old_one(store: LogStore) -> None:
    old, old_heard = release(store, A)
    new, new_heard = release(store, A, B)
    old.settle()
    new.settle()
    put(store, B(1))
    old.settle()
    new.settle()
    assert (old_heard.positions, new_heard.positions) == ([], [1])
    assert [(target.lag, target.watermark) for target in new.targets("q")] == [(0, 1)]


@pytest.mark.parametrize("order", list(itertools.product("on", repeat=6)))
def test_each_event_comes_to_a_release_that_takes_it_in_whatever_turns_they_run(
    store: LogStore, order: tuple[str, ...]
) -> None:
    apps = {"o": release(store, A), "n": release(store, A, B)}
    for number, who in enumerate(order):
        put(store, A(number), B(number))
        apps[who][0].settle()
    for app, _ in apps.values():
        app.settle()
    old, new = apps["o"][1].positions, apps["n"][1].positions
    assert sorted(old + new) == list(range(1, 13)), "each exactly once"
    assert all(position % 2 for position in old), "the old release is given what it takes"
    assert old == sorted(old)
    assert [each for each in new if each % 2 == 0] == list(range(2, 13, 2)), "in order"


def test_a_class_that_is_new_to_a_reaction_begins_at_the_beginning(store: LogStore) -> None:
    before, heard = release(store, A)
    put(store, A(1), B(2), A(3))
    before.settle()
    before.close()
    after, late = release(store, A, B)
    after.settle()
    assert (heard.positions, late.positions) == ([1, 3], [2])


def test_a_class_that_is_new_to_a_reaction_that_starts_now_begins_now(store: LogStore) -> None:
    before, heard = release(store, A, start="now")
    before.settle()
    put(store, A(1), B(2))
    before.settle()
    before.close()
    after, late = release(store, A, B, start="now")
    after.settle()
    put(store, B(3), A(4))
    after.settle()
    assert (heard.positions, late.positions) == ([1], [3, 4])


def test_a_reset_gives_all_that_the_reaction_takes_today(store: LogStore) -> None:
    before, _ = release(store, A, C)
    put(store, A(1), B(2), C(3), A(4))
    before.settle()
    before.close()
    after, heard = release(store, A, B)
    after.settle()
    heard.events.clear()
    assert after.reset("q") == 1
    after.settle()
    assert heard.positions == [1, 2, 4]


def test_what_is_pending_of_a_class_that_a_release_does_not_know_is_left_to_one_that_does(store: LogStore) -> None:
    new, heard = release(store, A, B)
    put(store, A(1), B(2), A(3))
    new.correlate()
    old, old_heard = release(store, A)
    old.settle()
    assert old_heard.positions == [1, 3]
    assert [(target.lag, target.watermark) for target in old.targets("q")] == [(0, 3)]
    new.settle()
    assert heard.positions == [2]


def test_a_release_that_was_taken_back_leaves_its_events_for_the_next_one(store: LogStore) -> None:
    new, heard = release(store, A, B)
    put(store, A(1), B(2))
    new.drain(limit=1)
    new.close()
    old, old_heard = release(store, A)
    put(store, B(3), A(4))
    old.settle()
    old.close()
    again, again_heard = release(store, A, B)
    again.settle()
    assert heard.positions + old_heard.positions + again_heard.positions == [1, 4, 2, 3]


def test_a_class_that_comes_and_goes_is_delivered_once(store: LogStore) -> None:
    heard: list[int] = []
    for events in ([A], [A, B], [A], [B], [A, B, C], [C], [A, B, C]):
        put(store, A(0), B(0), C(0))
        app, each = release(store, *events)
        app.settle()
        app.settle()
        app.close()
        heard += each.positions
    assert sorted(heard) == list(range(1, 22))


def test_a_projection_that_gains_a_method_gets_the_history_of_its_events(store: LogStore) -> None:
    seen: list[int] = []

    class Before(Projection, name="sums"):
        @on(A)
        def a(self, event: Committed[A]) -> None:
            seen.append(event.position)

    class After(Before, name="sums"):
        @on(B)
        def b(self, event: Committed[B]) -> None:
            seen.append(event.position)

    old, new = Act(store, Before()), Act(store, After())
    put(store, A(1), B(2), A(3))
    old.settle()
    put(store, B(4))
    old.settle()
    new.settle()
    assert seen == [1, 3, 2, 4]


@pytest.mark.parametrize("first", ["old", "new"])
def test_a_source_that_is_wider_gets_what_the_narrower_one_has_left_out_and_nothing_twice(
    store: LogStore, first: str
) -> None:
    apps = {"old": release(store, A, source="s"), "new": release(store, A)}
    put(store, A(1), A(2))
    apps["old"][0].settle()
    put(store, A(3), stream="t")
    put(store, A(4))
    put(store, A(5), stream="t")
    for who in sorted(apps, key=lambda name: name != first):
        apps[who][0].settle()
    old, new = apps["old"][1].positions, apps["new"][1].positions
    assert sorted(old + new) == [1, 2, 3, 4, 5]
    assert set(old) <= {1, 2, 4}
    assert (old == [1, 2, 4]) is (first == "old")
    for app, heard in apps.values():
        heard.events.clear()
        app.settle()
        assert heard.positions == []
        assert [target.lag for target in app.targets("q")] == [0]


@pytest.mark.parametrize("first", ["old", "new"])
def test_a_source_that_is_narrower_leaves_the_rest_to_the_release_that_takes_it(store: LogStore, first: str) -> None:
    apps = {"old": release(store, A), "new": release(store, A, source="s")}
    put(store, A(1), A(2), stream="s")
    put(store, A(3), stream="t")
    put(store, A(4), stream="s")
    for who in sorted(apps, key=lambda name: name != first):
        apps[who][0].settle()
    old, new = apps["old"][1].positions, apps["new"][1].positions
    assert sorted(old + new) == [1, 2, 3, 4]
    assert 3 in old


def test_a_reset_gives_what_the_source_of_today_has(store: LogStore) -> None:
    before, _ = release(store, A)
    put(store, A(1), stream="s")
    put(store, A(2), stream="t")
    before.settle()
    before.close()
    after, heard = release(store, A, source="t")
    after.settle()
    assert heard.positions == []
    after.reset("q")
    after.settle()
    assert heard.positions == [2]


def test_an_event_goes_where_to_said_when_it_was_correlated_and_nowhere_twice(store: LogStore) -> None:
    before, heard = release(store, A, to="q")
    put(store, A(1), A(2))
    before.settle()
    put(store, A(3))
    before.correlate()
    before.close()
    after, late = release(store, A, to="r")
    put(store, A(4))
    after.settle()
    assert (heard.positions, late.positions) == ([1, 2], [3, 4])
    assert {target.name: target.mark for target in after.targets()} == {"q": 3, "r": 4}


@pytest.mark.parametrize("window", [1, 2, 3, 7])
def test_long_histories_that_two_sources_share_are_handled_once(store: LogStore, window: int) -> None:
    """Turn by turn some are correlated and drained, so that what one has handled lies in the middle of the other's."""
    apps = [release(store, A, source="^[st]$"), release(store, A, source="^[tu]$")]
    for number in range(60):
        put(store, A(number), stream="stu"[number % 3])
    for turn in range(200):
        app, _ = apps[turn % 2]
        app.correlate(window)
        app.drain(limit=1, concurrency=1)
    for app, _ in apps:
        app.settle()
    one, two = (heard.positions for _, heard in apps)
    assert sorted(one + two) == list(range(1, 61))
    assert one == sorted(one)
    assert two == sorted(two)


def test_what_is_correlated_by_names_is_what_a_whole_history_gives(store: LogStore) -> None:
    orders: list[list[int]] = []
    makers: list[Callable[[int], Event]] = [A, B, C]
    for number in range(300):
        put(store, makers[number * number % 3](number), stream=f"s{number % 7}")
    for _ in range(2):
        heard = Heard()
        app = Act(store)
        app.on(A, B, C, to="q", name=f"all-{len(orders)}")(heard)
        app.settle()
        orders.append(heard.positions)
    assert orders[0] == orders[1] == list(range(1, 301)), "names of one reaction are merged in order"


def test_settling_goes_on_past_targets_whose_work_another_source_has_handled(store: LogStore) -> None:
    wide, everywhere = release(store, A, to="{data.number}")
    narrow, own = release(store, A, to="{data.number}", source="a")
    put(store, *(A(number) for number in range(5)), stream="a")
    put(store, A(9), stream="b")
    wide.correlate()
    narrow.settle()
    wide.settle(concurrency=1)
    assert (own.positions, everywhere.positions) == ([1, 2, 3, 4, 5], [6])


def test_what_a_class_that_is_new_finds_after_a_reset_is_no_repeat(store: LogStore) -> None:
    before, _ = release(store, A)
    put(store, A(1), B(2), A(3))
    before.settle()
    before.close()
    told: list[tuple[int, bool]] = []
    after = Act(store)
    after.on(A, B, name="mailer", to="q")(lambda event: told.append((event.position, after.replaying)))
    after.reset("q")
    after.settle()
    assert told == [(1, True), (2, False), (3, True)]


class Failing(Heard):
    """Fails at some positions."""

    def __init__(self, *at: int) -> None:
        super().__init__()
        self.at = at

    def __call__(self, event: Committed[Any]) -> None:
        super().__call__(event)
        if event.position in self.at:
            raise ValueError("no")


def blocked_at_three(store: LogStore) -> Act:
    """The old release has failed at an event which comes after one that only the new release takes."""
    old = Act(store)
    old.on(A, name="mailer", to="q", retries=0)(Failing(3))
    put(store, A(1), B(2), A(3))
    old.settle()
    assert [target.failing for target in old.blocked()] == [3]
    return old


def test_skip_steps_over_what_has_failed_and_not_over_what_a_new_class_has_found_before_it(store: LogStore) -> None:
    blocked_at_three(store)
    new, heard = release(store, A, B)
    new.correlate()
    with pytest.raises(ValidationError, match="'mailer' comes to position 3 next"):
        new.skip("q", 2, reason="no")
    assert new.skip("q", reason="no").position == 3
    new.settle()
    assert heard.positions == [2]


def test_a_release_that_does_not_take_what_the_target_is_blocked_at_steps_over_nothing_unless_told(
    store: LogStore,
) -> None:
    new = Act(store)
    new.on(A, B, name="mailer", to="q", retries=0)(Failing(2))
    put(store, A(1), B(2), A(3))
    new.settle()
    new.close()
    old, _ = release(store, A)
    with pytest.raises(ValidationError, match="'q' is blocked at position 2, but 'mailer' comes to position 3 next"):
        old.skip("q", reason="no")
    assert not list(old.skipped())
    assert old.skip("q", 3, reason="no").position == 3


def test_a_reaction_that_holds_is_no_target_to_skip_on(store: LogStore) -> None:
    def to(event: Committed[A]) -> str:
        raise ValueError("no")

    app, _ = release(store, A, to=to, retries=0)
    put(store, A(1))
    app.settle()
    with pytest.raises(ValidationError, match='"mailer" is a reaction that is stuck, not a target'):
        app.skip("mailer", reason="no")
