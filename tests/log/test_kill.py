"""The kill loop: processes append, are killed at any moment, and nothing that was acknowledged may be missing.

Each commit is determined by its writer and its number, so a checker can make it anew and compare. Writers acknowledge
through a pipe after `append` has returned. What is found after a kill must be whole commits, byte for byte, in each
writer's order, up to the last acknowledged one, or one further: the one that was under way.

ACT_FAST_KILLS sets how many kills there are in all.
"""

import os
import random
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from act_fast._log_store import Durability, LogStore
from act_fast._store import Append, Committed

from .processes import Process, Tell, started

KILLS = int(os.environ.get("ACT_FAST_KILLS", "200"))
KILLS_OF_ONE_STORE = 10
WRITERS = 3
DURABILITIES: list[Durability] = ["fsync", "interval", "os"]


class Payload(msgspec.Struct):
    writer: int
    commit: int
    index: int
    count: int
    padding: str


def commit_of(writer: int, commit: int) -> list[Append]:
    """What a writer appends as its so-many-th commit."""
    dice = random.Random(writer * 1_000_003 + commit)
    count = dice.choice([1, 1, 1, 2, 3, 10])
    streams = [f"own-{writer}", dice.choice(["shared", f"new-{writer}-{commit}"])]
    appends: list[Append] = []
    for index in range(count):
        padding = chr(65 + dice.randrange(26)) * dice.choice([0, 5, 50, 500, 5000])
        payload = msgspec.json.encode(Payload(writer, commit, index, count, padding))
        appends.append(Append(streams[index % 2], [(f"Name{dice.randrange(5)}", payload)]))
    return appends


def write(store: LogStore, writer: int, commit: int, tell: Tell) -> None:
    """Append one commit after the other, snapshots between them, until somebody puts an end to it."""
    while True:
        appends = commit_of(writer, commit)
        if len(appends) == 1:
            store.append(appends[0].stream, appends[0].events)
        else:
            store.append_many(appends)
        tell(commit)
        if commit % 10 == 0:
            store.save_snapshot(f"own-{writer}", 1, b"%d" % commit)
        commit += 1


class Checker:
    """Reads what has been added to a store, and makes sure that it is what the writers were told."""

    def __init__(self) -> None:
        self.head = 0
        self.versions: dict[str, int] = defaultdict(int)
        self.commits: dict[int, int] = defaultdict(int)

    def check(self, store: LogStore, acknowledged: dict[int, int]) -> None:
        events = list(store.query(after=self.head))
        while events:
            events = self._commit(events)
        assert store.head == self.head
        for writer, commit in acknowledged.items():
            assert self.commits[writer] in (commit, commit + 1), f"writer {writer} was told {commit}"
        for stream in ["shared", *(f"own-{writer}" for writer in acknowledged)]:
            assert store.version(stream) == self.versions[stream]
        report = store.verify()
        assert report.healthy, report.problems

    def _commit(self, events: list[Committed[bytes]]) -> list[Committed[bytes]]:
        """Check the first commit of these, and give back the rest."""
        payload = msgspec.json.decode(events[0].data, type=Payload)
        self.commits[payload.writer] += 1
        expected = commit_of(payload.writer, self.commits[payload.writer])
        assert len(events) >= len(expected), "half a commit"
        for event, append in zip(events, expected, strict=False):
            self.head += 1
            self.versions[event.stream] += 1
            assert (event.position, event.version) == (self.head, self.versions[event.stream])
            assert event.stream == append.stream
            assert (event.name, event.data) == append.events[0]
        return events[len(expected) :]


def last_line(process: Process, otherwise: int) -> int:
    """What a dead writer acknowledged last."""
    lines = list(process.lines())
    return int(lines[-1]) if lines else otherwise


def writing(path: Path, durability: Durability, writer: int, first: int) -> Callable[[Tell], None]:
    def body(tell: Tell) -> None:
        write(LogStore(path, durability=durability, segment_bytes=64 * 1024, flush_interval=0.005), writer, first, tell)

    return body


@pytest.mark.parametrize("durability", DURABILITIES)
def test_one_writer_killed_at_any_moment_loses_nothing_acknowledged(
    tmp_path: Path, durability: Durability, dice: random.Random
) -> None:
    kills = max(1, KILLS // 4)
    for kill in range(kills):
        if kill % KILLS_OF_ONE_STORE == 0:
            checker = Checker()
            path = tmp_path / f"store-{kill}.act"
        with started(writing(path, durability, 0, checker.commits[0] + 1)) as (process,):
            before = checker.commits[0]
            if dice.random() < 0.8:
                process.next_line()
                before += 1
            time.sleep(dice.uniform(0, 0.03))
            process.kill()
            process.wait()
            acknowledged = last_line(process, before)
        with LogStore(path, durability=durability) as store:
            checker.check(store, {0: acknowledged})


@pytest.mark.parametrize("durability", DURABILITIES)
def test_some_of_several_writers_killed_disturb_neither_the_others_nor_the_log(
    tmp_path: Path, durability: Durability, dice: random.Random
) -> None:
    path = tmp_path / "store.act"
    LogStore(path, segment_bytes=64 * 1024).close()
    checker = Checker()
    for _ in range(max(1, KILLS // (4 * WRITERS * len(DURABILITIES)))):
        bodies = [writing(path, durability, writer, checker.commits[writer] + 1) for writer in range(WRITERS)]
        with started(*bodies) as processes:
            acknowledged = [int(process.next_line()) for process in processes]
            for victim in dice.sample(range(WRITERS), WRITERS):
                time.sleep(dice.uniform(0, 0.02))
                processes[victim].kill()
                processes[victim].wait()
                acknowledged[victim] = last_line(processes[victim], acknowledged[victim])
                for writer, process in enumerate(processes):
                    if process.running:
                        acknowledged[writer] = int(process.next_news())
        with LogStore(path, durability=durability) as store:
            checker.check(store, dict(enumerate(acknowledged)))
