"""Where the time of an append, a `do`, a load, a reaction and a question goes: layer by layer, from the inside out."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import duckdb
import msgspec

from act_fast import Act, LogStore, connect
from act_fast._checks.moments import moment
from act_fast._core import Log
from bench.harness.best import best_ns
from bench.harness.duel import Duel
from bench.harness.row import Measurement, Row
from bench.harness.sizes import Sizes
from bench.micro_reactions import WITH_WORK, known
from bench.rows.anatomy import ANATOMY_APPEND, ANATOMY_DO, ANATOMY_LOAD, ANATOMY_REACT, ANATOMY_SQL
from bench.stores.subject import DURABILITY, PAYLOAD_BYTES_MAX, SEGMENT_BYTES, open_core
from bench.workloads.bank import Account, Deposited, Opened
from bench.workloads.events import payloads, stream_name

STREAMS = 100
TURNS = 100
STATE_EVENTS = 1_000
SUM = "select sum(version) from events"


@dataclass(frozen=True)
class Layer:
    """A loop.

    Attributes:
        name: of what it adds to the loops before it.
        work: one call of it.
        turns: so many turns are one call.
        whole: whether it does all that the loops before it do, too; else what it does comes on top of them.
        before: called before each call, and not measured.
    """

    name: str
    work: Callable[[], object]
    turns: int = TURNS
    whole: bool = True
    before: Callable[[], object] = lambda: None


def bench_append(duel: Duel, sizes: Sizes, shelf: Path) -> None:
    (data,) = payloads(1)
    memory = Log.memory(SEGMENT_BYTES, PAYLOAD_BYTES_MAX)
    with closing(open_core(shelf / "core")) as core, LogStore(shelf / "store", durability="os") as store:
        layers = [
            Layer("versions, record and index, in memory", appends(memory.append, b"{}")),
            Layer("the payload: checked, copied, checksummed", appends(memory.append, data)),
            Layer("files instead of memory", appends(core.append, data)),
            Layer("the Python face", appends(store.append, data)),
        ]
        tell(duel, sizes, ANATOMY_APPEND, layers)


def bench_do(duel: Duel, sizes: Sizes, shelf: Path) -> None:
    with LogStore(shelf / "store", durability="os") as store:
        app = Act(store, Account)
        names = [f"account-{number}" for number in range(STREAMS)]
        for name in names:
            app.do(Account.open, name, owner="Ada")
        some, encoded, typed = cycle(names), [("Deposited", b'{"amount":5}')], [Deposited(5)]

        def each(turn: Callable[[str], object]) -> Callable[[], object]:
            return lambda: [turn(next(some)) for _ in range(TURNS)]

        layers = [
            Layer("the append", each(lambda name: store.append(name, encoded))),
            Layer("the event, encoded", each(lambda name: store.append(name, typed))),
            Layer("the state, brought up to date", each(lambda name: app.load(Account, name)), whole=False),
            Layer("arguments, the decision, the new state", each(lambda name: app.do(Account.deposit, name, amount=5))),
        ]
        tell(duel, sizes, ANATOMY_DO, layers)


def bench_load(duel: Duel, sizes: Sizes, shelf: Path) -> None:
    with LogStore(shelf / "store", durability="os") as store:
        names = [stream_name(number) for number in range(10)]
        for name in names:
            store.append(name, [Opened("Ada"), *[Deposited(5)] * (STATE_EVENTS - 1)])
        app, log = Act(store, Account), store._log
        decode = msgspec.json.Decoder(Deposited).decode
        data = [b'{"amount":5}'] * STATE_EVENTS

        def rows() -> None:
            for name in names:
                after: int | None = 0
                while after is not None:
                    _, after = log.load_columns(name, after, STATE_EVENTS + 1, None, moment)

        turns = len(names) * STATE_EVENTS
        layers = [
            Layer("columns out of the core", rows, turns),
            Layer("payloads, decoded", lambda: [decode(each) for _ in names for each in data], turns, whole=False),
            Layer(
                "reducers, and the loop around them",
                lambda: [app.load(Account, name, before=STATE_EVENTS + 1) for name in names],
                turns,
            ),
        ]
        tell(duel, sizes, ANATOMY_LOAD, layers)


def bench_react(duel: Duel, sizes: Sizes, shelf: Path) -> None:
    with known(shelf / "store", sizes.scaled(10_000, at_least=WITH_WORK)) as store:

        def correlated() -> None:
            store.app.settle()
            store.give_work()
            store.app.correlate()

        def claim() -> None:
            store.finish(store.claim(WITH_WORK))

        layers = [
            Layer("correlated", store.app.correlate, WITH_WORK, before=store.give_work),
            Layer("claimed and acknowledged", claim, WITH_WORK, whole=False, before=correlated),
            Layer("read, decoded, handled", store.app.settle, WITH_WORK, before=store.give_work),
        ]
        tell(duel, sizes, ANATOMY_REACT, layers)


def bench_sql(duel: Duel, sizes: Sizes, shelf: Path) -> None:
    with LogStore(shelf / "store", durability="os") as store, Act(store, Account) as app:
        store.append("account-1", [Deposited(5)] * sizes.scaled(10_000))
        with connect(app) as connection, closing(duckdb.connect()) as own:
            own.execute("create table events as select unnest(range(1, $1))::ubigint as version", [store.head + 1])
            layers = [
                Layer("DuckDB, on a table of its own", lambda: own.execute(SUM).fetchall(), 1),
                Layer("the log as a table", lambda: connection.sql(SUM).fetchall(), 1),
                Layer("a connection at the head of the log", lambda: app.sql(SUM).fetchall(), 1),
            ]
            tell(duel, sizes, ANATOMY_SQL, layers)


def appends(append: Callable[..., object], data: bytes) -> Callable[[], object]:
    """Appends to streams in turn."""
    names, event = cycle([f"{stream_name(number)}-{len(data)}" for number in range(STREAMS)]), [("Deposited", data)]
    return lambda: [append(next(names), event) for _ in range(TURNS)]


def tell(duel: Duel, sizes: Sizes, row: Row, layers: Sequence[Layer]) -> None:
    """What each layer adds, as the difference to those inside it."""
    found: list[list[float]] = [[] for _ in layers]

    def run() -> None:
        below = 0.0
        for layer, values in zip(layers, found, strict=True):
            took = best_ns(layer.work, sizes.scaled(50, at_least=2), layer.turns, before=layer.before)
            values.append(max(took - below, 0.0) if layer.whole else took)
            below += values[-1]

    duel.time(run, rounds=sizes.rounds, warmup_rounds=1)
    duel.observe(
        row,
        [Measurement(layer.name, DURABILITY["os"], values[1:]) for layer, values in zip(layers, found, strict=True)],
    )
