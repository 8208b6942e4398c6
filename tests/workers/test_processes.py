"""Real worker processes on one store, killed at any moment: every event handled, each target's in order.

What is written to the files, and summed up in a database, is looked at when all has settled. The whole of it:
`ACT_FAST_REACTION_SECONDS=60 ACT_FAST_REACTION_EVENTS=100000 ACT_FAST_REACTION_TILLS=1000`; by default a few seconds.
"""

import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from act_fast import Act, Committed
from tests.reactions.shop import Till, open_shop
from tests.support.processes import until

SECONDS = float(os.environ.get("ACT_FAST_REACTION_SECONDS", "4"))
EVENTS = int(os.environ.get("ACT_FAST_REACTION_EVENTS", "0"))
"""At least so many, spread over the time."""
TILLS = int(os.environ.get("ACT_FAST_REACTION_TILLS", "40"))
KILLS_A_SECOND = 5
"""About, at the beginning; a place in the fleet whose process was killed again and again is filled more slowly."""
ROOT = Path(__file__).parents[2]


class Fleet:
    """`act-fast run` with some workers; knows their processes from what it says."""

    def __init__(self, shop: Path, *options: str, app: str = "tests.reactions.shop:make") -> None:
        command = [sys.executable, "-m", "act_fast.cli", "run", app, *options]
        environment = {**os.environ, "ACT_FAST_SHOP": str(shop), "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
        self.said: list[str] = []
        self.workers: dict[str, int] = {}
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line.rstrip())
            if found := re.search(r"(worker \d+) is process (\d+)", line):
                self.workers[found[1]] = int(found[2])
            elif found := re.search(r"(worker \d+) has ended", line):
                self.workers.pop(found[1], None)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(60)
        self._listener.join(60)
        return code

    def forget(self) -> None:
        """End whatever is left of it."""
        for pid in (*self.workers.values(), self.process.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(60)
        self._listener.join(60)
        assert self.process.stderr is not None
        self.process.stderr.close()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ACT_FAST_SHOP", str(tmp_path))
    (tmp_path / "heard").mkdir()
    return tmp_path


@pytest.fixture
def app(shop: Path) -> Iterator[Act]:
    app = open_shop()
    yield app
    app.close()
    app.store.close()


@contextmanager
def fleet(shop: Path, *options: str, **more: str) -> Iterator[Fleet]:
    started = Fleet(shop, *options, **more)
    try:
        yield started
    finally:
        started.forget()


def sell(app: Act, numbers: range) -> None:
    for number in numbers:
        app.do(Till.sell, f"till-{number % TILLS}", number=number)


def heard(shop: Path, target: str) -> list[tuple[int, int]]:
    """The positions and the processes in a target's file."""
    file = shop / "heard" / target
    lines = file.read_text().splitlines() if file.exists() else []
    return [(int(position), int(pid)) for position, pid in map(str.split, lines)]


def settled(app: Act) -> Callable[[], bool]:
    def look() -> bool:
        targets = list(app.targets())
        return bool(targets) and all(target.watermark >= app.store.head for target in targets)

    return look


def check(shop: Path, target: str, expected: list[int]) -> None:
    """Each event was handled at least once, and they came in order, not counting those that came again."""
    positions = [position for position, _ in heard(shop, target)]
    assert list(dict.fromkeys(positions)) == expected, f"{target}: missed or out of order"


def check_all(app: Act, shop: Path) -> None:
    events = list(app.query())
    by_till: dict[str, list[int]] = {}
    for event in events:
        by_till.setdefault(event.stream, []).append(event.position)
    for till, own in by_till.items():
        check(shop, f"by-{till}", own)
    for number in range(5):
        own = [event.position for event in events if getattr(event.data, "number", 0) % 5 == number]
        check(shop, f"mod-{number}", own)
    check(shop, "fails-now-and-then", [event.position for event in events])
    check_sums(shop, events)


def check_sums(shop: Path, events: list[Committed[Any]]) -> None:
    """Nothing was counted twice and nothing left out, however often it was delivered."""
    expected: dict[str, list[int]] = {}
    for event in events:
        found = expected.setdefault(event.stream, [0, 0])
        found[0] += event.data.number
        found[1] += 1
    with closing(sqlite3.connect(shop / "sums.sqlite")) as database:
        rows = database.execute("select till, total, events from sums").fetchall()
    assert {till: [total, count] for till, total, count in rows} == expected


def test_killed_at_any_moment_nothing_is_missed_and_each_target_is_in_order(
    app: Act, shop: Path, dice: random.Random
) -> None:
    with fleet(shop, "--workers", "4") as workers:
        until(lambda: len(workers.workers) == 4)
        end = time.monotonic() + SECONDS
        sold = kills = 0
        portion = max(100, round(EVENTS / SECONDS / KILLS_A_SECOND))
        while time.monotonic() < end or sold < EVENTS:
            if not EVENTS or sold < EVENTS:
                sell(app, range(sold, sold + portion))
                sold += portion
            time.sleep(dice.random() * 2 / KILLS_A_SECOND)
            if running := list(workers.workers.items()):
                name, pid = dice.choice(running)
                os.kill(pid, signal.SIGKILL)
                until(lambda pid=pid: not alive(pid))
                workers.workers.pop(name, None)
                kills += 1
        until(settled(app), 120 + SECONDS)
        assert workers.end() == 0, "\n".join(workers.said)
    print(f"{sold} events, {kills} kills")
    assert kills >= 3
    check_all(app, shop)
    assert not list(app.blocked())


def test_the_work_is_shared_and_the_end_is_graceful(app: Act, shop: Path) -> None:
    with fleet(shop, "--workers", "3") as workers:
        until(lambda: len(workers.workers) == 3)
        sold = 0
        while len({pid for number in range(TILLS) for _, pid in heard(shop, f"by-till-{number}")}) < 3:
            sell(app, range(sold, sold + TILLS))
            sold += TILLS
        until(settled(app))
        pids = set(workers.workers.values())
        assert workers.end() == 0, "\n".join(workers.said)
    check_all(app, shop)
    for number in range(TILLS):
        positions = [position for position, _ in heard(shop, f"by-till-{number}")]
        assert len(positions) == len(set(positions)), "nobody was killed, so nothing comes twice"
        assert {pid for _, pid in heard(shop, f"by-till-{number}")} <= pids
    assert all(target.holder is None for target in app.targets())


def test_a_dead_worker_is_replaced_after_a_while(app: Act, shop: Path) -> None:
    with fleet(shop, "--workers", "1") as workers:
        until(lambda: workers.workers)
        (first,) = workers.workers.values()
        os.kill(first, signal.SIGKILL)
        until(lambda: workers.workers and set(workers.workers.values()) != {first})
        sell(app, range(10))
        until(settled(app))
        assert workers.end(signal.SIGINT) == 0
    assert any("has ended (SIGKILL); restarting in" in line for line in workers.said)


def test_a_worker_that_was_dead_when_all_were_told_to_end_has_not_failed_to(app: Act, shop: Path) -> None:
    with fleet(shop, "--workers", "2") as workers:
        until(lambda: len(workers.workers) == 2)
        sell(app, range(10))
        until(settled(app))
        workers.process.send_signal(signal.SIGSTOP)
        until(lambda: "T" in states(workers.process.pid))
        os.kill(killed := workers.workers["worker 1"], signal.SIGKILL)
        until(lambda: not alive(killed))
        workers.process.send_signal(signal.SIGTERM)
        code = workers.end(signal.SIGCONT)
    assert code == 0, "\n".join(workers.said)
    assert "act-fast: worker 1 has ended (SIGKILL)" in workers.said


def test_workers_end_when_the_one_that_began_them_is_gone(app: Act, shop: Path) -> None:
    with fleet(shop, "--workers", "2") as workers:
        until(lambda: len(workers.workers) == 2)
        sell(app, range(10))
        until(settled(app))
        os.kill(workers.process.pid, signal.SIGKILL)
        for pid in workers.workers.values():
            until(lambda pid=pid: not alive(pid))
        workers.workers.clear()


def test_workers_of_one_lane_leave_the_others_alone(app: Act, shop: Path) -> None:
    with fleet(shop, "--workers", "1", "--lanes", "slow") as workers:
        sell(app, range(50))
        until(lambda: sum(len(heard(shop, f"mod-{number}")) for number in range(5)) == 50)
        assert workers.end() == 0
    assert not (shop / "heard" / "by-till-0").exists()


@pytest.mark.parametrize(
    ("address", "options", "message"),
    [
        ("tests.reactions.shop:Till", [], "has no reactions"),
        ("tests.reactions.shop:nothing", [], "cannot be loaded"),
        ("tests.reactions.shop:make", ["--lanes", "mail"], "there is no lane 'mail'; there is 'default', 'slow'"),
        ("tests.reactions.shop:make", ["--workers", "0"], "not a number from 1"),
        ("tests.reactions.shop:make", ["--grace", "-1"], "not a number of seconds"),
        ("tests.reactions.shop:make", ["--lanes", "a,,b"], "names no lane"),
    ],
)
def test_wrong_usage_is_said_before_any_process_begins(
    shop: Path, address: str, options: list[str], message: str
) -> None:
    command = [sys.executable, "-m", "act_fast.cli", "run", address, *options]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 2
    assert message in ran.stderr
    assert "is process" not in ran.stderr


def alive(pid: int) -> bool:
    return any(state != "Z" for state in states(pid))


def states(pid: int) -> list[str]:
    """What each thread of a process does, as the system tells. As long as one is there, nobody can wait for its end."""
    found = []
    for task in Path("/proc").glob(f"{pid}/task/*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            found.append(task.read_text().rpartition(")")[2].split()[0])
    return found
