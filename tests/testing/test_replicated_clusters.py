"""The replicated store keeps the rules of `Store` on clusters, too.

By default those of them that depend on what is between the nodes; all of them with ACT_FAST_KIT=whole.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

import pytest

from act_fast.stores.replicated.store import ReplicatedStore
from act_fast.testing.conformance import (
    Appending,
    BadInput,
    Cases,
    Concurrency,
    Living,
    OpenStore,
    Reactions,
    Snapshots,
    StoreConformance,
    Waiting,
)
from tests.support.kafka import KafkaBrokers
from tests.support.nats import NatsServers

WHOLE = os.environ.get("ACT_FAST_KIT") == "whole"


class _OnCluster(Cases):
    """A log and a replica for each case."""

    lacks: ClassVar[frozenset[str]] = frozenset({"transactions", "large events"})

    @pytest.fixture
    def open_store(self, url: str, tmp_path: Path) -> Iterator[OpenStore]:
        address = f"{url}?replica={tmp_path / 'replica'}"
        with ExitStack() as opened:
            yield lambda: opened.enter_context(ReplicatedStore(address))

    @pytest.fixture
    def new_store(self, url: str, tmp_path: Path) -> Callable[[], OpenStore]:
        numbers = count()

        def make() -> OpenStore:
            number = next(numbers)
            address = f"{url}-{number}?replica={tmp_path / str(number)}"
            return lambda: ReplicatedStore(address)

        return make


class _Some(Appending, Concurrency, Snapshots, Waiting, BadInput, Living, Reactions):
    """Those that depend on what is between the nodes."""


class _Few(Appending, Living):
    """Fewer: a topic takes a while to be made."""


class TestOnNats(_OnCluster, StoreConformance if WHOLE else _Some):  # type: ignore[misc]
    @pytest.fixture
    def url(self, nats_cluster: NatsServers) -> str:
        return nats_cluster.url(uuid4().hex)


class TestOnKafka(_OnCluster, StoreConformance if WHOLE else _Few):  # type: ignore[misc]
    @pytest.fixture
    def url(self, kafka_cluster: KafkaBrokers) -> str:
        return kafka_cluster.url(uuid4().hex)
