"""NATS JetStream by itself: the records that a replicated store puts there, and no store around them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from bench.harness.duel import Body, Contender
from bench.peers.absence import needs
from bench.rows.peers import NATS_PUBLISH, NATS_PUBLISH_MANY

if TYPE_CHECKING:
    from tests.support.nats import NatsServers

__all__ = ["DURABILITY", "published", "published_together"]

DURABILITY = "power cut: three servers, each flushes each record"
UNDER_WAY = 256
names = count()


@needs("nats", NATS_PUBLISH)
def published(servers: "NatsServers", records: int, size: int) -> list[Contender]:
    """Records of a size, one after the other."""
    return [_publishing(servers, NATS_PUBLISH, records, size, 1, 1)]


@needs("nats", NATS_PUBLISH_MANY)
def published_together(servers: "NatsServers", records: int, size: int, events_each: int) -> list[Contender]:
    """Records of a size that hold so many events each, many of them under way."""
    return [_publishing(servers, NATS_PUBLISH_MANY, records, size, UNDER_WAY, events_each)]


def _publishing(
    servers: "NatsServers", name: str, records: int, size: int, under_way: int, events_each: int
) -> Contender:
    @contextmanager
    def prepare(_: Path) -> Iterator[Body]:
        import nats
        from nats.js.api import StreamConfig

        from tests.support.nats import PASSWORD, USER

        with asyncio.Runner() as runner:
            stream = f"bare-{next(names)}"
            hosts = [f"nats://127.0.0.1:{port}" for port in servers.ports]
            client = runner.run(nats.connect(hosts, user=USER, password=PASSWORD))
            jetstream = client.jetstream(publish_async_max_pending=2 * under_way)
            runner.run(jetstream.add_stream(StreamConfig(name=stream, subjects=[stream], num_replicas=3)))
            record = bytes(size)

            async def publish() -> None:
                left = asyncio.Semaphore(under_way)

                async def one() -> None:
                    async with left:
                        await jetstream.publish(stream, record)

                await asyncio.gather(*(one() for _ in range(records)))

            yield lambda: runner.run(publish())
            runner.run(client.close())

    return Contender(name, DURABILITY, records * events_each, prepare)
