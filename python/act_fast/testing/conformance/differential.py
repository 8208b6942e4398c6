"""The same random program on two stores: everything that it can see must be the same.

    for seed in range(100):
        assert not differences(Program(seed), one_store, another_store)

With `Program(seed, tags=True)` events carry tags, and appends have conditions and keys.
Times are left out, since each store has its own; that they never run backwards is a case of its own.
"""

import random
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from act_fast._events.committed import Committed
from act_fast._events.meta import Meta
from act_fast.errors import ActError, ConcurrencyError, ConditionError, KeyReusedError
from act_fast.stores.append_condition import Condition, Query, QueryItem
from act_fast.stores.port import Store
from act_fast.stores.values import Append, NewEvent

__all__ = ["Difference", "Program", "differences"]

_NAMES = ["Opened", "Deposited", "Withdrawn", "Geschlossen/ß", "北京"]
_STREAMS = ["a", "a-1", "a-12", "b", "B", "Straße 🛩", "x" * 512]
_PATTERNS = ["^a", "1$", "a-(1|12)$", "ß", "[bB]", ""]
_TAGS = ["a:1", "a:2", "b", "größe:ü", "x" * 512]
_KEYS = ["k-1", "k-2", "ü"]
_CORRELATIONS = ["r1", "r2", "ü\0", "x" * 300, ""]


class Difference(msgspec.Struct, frozen=True):
    """A step that came to different ends.

    Attributes:
        step: its number, from 0.
        what: what was done.
        first: what the first store said.
        second: what the second one said.
    """

    step: int
    what: str
    first: object
    second: object


class Program:
    """A random program of a store's verbs: the same for the same seed.

    Args:
        seed: what it is made from.
        steps: how many verbs it calls.
        tags: whether events carry tags, and appends have conditions and keys.
    """

    def __init__(self, seed: int, steps: int = 80, *, tags: bool = False) -> None:
        self.seed = seed
        self.steps = steps
        self.tags = tags

    def run(self, store: Store) -> Iterator[tuple[str, object]]:
        """Run it on a store: each step, and what came of it."""
        dice = _Dice(self.seed)
        dice.tags = self.tags
        for _ in range(self.steps):
            what, call = _step(dice)
            yield what, _outcome(store, call)
        for what, call in _ENDING:
            yield what, _outcome(store, call)


class _Dice(random.Random):
    """What a program is made from, and whether it is about tags."""

    tags = False


def differences(program: Program, first: Store, second: Store) -> list[Difference]:
    """Where two stores that were empty differ after the same program; empty when they agree."""
    steps = zip(program.run(first), program.run(second), strict=True)
    return [
        Difference(number, what, one, other) for number, ((what, one), (_, other)) in enumerate(steps) if one != other
    ]


def _outcome(store: Store, call: Callable[[Store], object]) -> object:
    try:
        return call(store)
    except ConcurrencyError as error:
        return "ConcurrencyError", error.stream, error.expected, error.actual
    except ConditionError as error:
        return "ConditionError", error.after, error.position
    except KeyReusedError as error:
        return "KeyReusedError", error.key, error.position
    except ActError as error:
        return type(error).__name__


def _seen(event: Committed[bytes]) -> tuple[object, ...]:
    return event.position, event.stream, event.version, event.name, event.data, event.meta, event.tags


def _step(dice: _Dice) -> tuple[str, Callable[[Store], object]]:
    kind = dice.choices(
        ["append", "append_many", "load", "query", "streams", "save_snapshot", "latest_snapshot", "version"],
        [8, 3, 3, 8, 2, 2, 2, 1],
    )[0]
    return _STEPS[kind](dice)


def _append(dice: _Dice) -> tuple[str, Callable[[Store], object]]:
    stream, events, expected, meta = _stream(dice), _events(dice), _expected(dice), _meta(dice)
    more = _guards(dice)
    return (
        f"append({stream!r}, {len(events)} events, expected_version={expected}, {more})",
        lambda store: _places(store.append(stream, events, expected_version=expected, meta=meta, **more)),
    )


def _append_many(dice: _Dice) -> tuple[str, Callable[[Store], object]]:
    parts = [Append(_stream(dice), _events(dice), _expected(dice)) for _ in range(dice.randrange(1, 5))]
    meta, more = _meta(dice), _guards(dice)
    if dice.tags and dice.random() < 0.4:
        more["expected_versions"] = {_stream(dice): dice.randrange(3) for _ in range(dice.randrange(1, 3))}
    told = [(each.stream, len(each.events), each.expected_version) for each in parts]
    return (
        f"append_many({told}, {more})",
        lambda store: [_places(each) for each in store.append_many(parts, meta=meta, **more)],
    )


def _load(dice: _Dice) -> tuple[str, Callable[[Store], object]]:
    stream, after = _stream(dice), dice.randrange(6)
    before, limit = dice.choice([None, dice.randrange(12)]), dice.choice([None, dice.randrange(8)])
    return (
        f"load({stream!r}, after={after}, before={before}, limit={limit})",
        lambda store: [_seen(each) for each in store.load(stream, after=after, before=before, limit=limit)],
    )


