"""Redaction: what should never have been written is gone from every file of the store, and nothing else changes."""

from pathlib import Path

import pytest

from act_fast import (
    Act,
    Actor,
    Committed,
    DecodeError,
    KeyReusedError,
    LogStore,
    StoreLockedError,
    ValidationError,
    verify_path,
)
from act_fast._sql.parts import background
from act_fast._sql.parts.background import builds
from tests.support.bank import Account, Deposited, Opened

SECRET = "hunter2-should-not-be-here"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store in which a secret stands in an event, in snapshots, and in the parts that SQL made."""
    monkeypatch.setattr(background, "PART_EVENTS", 1)
    path = tmp_path / "bank.act"
    with Act(str(path), Account) as app:
        app.do(Account.open, "a-1", owner="Ada")
        app.do(Account.open, "a-2", owner=SECRET)
        for amount in range(1, 30):
            app.do(Account.deposit, f"a-{1 + amount % 2}", amount=amount)
        app.snapshot(Account, "a-1")
        app.snapshot(Account, "a-2")
        assert app.sql("select count(*) from opened where owner = $owner", owner=SECRET).fetchall() == [(1,)]
        assert builds.wait()
    assert any(each.suffix == ".duckdb" for each in holding(path))
    return path


def holding(path: Path, text: str = SECRET) -> list[Path]:
    return [each for each in path.rglob("*") if each.is_file() and text.encode() in each.read_bytes()]


def test_no_file_of_the_store_holds_what_was_redacted(path: Path) -> None:
    assert holding(path)
    with Act(str(path), Account) as app:
        before = list(app.store.query())
        found = app.acting(Actor("u1", "Bob")).redact([2], fields={"owner": "", "unknown": 1}, reason="a", dry_run=True)
        assert (found.positions, found.streams, found.position) == ([2], ["a-2"], 0)
        assert holding(path), "a dry run changes nothing"
        done = app.acting(Actor("u1", "Bob")).redact([2], fields={"owner": "", "unknown": 1}, reason="a password")
        assert (done.positions, done.snapshots, done.position) == ([2], 1, 32)
        assert not holding(path)
        after = list(app.store.query())
        assert [each for each in after[:-1] if each.position != 2] == [each for each in before if each.position != 2]
        assert after[1].data == b'{"owner":""}'
        assert (after[1].version, after[1].created, after[1].meta) == (1, before[1].created, before[1].meta)
        told = after[-1]
        assert (told.stream, told.name, told.meta.actor) == ("$rewritings", "$redacted", Actor("u1", "Bob"))
        assert told.data == b'{"positions":[[2,2]],"fields":["owner","unknown"],"reason":"a password"}'
        assert app.load(Account, "a-2").state.owner == ""
        assert app.load(Account, "a-1").state.owner == "Ada"
        assert app.sql("select owner from opened order by position").fetchall() == [("Ada",), ("",)]
    assert not holding(path)
    assert verify_path(path).healthy
    with Act(str(path), Account) as app:
        assert app.do(Account.deposit, "a-2", amount=1).state.owner == ""


def test_an_answer_from_before_does_not_show_what_was_redacted(path: Path) -> None:
    with Act(str(path), Account) as app:
        answer = app.sql("select owner from opened")
        app.redact([2], drop=True, reason="r")
        with pytest.raises(Exception, match=r"StoreClosedError|was closed|restored|replaced"):
            answer.fetchall()


def test_an_event_that_was_redacted_as_a_whole_has_no_say_any_more(path: Path) -> None:
    seen: list[Committed[Opened | Deposited]] = []
    with Act(str(path), Account) as app:
        app.on(Opened, Deposited, to="all", name="seen")(seen.append)
        app.redact([2, 3], drop=True, reason="all of it")
        assert not holding(path)
        state = app.load(Account, "a-2").state
        assert (state.owner, state.balance) == ("", sum(range(1, 30, 2)) - 1)
        assert dict(app.replay(Account))["a-2"].state == state
        assert [each.position for each in app.query(limit=3)] == [1, 4, 5]
        app.settle()
        assert [each.position for each in seen[:3]] == [1, 4, 5]
        assert [target.lag for target in app.targets()] == [0]
        found = next(each for each in app.store.query() if each.position == 2)
        assert found.data == b'"redacted"'
        with pytest.raises(DecodeError, match='no data any more: it is "redacted"'):
            app._codec.decode(found.name, found.data)


def test_progress_of_reactions_stays(path: Path) -> None:
    seen: list[int] = []
    with Act(str(path), Account) as app:
        app.on(Deposited, to="all", name="seen")(lambda event: seen.append(event.position))
        app.settle()
        before = len(seen)
        app.redact([2], drop=True, reason="r")
        app.settle()
        assert len(seen) == before
        app.do(Account.deposit, "a-1", amount=1)
        app.settle()
        assert len(seen) == before + 1


def test_wrong_arguments_change_nothing(path: Path) -> None:
    with Act(str(path), Account) as app:
        head = app.store.head
        for wrong in (
            {"positions": [], "drop": True, "reason": "r"},
            {"positions": [2], "reason": "r"},
            {"positions": [2], "drop": True, "fields": {"owner": ""}, "reason": "r"},
            {"positions": [2], "fields": {}, "reason": "r"},
            {"positions": [2], "fields": {"owner": object()}, "reason": "r"},
            {"positions": [2], "drop": True, "reason": " "},
            {"positions": [2, 1000], "drop": True, "reason": "r"},
        ):
            with pytest.raises(ValidationError):
                app.redact(**wrong)  # type: ignore[arg-type]
        assert app.redact([2], fields={"unknown": 1}, reason="r").positions == []
        assert app.store.head == head
        app.redact([2], drop=True, reason="r")
        with pytest.raises(ValidationError, match="stays as it is"):
            app.redact([app.store.head], drop=True, reason="r")


def test_it_needs_the_store_for_itself(path: Path) -> None:
    with Act(str(path), Account) as app, LogStore(path):
        with pytest.raises(StoreLockedError, match="then redact"):
            app.redact([2], drop=True, reason="r")
        assert app.load(Account, "a-2").state.owner == SECRET
        app.do(Account.deposit, "a-2", amount=1)


def test_a_store_in_memory_is_redacted_alike() -> None:
    with Act("memory:", Account) as app:
        app.do(Account.open, "a", owner=SECRET)
        app.redact([1], fields={"owner": "x"}, reason="r")
        assert app.load(Account, "a").state.owner == "x"


async def test_the_verb_is_awaited_alike(path: Path) -> None:
    from act_fast import AsyncAct

    async with AsyncAct(str(path), Account) as app:
        assert (await app.redact([2], drop=True, reason="r")).positions == [2]
        assert not holding(path)


def test_a_request_whose_data_is_gone_is_still_done_once(tmp_path: Path) -> None:
    with LogStore(tmp_path / "bank.act") as store:
        event = ("Deposited", b'{"amount":1}', ["owner:ada"])
        first = store.append("a-1", [event], key="request-1")
        store.redact([1], drop=True, reason="a")
        assert store.append("a-1", [event], key="request-1") == first
        for other in (("Opened", event[1], event[2]), (event[0], event[1], ["owner:bob"])):
            with pytest.raises(KeyReusedError):
                store.append("a-1", [other], key="request-1")
        assert store.version("a-1") == 1


def test_positions_begin_with_one(path: Path) -> None:
    with Act(str(path), Account) as app, pytest.raises(ValidationError, match="no event at position 0"):
        app.redact([0, 2], drop=True, reason="a")


def test_a_value_that_the_event_could_not_be_read_with_is_refused(path: Path) -> None:
    with Act(str(path), Account) as app:
        app.restart_stream(Account, "a-1")
        books, before = app.store.head, list(app.store.query())
        for position, wrong, where in (
            (2, {"owner": None}, "position 2 does not decode as Opened: field 'owner'"),
            (3, {"amount": "much"}, "position 3 does not decode as Deposited: field 'amount'"),
            (books, {"balance": "much"}, f"position {books} does not decode as Account: field 'balance'"),
        ):
            for dry_run in (True, False):
                with pytest.raises(ValidationError, match=where):
                    app.redact([position], fields=wrong, reason="r", dry_run=dry_run)
        assert list(app.store.query()) == before
        app.redact([books], fields={"owner": "x"}, reason="r")
        assert Act(app.store, Account).load(Account, "a-1").state.owner == "x"


def test_what_could_not_be_read_before_may_be_redacted(tmp_path: Path) -> None:
    with Act(str(tmp_path / "bank.act"), Account) as app:
        app.store.append("a-1", [("Opened", b'{"owner":5,"note":"secret"}')])
        app.redact([1], fields={"note": None}, reason="r")
        assert [each.data for each in app.store.load("a-1")] == [b'{"owner":5,"note":null}']


def test_a_request_with_redacted_fields_is_still_done_once(tmp_path: Path) -> None:
    with LogStore(tmp_path / "bank.act") as store:
        first = store.append("a-1", [("Opened", b'{"owner":"Ada","pin":"1234"}')], key="request-1")
        second = store.append("a-2", [("Opened", b'{"owner":"Ada","pin":"1234"}')], key="request-2")
        store.redact([1], fields={"pin": None}, reason="a")
        assert store.append("a-1", [("Opened", b'{"owner":"Ada","pin":"1234"}')], key="request-1") == first
        assert store.append("a-2", [("Opened", b'{"owner":"Ada","pin":"1234"}')], key="request-2") == second
        for stream, data, key in (
            ("a-1", b'{"owner":"Bob","pin":"1234"}', "request-1"),
            ("a-1", b'{"owner":"Ada"}', "request-1"),
            ("a-2", b'{"owner":"Ada","pin":"9999"}', "request-2"),
        ):
            with pytest.raises(KeyReusedError):
                store.append(stream, [("Opened", data)], key=key)
        assert (store.version("a-1"), store.version("a-2")) == (1, 1)


def test_what_was_asked_once_is_answered_without_the_events_whose_data_is_gone(path: Path) -> None:
    with Act(str(path), Account) as app:
        first = app.once("request-1").do(Account.deposit, "a-1", amount=5)
        app.redact([app.store.head], drop=True, reason="r")
        again = app.once("request-1").do(Account.deposit, "a-1", amount=5)
        assert (again.version, again.repeated, list(again.events)) == (first.version, True, [])


def test_a_redacted_state_of_a_closed_stream_is_what_everyone_reads(path: Path) -> None:
    with Act(str(path), Account) as app:
        app.close_stream(Account, "a-2")
        app.redact([app.store.head], fields={"owner": "x"}, reason="r")
        assert dict(app.replay(Account))["a-2"].state.owner == "x"
        assert app.load(Account, "a-2").state.owner == "x"
        assert app.sql("select owner from account where stream = 'a-2'").fetchall() == [("x",)]
