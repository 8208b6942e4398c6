"""A warehouse where everybody wants the same few things: what a decision costs when most are made more than once."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from act_fast import Act, LogStore
from bench.harness.duel import Body, Contender, Duel
from bench.harness.sizes import Sizes
from bench.harness.threads import in_threads
from bench.rows.scenarios import WAREHOUSE
from bench.stores.subject import DURABILITY, SUBJECT, Durability
from bench.workloads.shelf import Shelf

THREADS = 16
KINDS = ("teapot", "cup", "spoon", "saucer")


def bench_reservations(duel: Duel, sizes: Sizes) -> None:
    duel.fight(
        WAREHOUSE,
        warehouse("os", sizes.scaled(100)),
        warehouse("fsync", sizes.scaled(10), name=f"{SUBJECT}, fsync"),
    )


def warehouse(durability: Durability, each: int, name: str = SUBJECT) -> Contender:
    """Every thread reserves `each` items of one kind; there are exactly as many as are wanted."""

    def reserve(app: Act, kind: str, buyer: str) -> None:
        for number in range(each):
            app.do(Shelf.reserve, kind, order=f"{buyer}-{number}")

    @contextmanager
    def prepare(path: Path) -> Iterator[Body]:
        with LogStore(path / "store", durability=durability) as store:
            app = Act(store, Shelf)
            for kind in KINDS:
                app.do(Shelf.stock, kind, quantity=each * THREADS // len(KINDS))
            buyers = [partial(reserve, app, KINDS[i % len(KINDS)], f"buyer-{i}") for i in range(THREADS)]
            yield in_threads(buyers)
            assert all(app.load(Shelf, kind).state.left == 0 for kind in KINDS), "each was to be reserved once"

    return Contender(name, DURABILITY[durability], each * THREADS, prepare)
