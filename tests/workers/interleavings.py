"""An explorer of interleavings: threads that go on one at a time, from point to point, in every order asked for.

What is explored is the worker itself on a real store. It stops at each point where what it sees or changes is shared
with others: the verbs of the port, the locks of the crew and of the lead, the handlers. Where the worker waits for a
while, the explorer lets the time be over at once: how long a while is must make no difference. Between two points
nothing else moves.
"""

import random
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from act_fast import Act
from act_fast._workers import handler_pool, lead, worker

PATIENCE_SECONDS: Final = 60.0
VERBS: Final = ("expect_news", "correlate", "claim", "finish", "any_ready", "next_ms", "cut", "wake")


class Actor:
    """A thread that goes on when it is chosen."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.go = threading.Semaphore(0)
        self.ready: Callable[[], bool] = lambda: True
        self.waits = False
        self.ended = False


class Schedule:
    """One run: its actors, and which of those that could go on was chosen at each step.

    Attributes:
        steps: for each step, which of so many was chosen; the first is the one that went on before, if it can.
    """

    def __init__(self, choose: Callable[[int, int], int]) -> None:
        self.steps: list[tuple[int, int]] = []
        self._choose = choose
        self._changed = threading.Condition()
        self._actors: list[Actor] = []
        self._here = threading.local()
        self._free = False
        self._last: Actor | None = None

    def begin(self, work: Callable[[], object], name: str = "hand") -> None:
        """Have a thread of its own do something."""
        actor = Actor(name)
        with self._changed:
            self._actors.append(actor)
        threading.Thread(target=self._run, args=(actor, work), name=name, daemon=True).start()

    do = begin  # as the threads of a program are asked

    def dismiss(self) -> None:
        """As the threads of a program are; those of a schedule end by themselves."""

    def _run(self, actor: Actor, work: Callable[[], object]) -> None:
        self._here.actor = actor
        try:
            self.point()
            work()
        finally:
            with self._changed:
                actor.ended = True
                self._changed.notify_all()

    def point(self, ready: Callable[[], bool] = lambda: True) -> None:
        """Let others go on; come back when it is chosen, which it is only once it is ready."""
        actor: Actor | None = getattr(self._here, "actor", None)
        if actor is None or self._free:
            return
        with self._changed:
            actor.ready, actor.waits = ready, True
            self._changed.notify_all()
        actor.go.acquire()

    def play(self) -> None:
        """Go on until nobody can."""
        while True:
            with self._changed:
                still = self._changed.wait_for(
                    lambda: all(each.ended or each.waits for each in self._actors), PATIENCE_SECONDS
                )
                assert still, [each.name for each in self._actors if not each.ended and not each.waits]
                able = [each for each in self._actors if not each.ended and each.ready()]
            if not able:
                return
            able.sort(key=lambda each: each is not self._last)
            chosen = self._choose(len(self.steps), len(able))
            self.steps.append((chosen, len(able)))
            self._last = actor = able[chosen]
            actor.waits = False
            actor.go.release()

    def let_go(self) -> None:
        """Let all go on by themselves, to their end."""
        self._free = True
        for actor in self._actors:
            actor.go.release()

    def ended(self, name: str) -> bool:
        """Whether the actor of a name has ended."""
        return all(each.ended for each in self._actors if each.name == name)


class PointedPort:
    """A port at whose verbs the schedule may let others go on."""

    def __init__(self, port: Any, schedule: Schedule) -> None:
        self._port = port
        self._schedule = schedule

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if name not in VERBS:
            return found

        def at_a_point(*given: Any) -> Any:
            self._schedule.point()
            return found(*given)

        return at_a_point

    def wait_news(self, seen: int, timeout_ms: int | None = None) -> int:
        """Sleep: ready when there is news, or what was waited for is due."""
        port = self._port
        if self._schedule._free:
            return int(port.wait_news(seen, timeout_ms))
        self._schedule.point(lambda: port.wait_news(seen, 0) != seen or port.next_ms() == 0)
        return int(port.wait_news(seen, 0))


class PointedLock:
    """A lock that lets others go on before it is taken."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._schedule.point()
        self._lock.acquire()

    def __exit__(self, *given: object) -> None:
        self._lock.release()


def pointed(app: Act, schedule: Schedule, patch: pytest.MonkeyPatch) -> None:
    """Let a schedule decide over all that an app's worker does."""

    class Crew(handler_pool.Crew):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self._lock = PointedLock(schedule)  # type: ignore[assignment]

    class Lead(lead.Lead):
        def __init__(self) -> None:
            super().__init__()
            self._lock = PointedLock(schedule)  # type: ignore[assignment]

        def _pause(self) -> None:
            if schedule._free:
                super()._pause()
            elif self._asleep:
                schedule.point(lambda: not self._signal.empty())
                if not schedule._free:
                    self._signal.get()
            else:
                schedule.point()

    def over(batch: handler_pool.Batch, *given: float) -> bool:
        schedule.point()
        return bool(batch.left)

    patch.setattr(worker, "Crew", Crew)
    patch.setattr(worker, "Lead", Lead)
    patch.setattr(lead, "_QUIET_LOOKS", 1)
    patch.setattr(handler_pool.Batch, "wait_slow", over)
    patch.setattr(handler_pool.Batch, "wait_moving", over)
    program = app._program
    program._port = PointedPort(program.port(), schedule)  # type: ignore[assignment]
    program.daemons = schedule  # type: ignore[assignment]


def orders(
    run: Callable[[Callable[[int, int], int]], Schedule], turns: int, most: int, seed: int
) -> Iterator[Schedule]:
    """Play every order in which at most `turns` times an actor that could go on is not let, and some of all others.

    Args:
        run: plays one, choosing as it is told.
        turns: how often another one is let go on.
        most: how many are played at most.
        seed: of those that are chosen by chance, a third of all.
    """
    waiting: list[list[int]] = [[]]
    played = 0
    while waiting and played < most:
        prefix = waiting.pop()
        done = run(lambda step, able, prefix=prefix: _chosen(prefix, step, able))  # type: ignore[misc]
        played += 1
        yield done
        if sum(1 for chosen in prefix if chosen) < turns:
            chosen = [choice for choice, _ in done.steps]
            for step in range(len(prefix), len(chosen)):
                waiting += [[*chosen[:step], other] for other in range(1, done.steps[step][1])]
        random.Random(seed + played).shuffle(waiting)
    dice = random.Random(seed)
    for _ in range(played // 2):
        yield run(lambda step, able: dice.randrange(able) if dice.random() < 0.3 else 0)


def _chosen(prefix: list[int], step: int, able: int) -> int:
    """Which goes on at a step. Real time may let fewer go on than in the run that the prefix is from: then the last."""
    return min(prefix[step], able - 1) if step < len(prefix) else 0
