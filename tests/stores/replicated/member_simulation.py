"""Nodes that share the targets of a store, in one thread, with a clock, a log and faults of the simulation's own.

The rules are the real ones: each node has the state of a replica, and a keeper and a mirror on it. What lands in the
log, when, and what each node has seen of it, is decided by dice. A model beside it, written in another way, says
which generations are there; what nodes do is compared with that.
"""

import random
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from act_fast._rows import Row
from act_fast.errors import EngineAwayError, OutcomeUnknownError, StoreError
from act_fast.stores.database.news import Told
from act_fast.stores.reaction_port import Leased
from act_fast.stores.replicated.changes import Change
from act_fast.stores.replicated.keeper import ReplicaKeeper
from act_fast.stores.replicated.membership import Joins, Leaves, There, read
from act_fast.stores.replicated.reactions import ReplicaReactions
from act_fast.stores.replicated.state import Applied

LEASE_MS: Final = 6_000
WINDOW: Final = 4
SETTLING_ROUNDS: Final = 400
ROUND_MS: Final = 300
TOLERANCE_MS: Final = 100
SPEC: Final = ("audit", ["Noted"], "audit-{stream}", None, "default", 0, False, ())


class Broken(AssertionError):
    """Something that must never be was seen."""


class Model:
    """Which generations are there after each record, as told by how much time has passed in which the log moved."""

    def __init__(self) -> None:
        self.time_ms = 0
        self.moved_ms = 0
        self.heard: dict[int, int] = {}
        self.member_of: dict[int, str] = {}
        self.given = 0
        self.live_at: list[frozenset[int]] = [frozenset()]

    def land(self, record: Applied) -> None:
        passed = max(0, record.time_ms - self.time_ms)
        self.time_ms += passed
        self.moved_ms += passed if passed <= 3_000 else 0
        self.heard = {each: at for each, at in self.heard.items() if self.moved_ms - at < 10_000}
        speaker = 0
        if record.kind == "reactions":
            speaker = Change.read(record.body).generation
        else:
            says = read(record.body)
            if isinstance(says, Joins):
                self.given += 1
                self.heard = {each: at for each, at in self.heard.items() if self.member_of[each] != says.member}
                self.member_of[self.given] = says.member
                self.heard[self.given] = self.moved_ms
            elif isinstance(says, Leaves):
                self.heard.pop(says.generation, None)
            elif says is not None:
                speaker = says.generation
        if speaker in self.heard:
            self.heard[speaker] = self.moved_ms
        self.live_at.append(frozenset(self.heard))


class Held:
    """A lease as the node that has it sees it."""

    def __init__(self, leased: Leased, generation: int, until_ms: int) -> None:
        self.number, self.name, self.token = leased[0], leased[1], leased[2]
        self.positions = [row[0] for row in leased[5]]
        self.generation = generation
        self.until_ms = until_ms
        self.handled = 0


class SimLog:
    """The replica of a node, as far as reactions ask it."""

    def __init__(self, node: "Node") -> None:
        self._node = node

    @property
    def head(self) -> int:
        return self._node.head

    def log_time(self) -> int:
        return self._node.log_ms()

    def applied(self) -> int:
        return self._node.applied

    def wait_applied(self, place: int, timeout_ms: int) -> int:
        return self._node.applied

    def expect_news(self) -> int:
        return 0

    def wait_news(self, seen: int, timeout_ms: int | None = None) -> int:
        return seen

    expect_moves, wait_moves = expect_news, wait_news


class SimKeeper(ReplicaKeeper):
    """A keeper whose events are the simulation's."""

    def __init__(self, node: "Node") -> None:
        super().__init__(cast(Any, SimLog(node)), node.folder, cast(Any, node), lambda: None)
        self._node = node

    def events(self, positions: Sequence[int]) -> list[Row]:
        return [self._node.world.events[at - 1] for at in positions if at <= self._node.head]

    def events_of(
        self, names: Sequence[str], after: int, upto: int, limit: int, data: bool
    ) -> tuple[list[tuple[int, str, str, bytes]], list[Row], bool]:
        found = [row for row in self._node.world.events[after:upto] if row[3] in names]
        slim = [(row[0], row[1], row[3], b"") for row in found[:limit]]
        return slim, [], len(found) > limit

    def tell(self, told: Told) -> None:
        pass


