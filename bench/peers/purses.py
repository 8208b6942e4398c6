"""The transfers of `workloads/transfers.py` with `eventsourcing` on SQLite."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.harness.duel import Body, Contender
from bench.peers.absence import needs
from bench.peers.aggregates import UNFLUSHED, stored_at
from bench.rows.peers import EVENTSOURCING_SQLITE_UNFLUSHED
from bench.workloads.transfers import OPENING_BALANCE, Transfer

__all__ = ["purse_transfers"]


@needs("eventsourcing", EVENTSOURCING_SQLITE_UNFLUSHED)
def purse_transfers(orders: Sequence[Transfer]) -> list[Contender]:
    """One after the other, aggregates got from the library's cache."""
    from bench.peers.eventsourcing_bank import Account, UnflushedBank

    names = sorted({name for order in orders for name in (order.payer, order.payee)})

    @contextmanager
    def prepare(path: Path) -> Iterator[Body]:
        cache = {"AGGREGATE_CACHE_MAXSIZE": str(len(names))}
        with UnflushedBank(env=stored_at(path, UNFLUSHED) | cache) as bank:
            purses = {name: Account(owner=name) for name in names}
            for purse in purses.values():
                purse.deposit(OPENING_BALANCE)
            bank.save(*purses.values())
            ids = {name: purse.id for name, purse in purses.items()}

            def transfer() -> None:
                for payer, payee, amount in orders:
                    purse: Account = bank.repository.get(ids[payer])
                    if amount <= purse.balance:
                        purse.deposit(-amount)
                        bank.save(purse)
                        purse = bank.repository.get(ids[payee])
                        purse.deposit(amount)
                        bank.save(purse)

            yield transfer

    return [Contender(EVENTSOURCING_SQLITE_UNFLUSHED, UNFLUSHED, len(orders), prepare)]
