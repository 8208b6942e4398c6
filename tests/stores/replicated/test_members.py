"""Programs that run workers share the targets, and take over from each other when they come, leave, die or sleep."""

import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from act_fast import Act, Committed, Event, Lane
from act_fast.monitoring import metrics_text
from act_fast.stores.replicated.store import ReplicatedStore
from tests.stores.replicated.nodes import nodes
from tests.support.nats import nats_servers
from tests.support.servers import Unavailable, die_with_parent, unavailable

STREAMS = [f"s-{number}" for number in range(16)]
PATIENCE_SECONDS = 90.0


class Noted(Event):
    """What happens."""


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


@contextmanager
def working(app: Act, *, lanes: list[str] | None = None) -> Iterator[None]:
    """Workers of an app, until the end of the block."""
    worker = threading.Thread(target=lambda: app.run(lanes=lanes))
    worker.start()
    try:
        yield
    finally:
        app.stop()
        worker.join()


def append_to_all(store: ReplicatedStore) -> None:
    for stream in STREAMS:
        store.append(stream, [("Noted", b"{}")])


class Programs:
    """Apps on nodes of one log in memory, and what each has handled."""

    def __init__(self, stores: list[ReplicatedStore]) -> None:
        self.apps = [Act(store) for store in stores]
        self.handled: list[list[tuple[str, int]]] = [[] for _ in stores]
        for app, handled in zip(self.apps, self.handled, strict=True):
            self._listen(app, handled)

    def _listen(self, app: Act, handled: list[tuple[str, int]]) -> None:
        @app.on(Noted, to="audit-{stream}", name="audit")
        def audit(event: Committed[Noted]) -> None:
            handled.append((event.stream, event.version))

    def count(self) -> int:
        return sum(len(each) for each in self.handled)


def test_members_share_the_targets_and_one_that_stops_leaves_its_share_at_once(tmp_path: Path) -> None:
    with nodes(tmp_path, 3) as stores, ExitStack() as ending:
        programs = Programs(stores)
        for app in programs.apps[:2]:
            ending.enter_context(working(app))
        with working(programs.apps[2]):
            until(lambda: len(stores[0].workers()) == 3)
            append_to_all(stores[0])
            until(lambda: programs.count() == len(STREAMS))
            assert all(programs.handled), "each has some"
            for store in stores[:2]:
                until(lambda store=store: sum(each.targets or 0 for each in store.workers()) == len(STREAMS))
            by_node = {each.generation: each.targets for each in stores[1].workers()}
            assert sorted(len(each) for each in programs.handled) == sorted(by_node.values())  # type: ignore[type-var]
        until(lambda: len(stores[0].workers()) == 2)
        assert not stores[0]._state.membership().gone, "it has left, and is not gone"
        handled_by_third = len(programs.handled[2])
        append_to_all(stores[0])
        until(lambda: programs.count() == 2 * len(STREAMS))
        assert len(programs.handled[2]) == handled_by_third
        assert Counter(each for handled in programs.handled for each in handled) == Counter(
            (stream, version) for stream in STREAMS for version in (1, 2)
        )


def test_a_program_without_workers_owns_nothing_and_settles_whatever_is_ready(tmp_path: Path) -> None:
    with nodes(tmp_path, 2) as stores:
        programs = Programs(stores)
        append_to_all(stores[0])
        stores[1].wait(len(STREAMS) - 1, timeout=30)
        assert programs.apps[1].settle().drained.handled == len(STREAMS)
        assert stores[0].workers() == []
        assert (stores[0].generation(), programs.count()) == (0, len(STREAMS))


def test_a_program_that_settles_beside_its_workers_waits_for_no_other(tmp_path: Path) -> None:
    with nodes(tmp_path, 2) as stores:
        programs = Programs(stores)
        idle = Act(stores[1], lanes=[Lane("other")])

        @idle.on(Noted, to="audit-{stream}", name="audit")
        def audit(event: Committed[Noted]) -> None:
            raise AssertionError("it has no workers on this lane")

        with working(programs.apps[0], lanes=["default"]):
            until(lambda: len(stores[0].workers()) == 1)
            append_to_all(stores[0])
            until(lambda: programs.count() == len(STREAMS) or programs.apps[0].settle() is None)


