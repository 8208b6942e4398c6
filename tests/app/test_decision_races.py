"""Four processes of four threads decide at once: exactly one wins each boundary, and disjoint ones never meet."""

import json
import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from act_fast import Act, Append, ConflictError, Event, LogStore, Query, Tag, View, decision, reducer
from act_fast.stores.append_condition import Condition
from tests.support.processes import Tell, needs_proc, started, until

PROCESSES, THREADS = 4, 4
ROUNDS = int(os.environ.get("ACT_FAST_RACES", "30"))


class Claimed(Event):
    name: Tag[str]
    by: str


class Name(View, name="name"):
    by: str | None = None

    @reducer
    def claimed(self, event: Claimed) -> None:
        self.by = event.by


class TakenError(Exception):
    """Somebody else has it."""


@decision(retries=0)
def claim(name: Name, wanted: str, by: str) -> Append | None:
    if name.by == by:
        return None
    if name.by is not None:
        raise TakenError(name.by)
    return Append(f"by-{by}", [Claimed(wanted, by)])


Attempt = Callable[[Act, int, str], str]
"""What one of the contenders does in a round, and how it came out"""


def shared_name(app: Act, number: int, who: str) -> str:
    """Claim the name that all want."""
    return claimed(app, f"shared-{number}", who)


def own_name(app: Act, number: int, who: str) -> str:
    """Claim a name that nobody else wants."""
    return claimed(app, f"{who}-{number}", who)


def claimed(app: Act, name: str, who: str) -> str:
    try:
        decided = app.decide(claim, Name.of(name), name, who)
    except TakenError:
        return "taken"
    except ConflictError:
        return "others were faster"
    return "won" if decided.events else "already done"


def bare(app: Act, number: int, who: str) -> str:
    """The same with the store alone."""
    name = f"name:bare-{number}"
    event = ("Claimed", json.dumps({"name": f"bare-{number}", "by": who}).encode(), [name])
    try:
        app.store.append(f"by-{who}", [event], condition=Condition(Query.of(tags=[name])))
    except ConflictError:
        return "taken"
    return "won"


def outcomes(path: Path, attempt: Attempt) -> list[list[str]]:
    """How each round came out for each of the contenders, who begin at the same moment."""
    begin = path.with_suffix(".begin")

    def contend(tell: Tell) -> None:
        with LogStore(path, durability="os") as store, ThreadPoolExecutor(THREADS) as pool:
            app = Act(store)
            tell("ready")
            until(begin.exists)

            def one(thread: int) -> list[str]:
                return [attempt(app, number, f"{os.getpid()}.{thread}") for number in range(ROUNDS)]

            tell(json.dumps(list(pool.map(one, range(THREADS)))))

    with started(*[contend] * PROCESSES) as processes:
        assert [each.next_line() for each in processes] == ["ready"] * PROCESSES
        begin.touch()
        each = [outcome for process in processes for outcome in json.loads(process.next_line())]
        assert [process.wait() for process in processes] == [0] * PROCESSES
    return [list(found) for found in zip(*each, strict=True)]


def winners(store: LogStore, name: str) -> list[str]:
    return [json.loads(event.data)["by"] for event in store.query(tags=[f"name:{name}"])]


@needs_proc
def test_exactly_one_of_sixteen_wins_each_boundary(tmp_path: Path) -> None:
    path = tmp_path / "names.act"
    found = outcomes(path, shared_name)
    assert len(found) == ROUNDS
    with LogStore(path) as store:
        for number, round in enumerate(found):
            assert Counter(round)["won"] == len(winners(store, f"shared-{number}")) == 1
            assert set(round) <= {"won", "taken", "others were faster"}
        assert store.head == ROUNDS
        # Somebody else has won; and whoever has won hears that it is done already.
        app = Act(store)
        (winner,) = winners(store, "shared-0")
        assert claimed(app, "shared-0", winner) == "already done"
        assert claimed(app, "shared-0", "somebody else") == "taken"
        assert store.head == ROUNDS


@needs_proc
def test_exactly_one_of_sixteen_wins_each_boundary_of_the_store(tmp_path: Path) -> None:
    path = tmp_path / "names.act"
    found = outcomes(path, bare)
    with LogStore(path) as store:
        assert [Counter(round) for round in found] == [Counter(won=1, taken=15)] * ROUNDS
        assert [len(winners(store, f"bare-{number}")) for number in range(ROUNDS)] == [1] * ROUNDS


@needs_proc
def test_disjoint_boundaries_never_meet(tmp_path: Path) -> None:
    path = tmp_path / "names.act"
    found = outcomes(path, own_name)
    assert {outcome for round in found for outcome in round} == {"won"}
    with LogStore(path) as store:
        assert store.head == ROUNDS * PROCESSES * THREADS
