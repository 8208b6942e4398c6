"""The pipeline of `do`: resolve, bind, load, check, decide, append, fold."""

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Generic, TypeVar

import pytest

from act_fast import (
    Act,
    Event,
    LogStore,
    Slice,
    State,
    StreamClosedError,
    ValidationError,
    action,
    reducer,
)
from tests.support.bank import Account, Deposited, Opened

T = TypeVar("T")


def test_do_appends_and_returns_the_state_after(app: Act) -> None:
    app.do(Account.open, "account-7", owner="Ada")
    snapshot = app.do(Account.deposit, "account-7", amount=50)

    assert snapshot.state == Account(owner="Ada", balance=50, events=2)
    assert (snapshot.stream, snapshot.version, snapshot.position, snapshot.appended) == ("account-7", 2, 2, 1)


def test_the_snapshot_tells_the_event_that_was_appended(app: Act) -> None:
    snapshot = app.do(Account.open, "account-7", owner="Ada")

    assert snapshot.event is not None
    assert snapshot.event.data == Opened("Ada")
    assert (snapshot.event.name, snapshot.event.version, snapshot.event.position) == ("Opened", 1, 1)
    assert [each.data for each in snapshot.events] == [Opened("Ada")]


def test_version_and_position_are_not_the_same_thing(app: Act) -> None:
    app.do(Account.open, "account-1", owner="Ada")
    snapshot = app.do(Account.open, "account-2", owner="Bob")

    assert (snapshot.version, snapshot.position) == (1, 2)


def test_arguments_may_be_given_by_place(app: Act) -> None:
    assert app.do(Account.deposit, "account-7", 50).state.balance == 50


def test_an_action_that_returns_none_appends_nothing(app: Act) -> None:
    app.do(Account.open, "account-7", owner="Ada")
    snapshot = app.do(Account.open, "account-7", owner="Bob")

    assert (snapshot.version, snapshot.appended, snapshot.state.owner) == (1, 0, "Ada")
    assert app.store.head == 1


def test_an_action_that_returns_an_empty_list_appends_nothing(app: Act) -> None:
    snapshot = app.do(Account.deposit_each, "account-7", amounts=[])

    assert snapshot.version == 0
    assert snapshot.event is None
    assert app.store.head == 0


def test_several_events_of_an_action_are_one_commit(app: Act) -> None:
    snapshot = app.do(Account.deposit_each, "account-7", amounts=[1, 2, 3])

    assert (snapshot.version, snapshot.appended, snapshot.state.balance) == (3, 3, 6)
    assert len({each.meta.correlation for each in snapshot.events}) == 1


def test_a_generator_may_decide() -> None:
    class Counted(Event):
        number: int

    class Counter(State):
        number: int = 0

        @action
        def count(self, to: int) -> Iterator[Counted]:
            for number in range(to):
                yield Counted(number + 1)

    with Act("memory:", Counter) as app:
        assert app.do(Counter.count, "c", to=3).state.number == 3


def test_an_event_without_a_reducer_copies_the_fields_it_shares() -> None:
    class Renamed(Event):
        name: str
        why: str = ""

    class Person(State):
        name: str = ""
        age: int = 0

        @action
        def rename(self, name: str) -> Renamed:
            return Renamed(name, "asked for")

    with Act("memory:", Person) as app:
        assert app.do(Person.rename, "p", name="Ada").state == Person(name="Ada")
        assert app.load(Person, "p").state == Person(name="Ada")


def test_an_unknown_action_is_an_error_that_lists_what_there_is(app: Act) -> None:
    with pytest.raises(ValidationError, match=r"'deposit' is not an action; .* Account\.open, .*did you mean"):
        app.do("deposit", "account-7")  # type: ignore[arg-type, call-arg]


def test_what_is_no_action_is_told_without_what_it_holds(app: Act) -> None:
    with pytest.raises(ValidationError, match=r"^Account\.deposit is bound to an instance here; name the action by"):
        app.do(Account(owner="Ada").deposit, "account-7", amount=1)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match=r"^<reducer Account\.opened> is not an action; .* Account\.open, "):
        app.do(Account.opened, "account-7")  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match=r"^<invariant Account\.is_open: the account is open> is not an action"):
        app.do(Account.is_open, "account-7")  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match=r"^an instance of Deposited is not an action"):
        app.do(Deposited(1), "account-7")  # type: ignore[arg-type]


