"""Apps on stores in memory, as the tests of the framework use them."""

from collections.abc import Iterator

import pytest

from act_fast import Act, LogStore
from tests.framework.bank import Account


class AnyStore(LogStore):
    """A store that the framework knows nothing of but its verbs."""


@pytest.fixture(params=[LogStore, AnyStore], ids=["the log", "any store"])
def app(request: pytest.FixtureRequest) -> Iterator[Act]:
    """An app of accounts: once on a store whose rows it takes straight from the core, once through the protocol."""
    with request.param.memory() as store:
        yield Act(store, Account, debug=True)
