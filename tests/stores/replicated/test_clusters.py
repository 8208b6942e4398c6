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
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from act_fast.stores.replicated.store import ReplicatedStore
from tests.stores.replicated.node import digest
from tests.stores.replicated.nodes import Facts, level
from tests.support.histories import NEVER, Append, Load, Operation, session_violation, violations
from tests.support.kafka import KafkaBrokers, kafka_brokers
from tests.support.nats import NatsServers, nats_servers
from tests.support.proxy import Proxy
from tests.support.servers import Unavailable, die_with_parent, unavailable

SECONDS = float(os.environ.get("ACT_FAST_CLUSTER_SECONDS", "20"))
NODES = 3
PATIENCE_SECONDS = 90.0
CUT_SECONDS = float(os.environ.get("ACT_FAST_CUT_SECONDS", "3"))
"""How long a network is cut, and a majority away: longer than the heartbeats of the engines."""


class Engine(Protocol):
    """Three servers."""

    def url(self, name: str) -> str: ...
    def start(self, number: int) -> None: ...
    def stop(self, number: int) -> None: ...


class Networks:
    """The networks between the nodes and the engine: on NATS each node has its own, on Kafka they share one."""

    def __init__(self, engine: Engine, ending: ExitStack) -> None:
        if isinstance(engine, KafkaBrokers):
            self.urls = [engine.url("cut")] * NODES
            self._proxies = [engine.proxies] * NODES
        else:
            assert isinstance(engine, NatsServers)
            self._proxies = [[ending.enter_context(Proxy(port)) for port in engine.ports] for _ in range(NODES)]
            self.urls = [engine.url("cut", ports=[each.port for each in proxies]) for proxies in self._proxies]
        self.shared = isinstance(engine, KafkaBrokers)

    @contextmanager
    def held(self, node: int, *directions: str) -> Iterator[None]:
        """Nothing comes through in these directions while the block lasts."""
        for each in self._proxies[node]:
            each.hold(*directions)
        try:
            yield
        finally:
            for each in self._proxies[node]:
                each.let_through()


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
def running(folder: Path, urls: Sequence[str], seed: int) -> Iterator[list[Node]]:
    """Nodes that write and react; they end in good order."""
    nodes = [Node(folder, url, f"node-{number}") for number, url in enumerate(urls)]
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
    check_history(nodes, facts)
    noted = [json.loads(data) | {"stream": stream} for _, stream, _, name, _, data, _ in facts if name == "Noted"]
    written = Counter((each["stream"], each["by"], each["number"]) for each in noted)
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
        facts = {(each.stream, str(each.version)) for each in store.query(names=["Noted"])}
    done = {(stream, version) for node in nodes for stream, version in node.lines("handled")}
    end = time.monotonic() + PATIENCE_SECONDS
    while facts - done:
        assert time.monotonic() < end, f"not handled: {sorted(facts - done)[:5]}; {nodes[0].said()}"
        time.sleep(0.2)
        done = {(stream, version) for node in nodes for stream, version in node.lines("handled")}


def check_history(nodes: list[Node], facts: Facts) -> None:
    """One order explains what was asked and told, each node has followed it, and no follower has missed anything."""
    there: dict[str, list[str]] = {}
    for _, stream, _, name, _, data, _ in facts:
        if name == "Marked":
            there.setdefault(stream, []).append(json.loads(data))
    history = [each for node in nodes for each in operations(node, there)]
    assert not violations([*(each for each in history if isinstance(each.what, Append)), *last_loads(there)])
    assert not session_violation(history, there)
    never = {mark for node in nodes for (mark,) in node.lines("never")}
    assert not never & {mark for marks in there.values() for mark in marks}
    assert not [line for node in nodes for line in node.lines("gap")]


def operations(node: Node, there: dict[str, list[str]]) -> Iterator[Operation]:
    """What a node has asked, as its notes say. Whatever it was not told may have happened, or not."""
    told = {mark: words for mark, *words in node.lines("told")}
    never = {mark for (mark,) in node.lines("never")}
    for mark, stream, asked, *rest in node.lines("asks"):
        (expected,) = map(number_of, rest)
        if mark in told:
            answered, version, actual = told[mark]
            what = Append(mark, expected, number_of(version), number_of(actual))
            yield Operation(node.replica.name, stream, float(asked), float(answered), what)
        elif mark not in never:
            yield Operation(node.replica.name, stream, float(asked), NEVER, Append(mark, expected))
    for stream, at, length, told_digest in node.lines("read"):
        marks = there.get(stream, [])[: int(length)]
        assert len(marks) == int(length)
        assert digest(marks) == int(told_digest), f"{node.replica.name} has read in {stream} what is not there"
        yield Operation(node.replica.name, stream, float(at), float(at), Load(tuple(marks)))


def last_loads(there: dict[str, list[str]]) -> Iterator[Operation]:
    now = time.monotonic()
    for stream, marks in there.items():
        yield Operation("end", stream, now, now + 1, Load(tuple(marks)))


def number_of(word: str) -> int | None:
    return None if word == "None" else int(word)


@pytest.fixture(params=["nats", "kafka"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with ExitStack() as ending:
        try:
            yield ending.enter_context(nats_servers(3) if request.param == "nats" else kafka_brokers(3))
        except Unavailable as reason:
            unavailable(reason)


def test_nothing_is_lost_or_doubled_whoever_is_killed(engine: Engine, tmp_path: Path, seed: int) -> None:
    dice, url = random.Random(seed), engine.url("killed")
    with running(tmp_path, [url] * NODES, seed) as nodes:
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


def test_nothing_is_lost_or_doubled_whatever_is_cut_off(engine: Engine, tmp_path: Path, seed: int) -> None:
    dice, begun = random.Random(seed), time.monotonic()
    with ExitStack() as ending:
        networks = Networks(engine, ending)
        with running(tmp_path, networks.urls, seed) as nodes:
            while True:
                victim = dice.randrange(NODES)
                for directions in (("asked", "answered"), ("answered",)):
                    with networks.held(victim, *directions):
                        if not networks.shared:
                            goes_on(nodes[(victim + 1) % NODES])
                        time.sleep(CUT_SECONDS)
                    goes_on(nodes[victim])
                for number in (victim, (victim + 1) % 3):
                    engine.stop(number)
                time.sleep(CUT_SECONDS)
                for number in (victim, (victim + 1) % 3):
                    engine.start(number)
                for node in nodes:
                    goes_on(node)
                if isinstance(engine, NatsServers):
                    engine.part(victim)
                    time.sleep(CUT_SECONDS)
                    goes_on(nodes[0])
                    engine.join()
                    for node in nodes:
                        goes_on(node)
                if time.monotonic() > begun + SECONDS:
                    break
            handled_all(nodes, networks.urls[0])
    check(tmp_path, engine.url("cut"), nodes, seed)
