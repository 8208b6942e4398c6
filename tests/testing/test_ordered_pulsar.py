"""The ordered log in Pulsar keeps the rules of `OrderedLog`; and what is particular to it."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count

import pytest

from act_fast.errors import EngineAwayError, ValidationError
from act_fast.stores.ordered import pulsar as adapter
from act_fast.stores.ordered.pulsar import PulsarOrderedLog
from act_fast.testing.conformance.ordered_log import OpenLog, OrderedLogConformance
from tests.support.engines import heavy
from tests.support.pulsar import pulsar_broker
from tests.support.servers import Unavailable, free_port, unavailable

_numbers = count(1)


@pytest.fixture(scope="module")
def _broker() -> Iterator[int | Unavailable]:
    with ExitStack() as ending:
        try:
            found: int | Unavailable = ending.enter_context(pulsar_broker())
        except Unavailable as reason:
            found = reason
        yield found


@pytest.fixture
def broker(_broker: int | Unavailable) -> int:
    if isinstance(_broker, Unavailable):
        unavailable(_broker)
    return _broker


@heavy
class TestPulsar(OrderedLogConformance):
    lacks = frozenset({"disturbances"})

    @pytest.fixture
    def open_log(self, broker: int) -> Iterator[OpenLog]:
        address = f"pulsar://127.0.0.1:{broker}/log-{next(_numbers)}"
        with ExitStack() as opened:
            yield lambda: opened.enter_context(PulsarOrderedLog(address))


def test_a_broker_that_is_not_there_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "_AWAY_SECONDS", 1)
    with pytest.raises(EngineAwayError):
        PulsarOrderedLog(f"pulsar://127.0.0.1:{free_port()}/bank")


@pytest.mark.parametrize(
    "address", ["pulsar://h", "pulsar://h/a/b", "pulsar:///a", "pulsar://h/a/b/c/d", "pulsar://h/a%20"]
)
def test_an_address_without_a_topic_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        PulsarOrderedLog(address)
