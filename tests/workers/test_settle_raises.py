"""`settle(raises=True)`: what went wrong and stayed wrong is raised, so that a test cannot pass over it."""

import logging

import msgspec
import pytest

from act_fast import Act, AsyncAct, Committed, Event, State
from act_fast.errors import ActError
from act_fast.testing.plugin import MakeApp


class Sold(Event):
    amount: int


class Till(State, events=[Sold]):
    amount: int = 0


def sell(app: Act, stream: str = "till-1") -> None:
    app.store.append(stream, [("Sold", b'{"amount":1}')])


def failing(times: int, error: BaseException) -> object:
    """A handler that raises as often as is said, and is done with it then."""
    left = [times]

    def handler(event: Committed[Sold]) -> None:
        if left[0] > 0:
            left[0] -= 1
            raise error

    return handler


def app_with(times: int, error: BaseException, **options: object) -> Act:
    app = Act("memory:", Till)
    app.on(Sold, to="{stream}", name="mail", **options)(failing(times, error))  # type: ignore[call-overload]
    sell(app)
    return app


def test_what_a_handler_raised_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    with app_with(1, ValueError("no paper"), retries=0) as app:
        with pytest.raises(ValueError, match="no paper") as raised:
            app.settle(raises=True)
        assert "reaction 'mail' on 'till-1' at position 1 failed" in raised.value.__notes__[0]
        assert [each.name for each in app.blocked()] == ["till-1"]
        assert app.settle(raises=True).drained.leased == 0  # nothing has failed this time


def test_what_waits_for_its_next_try_is_raised_too() -> None:
    with app_with(1, ValueError("no paper"), retries=3, backoff=60.0) as app:
        with pytest.raises(ValueError, match="no paper"):
            app.settle(raises=True)
        assert not [*app.blocked()]


def test_what_a_later_attempt_made_good_is_not_raised() -> None:
    with app_with(2, ValueError("no paper"), retries=3, backoff=0.0) as app:
        assert app.settle(raises=True).drained.handled == 1


def test_nothing_is_raised_unless_that_is_asked_for() -> None:
    with app_with(1, ValueError("no paper"), retries=0) as app:
        assert app.settle().drained.blocked == 1


def test_what_is_no_exception_is_raised_as_one() -> None:
    with app_with(1, SystemExit(3), retries=0) as app, pytest.raises(ActError, match="SystemExit: 3"):
        app.settle(raises=True)


def test_the_others_are_handled_first_and_counted() -> None:
    with app_with(2, ValueError("no paper"), retries=0) as app:
        for number in range(2, 5):
            sell(app, f"till-{number}")
        with pytest.raises(ValueError, match="no paper") as raised:
            app.settle(raises=True, concurrency=1)
        assert "and so did 1 more" in raised.value.__notes__[0]
        assert sum(target.lag == 0 for target in app.targets()) == 2


def test_an_event_that_does_not_decode_is_raised() -> None:
    with Act("memory:", Till) as app:
        app.on(Sold, to="{stream}", name="mail")(failing(0, ValueError()))  # type: ignore[call-overload]
        app.store.append("till-1", [("Sold", b'{"amount":"one"}')])
        with pytest.raises(msgspec.ValidationError, match="Expected `int`"):
            app.settle(raises=True)


def test_a_to_function_that_raises_is_raised() -> None:
    def to(event: Committed[Sold]) -> str:
        raise LookupError("who is it")

    with Act("memory:", Till) as app:
        app.on(Sold, to=to, name="mail")(failing(0, ValueError()))  # type: ignore[call-overload]
        sell(app)
        with pytest.raises(LookupError, match="who is it"):
            app.settle(raises=True)


async def test_it_is_raised_where_it_is_awaited() -> None:
    async with AsyncAct("memory:", Till) as app:

        @app.on(Sold, to="{stream}", retries=0)
        async def mail(event: Committed[Sold]) -> None:
            raise ValueError("no paper")

        sell(app.sync)
        with pytest.raises(ValueError, match="no paper"):
            await app.settle(raises=True)
        sell(app.sync, "till-2")
        assert (await app.settle()).drained.blocked == 1


def test_the_apps_of_the_fixture_raise_unless_told_otherwise(act_app: MakeApp) -> None:
    for raises in (None, False):
        app = act_app(Till)
        app.on(Sold, to="{stream}", name="mail", retries=0)(failing(1, ValueError("no paper")))  # type: ignore[call-overload]
        sell(app)
        if raises is None:
            with pytest.raises(ValueError, match="no paper"):
                app.settle()
        else:
            assert app.settle(raises=raises).drained.blocked == 1


def test_a_failure_is_logged_with_all_that_says_where_and_what_next(caplog: pytest.LogCaptureFixture) -> None:
    with app_with(2, ValueError("no paper"), retries=1, backoff=0.0) as app:
        sell(app)
        app.settle()
    warned = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert [each.exc_info is not None for each in warned] == [True, True]
    first, second = (each.getMessage() for each in warned)
    for part in ("reaction 'mail'", "'till-1'", "position 1", "stream 'till-1'", "version 1", "no paper"):
        assert part in first
    assert "attempt 1 of 2; the next one is in" in first
    assert "attempt 2 of 2" in second
    [blocked] = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    assert "app.unblock('till-1')" in blocked
