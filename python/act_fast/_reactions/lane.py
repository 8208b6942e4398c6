"""Lanes: groups of targets with workers of their own, so that slow ones cannot delay fast ones."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from act_fast._checks import arguments
from act_fast.errors import DefinitionError

__all__ = ["DEFAULT_LANE", "Lane", "lane_seconds", "lanes_by_name"]

DEFAULT_LANE: Final = "default"
_NAME_BYTES_MAX: Final = 512


class Lane(msgspec.Struct, frozen=True):
    """A group of targets, and how a worker takes from it.

    Attributes:
        name: what reactions call it; `"default"` exists without being declared.
        targets_max: how many of its targets one process leases at once at most; workers take fewer while handlers are
            slow.
        events_max: how many events of a target are fetched at once.
        lease: how many seconds a target is leased for; after that, another process can take over from one that died.
    """

    name: str
    targets_max: int = 256
    events_max: int = 100
    lease: float = 10.0

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or len(self.name.encode()) > _NAME_BYTES_MAX:
            raise DefinitionError(f"a lane's name is text of 1 to {_NAME_BYTES_MAX} bytes, not {self.name!r}")
        for what, value in (("targets_max", self.targets_max), ("events_max", self.events_max)):
            if arguments.count(f"lane {self.name!r}: {what}=", value) == 0:
                raise DefinitionError(f"lane {self.name!r}: {what}= must be 1 or more")
        lane_seconds(f"lane {self.name!r}: lease=", self.lease)


def lane_seconds(what: str, seconds: float) -> int:
    """Seconds as milliseconds; a lease of no length would be lost at once."""
    found = arguments.milliseconds(what, seconds)
    if not found:
        raise DefinitionError(f"{what} must be more than 0 seconds")
    return found


def lanes_by_name(declared: Iterable[Sequence[Lane]]) -> dict[str, Lane]:
    """The lanes of an app, the default one always among them.

    Raises:
        DefinitionError: two of them share a name and differ.
    """
    lanes: dict[str, Lane] = {}
    for each in declared:
        if isinstance(each, str) or not isinstance(each, Sequence):
            raise DefinitionError(f"lanes= must be a list of Lane, not {type(each).__name__}; write [Lane('mail')]")
        for lane in each:
            if not isinstance(lane, Lane):
                raise DefinitionError(f"{lane!r} is not a lane; write Lane({lane!r})")
            if lanes.setdefault(lane.name, lane) != lane:
                raise DefinitionError(f"lane {lane.name!r} is declared twice, differently; declare it once")
    lanes.setdefault(DEFAULT_LANE, Lane(DEFAULT_LANE))
    return lanes
