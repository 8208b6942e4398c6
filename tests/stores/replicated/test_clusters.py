"""Nodes on real clusters, while nodes of the engine and of the store are killed and put to sleep.

Short by default; ACT_FAST_CLUSTER_SECONDS says for how long a story goes on.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from act_fast.stores.replicated.store import ReplicatedStore
from tests.stores.replicated.nodes import level
from tests.support.kafka import kafka_brokers
from tests.support.nats import nats_servers
from tests.support.servers import Unavailable, die_with_parent, unavailable

SECONDS = float(os.environ.get("ACT_FAST_CLUSTER_SECONDS", "20"))
NODES = 3
PATIENCE_SECONDS = 90.0


class Engine(Protocol):
    """Three servers."""

    def url(self, name: str) -> str: ...
    def start(self, number: int) -> None: ...
    def stop(self, number: int) -> None: ...


class Node:
    """A program that has the store open, with a replica of its own, and is started again when it was killed."""

    def __init__(self, folder: Path, url: str, name: str) -> None:
        self.notes = folder / f"{name}.notes"
        self.replica = folder / name
        self._address = f"{url}{'&' if '?' in url else '?'}replica={self.replica}"
        self._name = name
        self._lives = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, seed: int) -> None:
        self._lives += 1
        with open(self.notes.with_suffix(".log"), "ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.stores.replicated.node"),
                    *(self._address, str(self.notes), f"{self._name}.{self._lives}", str(seed)),
                ],
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
            )

    def end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE_SECONDS)
            self._process = None

    def signal(self, which: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(which)

    def lines(self, word: str) -> list[list[str]]:
        """What it has noted, with this word at the beginning."""
        if not self.notes.exists():
            return []
        return [line.split()[1:] for line in self.notes.read_text().splitlines() if line.split()[0] == word]

    def said(self) -> str:
        return self.notes.with_suffix(".log").read_text()[-3000:]


@contextmanager
def running(folder: Path, url: str, seed: int) -> Iterator[list[Node]]:
    """Nodes that write and react; they end in good order."""
    nodes = [Node(folder, url, f"node-{number}") for number in range(NODES)]
    try:
        for number, node in enumerate(nodes):
            node.start(seed + number)
        for node in nodes:
            until(lambda node=node: node.lines("did"), node)  # type: ignore[misc]
        yield nodes
        for node in nodes:
            node.end(signal.SIGTERM)
    finally:
        for node in nodes:
            node.end(signal.SIGKILL)


def until(true: Callable[[], object], node: Node) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < end, node.said()
        time.sleep(0.1)


def goes_on(node: Node) -> None:
    """Return once it has written something from now on."""
    before = len(node.lines("did"))
    until(lambda: len(node.lines("did")) > before, node)


def check(folder: Path, url: str, nodes: list[Node], seed: int) -> None:
    """All replicas hold the same: all that was acknowledged, once, in versions without a gap."""
    with ExitStack() as opened:
        stores = [opened.enter_context(ReplicatedStore(url, node.replica)) for node in nodes]
        facts = level(stores)
        assert all(not each.verify().problems for each in stores)
    written = Counter((stream, json.loads(data)["by"], json.loads(data)["number"]) for _, stream, *_, data, _ in facts)
    assert max(written.values()) == 1, f"seed {seed}"
    by_node = Counter((stream, by.split(".")[0], number) for stream, by, number in written)
    for node in nodes:
        did = Counter((stream, node.replica.name, int(number)) for stream, number in node.lines("did"))
        missing = [each for each in did if by_node[each] < did[each]]
        assert not missing, f"seed {seed}: acknowledged, and not there: {missing[:5]}"
    versions: dict[str, int] = {}
    for _, stream, version, *_ in facts:
        assert version == versions.get(stream, 0) + 1
        versions[stream] = version


def handled_all(nodes: list[Node], url: str) -> None:
    """Return once every event has been handled by some node."""
    with ReplicatedStore(url, nodes[0].replica.with_name("reader")) as store:
        facts = {(each.stream, str(each.version)) for each in store.query()}
    done = {(stream, version) for node in nodes for stream, version in node.lines("handled")}
    end = time.monotonic() + PATIENCE_SECONDS
    while facts - done:
        assert time.monotonic() < end, f"not handled: {sorted(facts - done)[:5]}; {nodes[0].said()}"
        time.sleep(0.2)
        done = {(stream, version) for node in nodes for stream, version in node.lines("handled")}


@pytest.fixture(params=["nats", "kafka"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with ExitStack() as ending:
        try:
            yield ending.enter_context(nats_servers(3) if request.param == "nats" else kafka_brokers(3))
        except Unavailable as reason:
            unavailable(reason)


def test_nothing_is_lost_or_doubled_whoever_is_killed(engine: Engine, tmp_path: Path, seed: int) -> None:
    dice, url = random.Random(seed), engine.url("killed")
    with running(tmp_path, url, seed) as nodes:
        end, stories = time.monotonic() + SECONDS, 0
        while time.monotonic() < end or stories < 3:
            story = ("engine", "node", "sleep")[stories % 3]
            stories += 1
            victim = dice.randrange(3)
            if story == "engine":
                engine.stop(victim)
                goes_on(nodes[(victim + 1) % NODES])
                engine.start(victim)
            elif story == "node":
                nodes[victim].end(signal.SIGKILL)
                goes_on(nodes[(victim + 1) % NODES])
                nodes[victim].start(seed + stories)
                goes_on(nodes[victim])
            else:
                nodes[victim].signal(signal.SIGSTOP)
                goes_on(nodes[(victim + 1) % NODES])
                time.sleep(3.0)  # longer than a lease
                nodes[victim].signal(signal.SIGCONT)
                goes_on(nodes[victim])
        handled_all(nodes, url)
    check(tmp_path, url, nodes, seed)
