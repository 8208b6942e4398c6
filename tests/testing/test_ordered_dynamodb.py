"""The ordered log in DynamoDB keeps the rules of `OrderedLog`; and what is particular to it."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count

import pytest

from act_fast.errors import EngineAwayError, ValidationError
from act_fast.stores.ordered.dynamodb import DynamoDbOrderedLog
from act_fast.testing.conformance.ordered_log import Disturb, OpenLog, OrderedLogConformance
from tests.support.moto import MotoServer
from tests.support.proxy import Proxy
from tests.support.servers import free_port

_numbers = count(1)


def url(port: int) -> str:
    where = f"http%3A%2F%2F127.0.0.1%3A{port}"
    return f"dynamodb://key:Secret1@eu-central-1/logs/log-{next(_numbers)}?endpoint={where}&poll=0.05"


class TestDynamoDb(OrderedLogConformance):
    in_flight = 64

    @pytest.fixture
    def proxy(self, moto: MotoServer) -> Iterator[Proxy]:
        with Proxy(moto.port) as proxy:
            yield proxy

    @pytest.fixture
    def open_log(self, proxy: Proxy) -> Iterator[OpenLog]:
        address = url(proxy.port)
        with ExitStack() as opened:
            yield lambda: opened.enter_context(DynamoDbOrderedLog(address))

    @pytest.fixture
    def disturb(self, proxy: Proxy) -> Disturb:
        return proxy.cut


def test_logs_of_one_table_do_not_see_each_other(moto: MotoServer) -> None:
    with DynamoDbOrderedLog(url(moto.port)) as one, DynamoDbOrderedLog(url(moto.port)) as other:
        one.append(b"one")
        assert other.read() == []


def test_what_is_not_there_is_away() -> None:
    with pytest.raises(EngineAwayError):
        DynamoDbOrderedLog(url(free_port()))


def test_no_text_of_a_log_has_its_credentials(moto: MotoServer) -> None:
    with DynamoDbOrderedLog(url(moto.port)) as log:
        assert log.name.startswith("dynamodb://eu-central-1/logs/log-")
        assert "Secret1" not in repr(log) + log.name


@pytest.mark.parametrize(
    "address", ["dynamodb://r", "dynamodb://r/table", "dynamodb:///table/log", "dynamodb://a,b/t/l"]
)
def test_an_address_without_a_region_a_table_and_a_log_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        DynamoDbOrderedLog(address)
