"""Targets, seen and changed by hand: all that is known of each, and the verbs that change some of them."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final, Literal, TypeAlias, cast

import msgspec

from act_fast._checks import arguments
from act_fast.errors import ValidationError
from act_fast.stores.reaction_port import ReactionPort

__all__ = [
    "HOLDER_BITS",
    "STATES",
    "Cursor",
    "Names",
    "Selection",
    "Target",
    "TargetState",
    "busy_targets",
    "cursors",
    "holding",
    "progress",
    "selection",
    "state_of",
    "targets",
]

Names: TypeAlias = str | Sequence[str]
"""One target, or several."""

TargetState: TypeAlias = Literal["blocked", "leased", "waiting", "behind", "caught up"]
"""What a target is up to. It waits for a retry, or because it was deferred."""
STATES: Final[tuple[TargetState, ...]] = ("blocked", "leased", "waiting", "behind", "caught up")

HOLDER_BITS: Final = 24
"""A holder's number is its process id, and so many bits of chance below it."""
_PAGE: Final = 1000


class Target(msgspec.Struct, frozen=True):
    """Everything known about a target.

    Attributes:
        name: its name.
        lane: the lane it is in.
        priority: among those that lag behind, the higher comes first.
        watermark: the position that it has processed up to.
        mark: the position of the last event that concerns it.
        lag: how many events it still has to process.
        holder: the id of the process that has leased it; None if it is not leased.
        lease_seconds: how much longer the lease lasts; None without one.
        attempts: how often the event at `failing` has been started without success.
        failing: the position of the event that is being tried or has failed.
        blocked: whether it is blocked.
        error: the last error.
        due: when it continues, after a failure or because of a deferral; None: at once.
        reactions: the names of the reactions that run under it.
        known: whether this program has code for one of them.
        tags: by reaction, the tags that events must carry; only for reactions that follow certain tags.
    """

    name: str
    lane: str
    priority: int
    watermark: int
    mark: int
    lag: int
    holder: int | None
    lease_seconds: float | None
    attempts: int
    failing: int | None
    blocked: bool
    error: str | None
    due: datetime | None
    reactions: tuple[str, ...]
    known: bool
    tags: dict[str, tuple[str, ...]] = {}

    def _repr_html_(self) -> str:
        """What a notebook shows: what it is up to, and whatever is out of the ordinary."""
        from act_fast._checks.html_table import html_table

        told = [(name, getattr(self, name)) for name in self.__struct_fields__ if name != "name"]
        plain: tuple[object, ...] = (None, False, (), {}, "", 0)
        shown = [(name, value) for name, value in told if name in ("watermark", "mark", "lag") or value not in plain]
        return html_table(f"target {self.name}", [("state", state_of(self)), *shown])


class Cursor(msgspec.Struct, frozen=True):
    """How far a reaction has been correlated: the position up to which its targets have been found.

    `known` says whether this program has code for it.
    """

    reaction: str
    position: int
    known: bool


class Selection(msgspec.Struct, frozen=True):
    """Which targets are meant. All conditions must hold."""

    names: list[str] | None
    pattern: str | None
    lane: str | None

    def apply(self, verb: Callable[..., int], *what: object, **more: object) -> int:
        """Do something with the targets that are meant, and say how many changed."""
        try:
            return verb(*what, names=self.names, pattern=self.pattern, lane=self.lane, **more)
        except ValidationError as error:
            if not str(error).startswith("there is no target"):
                raise
            raise ValidationError(f"{error}; `act-fast targets` lists those that there are") from None


def selection(
    verb: str, names: Names | None, pattern: str | None, lane: str | None, *, otherwise_all: bool = False
) -> Selection:
    """The targets that a caller means, who must say so unless all is a harmless answer."""
    if names is None and pattern is None and lane is None and not otherwise_all:
        raise ValidationError(
            f"{verb}() must be told which targets: names, pattern= or lane=; pattern='' is all of them"
        )
    return Selection(
        _names(names),
        None if pattern is None else arguments.text("pattern", pattern),
        None if lane is None else arguments.text("lane", lane),
    )


