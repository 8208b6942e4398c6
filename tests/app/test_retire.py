"""Retiring: the books of streams that are over are closed, as their state classes say."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from act_fast import Act, DefinitionError, Event, Retire, State, ValidationError, action, reducer


class Filled(Event):
    items: int


class Cart(State, retire=Retire(after=timedelta(days=90), when=lambda cart: cart.items < 10)):
    items: int = 0

    @reducer
    def filled(self, event: Filled) -> None:
        self.items += event.items

    @action
    def fill(self, items: int) -> Filled:
        return Filled(items)


class Basket(Cart):
    """Inherits when it is retired."""


class Read(Event):
    value: int


class Meter(State, retire=Retire(after=timedelta(days=30), keep=lambda meter: Meter(last=meter.last))):
    last: int = 0
    reads: int = 0

    @reducer
    def read(self, event: Read) -> None:
        self.last = event.value
        self.reads += 1


@pytest.fixture
def app() -> Any:
    """Carts and meters, all of today."""
    with Act("memory:", Cart, Meter) as app:
        app.store.append("cart-1", [Filled(3)])
        app.store.append("cart-2", [Filled(30)])
        app.store.append("meter-1", [Read(5)])
        app.store.append("meter-1", [Read(7)])
        yield app


def days(count: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=count)


def test_what_is_idle_for_long_enough_is_closed_or_restarted(app: Act) -> None:
    assert app.retire().closed == []
    assert (app.retire(at=days(31)).restarted, app.retire(at=days(89)).closed) == (["meter-1"], [])
    meter = app.load(Meter, "meter-1")
    assert (meter.state, meter.closed) == (Meter(last=7), False)
    found = app.retire(at=days(91), dry_run=True)
    assert (found.closed, found.restarted) == (["cart-1"], []), "books that were closed last are not closed again"
    assert not app.load(Cart, "cart-1").closed
    assert app.retire(at=days(91)).closed == ["cart-1"]
    assert app.load(Cart, "cart-1").closed
    assert not app.load(Cart, "cart-2").closed
    assert app.prune().events == 3
    assert app.retire(at=days(1000)) == app.retire(at=days(2000))


def test_a_rule_is_inherited_and_checked() -> None:
    assert Basket.__definition__.retire is Cart.__definition__.retire
    for wrong in ({"after": timedelta(0)}, {"after": 5}, {"after": timedelta(1), "when": 1}):
        with pytest.raises(DefinitionError):
            Retire(**wrong)  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match="takes a Retire"):

        class Wrong(State, retire=5):  # type: ignore[call-arg]
            pass


def test_a_time_without_a_zone_is_refused(app: Act) -> None:
    with pytest.raises(ValidationError, match="timezone"):
        app.retire(at=datetime(2026, 1, 1))


async def test_the_verb_is_awaited_alike() -> None:
    from act_fast import AsyncAct

    async with AsyncAct("memory:", Cart) as app:
        app.sync.store.append("cart-1", [Filled(3)])
        assert (await app.retire(at=days(91))).closed == ["cart-1"]


def test_a_stream_that_a_timer_waits_for_is_not_closed_before_it(app: Act) -> None:
    app.schedule(after=timedelta(days=120), key="refill").do(Cart.fill, "cart-1", items=1)
    app.testing.advance(days=91, settle=False)
    for dry_run in (True, False):
        assert app.retire(dry_run=dry_run).closed == []
    app.testing.advance(days=30)
    assert app.load(Cart, "cart-1").state.items == 4
    app.testing.advance(days=91)
    assert app.retire().closed == ["cart-1"]


def test_a_rule_that_raises_says_for_which_stream() -> None:
    class Odd(State, retire=Retire(after=timedelta(days=1), when=lambda odd: 1 // odd.items > 0)):
        items: int = 0

        @reducer
        def filled(self, event: Filled) -> None:
            self.items += event.items

    with Act("memory:", Odd) as app:
        app.store.append("odd-1", [Filled(1)])
        app.store.append("odd-2", [Filled(0)])
        with pytest.raises(ZeroDivisionError) as caught:
            app.retire(at=days(2))
        assert caught.value.__notes__ == ["while retiring stream 'odd-2'; streams retired before it stay retired"]
        assert app.load(Odd, "odd-1").closed
