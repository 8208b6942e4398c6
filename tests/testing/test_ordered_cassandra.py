"""The ordered log in Cassandra keeps the rules of `OrderedLog`; and what is particular to it.

All in one file, since nodes take long to start: one of them, or as many as ACT_FAST_CASSANDRA_NODES says.
"""

import os
import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count

import pytest

from act_fast.errors import EngineAwayError, EngineRefusedError, NotDurableError, ValidationError
from act_fast.stores.ordered.cassandra import CassandraOrderedLog
from act_fast.testing.conformance.ordered_log import Disturb, OpenLog, OrderedLogConformance
from tests.support.cassandra import CassandraNodes, cassandra_nodes
from tests.support.proxy import Proxy
from tests.support.servers import Unavailable, free_port, unavailable

NODES = int(os.environ.get("ACT_FAST_CASSANDRA_NODES", "1"))

_numbers = count(1)


@pytest.fixture(scope="module")
def _nodes() -> Iterator[CassandraNodes | Unavailable]:
    with ExitStack() as ending:
        try:
            found: CassandraNodes | Unavailable = ending.enter_context(cassandra_nodes(NODES))
        except Unavailable as reason:
            found = reason
        yield found


@pytest.fixture
def nodes(_nodes: CassandraNodes | Unavailable) -> CassandraNodes:
    if isinstance(_nodes, Unavailable):
        unavailable(_nodes)
    return _nodes


class TestCassandra(OrderedLogConformance):
    @pytest.fixture
    def proxy(self, nodes: CassandraNodes) -> Iterator[Proxy]:
        with Proxy(nodes.port) as proxy:
            yield proxy

    @pytest.fixture
    def open_log(self, nodes: CassandraNodes, proxy: Proxy) -> Iterator[OpenLog]:
        address = f"{nodes.url(f'log_{next(_numbers)}')}?durability=engine&poll=0.05"
        with ExitStack() as opened:
            yield lambda: opened.enter_context(CassandraOrderedLog(address))

    @pytest.fixture
    def disturb(self, proxy: Proxy) -> Disturb:
        return proxy.cut


def test_fewer_than_three_replicas_are_refused_unless_they_are_accepted(nodes: CassandraNodes) -> None:
    if NODES > 1:
        pytest.skip("there are enough nodes")
    with pytest.raises(NotDurableError, match=r"has 1 node\(s\), too few for 3 replicas"):
        CassandraOrderedLog(nodes.url("log").replace("/tests/", "/other/"))
    CassandraOrderedLog(f"{nodes.url('log')}?durability=engine").close()
    with pytest.raises(NotDurableError, match=r"has 1 replica\(s\)"):
        CassandraOrderedLog(nodes.url("log"))


def test_wrong_credentials_are_refused_and_not_repeated() -> None:
    if NODES == 1:
        pytest.skip("needs a node of its own; ACT_FAST_CASSANDRA_NODES=3 runs it")
    try:
        with cassandra_nodes(1, passwords=True) as guarded:
            right, wrong = "cassandra:cassandra@", "cassandra:Secret1@"
            CassandraOrderedLog(f"{guarded.url('log', login=right)}?durability=engine").close()
            with pytest.raises(EngineRefusedError) as caught:
                CassandraOrderedLog(f"{guarded.url('log', login=wrong)}?durability=engine")
            assert wrong not in "".join(traceback.format_exception(caught.value))
    except Unavailable as reason:
        unavailable(reason)


def test_a_node_that_is_not_there_is_away() -> None:
    with pytest.raises(EngineAwayError):
        CassandraOrderedLog(f"cassandra://user:Secret1@127.0.0.1:{free_port()}/a/b")


@pytest.mark.parametrize("path", ["", "a", "a/", "a/b/c", "a/b-c", "A/b", "a/b;drop", "1a/b"])
def test_an_address_without_a_keyspace_and_a_table_is_refused(path: str) -> None:
    with pytest.raises(ValidationError):
        CassandraOrderedLog(f"cassandra://127.0.0.1/{path}")
