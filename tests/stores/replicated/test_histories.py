"""The checker of histories finds what is wrong with them, and nothing where nothing is; runs on a log in memory."""

import itertools
import os
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from act_fast import ConcurrencyError, OutcomeUnknownError
from act_fast.stores.ordered.memory import Faults, MemoryEngine
from act_fast.stores.replicated.store import ReplicatedStore
from tests.stores.replicated.nodes import at_once, level, nodes
from tests.support.histories import (
    NEVER,
    Append,
    Load,
    Operation,
    linearisable,
    session_violation,
    violations,
)

TURNS = int(os.environ.get("ACT_FAST_PROGRAMS", "3"))


def done(asked: float, answered: float, what: Append | Load, client: str = "c") -> Operation:
    return Operation(client, "s", asked, answered, what)


FINE = [
    [],
    [done(0, 1, Append("a", 0, 1)), done(2, 3, Load(("a",)))],
    [done(0, 5, Append("a", 0, 1)), done(1, 2, Load(())), done(3, 4, Load(("a",)))],
    [done(0, 5, Append("a", None, 2)), done(1, 4, Append("b", None, 1)), done(6, 7, Load(("b", "a")))],
    [done(0, 5, Append("a", 0, 1)), done(1, 4, Append("b", 0, actual=1))],
    [done(0, NEVER, Append("a", 0)), done(1, 2, Load(())), done(3, 4, Load(("a",)))],
    [done(0, NEVER, Append("a", 0)), done(1, 2, Append("b", 0, 1)), done(3, 4, Load(("b",)))],
    [done(0, NEVER, Append("a")), done(1, 2, Append("b", 0, 1)), done(3, 4, Load(("b", "a")))],
]
WRONG = {
    "a read that was acknowledged is stale": [done(0, 1, Append("a", 0, 1)), done(2, 3, Load(()))],
    "an update is lost": [done(0, 1, Append("a", 0, 1)), done(2, 3, Append("b", 0, 1))],
    "an event is doubled": [done(0, 1, Append("a", None, 1)), done(2, 3, Load(("a", "a")))],
    "a read goes back": [
        done(0, 9, Append("a", 0, 1)),
        done(1, 2, Load(("a",))),
        done(3, 4, Load(())),
    ],
    "the order changes": [
        done(0, 1, Append("a", None, 1)),
        done(2, 3, Append("b", None, 2)),
        done(4, 5, Load(("b", "a"))),
    ],
    "what was refused is there": [
        done(0, 1, Append("a", 0, 1)),
        done(2, 3, Append("b", 0, actual=1)),
        done(4, 5, Load(("a", "b"))),
    ],
    "it was refused without a reason": [done(0, 1, Append("a", 0, actual=0))],
    "what is not known was done twice": [
        done(0, NEVER, Append("a")),
        done(1, 2, Load(("a",))),
        done(3, 4, Load(("a", "a"))),
    ],
    "what is not known is there before it was asked for": [
        done(0, 1, Load(("a",))),
        done(2, NEVER, Append("a")),
    ],
}


@pytest.mark.parametrize("history", FINE)
def test_a_history_that_an_order_explains_is_fine(history: list[Operation]) -> None:
    assert linearisable(history)


@pytest.mark.parametrize("name", WRONG)
def test_a_history_that_no_order_explains_is_not(name: str) -> None:
    assert not linearisable(WRONG[name])


def test_the_search_agrees_with_trying_every_order(seed: int) -> None:
    dice = random.Random(seed)
    agreed = {True: 0, False: 0}
    for _ in range(400):
        history = _by_chance(dice)
        found = _tried(history)
        assert linearisable(history) == found, history
        agreed[found] += 1
    assert min(agreed.values()) > 40


def _by_chance(dice: random.Random) -> list[Operation]:
    history: list[Operation] = []
    for number in range(dice.randint(1, 5)):
        asked = dice.randint(0, 6)
        answered = asked + dice.randint(1, 6)
        expected = dice.choice([None, 0, 1, 2])
        kind = dice.random()
        if kind < 0.3:
            marks = dice.sample("01234", dice.randint(0, 2))
            history.append(done(asked, answered, Load(tuple(marks))))
        elif kind < 0.7:
            version = dice.randint(1, 3) if expected is None else expected + 1
            history.append(done(asked, answered, Append(str(number), expected, version)))
        elif kind < 0.85:
            history.append(done(asked, NEVER, Append(str(number), expected)))
        else:
            history.append(done(asked, answered, Append(str(number), expected or 0, actual=dice.randint(0, 2))))
    return history


def _tried(history: list[Operation]) -> bool:
    unknown = [each for each in history if isinstance(each.what, Append) and each.what.unknown]
    certain = [each for each in history if each not in unknown]
    return any(
        _explains(order)
        for count in range(len(unknown) + 1)
        for landed in itertools.combinations(unknown, count)
        for order in itertools.permutations([*certain, *landed])
    )


