"""Errors tell whose mistake it is: the caller's, the log's, or the program's."""

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from act_fast import (
    Act,
    ActError,
    ConcurrencyError,
    DecodeError,
    DefinitionError,
    Event,
    InvariantError,
    LogStore,
    State,
    StreamClosedError,
    ValidationError,
    action,
    reducer,
    upcast,
)
from tests.support.bank import Account, Deposited


class Weighed(Event):
    grams: float


class Named(Event):
    name: str


class Renamed(Event, name="Renamed_v2"):
    name: str

    @upcast(from_="Renamed")
    @staticmethod
    def from_title(old: dict[str, Any]) -> dict[str, Any]:
        return {"name": old["title"]}


class Parcel(State, events=[Renamed]):
    grams: float = 0.0
    name: str = ""

    @reducer
    def weighed(self, event: Weighed) -> None:
        self.grams = event.grams

    @action
    def weigh(self, grams: float) -> Weighed:
        return Weighed(grams)

    @action
    def call(self, name: str) -> Named:
        return Named(name)

    @action
    def misweigh(self) -> Weighed:
        return Weighed("much")  # type: ignore[arg-type]


@pytest.fixture
def parcels() -> Act:
    return Act("memory:", Parcel)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda app: app.do(Parcel.weigh, "p", grams="much"),
        lambda app: app.do(Parcel.weigh, "p"),
        lambda app: app.do(Parcel.weigh, "p", grams=1.0, more=1),
        lambda app: app.do(Parcel.weigh, "", grams=1.0),
        lambda app: app.load(Parcel, "p", at=-1),
        lambda app: app.query(limit=-1),
    ],
)
def test_a_callers_mistake_is_a_validation_error_and_nothing_more_special(
    parcels: Act, mistake: Callable[[Act], object]
) -> None:
    with pytest.raises(ValidationError) as raised:
        mistake(parcels)
    assert type(raised.value) is ValidationError


@pytest.mark.parametrize(
    ("do", "argument"),
    [
        (lambda app: app.do(Parcel.weigh, "p", grams=float("nan")), "grams"),
        (lambda app: app.do(Parcel.weigh, "p", grams=float("inf")), "grams"),
        (lambda app: app.do(Parcel.call, "p", name="\ud800"), "name"),
    ],
)
def test_an_argument_that_cannot_be_stored_is_the_callers_mistake(
    parcels: Act, do: Callable[[Act], object], argument: str
) -> None:
    with pytest.raises(ValidationError, match=f"argument '{argument}' holds what cannot be stored") as raised:
        do(parcels)
    assert type(raised.value) is ValidationError
    assert parcels.store.head == 0


def test_what_an_action_returns_is_the_programs_mistake(parcels: Act) -> None:
    with pytest.raises(DefinitionError, match="returned Weighed with a wrong value"):
        parcels.do(Parcel.misweigh, "p")


def test_a_state_that_is_not_the_apps_is_the_programs_mistake(parcels: Act) -> None:
    with pytest.raises(DefinitionError, match="is not a state of this app"):
        parcels.load(Account, "account-7")


def test_a_definition_that_cannot_be_is_the_programs_mistake() -> None:
    with pytest.raises(DefinitionError, match="has no default"):

        class Broken(State):
            grams: float


def test_an_event_that_does_not_decode_is_the_logs_and_its_place_is_told(parcels: Act) -> None:
    parcels.store.append("p", [("Weighed", b'{"grams": "much"}')])

    for read in (
        lambda: parcels.load(Parcel, "p"),
        lambda: list(parcels.query()),
        lambda: parcels.do(Parcel.weigh, "p", 1),
    ):
        with pytest.raises(DecodeError, match=r"field 'grams': expected `float`.*version 1 of stream 'p'"):
            read()


def test_an_event_whose_upcaster_raises_tells_its_place(parcels: Act) -> None:
    parcels.store.append("p", [("Renamed", b"{}")])

    for read in (lambda: parcels.load(Parcel, "p"), lambda: list(parcels.query())):
        with pytest.raises(KeyError) as raised:
            read()
        assert "version 1 of stream 'p'" in raised.value.__notes__[0]


def test_an_unknown_event_that_may_not_be_is_the_logs() -> None:
    with LogStore.memory() as store, Act(store, Parcel, unknown="raise") as app:
        store.append("p", [Deposited(1)])
        with pytest.raises(DecodeError, match="stored as 'Deposited', which Parcel does not know"):
            app.load(Parcel, "p")


def test_an_error_can_be_sent_to_another_process() -> None:
    errors: list[ActError] = [
        InvariantError("Account.deposit", "account-7", "the account is open", 3),
        ConcurrencyError("account-7", 1, 2),
        StreamClosedError("account-7"),
        DecodeError("it does not decode"),
    ]
    for error in errors:
        copied = pickle.loads(pickle.dumps(error))
        assert (type(copied), str(copied), vars(copied)) == (type(error), str(error), vars(error))
