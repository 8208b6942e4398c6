"""The work that subject and peers are given: the same bytes for everyone, from one fixed seed.

Everything is made before the clock starts, in the form each contender takes it in, so that a round measures the store
and not the generator.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice

__all__ = ["BATCH_EVENTS", "Batch", "Library", "Part", "Single", "batches", "payloads", "singles", "stream_name"]

SEED = 20130101
BATCH_EVENTS = 1_000
NAMES = ("Deposited", "Withdrawn", "Transferred", "FeeCharged")
DISTINCT_PAYLOADS = 4_096


Part = tuple[str, list[tuple[str, bytes]]]
"""A stream, and the (name, data) of events appended to it together."""


@dataclass(frozen=True)
class Single:
    """One event for one stream, with the version that the stream has by then."""

    stream: str
    name: str
    data: bytes
    expected_version: int


@dataclass(frozen=True)
class Batch:
    """A commit of many events for one stream, with the version that the stream has by then."""

    stream: str
    events: list[tuple[str, bytes]]
    expected_version: int


def stream_name(number: int) -> str:
    return f"account-{number}"


def payloads(count: int, seed: int = SEED) -> list[bytes]:
    """`count` JSON objects of about 100 bytes; after the first few thousand they repeat."""
    chance = random.Random(seed)
    distinct = [payload(chance) for _ in range(min(count, DISTINCT_PAYLOADS))]
    return list(islice(cycle(distinct), count))


def payload(chance: random.Random) -> bytes:
    amount = chance.randrange(1, 1_000_000)
    reference = chance.randbytes(16).hex()
    at = f"2013-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}"
    return f'{{"amount":{amount},"currency":"EUR","reference":"{reference}","booked":"{at}"}}'.encode()


def singles(count: int, streams: int) -> list[Single]:
    """`count` events dealt to `streams` streams in turn."""
    return [
        Single(stream_name(i % streams), NAMES[i % len(NAMES)], data, i // streams)
        for i, data in enumerate(payloads(count))
    ]


def batches(count: int, *, events_each: int = BATCH_EVENTS, streams: int = 100) -> list[Batch]:
    """`count` commits of `events_each` events, one stream each, dealt to `streams` streams in turn."""
    data = payloads(count * events_each)
    return [
        Batch(
            stream=stream_name(i % streams),
            events=[(NAMES[k % len(NAMES)], data[i * events_each + k]) for k in range(events_each)],
            expected_version=i // streams * events_each,
        )
        for i in range(count)
    ]


@dataclass(frozen=True)
class Library:
    """Many streams of equal length, written in turn a few events at a time, as a system with many users writes them."""

    streams: int
    events_a_stream: int
    events_a_part: int = 10

    @property
    def events(self) -> int:
        return self.streams * self.events_a_stream

    def commits(self) -> Iterator[list[Part]]:
        """The whole library in commits of about 1,000 events, over 100 streams each."""
        parts = self.parts()
        while commit := list(islice(parts, BATCH_EVENTS // self.events_a_part)):
            yield commit

    def rows(self) -> Iterator[tuple[str, int, str, bytes]]:
        """Event by event in the same order: stream, version, name, data."""
        for number, (stream, events) in enumerate(self.parts()):
            before = number // self.streams * self.events_a_part
            for version, (name, data) in enumerate(events, start=before + 1):
                yield stream, version, name, data

    def parts(self) -> Iterator[Part]:
        pool = payloads(DISTINCT_PAYLOADS)
        bundles = cycle(
            [
                [(NAMES[i % len(NAMES)], pool[i]) for i in range(start, start + self.events_a_part)]
                for start in range(0, len(pool) - self.events_a_part, self.events_a_part)
            ]
        )
        for _ in range(self.events_a_stream // self.events_a_part):
            for number in range(self.streams):
                yield stream_name(number), next(bundles)
