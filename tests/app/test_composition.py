"""Composition: slices, duplicates, and one set of definitions for many apps."""

import pytest

from act_fast import Act, Event, Slice, State, ValidationError, action, reducer
from tests.support.bank import Account, Deposited


class Shipped(Event):
    to: str


class Parcel(State):
    to: str = ""

    @action
    def ship(self, to: str) -> Shipped:
        return Shipped(to)


def test_a_slice_brings_its_states() -> None:
    shop = Slice(Account, Slice(Parcel))
    with Act("memory:", shop) as app:
        assert app.states == (Account, Parcel)
        assert app.do(Parcel.ship, "p", to="Rome").state.to == "Rome"


def test_a_slice_can_be_included_later() -> None:
    with Act("memory:", Account) as app:
        app.do(Account.deposit, "account-7", amount=1)
        app.include(Slice(Parcel))
        assert app.do(Parcel.ship, "p", to="Rome").version == 1
        assert app.do(Account.deposit, "account-7", amount=1).state.balance == 2


def test_a_state_that_is_there_twice_is_there_once() -> None:
    with Act("memory:", Account, Slice(Account)) as app:
        app.include(Account)
        assert app.states == (Account,)


def test_two_states_that_claim_one_event_are_an_error_that_names_both() -> None:
    class Thief(State):
        @reducer
        def deposited(self, event: Deposited) -> None: ...

    with pytest.raises(ValidationError, match=r"event Deposited is claimed by .*bank\.Account and by .*Thief"):
        Act("memory:", Account, Thief)


def test_two_classes_of_one_stored_name_in_a_state_are_an_error_that_names_both() -> None:
    class Second(Event, name="Shipped"):
        pass

    with pytest.raises(ValidationError, match=r"Shipped and .*Second are both stored as 'Shipped'"):

        class Confused(State, events=[Shipped, Second]):
            pass


def test_two_classes_of_one_stored_name_in_an_app_are_an_error_that_names_both() -> None:
    class Second(Event, name="Shipped"):
        pass

    class Other(State, events=[Second]):
        pass

    with pytest.raises(ValidationError, match=r"stored as 'Shipped' are claimed by .*Shipped and by .*Second"):
        Act("memory:", Parcel, Other)


def test_two_states_of_one_name_are_an_error_that_names_both() -> None:
    class Other(State, name="Parcel"):
        pass

    with pytest.raises(ValidationError, match=r"Parcel and .*Other are both called 'Parcel'"):
        Act("memory:", Parcel, Other)


def test_two_actions_of_one_name_in_a_state_are_an_error_that_names_the_line() -> None:
    with pytest.raises(ValidationError, match=r"Twice\.ship is defined twice: first as action in line \d+"):

        class Twice(State):
            @action
            def ship(self) -> None: ...

            @action  # type: ignore[no-redef]
            def ship(self, to: str) -> None: ...  # noqa: F811


def test_what_does_not_fit_is_not_included() -> None:
    class Thief(State, events=[Deposited]):
        pass

    with Act("memory:", Account) as app:
        with pytest.raises(ValidationError):
            app.include(Parcel, Thief)
        assert app.states == (Account,)


def test_one_set_of_definitions_builds_many_apps() -> None:
    shop = Slice(Account, Parcel)
    with Act("memory:", shop) as one, Act("memory:", shop) as two:
        one.do(Account.deposit, "account-7", amount=1)
        assert one.load(Account, "account-7").version == 1
        assert two.load(Account, "account-7").version == 0


def test_a_state_inherits_reducers_actions_and_fields() -> None:
    class Savings(Account):
        interest: float = 0.0

        @action
        def deposit(self, amount: int) -> Deposited:
            return Deposited(amount * 2)

    with Act("memory:", Savings) as app:
        app.do(Savings.open, "s", owner="Ada")
        assert app.do(Savings.deposit, "s", amount=5).state == Savings("Ada", 10, 2)
        event = app.load(Savings, "s", at=1).event
        assert event is not None
        assert event.meta.causation is not None
        assert event.meta.causation.action is not None
        assert event.meta.causation.action.name == "Savings.open"


def test_the_action_of_a_base_class_is_not_that_of_the_subclass() -> None:
    class Savings(Account):
        pass

    with Act("memory:", Savings) as app, pytest.raises(ValidationError, match="Account is not a state of this app"):
        app.do(Account.open, "s", owner="Ada")


class Moved(Event):
    amount: int


class Received(Moved):
    sender: str


class Sent(Moved):
    to: str


class Purse(State):
    balance: int = 0

    @reducer
    def moved(self, event: Moved) -> None:
        self.balance += event.amount

    @reducer
    def sent(self, event: Sent) -> None:
        self.balance -= event.amount

    @action
    def receive(self, amount: int, sender: str) -> Received:
        return Received(amount, sender)

    @action
    def send(self, amount: int, to: str) -> Sent:
        return Sent(amount, to)


def test_an_event_without_a_reducer_is_folded_like_the_class_it_derives_from() -> None:
    with Act("memory:", Purse, debug=True, cache_max=0) as app:
        app.do(Purse.receive, "p", amount=5, sender="Ada")
        app.do(Purse.send, "p", amount=2, to="Bob")
        assert app.load(Purse, "p").state.balance == 3


class Noted(Event):
    text: str


class Base(State, events=[Noted], snapshot_every=2, snapshot_version=3):
    text: str = ""
    changed: bool = False


def test_class_keywords_are_inherited() -> None:
    class Notes(Base):
        @action
        def note(self, text: str) -> Event:
            return Noted(text)

    with Act("memory:", Notes) as app:
        for text in ("one", "two"):
            app.do(Notes.note, "n", text)
        assert app.load(Notes, "n").state.text == "two"
        assert app.store.latest_snapshot("n") is not None
    assert Notes.__definition__.snapshot_version == 3


def test_class_keywords_can_be_given_again() -> None:
    class Notes(Base, snapshot_every=5, snapshot_version=4):
        @reducer
        def noted(self, event: Noted) -> None:
            self.changed = True

    with Act("memory:", Notes) as app:
        app.store.append("n", [Noted("one")])
        assert app.load(Notes, "n").state == Notes("", True)
    assert (Notes.__definition__.snapshot_every, Notes.__definition__.snapshot_version) == (5, 4)
