"""SQL and Arrow over a database answer as over a log, from a copy on this machine that is as far as the database."""

import shutil
import stat
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars
import pytest

from act_fast import Act, AsyncAct, LogStore, Meta, StoreError, ValidationError, connect
from act_fast._app.local_copy import _Copy, at_hand
from act_fast._sql.parts import background
from act_fast._sql.parts.background import builds
from act_fast.stores.capabilities import transfer_of
from act_fast.stores.postgres.store import PostgresStore
from act_fast.stores.postgres.transfer import PostgresTransfer
from tests.stores.postgres.stores import empty
from tests.support.bank import Account, Deposited


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where copies are in this test."""
    monkeypatch.setenv("ACT_FAST_CACHE", str(tmp_path / "copies"))
    return tmp_path / "copies"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The stretches that were read from databases."""
    found: list[tuple[int, int]] = []
    real = PostgresTransfer._read

    def watched(self: PostgresTransfer, after: int, upto: int) -> Any:
        found.append((after, upto))
        return real(self, after, upto)

    monkeypatch.setattr(PostgresTransfer, "_read", watched)
    return found


def deposit(app: Act, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        events = [("Deposited", b'{"amount":%d}' % number), ("Withdrawn", b'{"amount":1}')]
        app.store.append(f"account-{number % 7}", events, meta=Meta(correlation=f"c-{number % 5}"))


@pytest.fixture
def both(folder: Path, postgres_url: str, tmp_path: Path) -> Iterator[tuple[Act, Act]]:
    """The same events, at the same times, in a database and in a log."""
    with Act(tmp_path / "bank.act", Account) as one, Act(postgres_url, Account) as other:
        for number in range(7):
            one.do(Account.open, f"account-{number}", owner=f"Owner {number}")
        deposit(one, 50)
        one.store.append("odd", [("Deposited", b'{"amount":"much"}')])
        other.restore(one.export(tmp_path / "all.jsonl").path)
        yield one, other


QUESTIONS = [
    "from events order by position",
    "select name, count(*), min(created) from events group by all order by all",
    "from streams order by first_position",
    "from deposited order by position",
    "select sum(amount)::bigint from deposited where stream = 'account-3' and position > 20",
    "select count(*) from events where correlation = 'c-2'",
    "from account order by stream",
    "from account_at('40') order by stream",
    "from account_at('2001-01-01') order by stream",
    "select a.stream, a.balance, d.n from account a join (select stream, count(*) n from deposited group by 1) d"
    " using (stream) order by 1",
    "from targets",
    "from skipped",
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_answered_as_by_a_log(both: tuple[Act, Act], question: str) -> None:
    one, other = both
    assert other.sql(question).fetchall() == one.sql(question).fetchall()


def test_the_past_is_the_same(both: tuple[Act, Act]) -> None:
    one, other = both
    moment = next(one.store.query(after=49, limit=1)).created
    for at in (0, 17, moment, moment - timedelta(microseconds=1)):
        for question in ("from account order by stream", "select count(*), max(position) from events"):
            assert other.sql(question, at=at).fetchall() == one.sql(question, at=at).fetchall()


def test_arrow_is_the_same(both: tuple[Act, Act]) -> None:
    for frames in (
        [polars.DataFrame(app.arrow(Deposited)) for app in both],
        [polars.DataFrame(app.arrow(stream="account-3", after=9)) for app in both],
        [polars.DataFrame(app.arrow(events=[Deposited], correlation="c-1")) for app in both],
    ):
        assert frames[0].equals(frames[1])
        assert frames[0].height


def test_what_was_appended_a_moment_ago_is_in_the_answer(both: tuple[Act, Act], read: list[tuple[int, int]]) -> None:
    _, app = both
    question = "select count(*), max(position) from events"
    assert app.sql(question).fetchall() == [(app.store.head,) * 2]
    before = app.store.head
    deposit(app, 3)
    assert app.sql(question).fetchall() == [(before + 6,) * 2]
    assert app.sql(question).fetchall() == [(before + 6,) * 2]
    assert read == [(0, before), (before, before + 6)], "only what is new is read again"


def test_an_answer_is_of_the_moment_that_was_asked_about(both: tuple[Act, Act]) -> None:
    _, app = both
    before = app.store.head
    answer = app.sql("select count(*) from events")
    with connect(app) as connection:
        deposit(app, 3)
        app.sql("select 1 from events").fetchall()
        assert answer.fetchall() == [(before,)]
        assert connection.sql("select count(*) from events").fetchall() == [(before,)]
        assert connection.sql("select sum(version)::bigint from account").fetchall() == [(before,)]
        assert connection.refresh() == before + 6
        assert connection.sql("select count(*) from events").fetchall() == [(before + 6,)]


def test_a_store_is_asked_by_its_address(both: tuple[Act, Act], postgres_url: str) -> None:
    one, _ = both
    with connect(postgres_url) as connection, connect(one.store) as expected:
        for question in ("from events order by position", "from streams order by first_position", "from targets"):
            assert connection.sql(question).fetchall() == expected.sql(question).fetchall()
    with pytest.raises(StoreError, match="there is no store"):
        connect(f"{postgres_url}_not_there")


def test_what_has_settled_is_written_down_beside_the_copy(
    both: tuple[Act, Act], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "PART_EVENTS", 20)
    one, app = both
    question = "select count(*), sum(amount)::bigint, max(position) from deposited"
    assert app.sql(question).fetchall() == one.sql(question).fetchall()
    assert builds.wait()
    assert list(folder.rglob("*.duckdb"))
    for each in both:
        each.store.append("account-1", [("Deposited", b'{"amount":1}')])
    assert app.sql(question).fetchall() == one.sql(question).fetchall()


def test_a_copy_of_what_is_no_more_is_made_anew(both: tuple[Act, Act], postgres_url: str, folder: Path) -> None:
    """As when a database was set back to an earlier moment, and went on from there."""
    _, app = both
    question = "select count(*), sum(version)::bigint from events"
    head = app.store.head
    assert app.sql(question).fetchall()[0][0] == head
    for count in (3, head + 3):
        empty(postgres_url)
        app.store.append(f"another-{count}", [("Deposited", b'{"amount":1}')] * count)
        assert app.sql(question).fetchall() == [(count, count * (count + 1) // 2)]
        assert app.sql("select distinct stream from events").fetchall() == [(f"another-{count}",)]
        assert not list(folder.rglob("stale-*"))


def test_a_copy_may_be_removed_at_any_time(both: tuple[Act, Act], folder: Path) -> None:
    _, app = both
    answer = app.sql("select count(*) from events")
    shutil.rmtree(folder)
    head = app.store.head
    assert app.sql("select count(*) from events").fetchall() == [(head,)]
    deposit(app, 1)
    assert app.sql("select count(*) from events").fetchall() == [(head + 2,)]
    assert answer.fetchall() == [(head,)]


def test_many_at_once_share_a_copy(both: tuple[Act, Act]) -> None:
    _, app = both
    copies = [_Copy(transfer_of(app.store), "one and the same") for _ in range(4)]
    heads: list[tuple[int, int]] = []

    def follow(copy: _Copy) -> None:
        for _ in range(20):
            before = app.store.head
            heads.append((before, copy.up_to_date(None).head))

    threads = [threading.Thread(target=follow, args=(copy,)) for copy in copies]
    for thread in threads:
        thread.start()
    deposit(app, 100)
    for thread in threads:
        thread.join()
    assert len(heads) == 80
    assert all(found >= before for before, found in heads)
    found = copies[0].up_to_date(None)
    assert list(found.query()) == list(app.store.query())
    assert found.verify().healthy


def test_a_copy_is_for_its_owner_alone_and_says_no_password(
    both: tuple[Act, Act], postgres_url: str, folder: Path
) -> None:
    with PostgresStore(postgres_url.replace("postgres@", "postgres:hunter2secret@")) as store:
        at_hand(store)
    [made] = folder.iterdir()
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert not [path for path in folder.rglob("*") if "hunter2secret" in str(path)]


def test_a_cache_that_cannot_be_written_says_how_to_name_another(
    both: tuple[Act, Act], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, app = both
    (tmp_path / "file").touch()
    monkeypatch.setenv("ACT_FAST_CACHE", str(tmp_path / "file"))
    with pytest.raises(StoreError, match="ACT_FAST_CACHE"):
        app.sql("from events")


def test_a_log_is_its_own_copy(both: tuple[Act, Act], folder: Path) -> None:
    one, _ = both
    left = sorted(folder.glob("*"))
    assert at_hand(one.store) is one.store
    assert sorted(folder.glob("*")) == left


def test_a_store_that_does_not_say_how_it_is_copied_says_so(both: tuple[Act, Act]) -> None:
    class Mine:
        def __init__(self, inner: LogStore) -> None:
            self._inner = inner

        def __getattr__(self, name: str) -> Any:
            if name in ("columns", "transfer", "rows", "replay_groups", "pinned", "log_mark"):
                raise AttributeError(name)
            return getattr(self._inner, name)

    with LogStore.memory() as store, Act(Mine(store), Account) as app:
        for verb in (lambda: app.sql("from events"), lambda: app.arrow(), lambda: app.restore("all.jsonl")):
            with pytest.raises(ValidationError, match="Mine does not say how it is copied"):
                verb()


def test_a_replay_folds_the_copy_and_some_streams_are_read_where_they_are(
    both: tuple[Act, Act], read: list[tuple[int, int]], folder: Path
) -> None:
    one, app = both
    one.store.append("till", [Deposited(1)])
    app.store.append("till", [Deposited(1)])
    some = [(stream, each.state) for stream, each in app.replay(Account, streams="^(account-[12]|till)$")]
    assert some == [(stream, each.state) for stream, each in one.replay(Account, streams="^(account-[12]|till)$")]
    assert (read, folder.exists()) == ([], False)
    for options in ({"at": 40}, {"after": "account-3", "at": 40}):
        found = [(stream, each.version, each.state) for stream, each in app.replay(Account, **options)]
        assert found == [(stream, each.version, each.state) for stream, each in one.replay(Account, **options)]
        assert found
    assert read == [(0, app.store.head)]


async def test_a_replay_of_a_database_leaves_the_event_loop_free(
    both: tuple[Act, Act], read: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, app = both
    loop = threading.get_ident()
    asked: set[int] = set()
    standing = PostgresTransfer.standing

    def watched(self: PostgresTransfer, position: int) -> Any:
        asked.add(threading.get_ident())
        return standing(self, position)

    monkeypatch.setattr(PostgresTransfer, "standing", watched)
    async with AsyncAct(app) as awaited:
        found = [(stream, each.version) async for stream, each in awaited.replay(Account, at=40)]
    assert found == [(stream, each.version) for stream, each in one.replay(Account, at=40)]
    assert asked
    assert loop not in asked


def test_a_continuous_question_moves_on_with_the_copy(both: tuple[Act, Act]) -> None:
    other = both[1]
    query = "select stream, count(*) as n, sum(amount) as total from deposited group by stream"
    for app in both:
        app.view("per_stream", query)
    for count in (0, 3):
        for app in both:
            deposit(app, count)
        kept = [sorted(app.views["per_stream"].rows(), key=str) for app in both]
        assert kept[0] == kept[1]
        assert other.views["per_stream"].position == other.store.head
    assert sorted(other.sql(query).fetchall()) == sorted(other.sql("select * from per_stream").fetchall())


FEW = [
    "select stream, version, position, name, data from events order by position desc limit 5",
    "select position, amount from deposited where stream = 'account-3' order by position desc limit 3",
    "select stream, version, owner, balance, error from account order by stream",
    "select stream, version, balance from account where stream = 'account-3'",
    "select stream, version, first_position, last_position, last_name from streams order by stream",
]


def test_few_events_streams_and_kept_states_are_those_of_a_log(
    both: tuple[Act, Act], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "PART_EVENTS", 10)
    one, other = both
    for added in range(3):
        for query in FEW:
            for at in (None, one.store.head // 2):
                assert other.sql(query, at=at).fetchall() == one.sql(query, at=at).fetchall(), (query, at)
        assert builds.wait()
        assert [*folder.glob("**/analytics/account-*/*.duckdb")]
        for app in both:
            app.store.append(f"account-{added}", [("Deposited", b'{"amount":1}')])
            app.store.append("account-new", [("Withdrawn", b'{"amount":2}')])
