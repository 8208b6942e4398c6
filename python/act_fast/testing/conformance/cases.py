"""What the groups of cases share: the fixtures that they stand on, and events that carry their own number."""

import os
import random
from collections.abc import Callable, Iterable
from typing import ClassVar, TypeAlias

import msgspec
import pytest

from act_fast._events.committed import Committed
from act_fast.stores.port import Store

__all__ = ["Cases", "OpenStore", "Pair", "numbers", "pair", "pairs", "positions", "versions"]

OpenStore: TypeAlias = Callable[[], Store]
"""Opens the store of a test; called again, it opens the same one once more."""

Pair: TypeAlias = tuple[str, bytes]


class Cases:
    """A group of cases.

    Attributes:
        lacks: what the store does not have, in the words of `NEEDS`.
    """

    NEEDS: ClassVar[dict[str, str]] = {
        "handles": "the same store can be opened several times at once",
        "large events": "an event may have several megabytes",
        "lasting": "what was appended is there when all have closed the store and it is opened again",
        "new stores": "an empty store can be made as often as needed",
        "transfer": "everything that it holds can be copied unchanged, out and in",
        "reactions": "the store keeps targets: it has a method `reactions()`",
        "tags": "events carry tags, and appends have conditions",
        "keys": "an append under a key is done once",
        "transactions": "an append can be held open in a transaction while others append",
    }
    """What some cases need of a store, and what is meant by it."""

    lacks: ClassVar[frozenset[str]] = frozenset()

    @pytest.fixture
    def open_store(self) -> OpenStore:
        """To be overridden: opens an empty store, closed when the test is over."""
        raise NotImplementedError(f"{type(self).__name__} must have a fixture `open_store`")

    @pytest.fixture
    def store(self, open_store: OpenStore) -> Store:
        """The store, opened once."""
        return open_store()

    @pytest.fixture
    def dice(self) -> random.Random:
        """A source of chance; its seed is printed, and given again with ACT_FAST_SEED."""
        seed = int(os.environ.get("ACT_FAST_SEED", random.SystemRandom().randrange(2**32)))
        print(f"ACT_FAST_SEED={seed}")
        return random.Random(seed)

    def needs(self, what: str) -> None:
        """Skip a case when the store lacks what it needs."""
        if what in self.lacks:
            pytest.skip(f"{type(self).__name__} lacks {what!r}: {self.NEEDS[what]}")


def pair(number: int, name: str = "Counted") -> Pair:
    """An event that carries a number."""
    return name, b'{"number":%d}' % number


def pairs(count: int, first: int = 1, name: str = "Counted") -> list[Pair]:
    """Events with the numbers from `first` on."""
    return [pair(number, name) for number in range(first, first + count)]


def numbers(events: Iterable[Committed[bytes]]) -> list[int]:
    """The numbers that events carry."""
    return [msgspec.json.decode(event.data)["number"] for event in events]


def versions(events: Iterable[Committed[bytes]]) -> list[int]:
    """Their versions."""
    return [event.version for event in events]


def positions(events: Iterable[Committed[bytes]]) -> list[int]:
    """Their positions."""
    return [event.position for event in events]
