"""How long one decision takes while 1, 4 and 16 threads make decisions."""

import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

from act_fast import Act, LogStore
from bench.harness.duel import Duel
from bench.harness.percentiles import percentile
from bench.harness.row import Curve, Measurement, Row
from bench.harness.sizes import Sizes
from bench.harness.threads import in_threads
from bench.rows.framework import DO_LATENCY_FSYNC, DO_LATENCY_OS
from bench.stores.subject import DURABILITY, SUBJECT, Durability
from bench.workloads.bank import Account
from bench.workloads.events import stream_name

THREADS = (1, 4, 16)
PERCENTILES = (50.0, 90.0, 99.0, 99.9)
ACCOUNTS_A_THREAD = 10


def bench_unflushed_decisions(duel: Duel, sizes: Sizes, shelf: Path) -> None:
    measure(duel, sizes, shelf, DO_LATENCY_OS, "os", decisions=sizes.scaled(8_000, at_least=16))


def bench_flushed_decisions(duel: Duel, sizes: Sizes, shelf: Path) -> None:
    measure(duel, sizes, shelf, DO_LATENCY_FSYNC, "fsync", decisions=sizes.scaled(1_600, at_least=16))


def measure(duel: Duel, sizes: Sizes, shelf: Path, row: Row, durability: Durability, decisions: int) -> None:
    """Each round has every number of threads make as many decisions altogether."""
    rounds: dict[int, list[list[float]]] = {threads: [] for threads in THREADS}
    with LogStore(shelf / durability, durability=durability) as store:
        app = Act(store, Account)
        for number in range(max(THREADS) * ACCOUNTS_A_THREAD):
            app.do(Account.open, stream_name(number), owner="Ada")

        def run() -> None:
            for threads in THREADS:
                rounds[threads].append(sorted(latencies_us(app, threads, decisions // threads)))

        duel.time(run, rounds=sizes.rounds, warmup_rounds=1)
    counted = {threads: latencies[1:] for threads, latencies in rounds.items()}
    duel.observe(
        row, [each for threads in THREADS for each in middles_and_tails(threads, durability, counted[threads])]
    )
    duel.draw(row, [curve(threads, counted[threads]) for threads in THREADS])


def latencies_us(app: Act, threads: int, decisions: int) -> list[float]:
    taken: list[float] = []
    gather = threading.Lock()

    def decide(streams: Sequence[str]) -> None:
        mine = []
        for i in range(decisions):
            started = perf_counter()
            app.do(Account.deposit, streams[i % len(streams)], amount=5)
            mine.append((perf_counter() - started) * 1e6)
        with gather:
            taken.extend(mine)

    names = [stream_name(number) for number in range(threads * ACCOUNTS_A_THREAD)]
    in_threads([partial(decide, names[i::threads]) for i in range(threads)])()
    return taken


def middles_and_tails(threads: int, durability: Durability, rounds: Sequence[Sequence[float]]) -> list[Measurement]:
    return [
        Measurement(
            f"{called(threads)}, {of_100:g} of 100", DURABILITY[durability], [percentile(r, of_100) for r in rounds]
        )
        for of_100 in (50.0, 99.0)
    ]


def curve(threads: int, rounds: Sequence[Sequence[float]]) -> Curve:
    ordered = sorted(each for latencies in rounds for each in latencies)
    return Curve(called(threads), [(of_100, percentile(ordered, of_100)) for of_100 in PERCENTILES])


def called(threads: int) -> str:
    return f"{SUBJECT}, {threads} {'thread' if threads == 1 else 'threads'}"
