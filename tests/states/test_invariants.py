"""Invariants: rules that must hold before an action runs."""

import pytest

from act_fast import Act, Actor, Event, InvariantError, State, action, invariant
from tests.support.bank import Account


class Shipped(Event):
    weight: int


class Parcel(State):
    weight: int = 0
    sealed: bool = True
    ran: int = 0

    @invariant("the parcel is sealed", always=True)
    def is_sealed(self) -> bool:
        return self.sealed

    @invariant("the parcel is light")
    def is_light(self) -> bool:
        return self.weight < 10

    @invariant("only the post ships parcels")
    def by_the_post(self, actor: Actor | None) -> bool:
        return actor is not None and actor.id == "post"

    @action
    def weigh(self, weight: int) -> Shipped:
        return Shipped(weight)

    @action(requires=[by_the_post, is_light])
    def ship(self) -> Shipped:
        return Shipped(self.weight + 1)


def test_a_broken_invariant_carries_action_stream_description_and_version(app: Act) -> None:
    app.do(Account.deposit, "account-7", amount=5)
    with pytest.raises(InvariantError) as raised:
        app.do(Account.withdraw, "account-7", amount=5)

    error = raised.value
    assert (error.action, error.stream, error.description, error.version) == (
        "Account.withdraw",
        "account-7",
        "the account is open",
        1,
    )
    assert app.store.head == 1


def test_an_invariant_that_holds_lets_the_action_run(app: Act) -> None:
    app.do(Account.open, "account-7", owner="Ada")
    assert app.do(Account.withdraw, "account-7", amount=5).state.balance == -5


def test_an_invariant_of_the_whole_state_comes_before_every_action() -> None:
    class Opened(Event):
        sealed: bool = False

    class Loose(Parcel):
        @action
        def open(self) -> Opened:
            return Opened()

    with Act("memory:", Loose) as app:
        app.do(Loose.open, "p")
        for decision in (Loose.weigh, Loose.open):
            with pytest.raises(InvariantError, match="the parcel is sealed"):
                app.do(decision, "p", *([1] if decision is Loose.weigh else []))  # type: ignore[arg-type]


def test_invariants_are_checked_in_order() -> None:
    with Act("memory:", Parcel) as app:
        app.do(Parcel.weigh, "p", weight=50)
        with pytest.raises(InvariantError, match="only the post ships parcels"):
            app.do(Parcel.ship, "p")
        with pytest.raises(InvariantError, match="the parcel is light"):
            app.acting(Actor("post")).do(Parcel.ship, "p")


def test_an_invariant_may_ask_who_acts() -> None:
    with Act("memory:", Parcel) as app:
        with pytest.raises(InvariantError):
            app.acting(Actor("thief")).do(Parcel.ship, "p")
        with app.context(actor=Actor("post")):
            assert app.do(Parcel.ship, "p").version == 1


def test_arguments_are_checked_before_invariants(app: Act) -> None:
    with pytest.raises(ValueError, match="expected `int`, got `str`"):
        app.do(Account.withdraw, "account-7", amount="all")  # type: ignore[arg-type]


def test_a_subclass_puts_a_rule_of_its_own_in_place() -> None:
    class Weightless(Parcel):
        @invariant("anything is light here")
        def is_light(self) -> bool:
            return True

    with Act("memory:", Weightless) as app:
        app.do(Weightless.weigh, "p", weight=50)
        assert app.acting(Actor("post")).do(Weightless.ship, "p").state.weight == 51


def test_an_invariant_is_a_plain_method_of_an_instance() -> None:
    assert Parcel().is_light()
    assert not Parcel().by_the_post(None)
