"""The same account twice, with reducers and with declared fields, and a log that both can be folded from."""

import random

from act_fast import Append, Event, LogStore, State, reducer, total
from bench.workloads.events import SEED, stream_name

__all__ = ["EVENTS_A_STREAM", "DeclaredAccount", "ReducedAccount", "write_ledger"]

EVENTS_A_STREAM = 100
EVENTS_A_PART = 10
PARTS_A_COMMIT = 100


class Deposited(Event):
    amount: int
    currency: str = "EUR"


class Withdrawn(Event):
    amount: int
    currency: str = "EUR"


class ReducedAccount(State):
    balance: int = 0

    @reducer
    def deposited(self, event: Deposited) -> None:
        self.balance += event.amount

    @reducer
    def withdrawn(self, event: Withdrawn) -> None:
        self.balance -= event.amount


class DeclaredAccount(State):
    balance: int = total(Deposited.amount) - total(Withdrawn.amount)


def write_ledger(store: LogStore, streams: int) -> int:
    """Fill a store with `streams` streams of 100 events, ten at a time in turn; how many events that are."""
    chance = random.Random(SEED)
    kinds = (Deposited, Withdrawn)
    pool = [kinds[i % 2](chance.randrange(1, 1_000_000)) for i in range(1_000)]
    parts = [pool[start : start + EVENTS_A_PART] for start in range(0, len(pool), EVENTS_A_PART)]
    for turn in range(EVENTS_A_STREAM // EVENTS_A_PART):
        for start in range(0, streams, PARTS_A_COMMIT):
            numbers = range(start, min(start + PARTS_A_COMMIT, streams))
            store.append_many([Append(stream_name(i), parts[(i + turn) % len(parts)]) for i in numbers])
    return streams * EVENTS_A_STREAM
