"""What a handler returns is dropped: an app in debug says so, any other lets it be."""

from collections.abc import Callable
from typing import Any

import pytest

from act_fast import Act, AsyncAct, Committed, NonRetryableError
from tests.support.bank import Account, Deposited


def returning(value: Any) -> Callable[[Committed[Deposited]], Any]:
    def handler(event: Committed[Deposited]) -> Any:
        return value

    return handler


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (Deposited(5), "returned Deposited, and what a handler returns is dropped; nothing appends it; run an action"),
        ([Deposited(5)], "returned list, and what a handler returns is dropped; nothing appends it; run an action"),
        (7, "returned int, and what a handler returns is dropped; return nothing"),
        (False, "returned bool"),
    ],
)
def test_in_debug_a_result_is_an_error_and_says_what_to_do_instead(value: Any, told: str) -> None:
    with Act("memory:", Account, debug=True) as app:
        app.on(Deposited, name="audit")(returning(value))
        app.store.append("account-7", [Deposited(5)])
        with pytest.raises(NonRetryableError, match=told):
            app.settle(raises=True)
        (target,) = app.blocked()
        assert told in str(target.error)


@pytest.mark.parametrize("value", [None, Deposited(5), 7])
def test_otherwise_it_is_let_be(value: Any) -> None:
    with Act("memory:", Account, debug=value is None) as app:
        app.on(Deposited, name="audit")(returning(value))
        app.store.append("account-7", [Deposited(5)])
        app.settle(raises=True)
        assert [target.lag for target in app.targets()] == [0]


async def test_a_handler_that_is_awaited_is_no_exception() -> None:
    async with AsyncAct("memory:", Account, debug=True) as app:

        @app.on(Deposited, name="audit")
        async def audit(event: Committed[Deposited]) -> int:
            return 7

        app.sync.store.append("account-7", [Deposited(5)])
        with pytest.raises(NonRetryableError, match=r"audit.* returned int"):
            await app.settle(raises=True)