def test_an_action_of_a_state_that_is_not_registered_is_an_error_that_lists_what_there_is(app: Act) -> None:
    class Elsewhere(State):
        @action
        def happen(self) -> None:
            return None

    with pytest.raises(ValidationError, match=r"Elsewhere is not a state of this app, which has Account"):
        app.do(Elsewhere.happen, "e")


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        ({"amount": "50"}, "Account.deposit: argument 'amount': expected `int`, got `str`"),
        ({"amount": True}, "Account.deposit: argument 'amount': expected `int`, got `bool`"),
        ({}, "Account.deposit: missing argument `amount`; it takes (amount: int)"),
        ({"amount": 1, "sum": 2}, "Account.deposit: unknown argument `sum`; it takes (amount: int)"),
    ],
)
def test_a_wrong_argument_is_named_with_its_action(app: Act, kwargs: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(sentence)):
        app.do(Account.deposit, "account-7", **kwargs)  # type: ignore[arg-type]
    assert app.store.head == 0


def test_an_argument_inside_of_a_list_is_named_by_its_place(app: Act) -> None:
    with pytest.raises(ValidationError, match=r"argument 'amounts\[1\]': expected `int`, got `str`"):
        app.do(Account.deposit_each, "account-7", amounts=[1, "2"])  # type: ignore[list-item]


def test_too_many_arguments_are_refused(app: Act) -> None:
    with pytest.raises(ValidationError, match=r"takes 1 arguments without a name, but was given 2"):
        app.do(Account.deposit, "account-7", 1, 2)  # type: ignore[call-arg]


def test_an_argument_given_twice_is_refused(app: Act) -> None:
    with pytest.raises(ValidationError, match=r"argument 'amount' is given twice"):
        app.do(Account.deposit, "account-7", 1, amount=2)  # type: ignore[misc]


def test_no_error_carries_a_value(app: Act) -> None:
    with pytest.raises(ValidationError) as raised:
        app.do(Account.deposit, "account-7", amount="secret")  # type: ignore[arg-type]
    assert "secret" not in str(raised.value)
    assert raised.value.__suppress_context__


def test_arguments_are_converted() -> None:
    class Priced(Event):
        price: Decimal
        tags: tuple[str, ...]

    class Item(State):
        price: Decimal = Decimal(0)
        tags: tuple[str, ...] = ()

        @action
        def set_price(self, price: Decimal, *, tags: tuple[str, ...] = ()) -> Priced:
            assert isinstance(price, Decimal)
            return Priced(price, tags)

    with Act("memory:", Item, debug=True) as app:
        snapshot = app.do(Item.set_price, "i", price="1.50", tags=["a", "b"])  # type: ignore[arg-type]
        assert snapshot.state == Item(Decimal("1.50"), ("a", "b"))
        assert app.do(Item.set_price, "i", Decimal(2)).state == Item(Decimal(2), ())


def test_a_closed_stream_takes_no_more_events(app: Act) -> None:
    app.do(Account.open, "account-7", owner="Ada")
    closed = app.close_stream(Account, "account-7")

    with pytest.raises(StreamClosedError) as raised:
        app.do(Account.deposit, "account-7", amount=1)
    assert raised.value.stream == "account-7"
    assert closed.version == 2
    assert app.load(Account, "account-7").state.owner == "Ada"


def test_a_closed_stream_is_closed_for_an_app_that_has_not_seen_it_close(app: Act) -> None:
    app.do(Account.open, "account-7", owner="Ada")
    app.close_stream(Account, "account-7")

    with Act(app.store, Account) as other, pytest.raises(StreamClosedError):
        other.do(Account.deposit, "account-7", amount=1)


def test_closing_a_stream_again_does_nothing(app: Act) -> None:
    app.do(Account.open, "account-7", owner="Ada")
    app.close_stream(Account, "account-7")

    assert app.close_stream(Account, "account-7").version == 2


def test_an_event_of_another_state_is_refused_and_nothing_is_appended() -> None:
    class Straying(State):
        @action
        def stray(self) -> Event:
            return Deposited(1)

    with Act("memory:", Account, Straying) as app:
        with pytest.raises(ValidationError, match=r"stray returned Deposited, which is not an event of .*Straying"):
            app.do(Straying.stray, "s")
        assert app.store.head == 0


