"""How fast events are reacted to: correlate, claim, decode, call, acknowledge."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from act_fast import Act, ActionCause, Actor, Append, Causation, Committed, LogStore, Meta, Projection, batch, on
from bench.harness.duel import Body, Contender, Duel
from bench.harness.sizes import Sizes
from bench.peers.act import act_reactions
from bench.rows.reactions import CATCH_UP, REACT, REACT_IN_LISTS
from bench.stores.subject import DURABILITY, SUBJECT
from bench.workloads.bank import Account, Deposited
from bench.workloads.events import stream_name

EVENTS_EACH = 100
DATA = b'{"amount":5}'
META = Meta("0123456789abcdef", Causation(ActionCause("Account.deposit", "account-7", Actor("ada", "Ada"))))


class ByOne(Projection, name="by-one"):
    """Counts."""

    count = 0

    @on(Deposited)
    def deposited(self, event: Committed[Deposited]) -> None:
        self.count += 1


class ByLists(Projection, name="by-lists"):
    """Counts."""

    count = 0

    @batch(Deposited)
    def deposited(self, events: list[Committed[Deposited]]) -> None:
        self.count += len(events)


def bench_react(duel: Duel, sizes: Sizes) -> None:
    streams = sizes.scaled(1_000)
    few = sizes.scaled(20)
    duel.fight(REACT, by_stream(streams), by_stream(streams, with_meta=True), *act_reactions(few, EVENTS_EACH))


def bench_react_in_lists(duel: Duel, sizes: Sizes) -> None:
    duel.fight(REACT_IN_LISTS, projected(SUBJECT, sizes.scaled(1_000), ByLists))


def bench_catch_up(duel: Duel, sizes: Sizes) -> None:
    streams = sizes.scaled(10_000)
    one, lists = f"{SUBJECT}, event by event", f"{SUBJECT}, in lists"
    duel.fight(CATCH_UP, projected(one, streams, ByOne), projected(lists, streams, ByLists))


def fill(store: LogStore, streams: int, meta: Meta | None = None) -> int:
    """Streams of 100 deposits each, in turn; with meta in commits of their own, as `do` makes them."""
    names = [stream_name(i) for i in range(streams)]
    for _ in range(EVENTS_EACH if meta else EVENTS_EACH // 10):
        if meta:
            for name in names:
                store.append(name, [("Deposited", DATA)], meta=meta)
        else:
            for start in range(0, streams, 100):
                store.append_many([Append(name, [("Deposited", DATA)] * 10) for name in names[start : start + 100]])
    return streams * EVENTS_EACH


def by_stream(streams: int, *, with_meta: bool = False) -> Contender:
    """A target for each stream."""

    @contextmanager
    def prepare(path: Path) -> Iterator[Body]:
        with LogStore(path / "store", durability="os") as store, Act(store, Account) as app:
            events = fill(store, streams, META if with_meta else None)
            heard: list[int] = []

            @app.on(Deposited)
            def react(event: Committed[Deposited]) -> None:
                heard.append(event.position)

            yield app.settle
            assert len(heard) == events

    name = f"{SUBJECT}, with the meta that `do` writes" if with_meta else SUBJECT
    return Contender(name, DURABILITY["os"], streams * EVENTS_EACH, prepare)


def projected(name: str, streams: int, make: Callable[[], ByOne | ByLists]) -> Contender:
    """All of it under one target."""

    @contextmanager
    def prepare(path: Path) -> Iterator[Body]:
        projection = make()
        with LogStore(path / "store", durability="os") as store, Act(store, Account, projection) as app:
            events = fill(store, streams)
            yield app.settle
            assert projection.count == events

    return Contender(name, DURABILITY["os"], streams * EVENTS_EACH, prepare)
