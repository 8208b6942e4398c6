"""Log files change their form, and streams their books, while everything else goes on and processes are killed.

Several processes do, decide, schedule, react and project on one store, while others compress, archive, restart and
retire; each may be killed at any moment. Between rounds, one process alone compares all of it with plain totals, and
prunes. `ACT_FAST_ROUNDS` sets how many rounds there are, `ACT_FAST_SEED` repeats a run, as far as its dice go.
"""

import os
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from act_fast import (
    Act,
    Committed,
    ConcurrencyError,
    Event,
    Lane,
    LogStore,
    PrunedError,
    Retire,
    SqlProjection,
    State,
    StoreLockedError,
    Tag,
    View,
    action,
    decision,
    on,
    reducer,
)
from tests.support import sums
from tests.support.processes import Process, Tell, until
from tests.support.sums import Added

SEED = int(os.environ.get("ACT_FAST_SEED", "0")) or random.randrange(1 << 30)
ROUNDS = int(os.environ.get("ACT_FAST_ROUNDS", "2"))
WRITERS = 2
STREAMS = 6
LOTS = 3
ROOM = 8
KILLS = 2
QUESTION = "select stream, count(*) as n, sum(number) as total from added group by stream"
PRUNED = b'"pruned"'


class Taken(Event):
    lot: Tag[str]
    by: str


class Lot(View, name="lot"):
    taken: int = 0

    @reducer
    def on_taken(self, event: Taken) -> None:
        self.taken += 1


@decision
def take(lot: Lot, number: int, by: str) -> Taken | None:
    return Taken(str(number), by) if lot.taken < ROOM else None


class Sum(sums.Sum, snapshot_every=5, retire=Retire(after=timedelta(milliseconds=50), keep=lambda state: state)):
    """One that retires, too."""


class Noted(Event):
    amount: int


class Mirror(State):
    total: int = 0

    @reducer
    def noted(self, event: Noted) -> None:
        self.total += event.amount

    @action
    def note(self, amount: int) -> Noted:
        return Noted(amount)


class Totals(SqlProjection, name="totals"):
    tables = ("totals",)

    def setup(self, db: sqlite3.Cursor) -> None:
        db.execute(f"create table if not exists {self.table('totals')} (stream text primary key, total int not null)")

    @on(Added)
    def added(self, event: Committed[Added], db: sqlite3.Cursor) -> None:
        db.execute(
            f"insert into {self.table('totals')} values (?, ?)"
            " on conflict (stream) do update set total = total + excluded.total",
            (event.stream, event.data.number),
        )


class App:
    """The app of one process."""

    def __init__(self, folder: Path, reacting: bool = False, **options: Any) -> None:
        self.folder = folder
        self.store = LogStore(folder / "sums.act", durability="os", segment_bytes=64 << 10, **options)
        self.app = Act(self.store, Sum, Mirror, Lot, lanes=[Lane("default", lease=2.0)])
        self.app.view("per_stream", QUESTION)
        if reacting:
            self._react()

    def _react(self) -> None:
        self.app.include(Totals(sqlite3.connect(self.folder / "totals.db", check_same_thread=False)))
        heard = os.open(self.folder / "heard", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

        @self.app.on(Added, to="audit-{stream}")
        def audit(event: Committed[Added]) -> None:
            os.write(heard, f"{event.stream} {event.position}\n".encode())

        @self.app.on(Added, to="mirror")
        def mirror(event: Committed[Added]) -> None:
            self.app.once(f"mirror-{event.position}").do(Mirror.note, "mirror", amount=event.data.number)

    def __enter__(self) -> "App":
        return self

    def __exit__(self, *_: object) -> None:
        self.app.close()
        self.store.close()


class Work:
    """The work of a writer, which is the same whenever it is asked for: what it adds to each stream, and how."""

    def __init__(self, writer: int, number: int) -> None:
        dice = random.Random(f"{SEED}-{writer}-{number}")
        self.key = f"work-{writer}-{number}"
        self.how = dice.choice([self._do, self._do, self._many, self._later, self._take])
        self.streams = dice.sample([f"sum-{each}" for each in range(STREAMS)], 2)
        self.number = dice.randrange(10)
        self.at = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=number)

    def __call__(self, app: Act) -> None:
        while True:
            with suppress(ConcurrencyError):
                self.how(app)
                return

    def adds(self) -> Counter[str]:
        """What the streams have more of."""
        if self.how == self._take:
            return Counter()
        if self.how == self._many:
            return Counter({self.streams[0]: self.number, self.streams[1]: 2 * self.number})
        return Counter({self.streams[0]: self.number})

    def _do(self, app: Act) -> Any:
        return app.once(self.key).do(Sum.add, self.streams[0], number=self.number)

    def _many(self, app: Act) -> Any:
        one, other = self.streams
        return app.once(self.key).do_many(Sum.add.at(one, number=self.number), Sum.twice.at(other, number=self.number))

    def _later(self, app: Act) -> Any:
        return app.schedule(at=self.at, key=self.key).do(Sum.add, self.streams[0], number=self.number)

    def _take(self, app: Act) -> Any:
        lot = self.number % LOTS
        return app.once(self.key).decide(take, Lot.of(str(lot)), lot, self.key)


