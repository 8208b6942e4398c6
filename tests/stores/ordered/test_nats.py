"""What is particular to the log in NATS JetStream: what it asks of a stream, and what it makes of bad days."""

import asyncio
import traceback
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import wait
from itertools import count
from typing import Any

import nats
import pytest
from nats.js import JetStreamContext
from nats.js.api import StorageType, StreamConfig

from act_fast.errors import (
    EngineAwayError,
    EngineRefusedError,
    NotDurableError,
    OutcomeUnknownError,
    RecordTooLargeError,
    StoreCorruptError,
    StoreFullError,
    ValidationError,
)
from act_fast.stores.ordered import nats as adapter
from act_fast.stores.ordered.nats import NatsOrderedLog
from act_fast.testing.conformance.ordered_log import read_all, records, with_patience
from tests.support.nats import PASSWORD, USER, NatsServers, nats_servers
from tests.support.proxy import Proxy
from tests.support.servers import Unavailable, free_port, unavailable

_numbers = count(1)


@pytest.fixture
def name() -> str:
    return f"own_{next(_numbers)}"


@pytest.fixture(scope="module")
def _one() -> Iterator[NatsServers | Unavailable]:
    try:
        with nats_servers(1, payload_max=8 << 20) as server:
            yield server
    except Unavailable as reason:
        yield reason


@pytest.fixture
def one(_one: NatsServers | Unavailable) -> NatsServers:
    """A single server."""
    if isinstance(_one, Unavailable):
        unavailable(_one)
    return _one


def ask(servers: NatsServers, work: Callable[[JetStreamContext], Coroutine[Any, Any, object]]) -> None:
    """Do something with a stream that the adapter does not."""

    async def do() -> None:
        client = await nats.connect(f"nats://127.0.0.1:{servers.ports[0]}", user=USER, password=PASSWORD)
        try:
            await work(client.jetstream())
        finally:
            await client.close()

    asyncio.run(do())


def test_a_stream_is_made_with_three_replicas_on_disk_and_without_limits(nats_cluster: NatsServers, name: str) -> None:
    NatsOrderedLog(nats_cluster.url(name)).close()

    async def look(stream: JetStreamContext) -> None:
        config = (await stream.stream_info(name)).config
        assert (config.storage, config.num_replicas) == ("file", 3)
        assert (config.max_msgs, config.max_bytes, config.max_age, config.discard) == (-1, -1, 0, "new")

    ask(nats_cluster, look)


def test_one_server_is_refused_unless_it_is_accepted(one: NatsServers, name: str) -> None:
    with pytest.raises(NotDurableError, match=r"durability=engine"):
        NatsOrderedLog(one.url(name))
    with NatsOrderedLog(one.url(name) + "?durability=engine") as log:
        assert log.append(b"one") == 1
    with pytest.raises(NotDurableError, match=r"file storage with 1 replica"):
        NatsOrderedLog(one.url(name))


def test_a_stream_in_memory_is_refused(nats_cluster: NatsServers, name: str) -> None:
    config = StreamConfig(
        name=name, subjects=[f"act_fast.{name}"], storage=StorageType.MEMORY, num_replicas=3, allow_direct=True
    )
    ask(nats_cluster, lambda stream: stream.add_stream(config))
    with pytest.raises(NotDurableError, match="memory storage"):
        NatsOrderedLog(nats_cluster.url(name))


@pytest.mark.parametrize(("user", "password"), [(USER, "Secret1"), ("nobody", "Secret1")])
def test_wrong_credentials_are_refused_and_not_repeated(
    nats_cluster: NatsServers, name: str, user: str, password: str
) -> None:
    with pytest.raises(EngineRefusedError) as caught:
        NatsOrderedLog(nats_cluster.url(name, user=user, password=password))
    assert "Secret1" not in "".join(traceback.format_exception(caught.value))


def test_a_user_who_may_not_publish_is_refused(nats_cluster: NatsServers, name: str) -> None:
    NatsOrderedLog(nats_cluster.url(name)).close()
    with (
        NatsOrderedLog(nats_cluster.url(name, user="reader")) as log,
        pytest.raises(EngineRefusedError, match="publish"),
    ):
        log.append(b"one")


def test_no_text_of_a_log_has_its_credentials(nats_cluster: NatsServers, name: str) -> None:
    with NatsOrderedLog(nats_cluster.url(name)) as log:
        assert log.name == f"nats://{','.join(f'127.0.0.1:{port}' for port in nats_cluster.ports)}/{name}"
        assert all(each not in repr(log) + str(log) for each in (PASSWORD, "p%40ss"))


