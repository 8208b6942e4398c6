"""Apps on stores in memory, as the tests of the framework use them."""

from collections.abc import Iterator

import pytest

from act_fast import Act, LogStore
from tests.framework.bank import Account
from tests.support.servers import PostgresServer


class AnyStore(LogStore):
    """A store that the framework knows nothing of but its verbs."""


@pytest.fixture(params=[LogStore, AnyStore, "postgres"], ids=["the log", "any store", "postgres"])
def app(request: pytest.FixtureRequest) -> Iterator[Act]:
    """An app of accounts: on a store whose rows it takes from the core, through the protocol, and on a database."""
    if request.param == "postgres":
        postgres: PostgresServer = request.getfixturevalue("postgres")
        from tests.postgres.stores import empty  # needs a client that the other two do without

        url = postgres.url(schema="framework")
        with Act(url, Account, debug=True) as app:
            empty(url)
            yield app
        return
    with request.param.memory() as store:
        yield Act(store, Account, debug=True)
