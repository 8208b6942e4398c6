"""What a sealed field costs more than one in clear, when an event is encoded and when it is read."""

from collections.abc import Callable

from act_fast import Act, Event, MemoryKeyStore, Personal, State, Subject, reducer
from bench.harness.best import best_ns
from bench.harness.duel import Duel
from bench.harness.row import Measurement
from bench.harness.sizes import Sizes
from bench.rows.framework import SEALING

AT_ONCE = 100
NOTHING = "none: nothing is written"


class Clear(Event):
    user: str
    email: str
    plan: str


class Sealed(Event):
    user: Subject[str]
    email: Personal[str]
    plan: str


class Person(State, events=[Clear]):
    plans: int = 0

    @reducer
    def sealed(self, event: Sealed) -> None:
        self.plans += 1


def bench_sealing(duel: Duel, sizes: Sizes) -> None:
    app = Act("memory:", Person, keys=MemoryKeyStore())
    codec = app._codec
    given = ("user-7", "ada@example.org", "free")
    clear, sealed = Clear(*given), Sealed(*given)
    data, box = codec.encode(clear)[1], codec.encode(sealed)[1]
    calls = sizes.scaled(20_000, at_least=100)
    told: dict[str, list[float]] = {"sealing": [], "opening": []}

    def run() -> None:
        told["sealing"].append(_more(calls, lambda: codec.encode(clear), lambda: codec.encode(sealed)))
        told["opening"].append(_more(calls, lambda: codec.decode("Clear", data), lambda: codec.decode("Sealed", box)))

    duel.time(run, rounds=sizes.rounds, warmup_rounds=1)
    duel.observe(SEALING, [Measurement(f"act-fast, {name}", NOTHING, values[1:]) for name, values in told.items()])
    app.close()


def _more(calls: int, plain: Callable[[], object], sealed: Callable[[], object]) -> float:
    """How many microseconds the second takes more than the first, at its best."""
    return (_best_ns(calls, sealed) - _best_ns(calls, plain)) / 1e3


def _best_ns(calls: int, work: Callable[[], object]) -> float:
    return best_ns(lambda: [work() for _ in range(AT_ONCE)], max(1, calls // AT_ONCE), AT_ONCE)
