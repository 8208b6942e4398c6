"""The ordered log in MongoDB keeps the rules of `OrderedLog`; and what is particular to it."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count

import pytest

from act_fast.errors import EngineAwayError, NotDurableError, ValidationError
from act_fast.stores.ordered import mongodb as adapter
from act_fast.stores.ordered.mongodb import MongoDbOrderedLog
from act_fast.testing.conformance.ordered_log import Disturb, OpenLog, OrderedLogConformance
from tests.support.engines import heavy
from tests.support.mongo import mongo_server
from tests.support.proxy import Proxy
from tests.support.servers import Unavailable, free_port, unavailable

_numbers = count(1)


@pytest.fixture(scope="module")
def _mongo() -> Iterator[int | Unavailable]:
    with ExitStack() as ending:
        try:
            found: int | Unavailable = ending.enter_context(mongo_server())
        except Unavailable as reason:
            found = reason
        yield found


@pytest.fixture
def mongo(_mongo: int | Unavailable) -> int:
    if isinstance(_mongo, Unavailable):
        unavailable(_mongo)
    return _mongo


def url(port: int) -> str:
    return f"mongodb://127.0.0.1:{port}/tests/log_{next(_numbers)}"


@heavy
class TestMongoDb(OrderedLogConformance):
    @pytest.fixture
    def proxy(self, mongo: int) -> Iterator[Proxy]:
        with Proxy(mongo) as proxy:
            yield proxy

    @pytest.fixture
    def open_log(self, proxy: Proxy) -> Iterator[OpenLog]:
        address = f"{url(proxy.port)}?durability=engine&poll=0.05"
        with ExitStack() as opened:
            yield lambda: opened.enter_context(MongoDbOrderedLog(address))

    @pytest.fixture
    def disturb(self, proxy: Proxy) -> Disturb:
        return proxy.cut


@heavy
def test_what_is_no_replica_set_is_refused(mongo: int) -> None:
    with pytest.raises(NotDurableError, match="not a replica set of 3 members"):
        MongoDbOrderedLog(url(mongo))


def test_a_server_that_is_not_there_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "_AWAY_MS", 500)
    with pytest.raises(EngineAwayError) as caught:
        MongoDbOrderedLog(f"mongodb://user:Secret1@127.0.0.1:{free_port()}/a/b")
    assert "Secret1" not in str(caught.value)


@pytest.mark.parametrize("address", ["mongodb://h", "mongodb://h/a", "mongodb:///a/b", "mongodb://h/a/b?tls=maybe"])
def test_an_address_without_a_database_and_a_collection_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        MongoDbOrderedLog(address)