class Silence:
    """In the place of the thread that says that a member is there: the simulation does so."""

    def __init__(self, *_: object) -> None:
        pass

    def end(self) -> None:
        pass


class Node:
    """A program with workers, and its replica."""

    def __init__(self, world: "World", number: int) -> None:
        self.world = world
        self.number = number
        self.folder = world.folder / str(number)
        self.applied = 0
        self.head = 0
        self.ahead_ms = 0
        self.base_ms, self.base_at_ms = 0, 0
        self.cut_off = False
        self.until_ms = 0
        self.lives = 0
        self.held: list[Held] = []
        self.landed_at = 0
        self.said_at_ms = 0
        self.works = False
        self.start()

    def log_ms(self) -> int:
        """The log's time as this node reckons it."""
        return self.base_ms + self.world.now_ms - self.base_at_ms + self.ahead_ms

    def start(self) -> None:
        """Begin, or begin again after a crash, with some records that are gone through once more."""
        self.lives += 1
        again = self.world.dice.randrange(6)
        self.applied = max(0, self.applied - again)
        self.keeper = SimKeeper(self)
        self.port = ReplicaReactions(self.keeper)
        self.port.register([SPEC])
        self.held = []
        self.holder = self.number << 16 | self.lives

    def join(self) -> None:
        self.works = True
        self.port.join(self.holder, None)

    def leave(self) -> None:
        while self.held:
            held = self.held.pop()
            with suppress(StoreError):
                self.port.finish([(held.number, held.token, None, "free", 0, 0, "")])
        self.works = False
        self.port.leave()

    def crash(self) -> None:
        self.port._wanted = None
        self.port.close()
        self.works = False

    def apply(self, upto: int | None = None) -> None:
        """See what is in the log up to a place."""
        records = self.world.records[self.applied : upto]
        if not records:
            return
        self.applied += len(records)
        self.head = max([self.head, *(each.number for each in records if each.kind == "events")])
        self.keeper._state.take([each for each in records if each.kind != "events"], [])
        log_ms = max(each.time_ms for each in self.world.records[: self.applied])
        self.base_ms = max(log_ms, self.log_ms())  # it never runs back
        self.base_at_ms, self.ahead_ms = self.world.now_ms, 0

    # What the keeper asks of a proposer.

    body_bytes_max: Final = 1 << 20

    def propose(self, kind: str, body: bytes) -> int:
        if self.cut_off:
            raise EngineAwayError("cut off")
        self.world.meanwhile(self)
        chance = self.world.dice.random()
        if chance < self.world.lost:
            raise OutcomeUnknownError("lost")
        if chance < self.world.lost * 2:
            self.world.late.append((self, kind, body))
            raise OutcomeUnknownError("late")
        place = self.world.land(self, kind, body)
        self.landed_at = place
        self.apply(place)
        if chance < self.world.lost * 3:
            raise OutcomeUnknownError("landed")
        return place

    def say(self, kind: str, body: bytes, *, wait_seconds: float = 0.0) -> None:
        if not self.cut_off:
            self.world.land(self, kind, body)

    def repeat(self, body: bytes) -> bool:
        return True

    # What a worker does, step by step.

    def say_there(self) -> None:
        if self.keeper.generation and self.world.now_ms - self.said_at_ms >= 2_000:
            self.said_at_ms = self.world.now_ms
            self.say("member", msgspec.json.encode(There(self.keeper.generation)))

    def correlate(self) -> None:
        self.port.correlate(20)

    def claim(self) -> None:
        free = 8 - len(self.held)
        if free <= 0:
            return
        until_ms = self.log_ms() + LEASE_MS
        leases = self.port.claim(None, free - free // 2, free // 2, WINDOW, LEASE_MS, self.holder, self.port.cut())
        for leased in leases:
            held = Held(leased, self.keeper.generation, until_ms)
            self.world.check_alone(self, held)
            self.held.append(held)

    def handle(self) -> None:
        for held in self.held:
            if held.handled < len(held.positions):
                self.world.handled[held.name].append((self.number, held.positions[held.handled]))
                held.handled += 1

    def renew(self) -> None:
        if self.held:
            until_ms = self.log_ms() + LEASE_MS
            still = self.port.renew([(each.number, each.token) for each in self.held], LEASE_MS)
            for each, kept in zip(self.held, still, strict=True):
                if kept:
                    each.until_ms = until_ms

    def finish(self) -> None:
        done = [each for each in self.held if each.handled]
        if not done:
            return
        outcomes = [(each.number, each.token, each.positions[each.handled - 1], "free", 0, 0, "") for each in done]
        accepted = self.port.finish(outcomes)
        self.held = [each for each in self.held if each not in done]
        for each, was in zip(done, accepted, strict=True):
            if was:
                self.world.take(self, each)

    def turn(self, verb: str) -> None:
        """Do something that the network may not let happen."""
        with suppress(StoreError):
            getattr(self, verb)()

    @property
    def sleeps(self) -> bool:
        return self.until_ms > self.world.now_ms


VERBS: Final = ("correlate", "claim", "claim", "handle", "handle", "finish", "finish", "renew")


class World:
    """A log, nodes and their time.

    Args:
        folder: where the state of nodes is.
        seed: of the dice.
        nodes: how many there are.
        streams: in so many streams there are events.
        faulty: whether anything goes wrong.
    """

    def __init__(self, folder: Path, seed: int, *, nodes: int = 3, streams: int = 9, faulty: bool = True) -> None:
        self.folder = folder
        self.dice = random.Random(seed)
        self.now_ms = 1_000_000
        self.records: list[Applied] = []
        self.late: list[tuple[Node, str, bytes]] = []
        self.lost = 0.03 if faulty else 0.0
        self.faulty = faulty
        self.events: list[Row] = []
        self.streams = streams
        self.model = Model()
        self.handled: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self.done: dict[str, list[int]] = defaultdict(list)
        self.of_target: dict[str, list[int]] = defaultdict(list)
        self.refused = 0
        self._nested = False
        self.nodes: list[Node] = []
        for number in range(nodes):
            self.nodes.append(Node(self, number))

    def append(self, count: int) -> None:
        """Events of some streams."""
        for _ in range(count):
            stream = f"s-{self.dice.randrange(self.streams)}"
            position = len(self.events) + 1
            self.events.append((position, stream, 1, "Noted", 0, b"{}", b""))
            self.of_target[f"audit-{stream}"].append(position)
        time_ms = max((each.time_ms for each in self.records), default=0)
        self.records.append(Applied(len(self.records) + 1, "events", b"", len(self.events), time_ms, b""))
        self.model.live_at.append(self.model.live_at[-1])

    def land(self, node: Node, kind: str, body: bytes) -> int:
        """A record is in the log; its place."""
        record = Applied(len(self.records) + 1, kind, bytes(16), 1, node.log_ms(), body)
        self.records.append(record)
        self.model.land(record)
        return record.place

    def meanwhile(self, node: Node) -> None:
        """Let others do something between what a section has seen and what it proposes."""
        if self._nested or not self.faulty:
            return
        self._nested = True
        try:
            for other in self.nodes:
                if other is not node and not other.sleeps and other.lives and self.dice.random() < 0.3:
                    other.apply(self.dice.randint(0, len(self.records)) or None)
                    other.turn(self.dice.choice(VERBS))
        finally:
            self._nested = False

    def check_alone(self, node: Node, held: Held) -> None:
        """Nobody else has a lease on a target that was leased now, but where it is over or fenced."""
        live = self.model.live_at[len(self.records)]
        for other in self.nodes:
            for each in other.held:
                over = each.until_ms <= node.log_ms() + TOLERANCE_MS or each.generation not in live
                if other is not node and each.name == held.name and not over:
                    raise Broken(f"{held.name} is with {node.number} and {other.number} at {self.now_ms}")

    def take(self, node: Node, held: Held) -> None:
        """What a node has handled was accepted."""
        if held.generation and held.generation not in self.model.live_at[node.landed_at]:
            raise Broken(f"{held.name} was finished under generation {held.generation}, which was gone")
        done = self.done[held.name]
        done += held.positions[: held.handled]
        if done != self.of_target[held.name][: len(done)]:
            raise Broken(f"the order of {held.name} is {done}, not {self.of_target[held.name]}")

    def step(self) -> None:
        """Something happens to some node."""
        dice = self.dice
        self.now_ms += dice.choice((0, 0, 50, 200, 700))
        node = dice.choice(self.nodes)
        if self.late and dice.random() < 0.3:
            sender, kind, body = self.late.pop(dice.randrange(len(self.late)))
            self.land(sender, kind, body)
        if node.sleeps:
            return
        self._mishap(node)
        if node.sleeps:
            return
        if not node.works and dice.random() < 0.3:
            node.turn("join")
        if not node.cut_off:
            node.apply(dice.choice((None, len(self.records) - dice.randrange(3))))
            node.say_there()
        if node.works:
            node.turn(dice.choice(VERBS))

    def _mishap(self, node: Node) -> None:
        if not self.faulty:
            return
        chance = self.dice.random()
        if chance < 0.02:
            node.until_ms = self.now_ms + self.dice.choice((3_000, 9_000, 14_000, 40_000))
            if self.dice.random() < 0.5:  # while it sleeps, the others go on
                self.others_go_on(node)
        elif chance < 0.03:
            node.crash()
            node.start()
        elif chance < 0.05:
            node.cut_off = not node.cut_off
        elif chance < 0.06 and node.works and not node.cut_off:
            node.turn("leave")
        elif chance < 0.065:
            node.ahead_ms += self.dice.choice((1_000, 20_000, 86_400_000))

    def others_go_on(self, node: Node) -> None:
        """Time passes in which others say that they are there."""
        for _ in range(12):
            self.now_ms += 1_000
            for other in self.nodes:
                if other is not node and not other.cut_off and not other.sleeps:
                    other.apply()
                    other.say_there()

    def settle(self) -> int:
        """All is well from now on, until everything is done; how long it took in ms."""
        self.faulty, self.lost, began_ms = False, 0.0, self.now_ms
        for node in self.nodes:
            node.cut_off, node.until_ms = False, 0
            if not node.works:
                node.join()
        return self.go_on_until_done(self.nodes, began_ms)

    def go_on_until_done(self, nodes: Sequence[Node], began_ms: int) -> int:
        """Let nodes work, round by round, until everything is done."""
        for _ in range(SETTLING_ROUNDS):
            if all(self.done[target] == positions for target, positions in self.of_target.items()):
                return self.now_ms - began_ms
            self.now_ms += ROUND_MS
            for node in nodes:
                node.apply()
                node.say_there()
                for verb in ("correlate", "claim", "handle", "finish"):
                    node.turn(verb)
        left = {name: at[len(self.done[name]) :] for name, at in self.of_target.items() if self.done[name] != at}
        raise Broken(f"not done: {left}")

    def check_equal(self) -> None:
        """All replicas have come to the same."""
        seen = []
        for node in self.nodes:
            node.apply()
            state = node.keeper._state
            lines = {address: line for address, line in state.pages()}
            membership = state.membership()
            changes = state.changes(0)
            seen.append((state.standing(0, 0)[:3], membership, lines, changes))
            if set(membership.members) != self.model.live_at[len(self.records)]:
                raise Broken(f"{set(membership.members)} are there, not {set(self.model.live_at[-1])}")
        if any(each != seen[0] for each in seen):
            raise Broken("the replicas differ")

    def close(self) -> None:
        for node in self.nodes:
            node.port._wanted = None
            node.port.close()
            del node.port, node.keeper  # a mirror has files open


def simulate(folder: Path, seed: int, steps: int = 160) -> None:
    """One story, from its seed.

    Raises:
        Broken: a rule does not hold.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with closing(World(folder, seed, nodes=2 + seed % 3)) as world:
        for node in world.nodes:
            node.turn("join")
        for _ in range(steps):
            if world.dice.random() < 0.12:
                world.append(world.dice.randint(1, 6))
            world.step()
        world.settle()
        world.check_equal()


def seeds(first: int, count: int) -> Iterator[int]:
    """So many seeds, from one on."""
    yield from range(first, first + count)