def test_something_that_is_no_event_is_refused() -> None:
    class Careless(State):
        @action
        def misread(self) -> Event:
            return 5  # type: ignore[return-value]

    with Act("memory:", Careless) as app, pytest.raises(ValidationError, match="returned int; an action returns an ev"):
        app.do(Careless.misread, "s")


def test_an_event_with_a_wrong_value_is_refused_and_nothing_is_appended() -> None:
    class Careless(State):
        @action
        def misread(self) -> Measured:
            return Measured("warm")  # type: ignore[arg-type]

    with Act("memory:", Careless) as app:
        with pytest.raises(ValidationError, match="returned Measured with a wrong value: field 'degrees': expected"):
            app.do(Careless.misread, "s")
        assert app.store.head == 0


def test_a_number_that_json_cannot_hold_is_refused() -> None:
    class Careless(State):
        @action
        def misread(self) -> Measured:
            return Measured(float("nan"))

    with Act("memory:", Careless) as app, pytest.raises(ValidationError, match="field 'degrees': expected `float`"):
        app.do(Careless.misread, "s")


def test_an_event_that_cannot_be_encoded_is_refused_and_nothing_is_appended() -> None:
    class Careless(State):
        @action
        def misread(self) -> Measured:
            return Measured(object())  # type: ignore[arg-type]

    with Act("memory:", Careless) as app:
        with pytest.raises(ValidationError, match="returned Measured that cannot be encoded as JSON"):
            app.do(Careless.misread, "s")
        assert app.store.head == 0


class Measured(Event):
    degrees: float


def test_an_exception_inside_of_an_action_is_the_callers_and_nothing_is_appended() -> None:
    class Breaking(State):
        @action
        def fall(self) -> Measured:
            raise ZeroDivisionError("over the edge")

    with Act("memory:", Breaking) as app:
        with pytest.raises(ZeroDivisionError, match="over the edge"):
            app.do(Breaking.fall, "s")
        assert app.store.head == 0


class Broken(Event):
    fatal: bool = True


class Fragile(State):
    count: int = 0

    @reducer
    def broken(self, event: Broken) -> None:
        self.count += 1
        if event.fatal:
            raise KeyError("shelf")

    @action
    def throw(self, fatal: bool) -> list[Broken]:
        return [Broken(False), Broken(fatal)]


def test_an_exception_inside_of_a_reducer_names_event_stream_and_version_and_nothing_is_appended_or_cached() -> None:
    with Act("memory:", Fragile) as app:
        app.do(Fragile.throw, "vase", fatal=False)
        with pytest.raises(KeyError) as raised:
            app.do(Fragile.throw, "vase", fatal=True)
        assert raised.value.__notes__ == ["while folding Broken, version 4 of stream 'vase', into Fragile"]
        assert app.store.head == 2
        assert app.load(Fragile, "vase").state.count == 2


def test_an_exception_inside_of_a_reducer_while_loading_names_event_stream_and_version_and_nothing_is_cached() -> None:
    with Act("memory:", Fragile) as app:
        app.store.append("vase", [Broken(False), Broken(True)])
        with pytest.raises(KeyError) as raised:
            app.load(Fragile, "vase")
        assert raised.value.__notes__ == ["while folding Broken, version 2 of stream 'vase', into Fragile"]
        assert app.cache_info().size == 0


def test_a_reducer_that_returns_something_is_an_error() -> None:
    class Confused(State):
        @reducer
        def measured(self, event: Measured) -> None:
            return self  # type: ignore[return-value]

        @action
        def measure(self) -> Measured:
            return Measured(1.0)

    with Act("memory:", Confused) as app:
        with pytest.raises(ValidationError, match="the reducer of Measured returned something"):
            app.do(Confused.measure, "s")
        app.store.append("s", [Measured(1.0)])
        with pytest.raises(ValidationError, match="the reducer of Measured returned something"):
            app.load(Confused, "s")


class Meddling(State):
    count: int = 0
    seen: list[int] = []

    @action
    def meddle(self) -> None:
        self.count += 1
        self.seen.append(1)


def test_an_action_that_changes_the_state_is_an_error_in_debug_that_names_it() -> None:
    with Act("memory:", Meddling, debug=True) as app, pytest.raises(ValidationError, match=r"Meddling\.meddle changed"):
        app.do(Meddling.meddle, "s")


def test_what_an_action_does_to_the_state_goes_nowhere() -> None:
    with Act("memory:", Meddling) as app:
        app.store.append("s", [("other", b"{}")])
        app.do(Meddling.meddle, "s")
        app.do(Meddling.meddle, "s")
        assert app.load(Meddling, "s").state == Meddling()


