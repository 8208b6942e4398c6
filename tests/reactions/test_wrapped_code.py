"""Code whose body a call would not run is refused when it is declared, also where something is wrapped around it."""

import asyncio
import sys
from collections.abc import Callable
from contextlib import asynccontextmanager, contextmanager
from functools import cache, partial, singledispatch, update_wrapper, wraps
from typing import Any

import pytest

from act_fast import (
    Act,
    Committed,
    DefinitionError,
    Event,
    Projection,
    State,
    ValidationError,
    invariant,
    reducer,
    upcast,
)
from act_fast import on as projection_on
from tests.support.bank import Account, Deposited
from tests.support.heard import Heard, deposit


def yields(event: Committed[Any]) -> Any:
    yield event


async def yields_too(event: Committed[Any]) -> Any:
    yield event


class Yields:
    def __call__(self, event: Committed[Any]) -> Any:
        yield event


async def waits(event: Committed[Any]) -> None: ...


class Waits:
    async def __call__(self, event: Committed[Any]) -> None: ...


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any) -> Any:
        return function(*args)

    return call


def noted(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any) -> Any:
        try:
            found = function(*args) if args else None
            return found
        finally:
            sys.getsizeof(args)

    return call


def dropped(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any) -> None:
        function(*args)

    return call


class WrappedBy:
    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        update_wrapper(self, function)

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)


WRAPPERS: list[Callable[[Any], Any]] = [
    staticmethod,
    partial,
    wrapped,
    noted,
    dropped,
    cache,
    WrappedBy,
    lambda function: partial(wrapped(function)),
    lambda function: wrapped(wrapped(function)),
    lambda function: staticmethod(wrapped(function)),
]
YIELDING = [yields, yields_too, Yields(), Yields().__call__]
FOR_FUNCTIONS: list[Any] = [singledispatch(yields), contextmanager(yields), asynccontextmanager(yields_too)]
YIELD = [*(wrapper(code) for wrapper in WRAPPERS for code in YIELDING), *FOR_FUNCTIONS]
ASYNC = [wrapper(waits) for wrapper in (*WRAPPERS, singledispatch)] + [staticmethod(Waits()), partial(Waits())]
NOT_AWAITED = [wrapper(code) for wrapper in (wrapped, noted, dropped, cache, WrappedBy) for code in (waits, Waits())]


@pytest.mark.parametrize("what", [*YIELD, *ASYNC, *NOT_AWAITED])
def test_a_function_that_is_called_and_not_awaited_must_run_when_it_is_called(app: Act, what: Any) -> None:
    def defers() -> None:
        app.on(Deposited, name="any", defer=what)(Heard())

    def stores() -> None:
        type(State)("Odd", (State,), {}, snapshot_when=what)

    for declare in (
        defers,
        stores,
        lambda: app.observe("committed", what),
        lambda: Act("memory:", correlator=what),
    ):
        with pytest.raises(ValidationError, match=r"`yield`|`async def`|a plain function"):
            declare()


@pytest.mark.parametrize("handler", YIELD)
def test_a_handler_with_a_yield_would_not_run_whatever_is_wrapped_around_it(app: Act, handler: Any) -> None:
    with pytest.raises(DefinitionError, match="has a `yield` in it, so that calling it runs nothing"):
        app.on(Deposited, name="any")(handler)


@pytest.mark.parametrize("handler", NOT_AWAITED)
def test_an_async_handler_is_not_hidden_in_a_wrapper_that_does_not_await_it(app: Act, handler: Any) -> None:
    with pytest.raises(DefinitionError, match=r"is `async def`, but what wraps it is not and does not await it"):
        app.on(Deposited, name="any")(handler)


@pytest.mark.parametrize("decorate", [wrapped, noted, dropped])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_methods_are_looked_at_behind_what_is_wrapped_around_them(decorate: Any, asynchronous: bool) -> None:
    def rule(self: Any) -> bool:
        yield True

    async def async_rule(self: Any) -> bool:
        return True

    def fold(self: Any, event: Deposited) -> None:
        yield

    async def async_fold(self: Any, event: Deposited) -> None: ...

    def older(old: dict[str, Any]) -> dict[str, Any]:
        yield old

    async def async_older(old: dict[str, Any]) -> dict[str, Any]:
        return old

    def deposited(self: Any, event: Any) -> None:
        yield

    async def async_deposited(self: Any, event: Any) -> None: ...

    found: list[Any] = [rule, fold, older, deposited]
    if asynchronous:
        found = [async_rule, async_fold, async_older, async_deposited]
    checked, folding, upcasting, projecting = map(decorate, found)
    for declare in (
        lambda: type(State)("Odd", (State,), {"rule": invariant("it is so")(checked)}),
        lambda: type(State)("Odd", (State,), {"fold": reducer(folding)}),
        lambda: type(Event)("Odd", (Event,), {"older": upcast(from_="Older")(staticmethod(upcasting))}),
        lambda: Act("memory:", Account, type("Odd", (Projection,), {"one": projection_on(Deposited)(projecting)})()),
    ):
        with pytest.raises(DefinitionError, match=r"`async def`" if asynchronous else "a `yield` in it"):
            declare()


def listed(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any) -> Any:
        found = function(*args)
        return list(found)

    return call


def driven(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any) -> None:
        for _ in function(*args):
            pass

    return call


def run(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any) -> Any:
        return asyncio.run(function(*args))

    return call


def run_within(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any) -> Any:
        async def main() -> Any:
            return await function(*args)

        return asyncio.run(main())

    return call


def awaited(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    async def call(*args: Any) -> Any:
        return await function(*args)

    return call


@pytest.mark.parametrize(
    "decorate",
    [listed, driven, run, run_within, awaited, staticmethod, partial, lambda function: wrapped(run(function))],
)
def test_a_wrapper_that_runs_what_it_wraps_is_fine(app: Act, decorate: Any) -> None:
    heard: list[int] = []

    def yielding(event: Committed[Any]) -> Any:
        heard.append(event.position)
        yield

    async def waiting(event: Committed[Any]) -> None:
        heard.append(event.position)

    app.on(Deposited, name="any")(decorate(yielding if decorate in (listed, driven) else waiting))
    deposit(app, "a", "b")
    app.settle(raises=True)
    assert sorted(heard) == [1, 2]


@pytest.mark.parametrize("to", [yields_too, wrapped(yields_too), wrapped(waits), staticmethod(waits), cache(waits)])
def test_a_resolver_that_has_to_be_awaited_is_refused(app: Act, to: Any) -> None:
    with pytest.raises(DefinitionError, match="to= must be a name, a template or a plain function"):
        app.on(Deposited, name="any", to=to)(Heard())


def test_a_resolver_may_yield_the_names_of_targets(app: Act) -> None:
    heard = Heard()

    def both(event: Committed[Deposited]) -> Any:
        yield "one"
        yield "two"

    app.on(Deposited, name="any", to=both)(heard)
    deposit(app, "a")
    app.settle(raises=True)
    assert {target.name for target in app.targets()} == {"one", "two"}
    assert heard.positions == [1, 1]


@pytest.mark.parametrize("what", [partial(dict), Yields(), len, 5])
def test_an_upcaster_is_a_function(what: Any) -> None:
    with pytest.raises(DefinitionError, match="is for functions"):
        type(Event)("Odd", (Event,), {"older": upcast(from_="Older")(staticmethod(what))})
