"""Versions of one program on one store: what becomes of reactions that are changed, renamed or taken out."""

from collections.abc import Iterator

import pytest

from act_fast import Act, Committed, Lane, LogStore, Projection, ValidationError, batch, on
from tests.support.bank import Account, Deposited, Opened, Withdrawn
from tests.support.heard import Heard, deposit


@pytest.fixture
def store() -> Iterator[LogStore]:
    with LogStore.memory() as store:
        yield store


def withdraw(app: Act, stream: str) -> None:
    app.store.append(stream, [Withdrawn(1)])


def test_work_of_an_event_that_a_reaction_no_longer_takes_is_passed_over(store: LogStore) -> None:
    with Act(store, Account) as before:
        before.on(Deposited, Withdrawn, name="audit")(Heard())
        deposit(before, "a")
        withdraw(before, "a")
        deposit(before, "a")
        before.correlate()
    heard = Heard()
    with Act(store, Account) as after:
        after.on(Deposited, name="audit")(heard)
        after.settle()
        assert heard.positions == [1, 3]
        assert [(target.watermark, target.lag, target.blocked) for target in after.targets()] == [(3, 0, False)]


def test_work_of_an_event_that_no_class_is_left_for_is_passed_over(store: LogStore) -> None:
    with Act(store) as before:
        before.on(Opened, Withdrawn, name="audit")(Heard())
        store.append("a", [Withdrawn(1)])
        before.correlate()
    heard = Heard()
    with Act(store) as after:
        after.on(Opened, name="audit")(heard)
        store.append("a", [Opened("Ada")])
        after.settle()
        assert heard.positions == [2]
        assert not list(after.blocked())


def test_a_batch_is_given_only_what_it_takes_now(store: LogStore) -> None:
    class Before(Projection, name="sums"):
        @on(Deposited, Withdrawn)
        def either(self, event: Committed[Deposited | Withdrawn]) -> None: ...

    class After(Projection, name="sums"):
        def __init__(self) -> None:
            self.positions: list[int] = []

        @batch(Deposited)
        def deposited(self, events: list[Committed[Deposited]]) -> None:
            self.positions += [event.position for event in events]

    with Act(store, Account, Before()) as before:
        for _ in range(2):
            deposit(before, "a", "b")
            withdraw(before, "a")
        before.correlate()
    after = After()
    with Act(store, Account, after) as app:
        app.settle()
    assert after.positions == [1, 2, 4, 5]


def test_a_reaction_that_was_taken_out_holds_back_nobody_who_waits(store: LogStore) -> None:
    with Act(store, Account) as before:
        before.on(Deposited, to="books", name="kept")(Heard())
        before.on(Deposited, to="books", name="gone")(Heard())
        deposit(before, "a")
        before.correlate()
    with Act(store, Account) as after:
        after.on(Deposited, to="books", name="kept")(Heard())
        deposit(after, "a")
        after.settle()
        assert after.wait_for(2, "books", timeout=0).lag == 0


def test_a_reaction_that_was_renamed_is_a_new_one_and_the_old_one_can_be_forgotten(store: LogStore) -> None:
    with Act(store, Account) as before:
        before.on(Deposited, to="old", name="old")(Heard())
        deposit(before, "a")
        before.settle()
    heard = Heard()
    with Act(store, Account) as after:
        after.on(Deposited, to="new", name="new")(heard)
        after.settle()
        assert heard.positions == [1]
        assert after.forget_reaction("old")
        assert not after.forget_reaction("old")
        assert [target.name for target in after.targets()] == ["new"]
        assert [cursor.reaction for cursor in after.cursors()] == ["new"]


def test_what_the_app_has_cannot_be_forgotten(store: LogStore) -> None:
    with Act(store, Account) as app:
        app.on(Deposited, name="audit")(Heard())
        with pytest.raises(ValidationError, match="remove it"):
            app.forget_reaction("audit")


def test_targets_of_a_lane_that_is_gone_are_worked_on_in_the_lane_of_today(store: LogStore) -> None:
    with Act(store, Account, lanes=[Lane("slow")]) as before:
        before.on(Deposited, lane="slow", name="audit")(Heard())
        deposit(before, "a")
        before.correlate()
    heard = Heard()
    with Act(store, Account, lanes=[Lane("mail"), Lane("other")]) as after:
        after.on(Deposited, lane="mail", name="audit")(heard)
        assert after.settle(lanes=["other"]).drained.leased == 0
        after.settle(lanes=["mail"])
        assert heard.positions == [1]


def test_a_reaction_declared_while_handlers_are_at_work_is_known_at_once(store: LogStore) -> None:
    heard = Heard()
    with Act(store, Account) as app:

        @app.on(Deposited, to="first")
        def first(event: Committed[Deposited]) -> None:
            if event.position == 1:
                app.on(Deposited, to="second", name="second")(heard)
                app.correlate()
                assert [cursor.reaction for cursor in app.cursors()] == ["first", "second"]

        deposit(app, "a", "b")
        app.settle()
    assert heard.positions == [1, 2]
