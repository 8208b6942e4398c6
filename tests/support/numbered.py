"""Events that carry their own number, so that a test can tell which ones it got."""

from collections.abc import Iterable

import msgspec

from act_fast import Committed

Pair = tuple[str, bytes]


def pair(number: int, name: str = "Counted") -> Pair:
    return name, b'{"number":%d}' % number


def pairs(count: int, first: int = 1, name: str = "Counted") -> list[Pair]:
    return [pair(number, name) for number in range(first, first + count)]


def numbers(events: Iterable[Committed[bytes]]) -> list[int]:
    return [msgspec.json.decode(event.data)["number"] for event in events]


def versions(events: Iterable[Committed[bytes]]) -> list[int]:
    return [event.version for event in events]


def positions(events: Iterable[Committed[bytes]]) -> list[int]:
    return [event.position for event in events]
