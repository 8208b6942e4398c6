"""Correlating: whom new events concern."""

from collections.abc import Iterable
from typing import Any

import pytest

from act_fast import Act, Committed, Correlation, Failure
from tests.support.bank import Account, Deposited, Opened, Withdrawn
from tests.support.heard import Heard, deposit


def names(app: Act) -> set[str]:
    return {target.name for target in app.targets()}


def test_without_to_an_event_goes_under_its_own_stream(app: Act) -> None:
    app.on(Deposited, name="own")(Heard())
    deposit(app, "a", "b", "a")
    assert app.correlate() == Correlation(examined=3, subscribed=2, marked=3, caught_up=True)
    assert names(app) == {"a", "b"}


def test_correlating_again_finds_nothing(app: Act) -> None:
    app.on(Deposited, name="own")(Heard())
    deposit(app, "a")
    app.correlate()
    assert app.correlate() == Correlation(caught_up=True)


def test_a_function_finds_one_target_several_or_none(app: Act) -> None:
    def parties(event: Committed[Deposited]) -> str | list[str] | None:
        return {1: "one", 2: ["two", "more", "two"], 3: None}[event.data.amount]

    heard = Heard()
    app.on(Deposited, to=parties, name="parties")(heard)
    for amount in (1, 2, 3):
        deposit(app, "a", amount=amount)
    app.settle()
    assert names(app) == {"one", "two", "more"}
    assert sorted(heard.positions) == [1, 2, 2], "named twice is named once"


def test_targets_may_come_one_by_one(app: Act) -> None:
    def parties(event: Committed[Deposited]) -> Iterable[str]:
        yield "one"
        yield "two"

    app.on(Deposited, to=parties, name="parties")(Heard())
    deposit(app, "a")
    app.settle()
    assert names(app) == {"one", "two"}


@pytest.mark.parametrize("found", [5, [5], b"a", "", ["a", "x" * 513], "a\n", "\ud800", [None]])
def test_what_names_no_target_blocks_the_reaction_by_its_own_name(app: Act, found: Any) -> None:
    heard = Heard()
    app.on(Deposited, to=lambda event: found if event.data.amount == 2 else "good", name="odd", retries=0)(heard)
    for amount in (1, 2, 3):
        deposit(app, "a", amount=amount)
    app.settle()
    (blocked,) = app.blocked()
    assert (blocked.name, blocked.failing) == ("odd", 2)
    assert blocked.error is not None
    assert blocked.error.startswith("DefinitionError: to= of tests.support.heard.Heard returned")
    assert heard.positions == [1], "what comes later waits"


def test_a_function_that_raises_blocks_the_reactions_own_name_and_is_told(app: Act) -> None:
    told: list[Failure] = []
    app.observe("error", told.append)
    app.on(Deposited, to=lambda event: {}["nobody"], name="odd", retries=0)(Heard())
    deposit(app, "a")
    app.settle()
    assert [(target.name, target.error) for target in app.blocked()] == [("odd", "KeyError: 'nobody'")]
    assert [each.doing for each in told] == ["finding the targets of the event at position 1"]


def test_a_template_whose_field_is_missing_blocks_the_reactions_own_name(app: Act) -> None:
    app.on(Opened, to="{data.owner}", name="owners", retries=0)(Heard())
    app.store.append("a", [("Opened", b"{}")])
    app.settle()
    (blocked,) = app.blocked()
    assert blocked.name == "owners"
    assert "owner" in str(blocked.error)


def test_a_literal_source_is_not_read_as_a_pattern(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, to="all", source="s1", name="one")(heard)
    deposit(app, "s1", "s12", "xs1")
    app.settle()
    assert heard.places == [("s1", 1)]


def test_a_pattern_is_searched_and_anchored_only_by_who_wrote_it(app: Act) -> None:
    searched, anchored = Heard(), Heard()
    app.on(Deposited, to="searched", source="s[12]", name="searched")(searched)
    app.on(Deposited, to="anchored", source="^s1$", name="anchored")(anchored)
    deposit(app, "s1", "s12", "xs2", "t")
    app.settle()
    assert searched.places == [("s1", 1), ("s12", 1), ("xs2", 1)]
    assert anchored.places == [("s1", 1)]


def test_a_limit_bounds_the_events_that_are_looked_at(app: Act) -> None:
    app.on(Deposited, name="own")(Heard())
    deposit(app, *["a"] * 5)
    assert app.correlate(limit=0) == Correlation(caught_up=False)
    assert app.correlate(limit=2).examined == 2
    assert app.correlate(limit=2).examined == 2
    assert app.correlate(limit=2) == Correlation(examined=1, marked=1, caught_up=True)


def test_events_that_nobody_listens_to_are_no_end(app: Act) -> None:
    heard = Heard()
    app.on(Withdrawn, to="{stream}", name="withdrawn")(heard)
    app.do(Account.open, "a", owner="Ada")
    deposit(app, *["a"] * 3000)
    app.do(Account.withdraw, "a", amount=1)
    app.settle()
    assert heard.places == [("a", 3002)]


def test_a_reaction_that_starts_now_does_not_see_what_was(app: Act) -> None:
    heard = Heard()
    deposit(app, "a")
    app.on(Deposited, start="now", name="now")(heard)
    app.settle()
    deposit(app, "a")
    app.settle()
    assert heard.places == [("a", 2)]


def test_start_counts_only_the_first_time_that_a_reaction_is_known(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, start="now", name="now")(Heard())
    app.settle()
    again = Act(app.store, Account)
    again.on(Deposited, start="now", name="now")(heard)
    deposit(app, "a")
    again.settle()
    assert heard.places == [("a", 1)]


def test_two_programs_with_different_reactions_share_a_store(app: Act) -> None:
    other = Act(app.store, Account)
    one, two = Heard(), Heard()
    app.on(Deposited, to="same", name="one")(one)
    other.on(Deposited, to="same", name="two")(two)
    deposit(app, "a", "b")
    app.settle()
    other.settle()
    deposit(app, "c")
    other.settle()
    app.settle()
    assert one.positions == two.positions == [1, 2, 3]


def test_cursors_tell_how_far_each_reaction_has_been_correlated(app: Act) -> None:
    app.on(Deposited, name="own")(Heard())
    deposit(app, "a", "b")
    assert [(each.reaction, each.position, each.known) for each in app.cursors()] == [("own", 0, True)]
    app.correlate()
    other = Act(app.store, Account)
    assert [(each.reaction, each.position, each.known) for each in other.cursors()] == [("own", 2, False)]
