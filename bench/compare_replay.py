"""How fast every stream of a store is folded: with reducers in Python, and with declared fields in the core."""

from pathlib import Path

from act_fast import Act, LogStore, State
from bench.harness.duel import Contender, Duel
from bench.harness.sizes import Sizes
from bench.peers.aggregates import aggregate_loads
from bench.rows.replay import REPLAY_DECLARED, REPLAY_PYTHON
from bench.stores.subject import SUBJECT, reader
from bench.workloads.ledger import EVENTS_A_STREAM, DeclaredAccount, ReducedAccount, write_ledger


def bench_replay(duel: Duel, sizes: Sizes, shelf: Path) -> None:
    with LogStore(shelf / "store", durability="os") as store:
        events = write_ledger(store, sizes.scaled(10_000, at_least=10))
        duel.fight(
            REPLAY_PYTHON,
            replay(store, ReducedAccount, events),
            one_by_one(store, events),
            *aggregate_loads(shelf / "aggregates", sizes.scaled(100), EVENTS_A_STREAM),
        )


def bench_declared_replay(duel: Duel, sizes: Sizes, shelf: Path) -> None:
    with LogStore(shelf / "declared", durability="os") as store:
        events = write_ledger(store, sizes.scaled(20_000, at_least=10))
        duel.fight(
            REPLAY_DECLARED,
            replay(store, DeclaredAccount, events),
            replay(store, ReducedAccount, events, name=f"{SUBJECT}, Python reducers"),
        )


def replay(store: LogStore, state: type[State], events: int, name: str = SUBJECT) -> Contender:
    app = Act(store, state)

    def fold() -> None:
        for _ in app.replay(state, progress=False):
            pass

    return reader(events, fold, name=name)


def one_by_one(store: LogStore, events: int) -> Contender:
    app = Act(store, ReducedAccount)
    streams = [info.stream for info in store.streams()]

    def load() -> None:
        for stream in streams:
            app.load(ReducedAccount, stream, before=EVENTS_A_STREAM + 1)

    return reader(events, load, name=f"{SUBJECT}, a load for each stream")