def writing(folder: Path, writer: int, first: int) -> Callable[[Tell], None]:
    def body(tell: Tell) -> None:
        with App(folder) as own:
            number = first
            while True:
                Work(writer, number)(own.app)
                tell(number)
                number += 1

    return body


def working(folder: Path) -> Callable[[Tell], None]:
    def body(tell: Tell) -> None:
        with App(folder, reacting=True) as own:
            tell("open")
            own.app.run()

    return body


def keeping(folder: Path, seed: int) -> Callable[[Tell], None]:
    def body(tell: Tell) -> None:
        dice = random.Random(seed)
        with App(folder, compress=True) as own:
            tell("open")
            while True:
                with suppress(StoreLockedError, ConcurrencyError):
                    keep(own, dice)

    return body


def keep(own: App, dice: random.Random) -> None:
    app, store, stream = own.app, own.store, f"sum-{dice.randrange(STREAMS)}"
    verbs: dict[str, Callable[[], object]] = {
        "compress": lambda: store.compress(seal=dice.random() < 0.3),
        "decompress": store.decompress,
        "archive": lambda: store.archive(own.folder / "archive", keep=dice.randrange(100), parquet=dice.random() < 0.3),
        "unarchive": lambda: store.unarchive(remove=dice.random() < 0.3),
        "restart": lambda: app.load(Sum, stream).version and app.restart_stream(Sum, stream),
        "snapshot": lambda: app.load(Sum, stream).version and app.snapshot(Sum, stream),
        "retire": app.retire,
        "verify": lambda: check_healthy(store),
        "backup": lambda: check_backup(own, dice),
        "question": lambda: check_question(own),
    }
    verbs[dice.choice([*verbs])]()


def check_healthy(store: LogStore) -> None:
    report = store.verify()
    assert report.healthy, report


def check_backup(own: App, dice: random.Random) -> None:
    copy = own.folder / f"copy-{os.getpid()}-{dice.randrange(1 << 30)}.act"
    done = own.app.backup(copy, whole=dice.random() < 0.5)
    with LogStore(copy, durability="os") as store, Act(store, Sum, Mirror, Lot) as other:
        assert store.head == done.position
        assert totals_of(other.replay(Sum)) == totals_of(own.app.replay(Sum, at=done.position))
    for each in sorted(copy.rglob("*"), reverse=True):
        each.rmdir() if each.is_dir() else each.unlink()
    copy.rmdir()


def check_question(own: App) -> None:
    at = own.store.head
    kept = own.app.sql("select * from per_stream", at=at).fetchall()
    assert sorted(kept) == sorted(own.app.sql(QUESTION, at=at).fetchall())


def totals_of(replayed: Iterable[tuple[str, Any]]) -> dict[str, int]:
    return {stream: each.state.total for stream, each in replayed if stream.startswith("sum-")}


