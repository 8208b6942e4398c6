"""How fast a decision is made and kept: validate, load, decide, fold, append."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from act_fast import Act, LogStore
from bench.harness.duel import Body, Contender, Duel
from bench.harness.sizes import Sizes
from bench.peers.act import act_deposits
from bench.peers.aggregates import aggregate_saves
from bench.rows.framework import DO
from bench.stores.subject import DURABILITY, SUBJECT, Durability
from bench.workloads.bank import Account
from bench.workloads.events import stream_name

ACTIONS_EACH = 20


def bench_do(duel: Duel, sizes: Sizes) -> None:
    duel.fight(
        DO,
        actions("os", sizes.scaled(500)),
        actions("fsync", sizes.scaled(25)),
        *aggregate_saves(sizes.scaled(50), ACTIONS_EACH),
        *act_deposits(sizes.scaled(25), ACTIONS_EACH),
    )


def actions(durability: Durability, accounts: int) -> Contender:
    """Deposits into open accounts in turn, as the peers make them: every stream grows from 1 event to 21."""
    streams = [stream_name(i) for i in range(accounts)]

    @contextmanager
    def prepare(path: Path) -> Iterator[Body]:
        with LogStore(path / "store", durability=durability) as store:
            app = Act(store, Account)
            for stream in streams:
                app.do(Account.open, stream, owner="Ada")

            def deposit() -> None:
                for _ in range(ACTIONS_EACH):
                    for stream in streams:
                        app.do(Account.deposit, stream, amount=5)

            yield deposit

    name = SUBJECT if durability == "os" else f"{SUBJECT}, {durability}"
    return Contender(name, DURABILITY[durability], accounts * ACTIONS_EACH, prepare)
