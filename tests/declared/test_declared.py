"""Declared fields: what each declaration means, wherever a state is folded."""

from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal

import msgspec
import pytest

from act_fast import (
    Act,
    DefinitionError,
    Event,
    FoldError,
    LogStore,
    State,
    action,
    collect,
    count,
    distinct,
    first,
    last,
    maximum,
    minimum,
    one_of,
    reducer,
    total,
)

INT_MAX = 2**63 - 1


class Item(msgspec.Struct, frozen=True):
    price: int
    quantity: int = 1


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Opened(Event):
    owner: str


class Deposited(Event):
    amount: int
    by: str | None = None
    at: datetime | None = None


class Withdrawn(Event):
    amount: int


class Placed(Event):
    item: Item
    kind: Literal["sale", "gift"] = "sale"
    colour: Colour = Colour.RED
    weight: float = 1.0
    wrapped: bool = False
    tip: int | None = None
    spare: Item | None = None
    paid: Decimal = Decimal("0.10")


def folded(state: type[State], *events: Event) -> Any:
    with LogStore.memory(segment_bytes=64 * 1024) as store:
        app = Act(store, state, debug=True)
        app.store.append("one", list(events))
        loaded = app.load(state, "one").state
        ((_, replayed),) = app.replay(state)
        assert replayed.state == loaded
        return loaded


def test_a_sum_takes_in_and_off_and_counts() -> None:
    class Account(State):
        balance: int = total(Deposited.amount) - total(Withdrawn.amount)
        net: int = 100 + count(Deposited) - count(Withdrawn)
        moved: int = total(Deposited.amount, Withdrawn.amount)
        both: int = count(Deposited, Withdrawn)

    assert Account() == Account(0, 100, 0, 0)
    assert folded(Account, Deposited(50), Withdrawn(20), Deposited(1)) == Account(31, 101, 71, 3)


def test_firsts_and_lasts_pass_over_none_and_may_come_from_several_events() -> None:
    class Account(State):
        by: str | None = last(Deposited.by)
        opener: str | None = first(Opened.owner, Deposited.by)
        at: datetime | None = first(Deposited.at)

    new_year = datetime(2026, 1, 1, tzinfo=UTC)
    assert folded(Account, Deposited(1), Opened("Ada"), Deposited(1, "Ben"), Deposited(1, None, new_year)) == Account(
        "Ben", "Ada", new_year
    )


def test_extremes_are_none_until_there_is_a_value_and_compare_numbers_texts_and_times() -> None:
    class Account(State):
        least: int | None = minimum(Deposited.amount)
        most: int | None = maximum(Deposited.amount, Withdrawn.amount)
        name: str | None = maximum(Deposited.by)
        latest: datetime | None = maximum(Deposited.at)

    assert Account() == Account(None, None, None, None)
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    found = folded(Account, Deposited(5, "é", late), Deposited(3, "z", early), Withdrawn(9))
    assert found == Account(3, 9, "é", late)


def test_collect_keeps_the_last_and_distinct_all_that_differ() -> None:
    class Account(State):
        recent: list[int] = collect(Deposited.amount, most=2)
        people: list[str] = distinct(Deposited.by, most=2)

    events = [Deposited(1, "Ben"), Deposited(2, "Ada"), Deposited(3, "Ben"), Deposited(4)]
    assert folded(Account, *events) == Account([3, 4], ["Ben", "Ada"])
    with pytest.raises(FoldError, match=r"Account\.people: there are more than 2 distinct values.*version 3"):
        folded(Account, Deposited(1, "a"), Deposited(1, "b"), Deposited(1, "c"))