class Everything:
    """A store, what was acknowledged, and what was in it between rounds."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.dice = folder, random.Random(SEED)
        self.next = [0] * WRITERS
        self.known: dict[int, tuple[str, int, int]] = {}

    def round(self) -> None:
        writers = [Process(writing(self.folder, each, self.next[each])) for each in range(WRITERS)]
        others = {name: Process(self.body(name)) for name in ("worker", "other worker", "keeper", "other keeper")}
        try:
            for _ in range(KILLS):
                for each in range(WRITERS):
                    self.hear(each, writers[each], self.dice.randrange(5, 25))
                victim = self.dice.choice([*range(WRITERS), *others])
                if isinstance(victim, int):
                    self.end(writers[victim], victim)
                    writers[victim] = Process(writing(self.folder, victim, self.next[victim]))
                else:
                    self.end(others[victim])
                    others[victim] = Process(self.body(victim))
            for each in range(WRITERS):
                self.end(writers[each], each)
            for process in others.values():
                self.end(process)
        finally:
            for process in (*writers, *others.values()):
                process.forget()

    def body(self, name: str) -> Callable[[Tell], None]:
        if name.endswith("worker"):
            return working(self.folder)
        return keeping(self.folder, self.dice.randrange(1 << 30))

    def hear(self, writer: int, process: Process, lines: int) -> None:
        for _ in range(lines):
            line = process.next_line()
            assert line, f"writer {writer} has ended: {process.wait()}"
            self.next[writer] = int(line) + 1

    def end(self, process: Process, writer: int | None = None) -> None:
        process.kill()
        if writer is not None:
            for line in process.lines():
                self.next[writer] = int(line) + 1
        assert process.wait() == -9, "it had ended before"

    def check(self) -> None:
        with App(self.folder, reacting=True) as own:
            totals: Counter[str] = Counter()
            for writer in range(WRITERS):
                Work(writer, self.next[writer])(own.app)  # it may be there or not
                self.next[writer] += 1
                for number in range(self.next[writer]):
                    work = Work(writer, number)
                    totals.update(work.adds())
                    if self.dice.random() < 0.05:
                        work(own.app)
            until(lambda: self.settled(own.app))
            self.check_log(own)
            plain = Counter({stream: 0 for stream in totals})
            for stream, number, _ in self.known.values():
                plain[stream] += number
            assert plain == totals
            assert totals_of(own.app.replay(Sum)) == totals
            assert {stream: own.app.load(Sum, stream).state.total for stream in totals} == totals
            assert own.app.load(Mirror, "mirror").state.total == totals.total()
            self.check_sql(own)
            self.check_lots(own)
            self.check_heard()
            with sqlite3.connect(self.folder / "totals.db") as db:
                assert dict(db.execute("select * from totals")) == totals
            for _ in range(20):
                self.check_moment(own, self.dice.randrange(1, own.store.head + 1))
            check_healthy(own.store)
            if self.dice.random() < 0.5:
                own.store.unarchive(remove=True)
                own.app.prune()
                assert totals_of(own.app.replay(Sum)) == totals
                self.check_log(own)
                self.check_sql(own)

    def settled(self, app: Act) -> bool:
        """Whether nothing is left to do, also of what a worker had in hand when it was killed."""
        app.settle()
        targets = [*app.targets()]
        assert not any(each.blocked for each in targets)
        return all(not each.lag and each.holder is None and each.due is None for each in targets)

    def check_log(self, own: App) -> None:
        """All that was there is there, where it was, unless it was pruned."""
        seen = set()
        for event in own.store.query(names=["Added"]):
            seen.add(event.position)
            if event.data == PRUNED:
                assert self.known[event.position][0::2] == (event.stream, event.version)
            else:
                fact = (event.stream, int(event.data[len(b'{"number":') : -1]), event.version)
                assert self.known.setdefault(event.position, fact) == fact
        assert seen == self.known.keys()

    def check_sql(self, own: App) -> None:
        plain: dict[str, tuple[int, int]] = {}
        for event in own.store.query(names=["Added"]):
            if event.data != PRUNED:
                n, total = plain.get(event.stream, (0, 0))
                plain[event.stream] = (n + 1, total + self.known[event.position][1])
        wanted = sorted((stream, *each) for stream, each in plain.items())
        assert sorted(own.app.sql(QUESTION).fetchall()) == wanted
        assert sorted(own.app.sql("select * from per_stream").fetchall()) == wanted
        states = dict(own.app.sql("select stream, total from sum where stream like 'sum-%'").fetchall())
        assert states == totals_of(own.app.replay(Sum))

    def check_lots(self, own: App) -> None:
        taken = Counter(event.data.lot for event in own.app.query(events=[Taken]))
        assert all(count <= ROOM for count in taken.values())
        by = [event.data.by for event in own.app.query(events=[Taken])]
        assert len(by) == len({*by})
        assert {lot: own.app.load(Lot.of(lot)).state.taken for lot in taken} == taken

    def check_heard(self) -> None:
        """Each target has heard all of its events, for the first time in order; some come again after a kill."""
        heard: dict[str, dict[int, None]] = {}
        for line in (self.folder / "heard").read_text().splitlines():
            stream, position = line.split()
            heard.setdefault(stream, {}).setdefault(int(position))
        wanted: dict[str, list[int]] = {}
        for at, (of, _, _) in sorted(self.known.items()):
            wanted.setdefault(of, []).append(at)
        assert {stream: [*firsts] for stream, firsts in heard.items()} == wanted

    def check_moment(self, own: App, position: int) -> None:
        stream = self.dice.choice([fact[0] for fact in self.known.values()])
        wanted = sum(number for at, (of, number, _) in self.known.items() if of == stream and at <= position)
        with suppress(PrunedError):
            assert own.app.load(Sum, stream, position=position).state.total == wanted


def test_nothing_is_lost_torn_skipped_or_doubled_whatever_goes_on_at_once(tmp_path: Path) -> None:
    print("seed", SEED)
    everything = Everything(tmp_path)
    for _ in range(ROUNDS):
        everything.round()
        everything.check()
