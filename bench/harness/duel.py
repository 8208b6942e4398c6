"""Subject and peers, round by round in one process, so that a noisy machine is noisy for all of them.

pytest-benchmark times the subject; the peers of a round run just before it, in its set-up. What they took goes into the
benchmark's extra information, from where the report takes it.
"""

import gc
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from pytest_benchmark.fixture import BenchmarkFixture

from bench.harness.row import Curve, Measurement, Row

__all__ = ["Absent", "Body", "Contender", "Duel", "Prepared"]

Body = Callable[[], object]
Prepared = Callable[[Path], AbstractContextManager[Body]]
"""Given an empty directory: everything that is not measured, around the body that is."""


@dataclass(frozen=True)
class Contender:
    """Somebody who does the row's work: `count` units of it in one call of the prepared body."""

    name: str
    durability: str
    count: int
    prepare: Prepared


@dataclass(frozen=True)
class Absent:
    """Somebody who could not come, and why: the report says so in the place of figures."""

    name: str
    reason: str


@dataclass
class Duel:
    """The rounds of one row."""

    benchmark: BenchmarkFixture
    directory: Path
    rounds: int

    def fight(self, row: Row, subject: Contender, *peers: Contender | Absent, rounds_times: int = 1) -> None:
        """Time every contender once a round and hand the rates over to the report.

        `rounds_times`: so many times the usual rounds, which had better be short, where speed wanders within seconds.
        """
        present = [peer for peer in peers if isinstance(peer, Contender)]
        peer_seconds: dict[str, list[float]] = {peer.name: [] for peer in present}
        entered: list[AbstractContextManager[Body]] = []

        def setup() -> tuple[tuple[Body], dict[str, Any]]:
            for peer in present:
                peer_seconds[peer.name].append(self.seconds(peer))
            arena = self.arena(subject)
            entered.append(arena)
            return (arena.__enter__(),), {}

        def teardown(_body: Body) -> None:
            entered.pop().__exit__(None, None, None)

        def run(body: Body) -> None:
            body()

        subject_seconds = self.time(
            run, setup=setup, teardown=teardown, rounds=self.rounds * rounds_times, warmup_rounds=1
        )
        measured = [rates(subject, subject_seconds)]
        measured += [
            rates(peer, peer_seconds[peer.name][1:])
            if isinstance(peer, Contender)
            else Measurement(peer.name, "", [], peer.reason)
            for peer in peers
        ]
        self.observe(row, measured)

    def time(self, run: Callable[..., object], **rounds: Any) -> list[float]:
        """Have pytest-benchmark time `run`, with its own options for rounds; the seconds of each."""
        pedantic: Callable[..., object] = self.benchmark.pedantic
        pedantic(run, **rounds)
        assert self.benchmark.stats is not None, "benchmarks are disabled"
        return list(self.benchmark.stats.stats.data)

    def observe(self, row: Row, measured: list[Measurement]) -> None:
        """Hand measurements over to the report, the subject's first."""
        self.benchmark.extra_info.setdefault("rows", {})[row.key] = [asdict(each) for each in measured]

    def draw(self, row: Row, curves: list[Curve]) -> None:
        """Hand curves over to the report, the subject's first."""
        self.benchmark.extra_info.setdefault("curves", {})[row.key] = [asdict(each) for each in curves]

    def seconds(self, contender: Contender) -> float:
        with self.arena(contender) as body:
            started = perf_counter()
            body()
            return perf_counter() - started

    @contextmanager
    def arena(self, contender: Contender) -> Iterator[Body]:
        """A directory of its own, and garbage that is nobody's swept away before the clock starts."""
        path = Path(tempfile.mkdtemp(dir=self.directory))
        try:
            with contender.prepare(path) as body:
                gc.collect()
                gc.freeze()
                yield body
                gc.unfreeze()
        finally:
            shutil.rmtree(path)


def rates(contender: Contender, seconds: list[float]) -> Measurement:
    return Measurement(contender.name, contender.durability, [contender.count / took for took in seconds])
