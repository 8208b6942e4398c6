"""The dual frontier, seen: every target's watermark while a burst, a slow handler and new targets come together."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, sleep

from act_fast import Act, Append, Committed, LogStore
from bench.harness.duel import Duel
from bench.harness.row import Curve
from bench.harness.sizes import Sizes
from bench.rows.scenarios import DUAL_FRONTIER
from bench.workloads.bank import Account, Deposited

IDLE, FAST, SLOW, NEW = ("idle-1", "idle-2"), ("fast-1", "fast-2", "fast-3"), "slow", ("new-1", "new-2", "new-3")
DATA = ("Deposited", b'{"amount":5}')
LOOK_SECONDS = 0.02
SLOW_SECONDS = 0.006
NEW_SECONDS = 0.0002
PORTION = 10


class Watch:
    """Notes where each target stands, and where the head is, again and again."""

    def __init__(self, app: Act) -> None:
        self.points: dict[str, list[tuple[float, float]]] = {name: [] for name in ("head", *IDLE, *FAST, SLOW, *NEW)}
        self._app = app
        self._began = perf_counter()

    def look(self) -> bool:
        """Whether all are at the head."""
        standing = {target.name: target.watermark for target in self._app.targets()}
        now, head = perf_counter() - self._began, self._app.store.head
        for name, points in self.points.items():
            points.append((now, head if name == "head" else standing.get(name, 0)))
        return len(standing) == len(self.points) - 1 and min(standing.values()) >= head

    def until(self, condition: Callable[[], bool], seconds: float) -> None:
        """Look until something holds, for so many seconds at most."""
        end = perf_counter() + seconds
        while perf_counter() < end and not condition():
            self.look()
            sleep(LOOK_SECONDS)

    def curves(self) -> list[Curve]:
        return [Curve(name, points) for name, points in self.points.items()]


@contextmanager
def at_work(app: Act) -> Iterator[None]:
    worker = threading.Thread(target=app.run)
    worker.start()
    try:
        yield
    finally:
        app.stop()
        worker.join()


def bench_dual_frontier(duel: Duel, sizes: Sizes, shelf: Path) -> None:
    events = sizes.scaled(6_000, at_least=60)
    curves: list[Curve] = []

    def play() -> None:
        with LogStore(shelf / "frontier", durability="os") as store, Act(store, Account) as app:

            @app.on(Deposited)
            def own(event: Committed[Deposited]) -> None:
                if event.stream == SLOW:
                    sleep(SLOW_SECONDS)

            for _ in range(events // 2 // PORTION):
                store.append_many([Append(name, [DATA] * PORTION) for name in IDLE])
            store.append_many([Append(name, [DATA]) for name in (*FAST, SLOW)])
            app.settle()
            with at_work(app):
                curves[:] = watch(app, store, events)

    duel.time(play, rounds=1)
    duel.draw(DUAL_FRONTIER, curves)


def watch(app: Act, store: LogStore, events: int) -> list[Curve]:
    """The burst, then a new reaction to what the idle streams once did, then a little of everything."""
    seen = Watch(app)
    seen.until(lambda: False, 0.2)
    for number in range(events // 3 // PORTION):
        parts = [Append(name, [DATA] * PORTION) for name in FAST]
        store.append_many([*parts, Append(SLOW, [DATA])] if number % 4 != 3 else parts)
        if number % 10 == 0:
            seen.until(lambda: False, LOOK_SECONDS)
    seen.until(lambda: False, 0.2)

    def to_new(event: Committed[Deposited]) -> str:
        return NEW[event.version % len(NEW)]

    @app.on(Deposited, to=to_new, source="^idle-")
    def discovered(event: Committed[Deposited]) -> None:
        sleep(NEW_SECONDS)

    for number in range(40):
        store.append(FAST[number % len(FAST)], [DATA] * (events // 600 + 1))
        seen.until(lambda: False, LOOK_SECONDS)
    seen.until(seen.look, 60.0)
    return seen.curves()
