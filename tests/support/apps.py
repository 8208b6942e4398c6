"""Apps of accounts, for the tests of what apps do on any store, and of what they do with reactions."""

from collections.abc import Iterator

import pytest

from act_fast import Act, LogStore
from tests.support.bank import Account
from tests.support.mariadb import MariaDbServer
from tests.support.servers import PostgresServer


class AnyStore(LogStore):
    """A store that the framework knows nothing of but its verbs."""


@pytest.fixture(params=[LogStore, AnyStore, "postgres", "mariadb"], ids=["the log", "any store", "postgres", "mariadb"])
def app_on_any_store(request: pytest.FixtureRequest) -> Iterator[Act]:
    """An app of accounts: on a store whose rows it takes from the core, through the protocol, and on a database."""
    if request.param == "postgres":
        postgres: PostgresServer = request.getfixturevalue("postgres")
        from tests.stores.postgres.stores import empty  # needs a client that the other two do without

        url = postgres.url(schema="framework")
        with Act(url, Account, debug=True) as app:
            empty(url)
            yield app
        return
    if request.param == "mariadb":
        mariadb: MariaDbServer = request.getfixturevalue("mariadb")
        from tests.stores.mysql import stores

        url = mariadb.url(prefix="framework")
        with Act(url, Account, debug=True) as app:
            stores.empty(url)
            yield app
        return
    with request.param.memory() as store:
        yield Act(store, Account, debug=True)


@pytest.fixture
def app_in_memory() -> Iterator[Act]:
    """An app of accounts, to which each test adds the reactions it is about."""
    with Act("memory:", Account) as app:
        yield app


@pytest.fixture(params=["the log", "postgres", "mariadb"])
def app_with_reactions(request: pytest.FixtureRequest) -> Iterator[Act]:
    """The same, on the embedded log and on a database, which have reactions by different means."""
    if request.param == "the log":
        with Act("memory:", Account) as app:
            yield app
        return
    if request.param == "mariadb":
        mariadb: MariaDbServer = request.getfixturevalue("mariadb")
        from tests.stores.mysql import stores

        url = mariadb.url(prefix="reactions")
        with Act(url, Account) as app:
            stores.empty(url)
            yield app
        return
    postgres: PostgresServer = request.getfixturevalue("postgres")
    from tests.stores.postgres.stores import empty  # needs a client that the other does without

    url = postgres.url(schema="reactions")
    with Act(url, Account) as app:
        empty(url)
        yield app
