"""A reaction whose targets cannot be found for an event: it holds there, in order, and nothing else does."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from act_fast import Act, Backoff, Blocked, Committed, Event, Failure, LogStore, NonRetryableError
from tests.support.heard import Heard
from tests.support.working import working


class Paid(Event):
    number: int


class Refunded(Event):
    number: int


@pytest.fixture
def store() -> Iterator[LogStore]:
    with LogStore.memory() as store:
        yield store


class Finder:
    """Finds "q" for each event, and fails at some numbers; `calls` counts how often for each."""

    def __init__(self, *broken: int, error: Callable[[], BaseException] = lambda: ValueError("broken")) -> None:
        self.broken = set(broken)
        self.error = error
        self.calls: list[int] = []

    def __call__(self, event: Committed[Any]) -> str:
        self.calls.append(event.data.number)
        if event.data.number in self.broken:
            raise self.error()
        return "q"


def app_of(store: LogStore, finder: Callable[[Committed[Any]], str], **options: Any) -> tuple[Act, Heard]:
    app, heard = Act(store), Heard()
    app.on(Paid, Refunded, **{"to": finder, "name": "payments", "retries": 2, "backoff": 0, **options})(heard)
    return app, heard


def pay(store: LogStore, *numbers: int) -> None:
    for number in numbers:
        store.append("s", [Refunded(number) if number % 10 == 9 else Paid(number)])


def test_after_a_failure_that_was_fixed_the_order_and_the_target_are_right(store: LogStore) -> None:
    finder = Finder(2)
    app, heard = app_of(store, finder)
    pay(store, 1, 2, 3)
    app.settle()
    assert heard.positions == [1]
    (blocked,) = app.blocked()
    assert (blocked.name, blocked.failing, blocked.attempts, blocked.error) == (
        "payments",
        2,
        3,
        "ValueError: broken",
    )
    assert blocked.known
    finder.broken.clear()
    assert app.unblock("payments") == 1
    app.settle()
    assert heard.positions == [1, 2, 3]
    assert [(target.name, target.watermark, target.lag) for target in app.targets()] == [("q", 3, 0)]


def test_a_failure_that_passes_is_tried_again_and_blocks_nothing(store: LogStore) -> None:
    failures = iter([True, True])
    app, heard = app_of(store, lambda event: "q" if event.data.number != 2 or not next(failures, False) else 1 / 0)  # type: ignore[arg-type,return-value]
    pay(store, 1, 2, 3)
    app.settle()
    assert heard.positions == [1, 2, 3]
    assert not list(app.blocked())


def test_a_worker_tries_again_when_the_time_has_come(store: LogStore) -> None:
    failures = iter([True, True])
    app, heard = app_of(
        store,
        lambda event: "q" if event.data.number != 2 or not next(failures, False) else 1 / 0,  # type: ignore[arg-type,return-value]
        backoff=Backoff(first=0.02, jitter=0.0),
    )
    with working(app):
        pay(store, 1, 2, 3)
        heard.await_count(3)
    assert heard.positions == [1, 2, 3]


def test_while_it_waits_for_its_next_try_it_is_seen_with_its_error(store: LogStore) -> None:
    app, heard = app_of(store, Finder(2), backoff=3600)
    pay(store, 1, 2, 3)
    app.settle()
    (waiting, target) = app.targets()
    assert (waiting.name, waiting.attempts, waiting.failing, waiting.error) == ("payments", 1, 2, "ValueError: broken")
    assert waiting.due is not None
    assert (target.name, target.watermark, target.lag) == ("q", 1, 0)
    assert heard.positions == [1]


def test_every_other_reaction_goes_on_even_on_the_same_target(store: LogStore) -> None:
    app, heard = app_of(store, Finder(2))
    others = {name: Heard() for name in ("before", "after", "payments-too")}
    for name, other in others.items():
        app.on(Paid, to="q", name=name)(other)
    own = Heard()
    app.on(Paid, name="own", to="payments")(own)
    pay(store, 1, 2, 3, 4)
    app.settle()
    assert heard.positions == [1]
    assert [other.positions for other in others.values()] == [[1, 2, 3, 4]] * 3
    assert own.positions == [1, 2, 3, 4], "a target that is called like the reaction is another one"


def test_all_events_of_the_reaction_hold_not_only_those_of_the_class_that_failed(store: LogStore) -> None:
    finder = Finder(9)
    app, heard = app_of(store, finder)
    pay(store, 1, 9, 3)
    app.settle()
    assert heard.positions == [1]
    finder.broken.clear()
    app.unblock("payments")
    app.settle()
    assert heard.positions == [1, 2, 3]


def test_what_cannot_be_retried_is_blocked_at_once(store: LogStore) -> None:
    finder = Finder(2, error=lambda: NonRetryableError("never"))
    app, _ = app_of(store, finder, retries=5)
    pay(store, 1, 2, 3)
    app.settle()
    assert finder.calls == [1, 2]
    assert [(target.failing, target.attempts) for target in app.blocked()] == [(2, 1)]


def test_a_reaction_that_is_never_blocked_is_tried_on_and_settling_ends(store: LogStore) -> None:
    finder = Finder(2)
    app, heard = app_of(store, finder, block=False, retries=0)
    pay(store, 1, 2, 3)
    for _ in range(5):
        app.settle()
    assert not list(app.blocked())
    finder.broken.clear()
    with working(app):
        heard.await_count(3)
    assert heard.positions == [1, 2, 3]


@pytest.mark.parametrize("fails_at", [1, 2, 50, 99, 100])
def test_a_failure_anywhere_in_a_window_keeps_what_came_before_it(store: LogStore, fails_at: int) -> None:
    finder = Finder(fails_at * 10)
    app, heard = app_of(store, finder)
    pay(store, *(number * 10 for number in range(1, 101)))
    app.settle()
    assert heard.positions == list(range(1, fails_at))
    finder.broken.clear()
    app.unblock("payments")
    app.settle()
    assert heard.positions == list(range(1, 101))


def test_several_failures_one_after_another_each_have_their_own_budget(store: LogStore) -> None:
    finder = Finder(2, 3)
    app, heard = app_of(store, finder)
    pay(store, 1, 2, 3, 4)
    app.settle()
    assert [(target.failing, target.attempts) for target in app.blocked()] == [(2, 3)]
    finder.broken = {3}
    app.unblock("payments")
    app.settle()
    assert [(target.failing, target.attempts) for target in app.blocked()] == [(3, 3)]
    finder.broken.clear()
    app.unblock("payments")
    app.settle()
    assert heard.positions == [1, 2, 3, 4]


def test_a_block_outlives_the_program_and_the_next_release_goes_on_in_order(store: LogStore) -> None:
    before, heard = app_of(store, Finder(2))
    pay(store, 1, 2, 3)
    before.settle()
    before.close()
    after, late = app_of(store, Finder())
    after.settle()
    assert late.positions == []
    assert [target.failing for target in after.blocked()] == [2]
    after.unblock(pattern="")
    after.settle()
    assert heard.positions + late.positions == [1, 2, 3]


def test_attempts_outlive_the_program_too(store: LogStore) -> None:
    before, _ = app_of(store, Finder(2), backoff=3600)
    pay(store, 1, 2, 3)
    before.settle()
    before.close()
    after, _ = app_of(store, Finder(2), backoff=3600)
    after.defer("payments", until=before_now())
    after.settle()
    assert [(target.failing, target.attempts) for target in after.targets() if target.due] == [(2, 2)]


def before_now() -> Any:
    from datetime import UTC, datetime

    return datetime(2020, 1, 1, tzinfo=UTC)


def test_another_program_that_takes_other_events_goes_on(store: LogStore) -> None:
    broken, heard = app_of(store, Finder(2))
    other, others = Act(store), Heard()
    other.on(Refunded, to=lambda event: "q", name="payments")(others)
    pay(store, 1, 2, 9)
    broken.settle()
    other.settle()
    assert heard.positions == [1]
    assert others.positions == [3]


def test_a_program_is_told_of_its_own_hold_though_another_one_holds_further_back(store: LogStore) -> None:
    old, _ = app_of(store, Finder(1), backoff=3600)
    with Act(store) as new:
        new.on(Refunded, to=Finder(19), name="payments", retries=0)(Heard())
        pay(store, 1, 19)
        old.settle()
        new.settle()
        (found,) = new.targets()
        assert (found.failing, found.blocked, found.known) == (2, True, True)
        (found,) = old.targets()
        assert (found.failing, found.blocked, found.known) == (1, False, True)


def test_a_release_that_works_goes_on_where_another_one_waits_for_its_next_try(store: LogStore) -> None:
    broken, heard = app_of(store, Finder(2), backoff=3600)
    pay(store, 1, 2, 3)
    broken.settle()
    works, late = app_of(store, Finder())
    assert works.defer("payments", until=before_now()) == 1
    works.settle()
    broken.settle()
    assert heard.positions == [1]
    assert late.positions == [2, 3]


def test_a_template_whose_field_is_missing_holds_too(store: LogStore) -> None:
    app, heard = Act(store), Heard()
    app.on(Paid, to="p{data.number}", name="payments", retries=1, backoff=0)(heard)
    pay(store, 1)
    store.append("s", [("Paid", b"{}")])
    pay(store, 3)
    app.settle()
    assert heard.positions == [1]
    assert [(target.name, target.failing, target.attempts) for target in app.blocked()] == [("payments", 2, 2)]


def test_an_event_that_does_not_decode_is_blocked_at_once(store: LogStore) -> None:
    app, heard = app_of(store, Finder())
    pay(store, 1)
    store.append("s", [("Paid", b"{}")])
    app.settle()
    (blocked,) = app.blocked()
    assert (blocked.failing, blocked.attempts, heard.positions) == (2, 1, [1])
    assert "does not decode" in str(blocked.error)


def test_observers_hear_of_each_failure_and_of_the_block(store: LogStore) -> None:
    failures: list[Failure] = []
    blocks: list[Blocked] = []
    app, _ = app_of(store, Finder(2))
    app.observe("error", failures.append)
    app.observe("blocked", blocks.append)
    pay(store, 1, 2)
    app.settle()
    assert [each.doing for each in failures] == ["finding the targets of the event at position 2"] * 3
    assert blocks == [Blocked("payments", 2, 3, "ValueError: broken")]


def test_a_reset_of_the_reaction_lets_it_go_on(store: LogStore) -> None:
    finder = Finder(2)
    app, heard = app_of(store, finder)
    pay(store, 1, 2, 3)
    app.settle()
    finder.broken.clear()
    assert app.reset("payments") == 1
    app.settle()
    assert heard.positions == [1, 2, 3]


def test_one_that_is_forgotten_holds_no_more(store: LogStore) -> None:
    app, _ = app_of(store, Finder(2))
    pay(store, 1, 2)
    app.settle()
    other = Act(store)
    assert other.forget_reaction("payments")
    assert not list(other.targets())


def test_a_block_by_hand_ends_the_tries(store: LogStore) -> None:
    finder = Finder(2)
    app, _ = app_of(store, finder, backoff=3600)
    pay(store, 1, 2)
    app.settle()
    assert app.block("payments", error="stop it") == 1
    assert [(target.failing, target.error) for target in app.blocked()] == [(2, "stop it")]
