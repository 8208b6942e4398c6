"""Stories of nodes that share targets, crash, sleep, are cut off, and come back; and mistakes that they must find."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from act_fast.stores.replicated import membership
from act_fast.stores.replicated.keeper import ReplicaKeeper
from act_fast.stores.replicated.membership import Membership
from act_fast.stores.replicated.reactions import ReplicaReactions
from act_fast.stores.replicated.state import State
from tests.stores.replicated import member_simulation
from tests.stores.replicated.member_simulation import Broken, Silence, World, simulate

SEEDS = int(os.environ.get("ACT_FAST_MEMBER_SEEDS", "40"))
BUG_SEEDS = 60


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for real time."""
    monkeypatch.setattr("act_fast.stores.replicated.keeper.Presence", Silence)
    monkeypatch.setattr("act_fast.stores.database.mirrored._RETRY_SECONDS", 0.0)
    monkeypatch.setattr("act_fast.stores.database.mirrored._OUTRUN_SECONDS", 0.0)
    monkeypatch.setattr("act_fast.stores.replicated.keeper._TURN_SECONDS", 0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is one."""
    shm = Path("/dev/shm")
    if not shm.is_dir():
        yield tmp_path / "nodes"
        return
    with tempfile.TemporaryDirectory(dir=shm) as found:
        yield Path(found) / "nodes"


def test_whatever_happens_order_and_fences_hold_and_every_event_is_handled(folder: Path, seed: int) -> None:
    for each in range(seed, seed + SEEDS):
        try:
            simulate(folder, each)
        except BaseException as error:
            error.add_note(f"seed {each}")
            raise


def test_nodes_that_share_the_targets_do_not_want_the_same_ones(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = _count_refusals(monkeypatch)
    with closing(World(folder, 1, streams=60, faulty=False)) as world:
        for node in world.nodes:
            node.join()
        world.append(600)
        refused.clear()  # those of declaring the same reactions at once
        world.settle()
        by_node = {node.number: 0 for node in world.nodes}
        for handled in world.handled.values():
            assert len({number for number, _ in handled}) == 1
            by_node[handled[0][0]] += 1
    assert min(by_node.values()) >= 10, by_node
    assert not refused


def test_an_idle_node_takes_over_from_one_that_died_in_the_time_that_is_promised(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member_simulation, "LEASE_MS", 600_000)  # so that it is not the lease that ends
    with closing(World(folder, 2, nodes=2, faulty=False)) as world:
        dead, idle = world.nodes
        for node in world.nodes:
            node.join()
        world.append(40)
        for node in world.nodes:
            node.apply()
            node.correlate()
        dead.apply()
        dead.claim()
        assert dead.held
        died_at_ms = world.now_ms
        dead.until_ms = 1 << 60
        took_ms = world.go_on_until_done([idle], died_at_ms)
    assert took_ms <= membership.GONE_MS + 20 * member_simulation.ROUND_MS, took_ms


def test_what_the_owner_leaves_lying_another_takes_though_the_owner_says_that_it_is_there(folder: Path) -> None:
    with closing(World(folder, 3, nodes=2, faulty=False)) as world:
        lazy, busy = world.nodes
        for node in world.nodes:
            node.join()
        world.append(40)
        began_ms = world.now_ms
        for _ in range(60):
            world.now_ms += member_simulation.ROUND_MS
            lazy.apply()
            lazy.say_there()
            busy.apply()
            busy.say_there()
            for verb in ("correlate", "claim", "handle", "finish"):
                busy.turn(verb)
            if all(world.done[target] == positions for target, positions in world.of_target.items()):
                break
        assert lazy.keeper.is_member()
        assert world.now_ms - began_ms < 2 * membership.GONE_MS
        world.done.clear()  # it was looked at above


def _simulate_all(folder: Path) -> None:
    for each in range(BUG_SEEDS):
        simulate(folder, each)


def _count_refusals(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    refused: list[int] = []
    number_of = State.number_of

    def counted(self: State, after: int, mark: int) -> int | None:
        found = number_of(self, after, mark)
        if found is None:
            refused.append(after)
        return found

    monkeypatch.setattr(State, "number_of", counted)
    return refused


def _hears_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Membership, "hear", lambda self, generation: True)


def _keeps_leases(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ReplicaReactions, "_section_afresh", lambda self, work, lasting: work_in(self, work, lasting))

    def work_in(self: ReplicaReactions, work: object, lasting: bool) -> object:
        self._fenced = False
        return super(ReplicaReactions, self)._section(work, lasting)  # type: ignore[arg-type]


def _nobody_goes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(membership, "GONE_MS", 1 << 40)


def _goes_early(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(membership, "GONE_MS", 5_000)


def _blames_a_log_that_stood_still(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(membership, "_STILL_MS", 1 << 40)


def _takes_twice(patch: pytest.MonkeyPatch) -> None:
    take = State.take

    def twice(self: State, applied: object, duplicates: object) -> bool:
        with self._writing() as connection:
            connection.execute("update membership set said = ?", (_without_place(self),))
        return take(self, applied, duplicates)  # type: ignore[arg-type]

    def _without_place(self: State) -> bytes:
        import msgspec

        found = self.membership()
        found.place = 0
        return msgspec.msgpack.encode(found)

    patch.setattr(State, "take", twice)


def _says_nothing_of_its_generation(patch: pytest.MonkeyPatch) -> None:
    commit = ReplicaKeeper.commit

    def nameless(self: ReplicaKeeper, number: int, mark: int, lines: bytes, lasting: bool) -> int:
        own, self.generation = self.generation, 0
        try:
            return commit(self, number, mark, lines, lasting)
        finally:
            self.generation = own

    patch.setattr(ReplicaKeeper, "commit", nameless)


@pytest.mark.parametrize(
    "plant",
    [
        _hears_all,
        _keeps_leases,
        _nobody_goes,
        _goes_early,
        _blames_a_log_that_stood_still,
        _takes_twice,
        _says_nothing_of_its_generation,
    ],
)
def test_a_mistake_in_a_rule_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(Broken):
        _simulate_all(folder)
