"""The kill loop: processes append, are killed at any moment, and nothing that was acknowledged may be missing.

Each commit is determined by its writer and its number, so a checker can make it anew and compare. Writers acknowledge
through a pipe after `append` has returned. What is found after a kill must be whole commits, byte for byte, in each
writer's order, up to the last acknowledged one, or one further: the one that was under way.

ACT_FAST_KILLS sets how many kills there are in all.
"""

import os
import random
import shutil
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from act_fast import Append, Committed, Durability, LogStore
from tests.support.processes import Process, Tell, started

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

    def read(self, store: LogStore) -> None:
        """Read on, and make sure that all of it is whole commits, as they were written."""
        events = list(store.query(after=self.head))
        while events:
            events = self._commit(events)

    def check(self, store: LogStore, acknowledged: dict[int, int]) -> None:
        """Read on to the end, which must be where the writers were told that they had come to."""
        self.read(store)
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


def after_a_restart(path: Path) -> Path:
    """The store as it would be after a restart of the machine: a copy has no shared memory that could be trusted."""
    copy = path.with_name(f"{path.stem}-again.act")
    shutil.copytree(path, copy)
    shutil.rmtree(path)
    return copy


def writing(path: Path, durability: Durability, writer: int, first: int) -> Callable[[Tell], None]:
    def body(tell: Tell) -> None:
        write(LogStore(path, durability=durability, segment_bytes=64 * 1024, flush_interval=0.005), writer, first, tell)

    return body


@pytest.mark.parametrize("durability", [*DURABILITIES, "any"])
def test_one_writer_killed_at_any_moment_loses_nothing_acknowledged(
    tmp_path: Path, durability: Durability | Literal["any"], dice: random.Random
) -> None:
    checker, path = Checker(), tmp_path / "store.act"
    for kill in range(1, 1 + max(1, KILLS // 5)):
        if kill % KILLS_OF_ONE_STORE == 0:
            checker, path = Checker(), tmp_path / f"store-{kill}.act"
        now = dice.choice(DURABILITIES) if durability == "any" else durability
        with started(writing(path, now, 0, checker.commits[0] + 1)) as (process,):
            before = checker.commits[0]
            if dice.random() < 0.8:
                process.next_line()
                before += 1
            time.sleep(dice.uniform(0, 0.03))
            process.kill()
            process.wait()
            acknowledged = last_line(process, before)
        if path.exists() and dice.random() < 0.3:
            path = after_a_restart(path)
        with LogStore(path, durability=now) as store:
            checker.check(store, {0: acknowledged})


@pytest.mark.parametrize("durability", DURABILITIES)
def test_some_of_several_writers_killed_disturb_neither_the_others_nor_the_log(
    tmp_path: Path, durability: Durability, dice: random.Random
) -> None:
    path = tmp_path / "store.act"
    LogStore(path, segment_bytes=64 * 1024).close()
    checker = Checker()
    for _ in range(max(1, KILLS // (10 * WRITERS * len(DURABILITIES)))):
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


@pytest.mark.parametrize("read_only", [False, True], ids=["writing handle", "reading handle"])
def test_a_follower_goes_on_over_the_deaths_of_writers_and_nothing_it_saw_is_gone(
    tmp_path: Path, read_only: bool, dice: random.Random
) -> None:
    path = tmp_path / "store.act"
    LogStore(path, segment_bytes=64 * 1024).close()
    stop = tmp_path / "stop"

    def follow(tell: Tell) -> None:
        with LogStore(path, durability="os", read_only=read_only) as store:
            checker = Checker()
            tell("following")
            while not stop.exists() or checker.head < store.head:
                store.wait(checker.head, timeout=0.01)
                checker.read(store)
            tell(checker.head)

    with started(follow) as (follower,):
        follower.next_line()
        first = 1
        for _ in range(max(1, KILLS // 20)):
            with started(writing(path, "os", 0, first)) as (process,):
                process.next_line()
                time.sleep(dice.uniform(0, 0.02))
                process.kill()
                process.wait()
            with LogStore(path, durability="os") as store:
                first = 1 + commits_of(store, 0)
        stop.touch()
        seen = int(follower.next_line())
        assert follower.wait() == 0
    with LogStore(path, durability="os") as store:
        assert store.head == seen
        checker = Checker()
        checker.read(store)
        assert store.verify().healthy


def test_a_death_while_the_index_is_made_anew_leaves_it_to_the_next(tmp_path: Path, dice: random.Random) -> None:
    path = tmp_path / "store.act"

    def rebuild(tell: Tell) -> None:
        store = LogStore(path, durability="os")
        tell("ready")
        while True:
            store.rebuild_index()

    with LogStore(path, durability="os", segment_bytes=64 * 1024) as store:
        for commit in range(1, 300):
            store.append_many(commit_of(0, commit))
    for _ in range(max(1, KILLS // 20)):
        with started(rebuild) as (process,):
            process.next_line()
            time.sleep(dice.uniform(0, 0.02))
            process.kill()
            process.wait()
        with LogStore(path, durability="os") as store:
            Checker().check(store, {0: 299})


def commits_of(store: LogStore, writer: int) -> int:
    """How many commits of a writer there are."""
    last = next(store.query(stream=f"own-{writer}", backwards=True, limit=1))
    return msgspec.json.decode(last.data, type=Payload).commit
