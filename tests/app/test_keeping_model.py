"""Whatever is done, asked again, restarted, pruned, compressed and archived in whatever order: states stay right."""

import os
import random
from pathlib import Path
from typing import Any

import pytest

from act_fast import Act, LogStore
from tests.support.sums import Sum

SEED = int(os.environ.get("ACT_FAST_SEED", "1"))
STEPS = 80


class Model:
    """An app, and the totals that it should have."""

    def __init__(self, path: Path, dice: random.Random) -> None:
        self.path, self.dice = path, dice
        self.totals: dict[str, int] = {}
        self.asked: list[tuple[str, list[Any], list[Any]]] = []
        self.open()

    def open(self) -> None:
        store = LogStore(self.path / "sums.act", segment_bytes=64 << 10, durability="os")
        self.app = Act(store, Sum)

    def close(self) -> None:
        self.app.close()
        self.app.store.close()

    def stream(self) -> str:
        return f"sum-{self.dice.randrange(4)}"

    def do(self) -> None:
        stream, number = self.stream(), self.dice.randrange(10)
        self.totals[stream] = self.totals.get(stream, 0) + number
        assert self.app.do(Sum.add, stream, number=number).state.total == self.totals[stream]

    def once(self) -> None:
        one, other, key = self.stream(), self.stream(), f"request-{len(self.asked)}"
        calls = [Sum.add.at(one, number=1), Sum.twice.at(other, number=2), Sum.add.at(one, number=3)]
        self.asked.append((key, calls, seen(self.app.once(key).do_many(*calls))))
        self.totals[one] = self.totals.get(one, 0) + 4
        self.totals[other] = self.totals.get(other, 0) + 4

    def again(self) -> None:
        if self.asked:
            key, calls, answer = self.dice.choice(self.asked)
            assert seen(self.app.once(key).do_many(*calls)) == answer

    def restart(self) -> None:
        if (stream := self.stream()) in self.totals:
            self.app.restart_stream(Sum, stream)

    def prune(self) -> None:
        self.app.store.unarchive(remove=True)  # type: ignore[attr-defined]
        self.app.prune()

    def keep(self) -> None:
        store: Any = self.app.store
        how = self.dice.choice(["compress", "decompress", "archive"])
        if how == "archive":
            store.archive(self.path / "archive")
        elif how == "compress":
            store.compress(seal=self.dice.random() < 0.5)
        else:
            store.decompress()

    def reopen(self) -> None:
        self.close()
        self.open()

    def check(self) -> None:
        assert {stream: each.state.total for stream, each in self.app.replay(Sum)} == self.totals
        assert {stream: self.app.load(Sum, stream).state.total for stream in self.totals} == self.totals
        assert self.app.store.verify().healthy


def seen(found: Any) -> list[Any]:
    return [(each.state.total, each.version, each.position, each.appended) for each in found]


@pytest.mark.parametrize("seed", range(SEED, SEED + 5))
def test_states_and_answers_stay_right(tmp_path: Path, seed: int) -> None:
    model = Model(tmp_path, random.Random(seed))
    steps = [model.do, model.once, model.again, model.restart, model.prune, model.keep, model.reopen, model.check]
    for step in model.dice.choices(steps, [3, 2, 2, 1, 1, 2, 1, 1], k=STEPS):
        step()
    model.check()
    model.close()