def _query(dice: _Dice) -> tuple[str, Callable[[Store], object]]:
    def maybe(value: Any) -> Any:
        return value if dice.random() < 0.35 else None

    conditions = {
        "stream": maybe(_stream(dice)),
        "pattern": maybe(dice.choice(_PATTERNS)),
        "names": maybe(dice.sample(_NAMES, dice.randrange(4))),
        "after": maybe(dice.randrange(60)) or 0,
        "before": maybe(dice.randrange(120)),
        "correlation": maybe(dice.choice(_CORRELATIONS)),
        "limit": maybe(dice.randrange(10)),
        "backwards": dice.random() < 0.4,
    }
    if dice.tags:
        conditions |= {"tags": maybe(dice.sample(_TAGS, dice.randrange(3))), "matching": maybe(_matching(dice))}
    return f"query({conditions})", lambda store: [_seen(each) for each in store.query(**conditions)]


def _streams(dice: _Dice) -> tuple[str, Callable[[Store], object]]:
    pattern, limit = dice.choice([None, *_PATTERNS]), dice.choice([None, dice.randrange(6)])
    after = dice.choice([None, _stream(dice)])
    return (
        f"streams(pattern={pattern!r}, after={after!r}, limit={limit})",
        lambda store: [
            (each.stream, each.version, each.first_position, each.last_position, each.last_name)
            for each in store.streams(pattern=pattern, after=after, limit=limit)
        ],
    )


def _save_snapshot(dice: _Dice) -> tuple[str, Callable[[Store], object]]:
    # Always at the stream's own version: what becomes of older ones is a store's own affair.
    stream, data = _stream(dice), dice.randbytes(dice.randrange(40))
    return (
        f"save_snapshot({stream!r})",
        lambda store: store.save_snapshot(stream, store.version(stream), data),
    )


def _latest_snapshot(dice: _Dice) -> tuple[str, Callable[[Store], object]]:
    stream, bound = _stream(dice), dice.choice([None, dice.randrange(12)])

    def call(store: Store) -> object:
        found = store.latest_snapshot(stream, at_or_below=bound)
        return None if found is None else (found.version, found.data)

    return f"latest_snapshot({stream!r}, at_or_below={bound})", call


def _version(dice: _Dice) -> tuple[str, Callable[[Store], object]]:
    stream = _stream(dice)
    return f"version({stream!r})", lambda store: (store.version(stream), store.head)


_STEPS: dict[str, Callable[[_Dice], tuple[str, Callable[[Store], object]]]] = {
    "append": _append,
    "append_many": _append_many,
    "load": _load,
    "query": _query,
    "streams": _streams,
    "save_snapshot": _save_snapshot,
    "latest_snapshot": _latest_snapshot,
    "version": _version,
}

_ENDING: list[tuple[str, Callable[[Store], object]]] = [
    ("query()", lambda store: [_seen(each) for each in store.query()]),
    ("names()", lambda store: store.names()),
    ("head", lambda store: store.head),
    ("stats()", lambda store: (store.stats().events, store.stats().streams)),
    ("verify()", lambda store: _verified(store)),
]


def _verified(store: Store) -> object:
    report = store.verify()
    return report.events, report.commits, report.streams, report.healthy


def _places(appended: Any) -> tuple[int, int, int, int]:
    return appended.first_version, appended.last_version, appended.first_position, appended.last_position


def _stream(dice: _Dice) -> str:
    return dice.choice(_STREAMS)


def _events(dice: _Dice) -> list[NewEvent]:
    return [_event(dice) for _ in range(dice.randrange(1, 4))]


def _event(dice: _Dice) -> NewEvent:
    name, data = dice.choice(_NAMES), b'{"amount": %d}' % dice.randrange(100)
    return (name, data, dice.sample(_TAGS, dice.randrange(4))) if dice.tags else (name, data)


def _matching(dice: _Dice) -> Query:
    def some(texts: list[str]) -> list[str]:
        return dice.sample(texts, dice.randrange(3))

    return Query([QueryItem(some(_NAMES), some(_TAGS)) for _ in range(dice.randrange(1, 4))])


def _guards(dice: _Dice) -> dict[str, Any]:
    more: dict[str, Any] = {}
    if dice.tags and dice.random() < 0.4:
        more["condition"] = Condition(_matching(dice), dice.randrange(80))
    if dice.tags and dice.random() < 0.15:
        more["key"] = dice.choice(_KEYS)
    return more


def _expected(dice: _Dice) -> int | None:
    return dice.choice([None, None, 0, dice.randrange(8)])


def _meta(dice: _Dice) -> Meta | None:
    return dice.choice([None, Meta(correlation=dice.choice(_CORRELATIONS)), Meta(extra={"by": dice.randrange(3)})])