def test_a_function_takes_nested_fields_and_arithmetic_and_a_condition() -> None:
    class Shop(State):
        sales: int = total(Placed, lambda e: e.item.price * e.item.quantity, where=lambda e: e.kind == "sale")
        weight: float = total(Placed, lambda e: e.weight * e.item.quantity / 2 - 1)
        tips: int = total(Placed, lambda e: e.tip)
        spare: int = total(Placed, lambda e: e.spare.price)
        paid: Decimal = total(Placed.paid)

    events = [
        Placed(Item(10, 3), weight=0.5),
        Placed(Item(7), "gift", tip=2),
        Placed(Item(1, 2), spare=Item(4)),
    ]
    assert folded(Shop, *events) == Shop(32, 0.5 * 3 / 2 - 1 + (0.5 - 1) + 0.0, 2, 4, Decimal("0.30"))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (lambda e: e.item.price > 5, 2),
        (lambda e: (e.item.price >= 5) & (e.item.price < 10), 1),
        (lambda e: (e.kind == "gift") | (e.item.price <= 1), 2),
        (lambda e: ~(e.kind == "gift"), 3),
        (lambda e: e.kind != "gift", 3),
        (lambda e: e.wrapped, 1),
        (lambda e: ~e.wrapped, 3),
        (lambda e: one_of(e.item.price, 1, 10), 2),
        (lambda e: one_of(e.colour, Colour.BLUE), 1),
        (lambda e: e.colour == Colour.BLUE, 1),
        (lambda e: e.tip == None, 3),  # noqa: E711
        (lambda e: e.tip != None, 1),  # noqa: E711
        (lambda e: e.tip > 0, 1),
        (lambda e: e.tip <= 0, 0),
        (lambda e: e.item.price % 2 == 1, 2),
        (lambda e: 6 < e.item.price, 2),  # noqa: SIM300
        (lambda e: e.spare.price == 1, 0),
        (lambda e: e.weight == 1, 4),
    ],
)
def test_conditions(where: Any, expected: int) -> None:
    class Shop(State):
        matching: int = count(Placed, where=where)

    events = [
        Placed(Item(1)),
        Placed(Item(5), "gift", wrapped=True),
        Placed(Item(10), tip=3),
        Placed(Item(20), colour=Colour.BLUE),
    ]
    assert folded(Shop, *events).matching == expected


def test_a_condition_is_recorded_for_each_of_several_events() -> None:
    class Account(State):
        large: int = count(Deposited, Withdrawn, where=lambda e: e.amount > 10)
        largest: int | None = maximum(Deposited.amount, Withdrawn.amount, where=lambda e: e.amount < 100)

    assert folded(Account, Deposited(11), Withdrawn(50), Deposited(2), Deposited(100)) == Account(3, 50)


def test_arithmetic_between_accumulators_is_computed_from_fields_that_are_there_or_hidden() -> None:
    class Account(State):
        total: int = total(Deposited.amount)
        average: float | None = total / count(Deposited)  # type: ignore[operator]
        spread: int | None = maximum(Deposited.amount) - minimum(Deposited.amount)  # type: ignore[operator]
        dozens: int = total // 12
        rest: int = -total % 12

    assert msgspec.structs.astuple(Account())[:5] == (0, None, None, 0, 0)
    found = folded(Account, Deposited(5), Deposited(20))
    assert msgspec.structs.astuple(found)[:5] == (25, 12.5, 15, 2, 11)
    assert list(Account.__struct_fields__)[5:] == ["_average_1", "_spread_1", "_spread_2", "_rest_1"]


