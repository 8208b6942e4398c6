"""A bank: threads transfer money between accounts, half of the time the same few accounts."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from act_fast import Act, LogStore
from bench.harness.duel import Body, Contender, Duel
from bench.harness.sizes import Sizes
from bench.harness.threads import in_threads
from bench.peers.disk import raw_flush
from bench.peers.purses import purse_transfers
from bench.rows.scenarios import BANK_FSYNC, BANK_OS
from bench.stores.subject import DURABILITY, SUBJECT, Durability
from bench.workloads.transfers import Purse, Transfer, transfers

THREADS = 8


def bench_unflushed(duel: Duel, sizes: Sizes) -> None:
    orders = transfers(sizes.scaled(8_000, at_least=THREADS))
    duel.fight(BANK_OS, bank("os", orders), *purse_transfers(orders[: sizes.scaled(500)]))


def bench_flushed(duel: Duel, sizes: Sizes) -> None:
    orders = transfers(sizes.scaled(1_600, at_least=THREADS))
    duel.fight(BANK_FSYNC, bank("fsync", orders), raw_flush(sizes.scaled(250)))


def bank(durability: Durability, orders: Sequence[Transfer]) -> Contender:
    def transfer(app: Act, share: Sequence[Transfer]) -> None:
        for payer, payee, amount in share:
            if app.do(Purse.pay_out, payer, amount=amount).event is not None:
                app.do(Purse.pay_in, payee, amount=amount)

    @contextmanager
    def prepare(path: Path) -> Iterator[Body]:
        with LogStore(path / "store", durability=durability) as store:
            app = Act(store, Purse)
            yield in_threads([partial(transfer, app, orders[i::THREADS]) for i in range(THREADS)])
            assert store.head == 2 * len(orders), "no money may be lost"

    return Contender(SUBJECT, DURABILITY[durability], len(orders), prepare)