def test_a_reducer_that_breaks_the_states_types_is_an_error_in_debug() -> None:
    class Loose(State):
        degrees: int = 0

        @reducer
        def measured(self, event: Measured) -> None:
            self.degrees = event.degrees  # type: ignore[assignment]

        @action
        def measure(self) -> Measured:
            return Measured(1.5)

    with Act("memory:", Loose, debug=True) as app:
        with pytest.raises(ValidationError, match=r"after .*Loose\.measure, .*Loose\.degrees is not as declared"):
            app.do(Loose.measure, "s")
        assert app.store.head == 0


def test_a_huge_payload_is_refused_and_nothing_is_appended() -> None:
    class Noted(Event):
        text: str

    class Notes(State):
        @action
        def note(self, text: str) -> Noted:
            return Noted(text)

    with LogStore.memory(payload_max_bytes=1000) as store:
        app = Act(store, Notes)
        with pytest.raises(ValidationError):
            app.do(Notes.note, "n", text="x" * 1001)
        assert store.head == 0
        assert app.load(Notes, "n").version == 0


@pytest.mark.parametrize("stream", ["", "a\nb", "a\0b", "x" * 513, 7, None])
def test_a_bad_stream_name_is_refused(app: Act, stream: str) -> None:
    with pytest.raises(ValidationError):
        app.do(Account.deposit, stream, amount=1)
    assert app.store.head == 0


def test_an_action_calls_another_one_as_a_plain_method() -> None:
    assert Account().deposit(5) == Deposited(5)


def test_an_app_opens_the_path_that_it_is_given_and_closes_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("app") / "bank.act"
    with Act(path, Account) as app:
        app.do(Account.deposit, "account-7", amount=5)
        store = app.store
    assert store.closed
    with Act(str(path), Account) as app:
        assert app.load(Account, "account-7").state.balance == 5


def test_an_app_leaves_a_store_open_that_it_was_handed() -> None:
    with LogStore.memory() as store:
        with Act(store, Account) as app:
            app.do(Account.deposit, "account-7", amount=5)
        assert not store.closed


@pytest.mark.parametrize("address", ["postgres//user:secret@host/x", "postgresql:/host/x", "mysql//host/x"])
def test_an_address_without_its_colon_or_a_slash_makes_no_folder(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValidationError, match="is not an address; write") as told:
        Act(address, Account)
    assert "secret" not in str(told.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("address", ["carrier-pigeon://roof", 5, None])
def test_an_address_that_leads_nowhere_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        Act(address, Account)


def test_an_app_without_a_store_is_told_what_comes_first() -> None:
    with pytest.raises(
        ValidationError, match=r"^Account is not a store; the app takes a store first .*: `Act\(\"bank\.act"
    ):
        Act(Account)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match=r"^an instance of int is not a store"):
        Act(7)  # type: ignore[arg-type]


def test_something_that_is_no_component_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"^an instance of list is not a component .* each by itself, without"):
        Act("memory:", [Account])  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="is not a component of an app; you need not pass events"):
        Act("memory:", Opened)  # type: ignore[arg-type]
    with pytest.raises(
        ValidationError, match="is not a component of an app; pass state classes, projections and slices"
    ):
        Act("memory:", int)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="is not a component"):
        Act("memory:", Slice("Account"))  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match=r"^an instance of Account is not a component of an app; pass the"):
        Act("memory:", Account())  # type: ignore[arg-type]


def test_a_generic_state_becomes_a_component_as_a_class() -> None:
    class Box(State, Generic[T]):
        item: T | None = None

    class NumberBox(Box[int]):
        pass

    with Act("memory:", NumberBox) as app:
        assert app.load(NumberBox, "b").state.item is None
    with pytest.raises(ValidationError, match=r"Box\[int\] is not a component .* `class SomeState\(Box\[\.\.\.\]\)`"):
        Act("memory:", Box[int])


def test_a_state_without_eq_is_not_taken_for_a_changed_one_in_debug() -> None:
    class Reading(State, eq=False):
        degrees: float = 0.0

        @action
        def measure(self, degrees: float) -> Measured:
            return Measured(degrees)

    with Act("memory:", Reading, debug=True) as app:
        app.do(Reading.measure, "r", 1.5)
        assert app.do(Reading.measure, "r", 2.5).state.degrees == 2.5