def test_dividing_by_zero_gives_none_and_none_gives_nothing() -> None:
    class Shop(State):
        per_piece: float = total(Placed, lambda e: e.item.price / e.item.quantity)
        left: int = total(Placed, lambda e: e.item.price % e.item.quantity)
        pieces: int = total(Placed, lambda e: e.item.price // e.item.quantity)

    assert folded(Shop, Placed(Item(7, 2)), Placed(Item(7, 0))) == Shop(3.5, 1, 3)


@pytest.mark.parametrize("amounts", [[INT_MAX, 1], [-INT_MAX, -2]])
def test_a_sum_beyond_64_bits_names_event_stream_version_position_and_field(amounts: list[int]) -> None:
    class Account(State):
        balance: int = total(Deposited.amount)

    with pytest.raises(FoldError) as caught:
        folded(Account, *map(Deposited, amounts))
    error = caught.value
    assert (error.field, error.event, error.stream, error.version, error.position) == (
        "Account.balance",
        "Deposited",
        "one",
        2,
        2,
    )
    assert str(INT_MAX) not in str(error)


@pytest.mark.parametrize(
    "value",
    [
        lambda e: e.amount * 2,
        lambda e: -e.amount - 2,
        lambda e: e.amount + 1,
        lambda e: e.amount * 1e308,
    ],
)
def test_arithmetic_beyond_64_bits_is_refused_before_it_is_appended(value: Any) -> None:
    class Account(State):
        last: Any = last(Deposited, value)

        @action
        def deposit(self, amount: int) -> Deposited:
            return Deposited(amount)

    with Act("memory:", Account) as app:
        with pytest.raises(FoldError, match="version 1 of stream 'one'"):
            app.do(Account.deposit, "one", amount=INT_MAX)
        assert app.store.head == 0


def test_a_minus_that_does_not_fit_is_refused() -> None:
    class Account(State):
        last: int | None = last(Deposited, lambda e: -e.amount)

    assert folded(Account, Deposited(INT_MAX)).last == -INT_MAX
    with pytest.raises(FoldError):
        folded(Account, Deposited(-INT_MAX - 1))


class Wallet(State, snapshot_every=2):
    owner: str = ""
    balance: int = total(Deposited.amount) - total(Withdrawn.amount)
    average: float | None = total(Deposited.amount) / count(Deposited)
    peak: int = 0

    @reducer
    def deposited(self, event: Deposited) -> None:
        self.peak = max(self.peak, self.balance)

    @action
    def open(self, owner: str) -> Opened:
        return Opened(owner)

    @action
    def deposit(self, amount: int) -> Deposited:
        return Deposited(amount)

    @action
    def withdraw(self, amount: int) -> Withdrawn:
        return Withdrawn(amount)


def test_a_reducer_sees_the_declared_fields_with_its_event_and_other_events_are_copied_as_ever() -> None:
    with Act("memory:", Wallet, debug=True) as app:
        app.do(Wallet.open, "one", owner="Ada")
        app.do(Wallet.deposit, "one", amount=10)
        app.do(Wallet.withdraw, "one", amount=4)
        state = app.do(Wallet.deposit, "one", amount=2).state
        assert (state.owner, state.balance, state.average, state.peak) == ("Ada", 8, 6.0, 10)


def test_snapshots_history_and_time_travel_carry_declared_fields(store: LogStore) -> None:
    app = Act(store, Wallet, debug=True, cache_max=0)
    for amount in range(1, 8):
        app.do(Wallet.deposit, "one", amount=amount)
    loaded = app.load(Wallet, "one")
    assert (loaded.replayed, loaded.state.balance, loaded.state.average) == (1, 28, 4.0)
    assert [each.state.balance for each in app.history(Wallet, "one")] == [1, 3, 6, 10, 15, 21, 28]
    assert app.load(Wallet, "one", before=4).state.average == 2.0


def test_a_snapshot_is_not_used_once_a_declaration_has_changed(store: LogStore) -> None:
    def wallet(where: Any) -> type[State]:
        class Purse(State):
            balance: int = total(Deposited.amount, where=where)

        return Purse

    first, second = wallet(lambda e: e.amount > 1), wallet(lambda e: e.amount > 2)
    app = Act(store, first)
    store.append("one", [Deposited(1), Deposited(2), Deposited(3)])
    app.snapshot(first, "one")
    assert Act(store, first, cache_max=0).load(first, "one").replayed == 0
    changed = Act(store, second, cache_max=0).load(second, "one")
    assert (changed.replayed, changed.state.balance) == (3, 3)


def test_events_without_a_reducer_do_not_copy_over_declared_fields() -> None:
    class Account(State):
        amount: int = total(Deposited.amount)
        by: str | None = None

    assert folded(Account, Deposited(1, "Ada"), Deposited(2)) == Account(3, None)


def test_a_reducer_that_changes_a_declared_field_is_noticed_in_debug_mode() -> None:
    class Account(State):
        balance: int = total(Deposited.amount)

        @reducer
        def deposited(self, event: Deposited) -> None:
            self.balance = 7

        @action
        def deposit(self) -> Deposited:
            return Deposited(1)

    with (
        Act("memory:", Account, debug=True) as app,
        pytest.raises(DefinitionError, match=r"Account\.balance is declared"),
    ):
        app.do(Account.deposit, "one")


def test_a_subclass_inherits_declared_fields_and_may_take_their_place() -> None:
    class Base(State):
        balance: int = total(Deposited.amount)
        average: float | None = total(Deposited.amount) / count(Deposited)

    class More(Base):
        count: int = count(Deposited)
        average: float | None = None

    class Less(Base):
        balance: int = 5

        @reducer
        def deposited(self, event: Deposited) -> None:
            self.balance += 1

    found = folded(More, Deposited(4), Deposited(2))
    assert (found.balance, found.count, found.average) == (6, 2, None)
    less = folded(Less, Deposited(4), Deposited(2))
    assert (less.balance, less.average) == (7, 3.0)


def test_annotated_literal_and_renamed_fields_are_what_they_are() -> None:
    class Fed(Event, rename="camel"):
        fed_grams: Annotated[int, msgspec.Meta(ge=0)]
        what_kind: Literal["hay", "oats"] = "hay"

    class Horse(State):
        grams: int = total(Fed.fed_grams, where=lambda e: e.what_kind == "hay")
        last_kind: Literal["hay", "oats"] | None = last(Fed.what_kind)

    assert folded(Horse, Fed(5), Fed(7, "oats")) == Horse(5, "oats")


def test_one_of_answers_of_plain_values_too() -> None:
    assert one_of("a", "a", "b")
    assert not one_of("c", "a", "b")