def targets(
    port: ReactionPort,
    names: Names | None = None,
    pattern: str | None = None,
    lane: str | None = None,
    blocked: bool | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> Iterator[Target]:
    """The targets that are meant: in the order they are named, or page by page in the order they came to be."""
    chosen = selection("targets", names, pattern, lane, otherwise_all=True)
    blocked = None if blocked is None else arguments.flag("blocked", blocked)
    after = None if after is None else arguments.text("after", after)
    limit = arguments.optional_count("limit", limit)
    if limit == 0:
        return iter(())
    size = max(1, len(chosen.names)) if chosen.names is not None else min(limit or _PAGE, _PAGE)
    first = port.targets(chosen.names, chosen.pattern, chosen.lane, blocked, after, size)
    if chosen.names is not None:
        return islice(map(_target, first), limit)
    return islice(_pages(port, chosen, blocked, first), limit)


def busy_targets(port: ReactionPort, idle: Callable[[Sequence[str]], object]) -> Iterator[Target]:
    """All targets that have something to do or are held up; of each of the others `idle` is told the reactions.

    Most targets of a large store are caught up, and making a `Target` of each takes longer than all else.
    """
    page = port.targets(limit=_PAGE)
    while page:
        last = str(page[-1]["name"])
        for found in page:
            if found["lag"] or found["blocked"] or found["holder"] is not None or found["due_ms"] is not None:
                yield _target(found)
            else:
                idle(cast("Sequence[str]", found["reactions"]))
        page = port.targets(after=last, limit=_PAGE)


def state_of(target: Target) -> TargetState:
    """One word for what a target is up to."""
    if target.blocked:
        return "blocked"
    if target.holder is not None:
        return "leased"
    if target.due is not None:
        return "waiting"
    return "behind" if target.lag else "caught up"


def cursors(port: ReactionPort) -> list[Cursor]:
    """How far each reaction has been correlated, also those of other programs."""
    return [Cursor(*each) for each in port.cursors()]


def progress(port: ReactionPort, name: str) -> Target | None:
    """How far all that may come to a target has been done, whether it is there yet or not.

    None: no reaction may run under it.
    """
    found = port.progress(name)
    return None if found is None else _target(found)


def holding(port: ReactionPort, reaction: str) -> Target | None:
    """A reaction that goes no further because the targets of an event cannot be found, told as a target of its name."""
    try:
        found = list(targets(port, reaction))
    except ValidationError:
        return None
    # Reactions that hold come first, and stand right before the event that failed.
    first = found[0] if found else None
    if first is None or first.reactions != (reaction,) or first.failing is None:
        return None
    return first if first.failing == first.mark == first.watermark + 1 and first.holder is None else None


def _pages(
    port: ReactionPort, chosen: Selection, blocked: bool | None, page: list[dict[str, object]]
) -> Iterator[Target]:
    while page:
        yield from map(_target, page)
        last = str(page[-1]["name"])
        page = port.targets(chosen.names, chosen.pattern, chosen.lane, blocked, last, _PAGE)


def _target(found: dict[str, Any]) -> Target:
    holder, lease_ms, due_ms = found.pop("holder"), found.pop("lease_ms"), found.pop("due_ms")
    reactions = tuple(found.pop("reactions"))
    tags = {name: tuple(followed) for name, followed in found.pop("tags", {}).items()}
    return Target(
        **found,
        holder=None if holder is None else holder >> HOLDER_BITS,
        lease_seconds=None if lease_ms is None else lease_ms / 1000,
        due=None if due_ms is None else arguments.due_moment(due_ms),
        reactions=reactions,
        tags=tags,
    )


def _names(names: Names | None) -> list[str] | None:
    if names is None:
        return None
    return [names] if isinstance(names, str) else arguments.texts("names", names)
