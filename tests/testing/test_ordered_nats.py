"""The ordered log in NATS JetStream keeps the rules of `OrderedLog`, on three servers."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count

import pytest

from act_fast.stores.ordered.nats import NatsOrderedLog
from act_fast.testing.conformance.ordered_log import Disturb, OpenLog, OrderedLogConformance
from tests.support.nats import NatsServers
from tests.support.proxy import Proxy

_numbers = count(1)


class TestNats(OrderedLogConformance):
    @pytest.fixture
    def proxies(self, nats_cluster: NatsServers) -> Iterator[list[Proxy]]:
        with ExitStack() as ending:
            yield [ending.enter_context(Proxy(port)) for port in nats_cluster.ports]

    @pytest.fixture
    def open_log(self, nats_cluster: NatsServers, proxies: list[Proxy]) -> Iterator[OpenLog]:
        url = nats_cluster.url(f"log_{next(_numbers)}", ports=[each.port for each in proxies])
        with ExitStack() as opened:
            yield lambda: opened.enter_context(NatsOrderedLog(url))

    @pytest.fixture
    def disturb(self, proxies: list[Proxy]) -> Disturb:
        def cut() -> None:
            for each in proxies:
                each.cut()

        return cut
