"""A store goes to another address as it stands, while others write to it, and however often the move is killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count, product
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from act_fast import (
    Act,
    Append,
    Committed,
    Lane,
    LogStore,
    Meta,
    MoveError,
    NonRetryableError,
    Store,
    StoreError,
    StoreLockedError,
    ValidationError,
    move,
    restore_path,
)
from act_fast._app.address import open_store
from act_fast.stores import copy
from act_fast.stores.capabilities import transfer_of
from act_fast.stores.postgres.address import place_of
from act_fast.stores.postgres.store import PostgresStore
from tests.stores.exchange.bank import Account, Deposited, audited, fill
from tests.support.mariadb import MariaDbServer
from tests.support.processes import until
from tests.support.servers import PostgresServer

KINDS = ["log", "postgres", "mariadb"]
PAIRS = [pair for pair in product(KINDS, KINDS) if pair != ("mariadb", "mariadb")]
SECRET = "hunter2secret"
_numbers = count(1)

Place = Callable[[str], str]


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    """Gives the address of a store that is not there yet, of a kind."""

    def new(kind: str) -> str:
        number = next(_numbers)
        if kind == "log":
            return str(tmp_path / f"store-{number}.act")
        if kind == "mariadb":
            maria: MariaDbServer = request.getfixturevalue("mariadb")
            return maria.url(prefix=f"move_{number}")
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.url(schema=f"move_{number}")

    return new


def opened(address: str) -> Any:
    return open_store(address)[0]


def filled(address: str) -> str:
    """A store with commits of several streams, with meta and without, and snapshots."""
    with Act(address, Account) as app:
        fill(app)
        for number in range(30):
            appends = [
                Append(f"account-{number % 5}", [("Deposited", b'{"amount":1}', [f"gift:{number}", "ü"])] * 2),
                Append("n", [("A", b"[1]")]),
            ]
            app.store.append_many(appends, meta=Meta(correlation=f"c-{number}") if number % 3 else None)
    return address


def whole(store: Store) -> tuple[list[Any], list[Any], list[Any]]:
    transfer = transfer_of(store)
    rows = [row for page in transfer.commits(0, store.head) for row in page]
    return rows, list(store.streams()), list(transfer.snapshots())


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_all_goes_there_and_comes_back(place: Place, source: str, target: str) -> None:
    here = filled(place(source))
    with closing(opened(here)) as store:
        before = whole(store)
    assert before[2], "there are snapshots"
    there = place(target)
    moved = move(here, there)
    assert (moved.events, moved.snapshots, moved.handed_over) == (len(before[0]), len(before[2]), True)
    with closing(opened(there)) as store:
        assert whole(store) == before
        assert store.verify().problems == []
        assert [event.position for event in store.query(correlation="c-7")] == [
            row[0] for row in before[0] if b"c-7" in row[7]
        ]
        assert [event.position for event in store.query(tags=["ü", "gift:7"])] == [
            row[0] for row in before[0] if row[8] == ("gift:7", "ü")
        ]
        added = store.append("account-1", [("Deposited", b'{"amount":5}')], expected_version=store.version("account-1"))
        assert added.first_position == moved.events + 1
    back = move(there, here)
    assert back.events == moved.events + 1
    with closing(opened(here)) as store, Act(store, Account) as app:
        assert whole(store)[0][:-1] == before[0]
        assert store.verify().problems == []
        assert app.do(Account.deposit, "account-1", amount=1).version == added.last_version + 1
    assert move(here, place(target)).events == back.events + 1


def test_the_digest_is_that_of_the_events_wherever_they_are(place: Place) -> None:
    here = filled(place("log"))
    digests = set()
    for kind in ("postgres", "log", "postgres"):
        there = place(kind)
        digests.add(move(here, there).digest)
        digests.add(move(here, there).digest)  # once more, which copies nothing
        here = there
    assert len(digests) == 1
    with closing(opened(here)) as store:
        store.append("one-more", [("A", b"{}")])
    assert move(here, place("log")).digest not in digests


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_moved_takes_no_more_events_and_says_where_they_are(place: Place, kind: str) -> None:
    here, there = filled(place(kind)), place("log")
    move(here, there)
    with pytest.raises(StoreError, match=f"was moved to {there}"), closing(opened(here)) as store:
        store.append("account-1", [("Deposited", b"{}")])
    reading = LogStore(here, read_only=True) if kind == "log" else opened(here)
    with closing(reading) as store, closing(opened(there)) as moved:
        assert whole(store) == whole(moved)


@pytest.mark.parametrize("target", KINDS)
def test_a_database_is_moved_while_programs_append_and_no_append_is_lost(place: Place, target: str) -> None:
    here, there = filled(place("postgres")), place(target)
    acknowledged: list[tuple[str, int]] = []
    refused: list[str] = []

    def append(number: int) -> None:
        with closing(opened(here)) as store:
            try:
                while True:
                    done = store.append(f"writer-{number}", [("Counted", b"{}")])
                    acknowledged.append((f"writer-{number}", done.first_position))
            except StoreError as error:
                refused.append(str(error))

    threads = [threading.Thread(target=append, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: len({stream for stream, _ in acknowledged}) == 3)
    moved = move(here, there)
    for thread in threads:
        thread.join(60)
    assert len(refused) == 3
    assert all("was moved to" in each for each in refused)
    with closing(opened(there)) as store:
        found = {(event.stream, event.position) for event in store.query(pattern="^writer-")}
        assert found == set(acknowledged)
        assert (store.head, store.verify().problems) == (moved.events, [])


@pytest.mark.parametrize("target", KINDS)
def test_a_log_is_copied_while_programs_append_and_handed_over_once_it_is_closed(place: Place, target: str) -> None:
    here, there = filled(place("log")), place(target)
    with LogStore(here) as store:
        with pytest.raises(StoreLockedError, match="open elsewhere"):
            move(here, there, patience=0)
        moved: list[Any] = []
        mover = threading.Thread(target=lambda: moved.append(move(here, there)))
        mover.start()
        for number in range(20):
            store.append("late", [("Counted", b'{"n":%d}' % number)])
            time.sleep(0.01)
        assert not moved
        head = store.head
    mover.join(60)
    assert [each.events for each in moved] == [head]
    with closing(opened(there)) as store:
        assert store.version("late") == 20


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_copy_lets_the_source_go_on_and_is_brought_up_to_date(place: Place, source: str, target: str) -> None:
    here, there = filled(place(source)), place(target)
    first = move(here, there, hand_over=False)
    assert not first.handed_over
    with closing(opened(here)) as store:
        store.append("late", [("Counted", b"{}")])
    assert move(here, there, hand_over=False).events == first.events + 1


MOVE = """
import sys
from act_fast.stores import copy
from act_fast.cli import main
copy._STEP_EVENTS = 10
sys.exit(main(["move", *sys.argv[1:]]))
"""


@pytest.mark.parametrize(("source", "target"), [("log", "postgres"), ("postgres", "log")])
def test_a_move_that_is_killed_goes_on_where_it_was(place: Place, source: str, target: str) -> None:
    here, there = place(source), place(target)
    with closing(opened(here)) as store:
        for number in range(40):
            store.append_many([Append(f"s-{n}", [("Counted", b'{"n":%d}' % number)] * 5) for n in range(10)])
        expected = whole(store)
    heads = [0]
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", MOVE, here, there]) as child, closing(_watched(there)) as watched:
            end = time.monotonic() + 60
            while watched.head <= heads[-1] and child.poll() is None and time.monotonic() < end:
                time.sleep(0.002)
            os.kill(child.pid, signal.SIGKILL) if child.poll() is None else None
            child.wait()
            heads.append(watched.head)
    assert 0 < heads[1] <= heads[-1] <= len(expected[0])
    assert move(here, there).events == len(expected[0])
    with closing(opened(there)) as store:
        assert whole(store) == expected
        assert store.verify().problems == []


def _watched(address: str) -> Any:
    """A store that is there, to look at it while another process writes."""
    return opened(address) if "://" in address else LogStore(address, durability="os")


def test_a_move_that_is_interrupted_anywhere_goes_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy, "_STEP_EVENTS", 20)
    here, there = filled(place("log")), place("postgres")
    told = 0

    def interrupt(done: int, total: int) -> None:
        nonlocal told
        assert 0 < done <= total
        told += 1
        if told % 3 == 0:
            raise KeyboardInterrupt

    for _ in range(30):
        try:
            moved = move(here, there, progress=interrupt)
            break
        except KeyboardInterrupt:
            continue
    with closing(opened(there)) as store, LogStore(here, read_only=True) as log:
        assert whole(store) == whole(log)
        assert store.head == moved.events


def test_a_target_that_holds_something_else_is_left_alone(place: Place) -> None:
    here, there = filled(place("log")), place("postgres")
    with closing(opened(there)) as store:
        store.append("other", [("A", b"{}")])
        with pytest.raises(ValidationError, match="not those of the source"):
            move(here, there)
        assert store.head == 1
    with closing(opened(here)) as log:
        log.append("still", [("A", b"{}")])
    for same in (here, f"{here}/"):
        with pytest.raises(ValidationError, match="same store"):
            move(here, same)


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_is_not_moved_onto_itself_by_another_name(place: Place, tmp_path: Path, kind: str) -> None:
    here = filled(place(kind))
    if kind == "log":
        (tmp_path / "link").symlink_to(here)
        other = str(tmp_path / "link")
    else:
        other = here.replace("127.0.0.1", "localhost")
    with pytest.raises(ValidationError, match="same store"):
        move(here, other, patience=0)
    with closing(opened(here)) as store:
        assert store.append("still", [("A", b"{}")]).first_version == 1


@pytest.mark.parametrize("what", ["data = 'null'", "created_us = created_us - 1", "meta = '{}'", "name = 'B'"])
def test_a_difference_is_found_and_the_source_goes_on(place: Place, what: str) -> None:
    here, there = filled(place("log")), place("postgres")
    move(here, there, hand_over=False)
    with psycopg.connect(place_of(there).conninfo, autocommit=True) as connection:
        update = sql.SQL("update {}.events set {} where position = 17")
        connection.execute(update.format(sql.Identifier(place_of(there).schema), sql.SQL(what)))
    with pytest.raises(MoveError, match="the event at position 17 "):
        move(here, there)
    with closing(opened(here)) as log:
        log.append("still", [("A", b"{}")])
    ran = command(here, there)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "at position 17" in ran.stderr


def test_a_hand_over_that_fails_leaves_the_source_as_it_was(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in KINDS:
        here, there = filled(place(kind)), place("log")
        compared = copy.Copy.compare
        calls: list[None] = []

        def fail(self: copy.Copy, compared: Any = compared, calls: list[None] = calls) -> None:
            calls.append(None)
            if len(calls) == 2:
                raise MoveError("planted")
            compared(self)

        with monkeypatch.context() as patch:
            patch.setattr(copy.Copy, "compare", fail)
            with pytest.raises(MoveError, match="planted"):
                move(here, there)
        with closing(opened(here)) as store:
            store.append("still", [("A", b"{}")])
        assert move(here, there).handed_over


def reacting(address: str) -> tuple[Act, list[tuple[str, int]]]:
    """An app whose reactions are retried, blocked, skipped and computed; what they have heard."""
    app = Act(address, Account, lanes=[Lane("slow")])
    heard = audited(app)

    @app.on(Deposited, to=lambda event: f"parity-{event.data.amount % 2}", lane="slow", name="parity")
    def parity(event: Committed[Deposited]) -> None:
        if event.data.amount == 3:
            raise NonRetryableError("three is too many")
        heard.append((f"parity-{event.data.amount % 2}", event.position))

    return app, heard


def kept(app: Act) -> list[tuple[object, ...]]:
    """What is kept of each target, but for who held it last."""
    return sorted(
        (
            t.name,
            t.lane,
            t.priority,
            t.watermark,
            t.mark,
            t.lag,
            t.blocked,
            t.error,
            t.attempts,
            t.failing,
            t.due,
            *t.reactions,
        )
        for t in app.targets()
    )


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_reactions_go_on_where_they_were(place: Place, source: str, target: str) -> None:
    here, there = place(source), place(target)
    app, heard = reacting(here)
    with closing(app):
        fill(app, accounts=3, deposits=4)
        app.settle()
        app.prioritize(["audit-account-1"], 7)
        app.defer(["audit-account-2"], until=datetime.now(UTC) + timedelta(days=400))
        app.do(Account.deposit, "account-2", amount=8)
        app.settle()
        before, expected = kept(app), len(heard)
        assert [t for t in before if t[6]], "one is blocked"
        assert any(t[5] for t in before), "one lags"
    for one, other in ((here, there), (there, here)):
        move(one, other)
        app, heard = reacting(other)
        with closing(app):
            app.settle()
            assert (heard, kept(app)) == ([], before)
    app, heard = reacting(here)
    with closing(app):
        app.unblock(["parity-1"])
        app.do(Account.deposit, "account-0", amount=6)
        app.settle()
        assert ("parity-0", app.store.head) in heard
        assert ("account-0", app.store.version("account-0")) in heard
        assert not {each for each in heard if each[0] == "account-1"}, "what was done is not done again"
        assert app.store.verify().problems == []
    assert expected


def test_a_program_that_is_at_the_target_already_learns_what_came(place: Place) -> None:
    here, there = place("log"), place("postgres")
    early, early_heard = reacting(there)
    with closing(early):
        early.settle()
        assert list(early.targets()) == []
        app, _ = reacting(here)
        with closing(app):
            fill(app, accounts=3, deposits=4)
            app.settle()
            before = kept(app)
        move(here, there)
        assert kept(early) == before
        early.settle()
        assert early_heard == []
        early.do(Account.deposit, "account-1", amount=2)
        early.settle()
        assert sorted(early_heard) == [("account-1", 6), ("parity-0", early.store.head)]


@pytest.mark.parametrize("kind", KINDS)
def test_reactions_begin_again_if_that_is_wanted(place: Place, kind: str) -> None:
    here, there = place("log"), place(kind)
    app, heard = reacting(here)
    with closing(app):
        fill(app, accounts=2, deposits=2)
        app.settle()
        first = sorted(heard)
    assert move(here, there, hand_over=False).events == 6
    assert move(here, there, restart_reactions=True).events == 6
    app, heard = reacting(there)
    with closing(app):
        app.settle()
        assert sorted(heard) == first != []


def test_what_keeps_nothing_of_reactions_is_told_from_what_does(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = place("log"), place("postgres")
    with Act(here, Account) as app:
        fill(app, accounts=2, deposits=2)
        audited(app)
        app.settle()
    monkeypatch.delattr(PostgresStore, "reactions")
    with pytest.raises(ValidationError, match="restart_reactions"):
        move(here, there)
    assert move(here, there, restart_reactions=True).events == 6


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_workers_on_what_was_moved_are_told_so(place: Place, kind: str) -> None:
    here, there = place(kind), place("postgres")
    app, heard = reacting(here)
    with closing(app):
        fill(app, accounts=2, deposits=2)
        app.settle()
        done = len(heard)
        move(here, there)
        with pytest.raises(StoreError, match="was moved to"):
            app.reset(["audit-account-1"])
        assert len(heard) == done


def test_what_is_restored_over_a_log_that_was_moved_can_be_opened(place: Place, tmp_path: Path) -> None:
    here, there = filled(place("log")), place("log")
    move(here, there)
    with LogStore(there) as store:
        store.export(tmp_path / "all.jsonl")
    restore_path(here, tmp_path / "all.jsonl", dry_run=True)
    with pytest.raises(StoreError, match="was moved"):
        LogStore(here)
    restore_path(here, tmp_path / "all.jsonl", replace=True)
    with LogStore(here) as store:
        store.append("again", [("A", b"{}")])


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("act-fast")
    return subprocess.run(
        [program, "move", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_command_moves_and_says_what_it_did(place: Place) -> None:
    here, there = filled(place("log")), place("postgres")
    secret = there.replace("postgres@", f"postgres:{SECRET}@")
    with LogStore(here) as store:
        locked = command(here, secret, "--patience", "0.1")
        head = store.head
    assert (locked.returncode, locked.stdout) == (2, "")
    assert "close the source in every program" in locked.stderr
    copied = command(here, secret, "--copy")
    assert copied.returncode == 0
    assert copied.stdout.startswith(f"{head} events and 5 snapshots copied from {here} to postgresql://127.0.0.1")
    moved = json.loads(command(here, secret, "--json").stdout)
    assert (moved["events"], moved["handed_over"], moved["source"]) == (head, True, here)
    assert moved["digest"] in copied.stdout
    back = command(secret, here)
    assert f"programs must now open {here}" in back.stdout
    wrong = [
        command(here),
        command(here, "nonsense://x"),
        command(f"{here}-not-there", there),
        command(here, there, "--patience", "-1"),
    ]
    assert [each.returncode for each in wrong] == [2, 2, 2, 2]
    for ran in (locked, copied, back, *wrong):
        assert SECRET not in ran.stdout + ran.stderr
        assert "Traceback" not in ran.stderr