@pytest.mark.parametrize(
    "url", ["nats://h:1/", "nats:///bank", "nats://h:1/a.b", "nats://h:1/a%20b", "nats://h:x/bank"]
)
def test_an_address_that_names_no_stream_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        NatsOrderedLog(url)


def test_a_server_that_is_not_there_is_away() -> None:
    with pytest.raises(EngineAwayError):
        NatsOrderedLog(f"nats://127.0.0.1:{free_port()}/bank")


def test_a_record_may_be_as_large_as_the_server_says(one: NatsServers, name: str) -> None:
    with NatsOrderedLog(one.url(name) + "?durability=engine") as log:
        assert 8_000_000 < log.max_record < 8 << 20
        log.append(bytes(log.max_record))
        with pytest.raises(RecordTooLargeError):
            log.append(bytes(log.max_record + 1))


def test_a_full_stream_is_told_and_reads_go_on(nats_cluster: NatsServers, name: str) -> None:
    with NatsOrderedLog(nats_cluster.url(name)) as log:
        log.append(b"one")

        async def limit(stream: JetStreamContext) -> None:
            config = (await stream.stream_info(name)).config
            await stream.update_stream(config.evolve(max_bytes=1000))

        ask(nats_cluster, limit)
        with pytest.raises(StoreFullError):
            log.append(bytes(2000))
        assert [entry.record for entry in read_all(log)] == [b"one"]


def test_an_answer_that_is_lost_leaves_one_record(nats_cluster: NatsServers, name: str) -> None:
    with Proxy(nats_cluster.ports[0]) as proxy:
        url = nats_cluster.url(name, ports=[proxy.port])
        with NatsOrderedLog(url) as log:
            log.append(b"before")
            lost = []

            def lose(data: bytes) -> bool:
                found = b'"seq":2' in data.replace(b" ", b"") and not lost
                lost.extend([True] if found else [])
                return found

            proxy.answered = lose
            assert log.append(b"once") == 2
            assert lost
            assert log.append(b"after") == 3
            assert [entry.record for entry in read_all(log)] == [b"before", b"once", b"after"]


def test_a_record_that_the_stream_has_lost_is_corruption(nats_cluster: NatsServers, name: str) -> None:
    config = StreamConfig(name=name, subjects=[f"act_fast.{name}"], num_replicas=3, allow_direct=True)
    ask(nats_cluster, lambda stream: stream.add_stream(config))
    with NatsOrderedLog(nats_cluster.url(name)) as log:
        for record in records(5):
            log.append(record)
        ask(nats_cluster, lambda stream: stream.delete_msg(name, 3))
        assert log.read(3)[0].place == 4
        with pytest.raises(StoreCorruptError, match="lost the record at 3"):
            log.read(1)


@pytest.fixture
def own_cluster() -> Iterator[NatsServers]:
    """Three servers that no other test uses, so that they may be stopped."""
    try:
        with nats_servers(3) as servers:
            yield servers
    except Unavailable as reason:
        unavailable(reason)


def test_a_server_after_the_other_dies_and_nothing_is_lost(
    own_cluster: NatsServers, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Servers on a busy machine may take longer to elect a leader than an adapter waits for their answer.
    monkeypatch.setattr(adapter, "_AWAY_SECONDS", 45.0)
    with NatsOrderedLog(own_cluster.url(name)) as log:
        given = records(600)
        futures = []
        for number, record in enumerate(given):
            futures.append(log.submit(record))
            if number % 200 == 100:
                own_cluster.stop(number // 200)
            if number % 200 == 199:
                wait(futures, 60)
                own_cluster.start(number // 200)
                with_patience(log.head)
        places = [future.result(60) for future in futures]
        entries = read_all(log)
        assert [(each.place, each.record) for each in entries] == sorted(zip(places, given, strict=True))


def test_without_a_quorum_nothing_is_promised_and_afterwards_it_goes_on(
    own_cluster: NatsServers, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "_AWAY_SECONDS", 1.0)
    with NatsOrderedLog(own_cluster.url(name)) as log:
        log.append(b"before")
        for number in range(3):
            own_cluster.stop(number)
        with pytest.raises(EngineAwayError):
            log.head()
        with pytest.raises(EngineAwayError):
            log.read(1, timeout=60)
        with pytest.raises((EngineAwayError, OutcomeUnknownError)):
            log.append(b"lost")
        with pytest.raises(EngineAwayError):
            log.append(b"surely not there")
        for number in range(3):
            own_cluster.start(number)
        last = with_patience(lambda: log.append(b"after"))
        found = [entry.record for entry in read_all(log)]
        assert b"surely not there" not in found
        assert (found[0], found[-1], log.head()) == (b"before", b"after", last)
