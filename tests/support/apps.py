"""Apps of accounts, for the tests of what apps do on any store, and of what they do with reactions."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from act_fast import Act, LogStore
from act_fast.stores.ordered.memory import MemoryEngine
from act_fast.stores.replicated.store import ReplicatedStore
from tests.support.bank import Account
from tests.support.mariadb import MariaDbServer
from tests.support.servers import PostgresServer


class AnyStore(LogStore):
    """A store that the framework knows nothing of but its verbs."""


@pytest.fixture(
    params=[LogStore, AnyStore, "replicated", "postgres", "mariadb"],
    ids=["the log", "any store", "replicated", "postgres", "mariadb"],
)
def app_on_any_store(request: pytest.FixtureRequest) -> Iterator[Act]:
    """An app of accounts: on a store whose rows it takes from the core, the protocol, and beyond the machine."""
    if request.param == "replicated":
        with _replicated(request) as store:
            yield Act(store, Account, debug=True)
        return
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


def _replicated(request: pytest.FixtureRequest) -> ReplicatedStore:
    folder: Path = request.getfixturevalue("tmp_path")
    return ReplicatedStore(MemoryEngine().open(), folder / "replica")


@pytest.fixture
def app_in_memory() -> Iterator[Act]:
    """An app of accounts, to which each test adds the reactions it is about."""
    with Act("memory:", Account) as app:
        yield app


@pytest.fixture(params=["the log", "replicated", "postgres", "mariadb"])
def app_with_reactions(request: pytest.FixtureRequest) -> Iterator[Act]:
    """The same, on the embedded log, on a replica and on a database, which have reactions by different means."""
    if request.param == "replicated":
        with _replicated(request) as store:
            yield Act(store, Account)
        return
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
