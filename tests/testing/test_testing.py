"""`act_fast.testing`: given, when, then."""

import pytest

from act_fast import Act, Actor, DefinitionError, Event, InvariantError, State, ValidationError, action, invariant
from act_fast.testing import given
from tests.support.bank import Account, Deposited, Opened, Withdrawn

pytest_plugins = ["pytester"]


def test_given_when_then() -> None:
    given(Account, Opened("Ada")).when(Account.deposit, amount=5).then(Deposited(5)).state(owner="Ada", balance=5)


def test_nothing_given_and_nothing_follows() -> None:
    given(Account).when(Account.deposit_each, amounts=[]).then().state(Account())


def test_what_was_given_has_a_state() -> None:
    given(Account, Opened("Ada"), Deposited(5)).state(Account("Ada", 5, 2)).state(balance=5)


def test_one_thing_after_another() -> None:
    (
        given(Account)
        .when(Account.open, "Ada")
        .then(Opened("Ada"))
        .when(Account.withdraw, amount=5)
        .then(Withdrawn(5))
        .state(balance=-5)
    )


def test_what_is_raised_is_asked_for() -> None:
    (
        given(Account)
        .when(Account.withdraw, amount=5)
        .raises(InvariantError, match="is open", description="the account is open", version=0)
        .when(Account.deposit, amount=1)
        .then(Deposited(1))
    )
    given(Account).when(Account.deposit, amount="x").raises(ValidationError)  # type: ignore[arg-type]


def test_somebody_acts() -> None:
    class Gone(Event):
        pass

    class Door(State):
        @invariant("only the porter opens")
        def by_porter(self, actor: Actor | None) -> bool:
            return actor is not None and actor.id == "porter"

        @action(requires=[by_porter])
        def go(self) -> Gone:
            return Gone()

    given(Door).acting(Actor("porter")).when(Door.go).then(Gone()).when(Door.go).then(Gone())
    given(Door).when(Door.go).raises(InvariantError)


def test_an_assertion_says_what_was_expected_and_what_was_found() -> None:
    with pytest.raises(AssertionError, match=r"expected to return Deposited\(amount=6\), but returned Deposited\(am"):
        given(Account).when(Account.deposit, amount=5).then(Deposited(6))
    with pytest.raises(AssertionError, match="but returned nothing"):
        given(Account).when(Account.deposit_each, amounts=[]).then(Deposited(6))
    with pytest.raises(AssertionError, match="expected balance to be 6, got 5"):
        given(Account).when(Account.deposit, amount=5).state(balance=6)
    with pytest.raises(AssertionError, match="expected the state to be Account"):
        given(Account).state(Account("Ada"))
    with pytest.raises(AssertionError, match="was expected to raise InvariantError, but raised nothing"):
        given(Account).when(Account.deposit, amount=5).raises(InvariantError)
    with pytest.raises(AssertionError, match="does not match 'locked'"):
        given(Account).when(Account.withdraw, amount=5).raises(InvariantError, match="locked")
    with pytest.raises(AssertionError, match="expected version to be 7, got 0"):
        given(Account).when(Account.withdraw, amount=5).raises(InvariantError, version=7)


def test_an_exception_that_nobody_asked_for_fails_the_assertion_and_is_its_cause() -> None:
    with pytest.raises(AssertionError, match="withdraw raised InvariantError") as raised:
        given(Account).when(Account.withdraw, amount=5).then(Withdrawn(5))
    assert isinstance(raised.value.__cause__, InvariantError)


def test_what_is_given_must_be_the_states() -> None:
    class Elsewhere(Event):
        pass

    with pytest.raises(ValidationError, match="Elsewhere is not an event of Account; it has Opened, "):
        given(Account, Elsewhere())
    with pytest.raises(ValidationError, match="int is not an event of Account"):
        given(Account, 3)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="event Deposited: field 'amount': expected"):
        given(Account, Deposited("x"))  # type: ignore[arg-type]


def test_what_is_done_must_be_an_action_of_the_state() -> None:
    class Elsewhere(State):
        @action
        def happen(self) -> None:
            return None

    with pytest.raises(DefinitionError, match="Elsewhere is not a state of this app, which has Account"):
        given(Account).when(Elsewhere.happen)  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match="'open' is not an action"):
        given(Account).when("open")  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match=r"<reducer Account\.opened> is not an action"):
        given(Account).when(Account.open, "Ada").when(Account.opened)  # type: ignore[arg-type]


def test_an_action_that_changes_the_state_is_found_out() -> None:
    class Meddling(State):
        count: int = 0

        @action
        def meddle(self) -> None:
            self.count += 1

    given(Meddling).when(Meddling.meddle).raises(ValidationError, match="changed the state")


def test_given_agrees_with_an_app(app: Act) -> None:
    app.do(Account.open, "account-7", owner="Ada")
    app.do(Account.deposit, "account-7", amount=5)
    given(Account, Opened("Ada"), Deposited(5)).state(app.load(Account, "account-7").state)


def test_the_plugin_gives_apps_in_memory(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from act_fast import Event, State, action

        class Counted(Event):
            number: int

        class Counter(State):
            number: int = 0

            @action
            def count(self) -> Counted:
                return Counted(self.number + 1)

        apps = []

        def test_counts(act_app):
            apps.append(act_app(Counter, cache_max=0))
            assert apps[0].do(Counter.count, "c").state.number == 1

        def test_is_closed_afterwards():
            assert apps[0].store.closed
        """
    )
    pytester.runpytest("-p", "no:asyncio", "-p", "act_fast.testing.plugin").assert_outcomes(passed=2)
