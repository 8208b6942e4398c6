"""States that were folded for one question are not folded again for the next, but for the streams that went on."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from act_fast import Act, Event, LogStore, State, action, connect, reducer
from act_fast._sql.parts import background
from act_fast._sql.parts.background import builds
from act_fast._sql.parts.manifest import FOLDER
from act_fast._sql.state_scan import StateScan
from tests.support.bank import Account

STEP = 200
STREAMS = 40
SECRET = "hunter2-should-not-be-here"
BALANCES = "select stream, version, position, owner, balance, events, error from account"


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "PART_EVENTS", STEP)


def deposit(store: LogStore, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        store.append(f"account-{number % STREAMS}", [("Deposited", b'{"amount":%d}' % number)])


@pytest.fixture
def app(store_path: Path) -> Iterator[Act]:
    with LogStore(store_path, durability="os") as store, Act(store, Account, unknown="skip") as opened:
        deposit(store, STEP)
        yield opened


@pytest.fixture
def folded(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """Of how many streams states were folded, each time; None: of all that there are."""
    found: list[int | None] = []
    read = StateScan._pages

    def watched(scan: StateScan, moment: str, bounds: Any) -> Any:
        found.append(None if bounds.streams is None else len(bounds.streams))
        return read(scan, moment, bounds)

    monkeypatch.setattr(StateScan, "_pages", watched)
    return found


def asked(app: Act, query: str = BALANCES, at: int | None = None) -> list[Any]:
    """The rows; what is then to be kept is, when this comes back."""
    found = sorted(app.sql(query, at=at).fetchall())
    assert builds.wait()
    return found


def expected(app: Act, at: int | None = None) -> list[Any]:
    return sorted(
        (stream, each.version, each.position, each.state.owner, each.state.balance, each.state.events, None)
        for stream, each in app.replay(Account, at=at, progress=False)
    )


def files(path: Path) -> list[Path]:
    return sorted((path / FOLDER).glob("account-*/*.duckdb"))


def test_a_state_table_that_is_asked_twice_is_folded_once(app: Act, folded: list[int | None]) -> None:
    assert asked(app) == expected(app)
    folded.clear()
    assert asked(app) == expected(app)
    assert asked(app, "select sum(balance)::bigint from account") == [(sum(range(STEP)),)]
    assert folded == []


def test_only_streams_that_went_on_are_folded_again(app: Act, folded: list[int | None]) -> None:
    asked(app)
    folded.clear()
    deposit(app.store, 3, STEP)  # type: ignore[arg-type]
    app.store.append("account-new", [("Opened", b'{"owner":"ada"}')])
    app.store.append("stranger-1", [("Else", b"{}")])
    app.store.append("account-1", [("Else", b"{}")])
    assert asked(app) == expected(app)
    assert folded == [5]


def test_few_events_are_not_kept(app: Act, store_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "PART_EVENTS", STEP + 1)
    asked(app)
    assert files(store_path) == []


def test_one_stream_is_folded_by_itself(app: Act, folded: list[int | None]) -> None:
    query = "select balance from account where stream = 'account-7'"
    right = [(sum(range(7, STEP, STREAMS)),)]
    assert asked(app, query) == right
    assert folded == [1]


def test_whatever_happens_to_streams_kept_states_are_those_that_are_folded(app: Act, store_path: Path) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    made = set()
    store = app.store
    for turn in range(60):
        for _ in range(chance.choice([0, 1, 3, 30, 250])):
            stream = f"account-{chance.randrange(STREAMS if turn < 30 else 3 * STREAMS)}"
            name, data = chance.choice(
                [("Deposited", b'{"amount":%d}' % turn), ("Opened", b'{"owner":"o"}'), ("Else", b"{}")]
            )
            store.append(stream, [(name, data)] * chance.randint(1, 3))
        if chance.random() < 0.2:
            app.restart_stream(Account, "account-3")
        moment = chance.randint(1, store.head) if chance.random() < 0.2 else None
        assert sorted(app.sql(BALANCES, at=moment).fetchall()) == expected(app, moment), seed
        if chance.random() < 0.5:
            assert builds.wait()
        made.update(files(store_path))
    assert len(made) > 1
    assert len(files(store_path)) <= 2


def test_the_past_is_folded(app: Act, folded: list[int | None]) -> None:
    asked(app)
    folded.clear()
    assert asked(app, at=50) == expected(app, 50)
    macro = BALANCES.replace("account", "account_at(50)")
    assert asked(app, macro) == expected(app, 50)
    assert len(folded) == 2 + 0


def release(factor: int) -> type[State]:
    class Deposited(Event):
        amount: int

    class Account(State):
        balance: int = 0

        @reducer
        def deposited(self, event: Deposited) -> None:
            self.balance += factor * event.amount

    return Account


def test_states_that_other_reducers_have_folded_are_not_used(store_path: Path) -> None:
    with LogStore(store_path, durability="os") as store:
        deposit(store, STEP)
        for factor in (1, 2, 1):
            with Act(store, release(factor)) as app:
                for _ in range(2):
                    assert asked(app, "select sum(balance)::bigint from account") == [(factor * sum(range(STEP)),)]
    assert len(files(store_path)) == 2


def test_an_app_that_is_stricter_does_not_use_what_another_has_kept(store_path: Path) -> None:
    with LogStore(store_path, durability="os") as store:
        deposit(store, STEP)
        store.append("account-1", [("Else", b"{}")])
        with Act(store, Account, unknown="skip") as app:
            assert asked(app, "select count(error) from account") == [(0,)]
        with Act(store, Account, unknown="raise") as app:
            for _ in range(2):
                assert asked(app, "select count(error) from account") == [(1,)]


def test_why_a_state_does_not_fold_is_told_each_time_anew(app: Act, folded: list[int | None]) -> None:
    app.store.append("account-1", [("Deposited", b'{"amount":"x"}')])
    for _ in range(3):
        assert asked(app, "select stream from account where error is not null") == [("account-1",)]
        assert asked(app, "select count(*) from account where error is null") == [(STREAMS - 1,)]
    assert folded[-1] == 1


def test_a_redaction_leaves_nothing_of_what_was_kept(app: Act, store_path: Path) -> None:
    app.store.append("account-1", [("Opened", b'{"owner":"%s"}' % SECRET.encode())])
    position = app.store.head
    asked(app)
    assert SECRET in {row[3] for row in asked(app)}
    assert files(store_path)
    app.redact([position], fields={"owner": "nobody"}, reason="it should not be here")
    assert files(store_path) == []
    for _ in range(2):
        found = asked(app)
        assert found == expected(app)
        assert "nobody" in {row[3] for row in found}
    for path in store_path.rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes(), path


def test_states_of_pruned_streams_are_folded_from_what_is_held(app: Act) -> None:
    asked(app)
    for number in range(5):
        app.restart_stream(Account, f"account-{number}")
    before = asked(app)
    app.prune()
    for _ in range(2):
        assert [row[:2] + row[3:] for row in asked(app) if row[0] != "$rewritings"] == [
            row[:2] + row[3:] for row in before
        ]


def test_states_of_what_is_personal_are_never_kept(store_path: Path) -> None:
    from act_fast import MemoryKeyStore, Personal, Subject

    class Joined(Event):
        user: Subject[str]
        email: Personal[str]

    class Member(State):
        user: str = ""
        length: int = 0

        @reducer
        def joined(self, event: Joined) -> None:
            self.user = event.user
            self.length = len(event.email) if isinstance(event.email, str) else -1

        @action
        def join(self, user: str, email: str) -> Joined:
            return Joined(user, email)

    with LogStore(store_path, durability="os") as store, Act(store, Member, keys=MemoryKeyStore()) as app:
        for number in range(STEP):
            app.do(Member.join, f"member-{number}", user=f"user-{number}", email="a" * number + "@example.org")
        query = "select length from member where stream = 'member-9' or stream = 'none'"
        for _ in range(2):
            assert asked(app, query) == [(21,)]
        app.forget("user-9", reason="wished")
        assert asked(app, query) == [(-1,)]
        assert list((store_path / FOLDER).glob("member-*")) == []


class Inner(msgspec.Struct):
    a: int
    b: str | None = None


class Noted(Event):
    day: date
    at: datetime
    took: timedelta
    amounts: list[int]
    by: dict[str, int]
    price: Decimal
    key: UUID
    inner: Inner
    raw: bytes
    anything: Any
    text: str | None = None


class Kinds(State):
    day: date | None = None
    at: datetime | None = None
    took: timedelta = timedelta()
    amounts: list[int] = []
    by: dict[str, int] = {}
    price: Decimal = Decimal()
    key: UUID | None = None
    inner: Inner | None = None
    raw: bytes = b""
    anything: Any = None
    text: str | None = None
    stream: int = 0

    @reducer
    def noted(self, event: Noted) -> None:
        for name in event.__struct_fields__:
            setattr(self, name, getattr(event, name))

    @action
    def note(self, number: int) -> Noted:
        took, key = timedelta(seconds=number, microseconds=7), UUID(int=number)
        moment = datetime(2026, 1, 1, tzinfo=UTC) + took
        inner, price = Inner(number, "é'\""), Decimal(number) / 8
        return Noted(moment.date(), moment, took, [number], {"a": number}, price, key, inner, b"\0x", {"x": [number]})


def test_all_types_are_the_same_kept_and_folded(store_path: Path, folded: list[int | None]) -> None:
    with LogStore(store_path, durability="os") as store, Act(store, Kinds) as app:
        for number in range(STEP):
            app.do(Kinds.note, f"kind-{number}", number=number)
        query = "select * from kinds order by position"
        types = app.sql("describe kinds").fetchall()
        right = app.sql(query).fetchall()
        assert builds.wait()
        folded.clear()
        assert app.sql(query).fetchall() == right
        assert folded == []
        app.do(Kinds.note, "kind-0", number=0)
        again = app.sql(query).fetchall()
        assert again[:-1] == right[1:]
        assert again[-1][3:] == right[0][3:]
        assert folded == [1]
        assert app.sql("describe kinds").fetchall() == types


def test_where_no_room_is_given_no_states_are_kept(app: Act, store_path: Path, folded: list[int | None]) -> None:
    with LogStore(store_path, durability="os", analytics=0) as store, Act(store, Account, unknown="skip") as other:
        for _ in range(2):
            assert asked(other) == expected(other)
    assert folded == [None, None]
    with LogStore(store_path, durability="os", analytics=100) as store, Act(store, Account, unknown="skip") as other:
        for _ in range(2):
            assert asked(other) == expected(other)
    assert files(store_path) == []


def test_a_connection_has_the_states_of_its_position(app: Act) -> None:
    asked(app)
    with connect(app) as connection:
        before = expected(app)
        deposit(app.store, 5, STEP)  # type: ignore[arg-type]
        assert sorted(connection.sql(BALANCES).fetchall()) == before
        connection.refresh()
        assert sorted(connection.sql(BALANCES).fetchall()) == expected(app)
        assert sorted(connection.duckdb.execute(BALANCES).fetchall()) == expected(app)
        deposit(app.store, 5 * STEP, STEP)  # type: ignore[arg-type]
        connection.refresh()
        assert sorted(connection.sql(BALANCES).fetchall()) == expected(app)
        assert builds.wait()
        connection.refresh()
        assert sorted(connection.sql(BALANCES).fetchall()) == expected(app)


def test_a_connection_keeps_the_states_that_it_is_asked_about(app: Act, store_path: Path) -> None:
    with connect(app) as connection:
        connection.refresh()
        connection.sql("select count(*) from events").fetchall()
        assert builds.wait()
        assert files(store_path) == []
        connection.sql("select count(*) from account").fetchall()
        assert builds.wait()
        assert len(files(store_path)) == 1


def test_another_process_moves_on_what_was_kept(app: Act, store_path: Path, folded: list[int | None]) -> None:
    asked(app)
    with LogStore(store_path, durability="os") as store, Act(store, Account, unknown="skip") as other:
        deposit(store, 5, STEP)
        folded.clear()
        assert asked(other) == expected(other)
        assert folded == [5]