def test_what_has_a_lane_of_its_own_belongs_to_those_that_work_on_it(tmp_path: Path) -> None:
    handled: defaultdict[int, list[str]] = defaultdict(list)

    def listen(app: Act, number: int) -> None:
        @app.on(Noted, to="quick-{stream}", name="quick")
        def quick(event: Committed[Noted]) -> None:
            handled[number].append(f"quick-{event.stream}")

        @app.on(Noted, to="slow-{stream}", lane="slow", name="slow")
        def slow(event: Committed[Noted]) -> None:
            handled[number].append(f"slow-{event.stream}")

    with nodes(tmp_path, 2) as stores:
        apps = [Act(store, lanes=[Lane("slow")]) for store in stores]
        for number, app in enumerate(apps):
            listen(app, number)
        with working(apps[0], lanes=["slow"]), working(apps[1], lanes=["default"]):
            until(lambda: len(stores[0].workers()) == 2)
            append_to_all(stores[0])
            until(lambda: len(handled[0]) + len(handled[1]) == 2 * len(STREAMS))
    assert {name.split("-")[0] for name in handled[0]} == {"slow"}
    assert {name.split("-")[0] for name in handled[1]} == {"quick"}


def test_who_works_is_measured(tmp_path: Path) -> None:
    with nodes(tmp_path, 1) as (store,):
        programs = Programs([store])
        with working(programs.apps[0]):
            append_to_all(store)
            until(lambda: programs.count() == len(STREAMS))
            text = metrics_text(store)
        assert "act_fast_replica_workers 1\n" in text
        assert "act_fast_replica_generation 1\n" in text
        (worker,) = [line for line in text.splitlines() if line.startswith("act_fast_replica_worker_targets{")]
        assert worker.endswith(f" {len(STREAMS)}")
        assert 'generation="1"' in worker


class Program:
    """A process that runs workers."""

    def __init__(self, folder: Path, address: str, name: str) -> None:
        self._notes = folder / f"{name}.notes"
        self._log = folder / f"{name}.log"
        command = [sys.executable, "-m", "tests.stores.replicated.member"]
        with open(self._log, "ab") as log:
            self.process = subprocess.Popen(
                [*command, f"{address}{'&' if '?' in address else '?'}replica={folder / name}", str(self._notes)],
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
            )

    def handled(self) -> list[tuple[int, str, int]]:
        """(time, stream, version) of each."""
        if not self._notes.exists():
            return []
        lines = [line.split() for line in self._notes.read_text().splitlines()]
        return [(int(when), stream, int(version)) for stream, version, when in lines]

    def said(self) -> str:
        return self._log.read_text()[-2000:]


@pytest.fixture(params=["dir", "nats"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "dir":
        yield f"dir://{tmp_path}/log"
        return
    with ExitStack() as ending:
        try:
            yield ending.enter_context(nats_servers(3)).url("members")
        except Unavailable as reason:
            unavailable(reason)


def test_programs_that_are_killed_sleep_or_end_are_taken_over_from_in_order(address: str, tmp_path: Path) -> None:
    rounds = 0

    def all_handled() -> bool:
        done = {(stream, version) for each in programs for _, stream, version in each.handled()}
        return len(done) == rounds * len(STREAMS)

    with ReplicatedStore(address, tmp_path / "reader") as store:
        programs = [Program(tmp_path, address, f"p{number}") for number in range(3)]
        killed, asleep, awake = programs
        try:
            until(lambda: len(store.workers()) == 3)
            before = store.generation()
            append_to_all(store)
            rounds += 1
            until(all_handled)
            by_stream = Counter(stream for each in programs for stream in {stream for _, stream, _ in each.handled()})
            assert set(by_stream.values()) == {1}, "each was with one of them"
            killed.process.kill()
            asleep.process.send_signal(signal.SIGSTOP)
            append_to_all(store)
            rounds += 1
            until(all_handled)
            assert len(awake.handled()) >= len(STREAMS)
            until(lambda: len(store.workers()) == 1)
            asleep.process.send_signal(signal.SIGCONT)
            until(lambda: len(store.workers()) == 2)
            assert store.generation() == before + 1, "it has joined again"
            append_to_all(store)
            rounds += 1
            until(all_handled)
            awake.process.send_signal(signal.SIGTERM)
            assert awake.process.wait(PATIENCE_SECONDS) == 0, awake.said()
            until(lambda: len(store.workers()) == 1)
            assert len(store._state.membership().gone) == 1, "it has left, as only the killed one has not"
            append_to_all(store)
            rounds += 1
            until(all_handled)
        finally:
            for each in programs:
                each.process.kill()
                each.process.wait()
    first: dict[tuple[str, int], int] = {}
    for when, stream, version in sorted(each for one in programs for each in one.handled()):
        first.setdefault((stream, version), when)
    for stream in STREAMS:
        times = [first[stream, version] for version in range(1, rounds + 1)]
        assert times == sorted(times), stream