def _explains(order: tuple[Operation, ...]) -> bool:
    for at, each in enumerate(order):
        if any(later.answered < each.asked for later in order[at + 1 :]):
            return False
    stream: list[str] = []
    for each in order:
        what = each.what
        if isinstance(what, Load):
            if list(what.marks) != stream:
                return False
        elif what.actual is not None:
            if what.actual != len(stream) or what.expected in (None, len(stream)):
                return False
        else:
            if what.expected not in (None, len(stream)) or what.version not in (None, len(stream) + 1):
                return False
            stream.append(what.mark)
    return True


class Clients:
    """Clients that append and load, and write down what came of it."""

    def __init__(self, seed: int) -> None:
        self.history: list[Operation] = []
        self._seed = seed
        self._numbers = itertools.count()

    def run(self, store: ReplicatedStore, client: str, count: int) -> None:
        dice = random.Random(f"{self._seed} {client}")
        for _ in range(count):
            stream = f"s{dice.randrange(2)}"
            asked = time.monotonic()
            answered, what = NEVER, self._ask(store, stream, dice)
            if isinstance(what, Load) or not what.unknown:
                answered = time.monotonic()
            self.history.append(Operation(client, stream, asked, answered, what))

    def _ask(self, store: ReplicatedStore, stream: str, dice: random.Random) -> Append | Load:
        if dice.random() < 0.4:
            return Load(tuple(each.data.decode().strip('"') for each in store.load(stream)))
        mark, expected = f"m{next(self._numbers)}", None
        if dice.random() < 0.7:
            expected = max(0, store.version(stream) - (dice.random() < 0.2))
        try:
            found = store.append(stream, [("Counted", f'"{mark}"'.encode())], expected_version=expected)
        except ConcurrencyError as error:
            return Append(mark, expected, actual=error.actual)
        except OutcomeUnknownError:
            return Append(mark, expected)
        return Append(mark, expected, found.last_version)


@pytest.mark.parametrize("turn", range(TURNS))
def test_clients_of_one_node_see_one_order_whatever_becomes_of_acknowledgements(
    tmp_path: Path, turn: int, seed: int
) -> None:
    faults = Faults(seed=seed + turn, lost=0.05, landed=0.05, late=0.05, doubled=0.05, hidden=0.1)
    clients = Clients(seed + turn)
    with nodes(tmp_path, 1, faults) as (node,):
        at_once(*(partial(clients.run, node, f"client-{number}", 40) for number in range(4)))
    assert not violations(clients.history)


@pytest.mark.parametrize("turn", range(TURNS))
def test_appends_of_many_nodes_have_one_order_and_each_node_follows_it(tmp_path: Path, turn: int, seed: int) -> None:
    faults = Faults(seed=seed + turn, landed=0.05, late=0.05, doubled=0.05, hidden=0.1)
    clients = Clients(seed + turn)
    with nodes(tmp_path, 3, faults) as stores:
        at_once(*(partial(clients.run, node, f"client-{number}", 40) for number, node in enumerate(stores)))
        there: dict[str, list[str]] = {}
        for _, stream, *_, data, _ in level(stores):
            there.setdefault(stream, []).append(data.decode().strip('"'))
    appends = [each for each in clients.history if isinstance(each.what, Append)]
    last = max(each.answered for each in appends if each.answered < NEVER)
    final = [Operation("end", stream, last + 1, last + 2, Load(tuple(marks))) for stream, marks in there.items()]
    assert not violations([*appends, *final])
    assert not session_violation(clients.history, there)


class Stale(ReplicatedStore):
    """Reads what was there a while ago."""

    def load(self, stream, **options):  # type: ignore[no-untyped-def]
        return iter(list(super().load(stream, **options))[:-1])


class Lossy(ReplicatedStore):
    """Acknowledges an append without making it."""

    def append(self, stream, events, *, expected_version=None, meta=None):  # type: ignore[no-untyped-def]
        found = super().append(stream, events, expected_version=expected_version, meta=meta)
        if found.last_version % 7 == 0:
            return type(found)(*(each for each in (found.first_version, found.last_version - 1, 1, 1)))
        return found


class Doubling(ReplicatedStore):
    """Appends twice."""

    def append(self, stream, events, *, expected_version=None, meta=None):  # type: ignore[no-untyped-def]
        found = super().append(stream, events, expected_version=expected_version, meta=meta)
        if found.last_version % 5 == 0:
            super().append(stream, events, meta=meta)
        return found


@pytest.mark.parametrize("kind", [Stale, Lossy, Doubling])
def test_a_store_that_breaks_its_promise_is_found_out(
    tmp_path: Path, kind: Callable[..., ReplicatedStore], seed: int
) -> None:
    clients = Clients(seed)
    with kind(MemoryEngine().open(), tmp_path / "replica") as node:
        at_once(*(partial(clients.run, node, f"client-{number}", 40) for number in range(2)))
    assert violations(clients.history)
