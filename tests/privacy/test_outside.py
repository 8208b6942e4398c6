"""What leaves the store for elsewhere carries ciphertext or nothing: files, copies, projections, receivers, errors."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import msgspec
import pytest

from act_fast import (
    FORGOTTEN,
    Act,
    Committed,
    DefinitionError,
    Event,
    FileKeyStore,
    LogStore,
    MemoryKeyStore,
    Personal,
    State,
    StateProjection,
    Subject,
    SubjectForgotten,
    ValidationError,
    action,
    move,
    reducer,
    restore_path,
    upcast,
)
from act_fast._sql.parts import background
from act_fast._sql.parts.background import builds
from act_fast.monitoring import look
from tests.support.people import SECRETS, Person, Registered, files_with


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[FileKeyStore]:
    with FileKeyStore(tmp_path / "people.keys") as keys:
        yield keys


@pytest.fixture
def app(tmp_path: Path, keys: FileKeyStore) -> Iterator[Act]:
    with Act(tmp_path / "people.act", Person, keys=keys) as app:
        for number in (1, 2):
            app.do(Person.register, f"person-{number}", user=f"u-{number}", email="ada@example.org")
            app.do(Person.visit, f"person-{number}", pages=3)
        yield app


def test_exports_backups_copies_and_parts_hold_nothing_in_clear(
    app: Act, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "PART_EVENTS", 1)
    assert app.sql("select email, plan from registered").fetchall() == [(None, "free")] * 2
    assert builds.wait()
    assert list((tmp_path / "people.act").rglob("*.duckdb"))
    store = app.store
    assert isinstance(store, LogStore)
    store.backup(tmp_path / "backup.act")
    for kind in ("parquet", "csv", "jsonl"):
        app.export(tmp_path / f"events.{kind}")
    restore_path(tmp_path / "restored.act", tmp_path / "events.jsonl")
    with LogStore(tmp_path / "moved.act") as target:
        move(store, target, hand_over=False)
    report = app.forget("u-1", reason="asked", also=[tmp_path])
    assert report.plaintext == ()
    assert report.values >= 5
    assert report.parts >= 2
    assert files_with(tmp_path, SECRETS) == []


def test_an_archive_holds_ciphertext_which_other_programs_read_as_such(app: Act, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    app.compress(seal=True)
    app.archive(tmp_path / "cold")
    assert files_with(tmp_path, SECRETS) == []
    read = duckdb.sql(f"select data from '{tmp_path}/cold/*/*.parquet' where name = 'Registered'").fetchall()
    assert len(read) == 2
    assert not any(secret in repr(read) for secret in SECRETS)
    report = app.forget("u-1", reason="asked")
    assert (report.plaintext, report.parts) == ((), 1)


def test_a_search_finds_what_is_there(app: Act, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    (tmp_path / "mails").mkdir()
    (tmp_path / "mails" / "sent.txt").write_bytes(b"\0to: ada@example.org")
    (tmp_path / "mails" / "sent.json").write_text(json.dumps({"to": "12 St James's Square"}))
    out = tmp_path / "mails" / "sent.parquet"
    duckdb.sql("select 'ada@example.org' as email from range(10)").write_parquet(str(out), compression="zstd")
    table = tmp_path / "mails" / "sent.duckdb"
    with duckdb.connect() as connection:
        connection.execute(f"set force_compression = 'zstd'; attach '{table}' as new (storage_version 'v2.0.0')")
        connection.execute("create table new.mails as select range || ' ada@example.org' as email from range(10000)")
    assert b"ada@example.org" not in table.read_bytes()
    report = app.forget("u-1", reason="asked", also=[tmp_path / "mails", tmp_path / "gone"])
    assert [Path(each).name for each in report.plaintext] == ["sent.duckdb", "sent.json", "sent.parquet", "sent.txt"]
    assert not report.clean
    assert any("gone, which is not there" in each for each in report.unreachable)


def test_a_search_looks_into_files_whose_names_look_like_patterns(app: Act, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    (tmp_path / "mails").mkdir()
    for name, email in [("sent[1].parquet", "ada@example.org"), ("sent1.parquet", "eve@example.org")]:
        made = tmp_path / "made.parquet"
        rows = f"select unnest(['!', range || ' {email}', '~']) as email from range(10000)"
        duckdb.sql(rows).write_parquet(str(made), compression="zstd")
        assert email.encode() not in made.read_bytes()
        made.rename(tmp_path / "mails" / name)
    report = app.forget("u-1", reason="asked", also=[tmp_path / "mails"])
    assert [Path(each).name for each in report.plaintext] == ["sent[1].parquet"]


@pytest.mark.parametrize("elsewhere", [False, True], ids=["compressed", "archived"])
def test_a_search_looks_into_compressed_and_archived_log_files(app: Act, tmp_path: Path, elsewhere: bool) -> None:
    store = app.store
    assert isinstance(store, LogStore)
    at = store.append("notes", [("Noted", b'{"text":"to: ada@example.org"}')]).last_position
    app.compress(seal=True)
    store.backup(tmp_path / "backup.act")
    if elsewhere:
        app.archive(tmp_path / "cold")
    report = app.forget("u-1", reason="asked", also=[tmp_path / "backup.act"])
    beside = [f"{each.parent.name}/{each.name}" for each in (tmp_path / "cold").glob("*/*.parquet")]
    # A text may stand in a compressed file as it is, which is then named as well.
    legible = {str(tmp_path / name / "log" / "00000000.seg") for name in ("people.act", "backup.act")}
    assert [each for each in report.plaintext if each not in legible] == [*beside, f"event {at}"]
    assert report.parts == len(beside) == elsewhere
    assert not report.clean
    assert any("backup.act" in each and "is compressed" in each for each in report.unreachable)
    assert any("snapshots in compressed log files" in each for each in report.unreachable)


def test_a_restored_backup_stays_forgotten(app: Act, keys: FileKeyStore, tmp_path: Path) -> None:
    app.store.backup(tmp_path / "backup.act")  # type: ignore[attr-defined]
    app.forget("u-1", reason="asked")
    with Act(tmp_path / "backup.act", Person, keys=keys) as old:
        assert old.load(Person, "person-1").state.email is FORGOTTEN
        assert old.load(Person, "person-2").state.email == "ada@example.org"


def test_another_app_hears_of_it_at_once_and_its_live_states_are_dropped(
    app: Act, keys: FileKeyStore, tmp_path: Path
) -> None:
    with FileKeyStore(tmp_path / "people.keys") as others, Act(tmp_path / "people.act", Person, keys=others) as other:
        assert other.load(Person, "person-1").state.email == "ada@example.org"
        app.forget("u-1", reason="asked")
        assert other.load(Person, "person-1").state.email is FORGOTTEN
        assert other.do(Person.visit, "person-1", pages=1).state.email is FORGOTTEN
        assert other.load(Person, "person-2").state.email == "ada@example.org"


def test_reactions_see_the_value_and_then_that_it_is_gone(app: Act) -> None:
    seen: list[object] = []
    told: list[str] = []

    @app.on(Registered)
    def greet(event: Committed[Registered]) -> None:
        seen.append(event.data.email)

    @app.on(SubjectForgotten)
    def forget(event: Committed[SubjectForgotten]) -> None:
        told.append(event.data.subject)

    app.settle()
    report = app.forget("u-1", reason="asked")
    app.forget("u-1", reason="again")
    app.settle()
    assert seen == ["ada@example.org", "ada@example.org"]
    assert told == ["u-1"]
    assert report.events == 1
    assert report.receivers == ("greet",)
    greet_again = app.query(events=[Registered])
    assert [event.data.email for event in greet_again] == [FORGOTTEN, "ada@example.org"]


def test_what_a_handler_raises_is_stored_and_logged_without_the_values(
    app: Act, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    @app.on(Registered, retries=0)
    def refuse(event: Committed[Registered]) -> None:
        raise ValueError(f"no mail for {event.data.email} in {event.data!r}")

    app.settle(raises=False)
    target = next(iter(app.targets()))
    assert target.error is not None
    assert target.error.startswith("ValueError: no mail for <personal> in Registered(user='u-1', email=<personal>")
    assert "no mail for <personal>" in caplog.text
    assert not [each for each in SECRETS if each in caplog.text]
    assert files_with(tmp_path, SECRETS) == []


class Introduced(Event):
    user: Subject[str]
    name: Personal[str]
    born: Personal[date]
    code: Personal[int]


class Introduction(State, events=[Introduced]):
    @action
    def introduce(self, user: str) -> Introduced:
        return Introduced(user, "Ada O'Byron\nLovelace", date(1815, 12, 10), 47110815)


def test_no_form_of_a_value_is_in_what_a_handler_raised() -> None:
    app = Act("memory:", Introduction, keys=MemoryKeyStore())

    @app.on(Introduced, retries=0)
    def refuse(event: Committed[Introduced]) -> None:
        it = event.data
        raise ValueError(f"{it.name!r} {it.born!r} {it.born} {it.code} {msgspec.json.encode(it).decode()}")

    app.do(Introduction.introduce, "i-1", user="u-1")
    app.settle(raises=False)
    error = next(iter(app.targets())).error or ""
    assert error.startswith("ValueError: ")
    assert not [each for each in ("Byron", "1815", "4711") if each in error]


class Joined(Event):
    user: Subject[str]
    email: Personal[str]


class Guest(State):
    @action
    def join(self, user: str, email: str) -> Joined:
        return Joined(user, email)


def later_guest(takes: type) -> type[State]:
    """The state of a release whose events tell of the address only where it is."""

    def kept(old: takes) -> dict[str, str]:  # type: ignore[valid-type]
        email = old.get("email") if isinstance(old, dict) else old.email  # type: ignore[attr-defined]
        return {"domain": email.partition("@")[2] if email else "gone"}

    class JoinedFrom(Event):
        domain: str

        domain_of = upcast(from_="Joined")(staticmethod(kept))

    class Guest(State):
        domain: str = ""

        @reducer
        def joined(self, event: JoinedFrom) -> None:
            self.domain = event.domain

    return Guest


@pytest.mark.parametrize("takes", [Joined, dict])
def test_what_upcasters_make_of_personal_values_is_written_down_nowhere(
    tmp_path: Path, keys: FileKeyStore, monkeypatch: pytest.MonkeyPatch, takes: type
) -> None:
    monkeypatch.setattr(background, "PART_EVENTS", 1)
    with Act(tmp_path / "s.act", Guest, keys=keys) as app:
        app.do(Guest.join, "guest-1", user="u-1", email="ada@home-of-ada.example")
    with Act(tmp_path / "s.act", later_guest(takes), keys=keys) as app:
        for relation in ("joinedfrom", "guest"):
            for _ in range(2):
                assert app.sql(f"select domain from {relation}").fetchall() == [("home-of-ada.example",)]
                assert builds.wait()
        with pytest.raises(DefinitionError, match="may be given personal values"):
            app.view("domains", "select domain, count(*) as guests from joinedfrom group by domain")
        assert files_with(tmp_path, ["home-of-ada.example"]) == []
        app.forget("u-1", reason="a test")
        for relation in ("joinedfrom", "guest"):
            assert app.sql(f"select domain from {relation}").fetchall() == [("gone",)]


@pytest.mark.parametrize("takes", [Joined, dict])
def test_forgetting_counts_what_only_upcasters_are_given(tmp_path: Path, keys: FileKeyStore, takes: type) -> None:
    copied = tmp_path / "copied.txt"
    copied.write_text("guest: ada@home-of-ada.example")
    with Act(tmp_path / "s.act", Guest, keys=keys) as app:
        for number in (1, 2):
            app.do(Guest.join, f"guest-{number}", user="u-1", email="ada@home-of-ada.example")
        app.do(Guest.join, "guest-3", user="u-2", email="charles@example.org")
    guest = later_guest(takes)
    (joined,) = guest.__definition__.reducers
    with Act(tmp_path / "s.act", guest, keys=keys) as app:

        @app.on(joined)
        def greet(event: Committed[Event]) -> None:
            pass

        report = app.forget("u-1", reason="asked", also=[copied])
        assert (report.events, report.streams, report.values, report.unread) == (2, 2, 1, 0)
        assert report.receivers == ("greet",)
        assert report.plaintext == (str(copied),)
        again = app.forget("u-1", reason="asked")
        assert (again.events, again.values, again.already) == (2, 0, True)
        assert app.forget("u-7", reason="asked").unknown


def test_forgetting_counts_what_is_sealed_in_events_of_no_class(tmp_path: Path, keys: FileKeyStore) -> None:
    class Left(Event, name="Joined"):
        user: str

    class Leaver(State, events=[Left]):
        pass

    with Act(tmp_path / "s.act", Guest, keys=keys) as app:
        app.do(Guest.join, "guest-1", user="u-1", email="ada@home-of-ada.example")
        app.do(Guest.join, "guest-2", user="u-2", email="charles@example.org")
    for user, states in (("u-1", [Leaver]), ("u-2", [])):
        with Act(tmp_path / "s.act", *states, keys=keys) as app:
            report = app.forget(user, reason="asked")
            assert (report.events, report.streams, report.values, report.unread) == (1, 1, 1, 0)


def test_forgetting_counts_what_an_upcaster_is_given_in_clear(tmp_path: Path, keys: FileKeyStore) -> None:
    with Act(tmp_path / "s.act", later_guest(Joined), keys=keys) as app:
        app.store.append("guest-1", [("Joined", b'{"user":"u-1","email":"ada@home-of-ada.example"}')])
        report = app.forget("u-1", reason="asked")
        assert (report.events, report.in_clear, report.values, report.clean) == (0, 1, 1, False)


def test_an_upcaster_that_fails_keeps_nobody_from_being_forgotten(tmp_path: Path, keys: FileKeyStore) -> None:
    class Parted(Event):
        domain: str

        @upcast(from_="Joined")
        @staticmethod
        def split(old: Joined) -> dict[str, str]:
            raise ValueError(old.email)

    class Parting(State, events=[Parted]):
        pass

    with Act(tmp_path / "s.act", Guest, keys=keys) as app:
        app.do(Guest.join, "guest-1", user="u-1", email="ada@home-of-ada.example")
    with Act(tmp_path / "s.act", Parting, keys=keys) as app:
        report = app.forget("u-1", reason="asked")
        assert (report.events, report.values) == (1, 1)
        assert "the values of 1 events, which do not decode" in report.unreachable


def test_what_a_handler_says_of_values_that_an_upcaster_has_copied_is_hidden(
    tmp_path: Path, keys: FileKeyStore
) -> None:
    class Copied(Event):
        address: str

        @upcast(from_="Joined")
        @staticmethod
        def copy(old: Joined) -> dict[str, str]:
            return {"address": old.email or ""}

    class Copying(State, events=[Copied]):
        pass

    with Act(tmp_path / "s.act", Guest, keys=keys) as app:
        app.do(Guest.join, "guest-1", user="u-1", email="ada@home-of-ada.example")
    with Act(tmp_path / "s.act", Copying, keys=keys) as app:

        @app.on(Copied, retries=0)
        def refuse(event: Committed[Copied]) -> None:
            raise ValueError(f"no mail to {event.data.address}")

        app.settle(raises=False)
        error = next(iter(app.targets())).error or ""
        assert error.startswith("ValueError: no mail to")
        assert "ada@home-of-ada.example" not in error
        assert look(app).kept.sealed == 1


def test_a_table_of_states_has_no_personal_values(app: Act, tmp_path: Path) -> None:
    database = tmp_path / "people.db"
    app.include(StateProjection(Person, lambda: sqlite3.connect(database, check_same_thread=False), table="person"))
    app.settle()
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute('select "user", email, plan, pages from person').fetchall() == [
            ("u-1", None, "free", 3),
            ("u-2", None, "free", 3),
        ]
    assert files_with(tmp_path, SECRETS) == []


def test_redaction_puts_nothing_in_clear_where_something_was_sealed(app: Act, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="field 'email' is sealed, and a new value would be stored in clear"):
        app.redact([1], fields={"email": "grace@example.org"}, reason="a wrong address")
    app.redact([1], fields={"email": None, "address": None, "phones": []}, reason="a wrong address")
    event = next(app.query(events=[Registered])).data
    assert (event.email, event.name, event.address, event.phones) == (FORGOTTEN, "Ada Lovelace", None, [])
    assert files_with(tmp_path, ["grace@example.org", *SECRETS]) == []


def test_forgetting_counts_states_that_hold_the_books(app: Act) -> None:
    app.restart_stream(Person, "person-1")
    app.close_stream(Person, "person-1")
    assert app.forget("u-1", reason="asked").events == 3
    assert app.load(Person, "person-1").state.email is FORGOTTEN
