"""What was sealed once is written down in clear nowhere, whatever upcasters and reducers make of it."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from act_fast import (
    FORGOTTEN,
    Act,
    DefinitionError,
    Event,
    FileKeyStore,
    LogStore,
    MemoryKeyStore,
    Personal,
    Retire,
    State,
    Subject,
    action,
    last,
    move,
    reducer,
    upcast,
)
from act_fast._model.snapshot_mark import mark_of
from act_fast._sql.parts import background
from act_fast._sql.parts.background import builds
from tests.support.people import files_with

SECRETS = ["home-of-ada.example", "47110815", "Lovelace"]
PLACE = "no snapshots of Guest are stored: "


class Joined(Event):
    user: Subject[str]
    email: Personal[str]
    code: Personal[int] = 0


class Seen(Event):
    pages: int


class Guest(State, events=[Seen]):
    """The first release."""

    user: Subject[str] = ""
    email: Personal[str] = ""

    @reducer
    def joined(self, event: Joined) -> None:
        self.user, self.email = event.user, event.email

    @action
    def join(self, user: str, email: str) -> Joined:
        return Joined(user, email, 47110815)

    @action
    def see(self, pages: int) -> Seen:
        return Seen(pages)


FirstGuest = Guest


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[FileKeyStore]:
    with FileKeyStore(tmp_path / "guests.keys") as keys:
        yield keys


@pytest.fixture
def path(tmp_path: Path, keys: FileKeyStore) -> Path:
    """A store of the first release, with the events of a person in one stream and of none in another."""
    path = tmp_path / "guests.act"
    with Act(path, Guest, keys=keys) as app:
        app.do(Guest.join, "guest-1", user="u-1", email="ada.Lovelace@home-of-ada.example")
        app.do(Guest.see, "guest-2", pages=1)
    return path


def domain_of(email: Any) -> str:
    return email.partition("@")[2] if email else "gone"


def copied_by_default(made: type[Event]) -> type[State]:
    class Guest(State, events=[made, Seen], snapshot_every=1, retire=Retire(timedelta(days=1))):
        said: str | int = ""

        @action
        def see(self, pages: int) -> Seen:
            return Seen(pages)

    return Guest


def of_class() -> type[State]:
    class Came(Event):
        said: str

        @upcast(from_="Joined")
        @staticmethod
        def came(old: Joined) -> dict[str, str]:
            return {"said": domain_of(old.email)}

    return copied_by_default(Came)


def of_dict() -> type[State]:
    class Came(Event):
        said: str

        @upcast(from_="Joined")
        @staticmethod
        def came(old: dict[str, Any]) -> dict[str, str]:
            return {"said": domain_of(old["email"])}

    return copied_by_default(Came)


def of_number() -> type[State]:
    class Came(Event):
        said: int

        @upcast(from_="Joined")
        @staticmethod
        def came(old: Joined) -> dict[str, int]:
            return {"said": old.code or 0}

    return copied_by_default(Came)


def beside_a_personal_field() -> type[State]:
    class Came(Event):
        user: Subject[str]
        email: Personal[str]
        said: str

        @upcast(from_="Joined")
        @staticmethod
        def came(old: Joined) -> dict[str, Any]:
            return {"user": old.user, "email": old.email, "said": domain_of(old.email)}

    return copied_by_default_without_email(Came)


def copied_by_default_without_email(made: Any) -> type[State]:
    class Guest(State, events=[Seen], snapshot_every=1, retire=Retire(timedelta(days=1))):
        user: str = ""
        said: str = ""

        @reducer
        def came(self, event: made) -> None:
            self.user, self.said = event.user, event.said

        @action
        def see(self, pages: int) -> Seen:
            return Seen(pages)

    return Guest


def in_two_steps() -> type[State]:
    class Came(Event):
        user: Subject[str]
        host: Personal[str]

        @upcast(from_="Joined")
        @staticmethod
        def came(old: Joined) -> dict[str, Any]:
            return {"user": old.user, "host": old.email and domain_of(old.email)}

    class Arrived(Event):
        said: str

        @upcast(from_="Came")
        @staticmethod
        def arrived(old: Came) -> dict[str, Any]:
            return {"said": old.host or "gone"}

    return copied_by_default(Arrived)


def declared() -> type[State]:
    class Came(Event):
        host: str

        @upcast(from_="Joined")
        @staticmethod
        def came(old: Joined) -> dict[str, str]:
            return {"host": domain_of(old.email)}

    class Guest(State, events=[Seen], snapshot_every=1, retire=Retire(timedelta(days=1))):
        said: str | None = last(Came.host)

        @action
        def see(self, pages: int) -> Seen:
            return Seen(pages)

    return Guest


def that_takes_nothing_forgotten() -> type[State]:
    class Came(Event):
        said: str

        @upcast(from_="Joined")
        @staticmethod
        def came(old: Joined) -> dict[str, str]:
            return {"said": old.email.partition("@")[2]}  # type: ignore[union-attr]

    return copied_by_default(Came)


GIVING_AWAY = [
    of_class,
    of_dict,
    of_number,
    beside_a_personal_field,
    in_two_steps,
    declared,
    that_takes_nothing_forgotten,
]
giving_away = pytest.mark.parametrize("made", GIVING_AWAY, ids=lambda made: made.__name__)


@giving_away
def test_no_snapshot_holds_what_an_upcaster_has_put_in_clear(
    path: Path, keys: FileKeyStore, made: Callable[[], Any]
) -> None:
    guest = made()
    with Act(path, guest, keys=keys) as app:
        failures: list[str] = []
        app.observe("error", lambda failure: failures.append(str(failure.error)))
        snapshot = app.do(guest.see, "guest-1", pages=2)
        assert str(snapshot.state.said) in SECRETS
        assert app.store.latest_snapshot("guest-1") is None
        with pytest.raises(DefinitionError, match=PLACE + "an upcaster of .* events stored as 'Joined'"):
            app.snapshot(guest, "guest-1")
        assert [each.startswith(PLACE) for each in failures] == [True]
        assert not any(secret in each for each in failures for secret in SECRETS)
        app.do(guest.see, "guest-2", pages=2)
        assert app.store.latest_snapshot("guest-2") is not None  # nothing of the kind was folded there
    assert files_with(path, SECRETS) == []


@giving_away
@pytest.mark.parametrize("verb", ["close", "restart", "retire"])
def test_no_books_hold_it(path: Path, keys: FileKeyStore, made: Callable[[], Any], verb: str) -> None:
    guest = made()
    with Act(path, guest, keys=keys) as app:
        ends = {
            "close": lambda: app.close_stream(guest, "guest-1"),
            "restart": lambda: app.restart_stream(guest, "guest-1"),
            "retire": lambda: app.retire(at=datetime.now(UTC) + timedelta(days=9)),
        }
        with pytest.raises(DefinitionError, match=PLACE):
            ends[verb]()
        assert app.store.version("guest-1") == 1
    assert files_with(path, SECRETS) == []


@giving_away
def test_no_snapshot_that_takes_the_place_of_a_useless_one_holds_it(
    path: Path, keys: FileKeyStore, made: Callable[[], Any]
) -> None:
    guest = made()
    with Act(path, guest, keys=keys) as app:
        app.store.save_snapshot("guest-1", 1, b'{"mark":"another","state":{}}')
        assert str(app.load(guest, "guest-1").state.said) in SECRETS
        found = app.store.latest_snapshot("guest-1")
        assert found is not None
        assert b'"another"' in found.data
    assert files_with(path, SECRETS) == []


@giving_away
def test_no_copy_of_the_store_holds_it(
    path: Path, keys: FileKeyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Callable[[], Any]
) -> None:
    monkeypatch.setattr(background, "PART_EVENTS", 1)
    guest = made()
    with Act(path, guest, keys=keys) as app:
        store = app.store
        assert isinstance(store, LogStore)
        app.do(guest.see, "guest-1", pages=2)
        for _ in range(2):
            found = app.sql("select said from guest order by stream").fetchall()
            assert str(found[0][0]).strip('"') in SECRETS
            assert builds.wait()
        store.backup(tmp_path / "backup.act")
        for kind in ("parquet", "csv", "jsonl"):
            app.export(tmp_path / f"events.{kind}")
        with LogStore(tmp_path / "moved.act") as target:
            move(store, target, hand_over=False)
        app.compress(seal=True)
        app.archive(tmp_path / "cold")
        assert files_with(tmp_path, SECRETS) == []
        report = app.forget("u-1", reason="asked", also=[tmp_path / "events.jsonl", tmp_path / "moved.act"])
        assert (report.plaintext, report.events) == ((), 1)


class Entered(Event):
    user: Subject[str]
    email: Personal[str]
    visits: int

    @upcast(from_="Joined")
    @staticmethod
    def entered(old: Joined) -> dict[str, Any]:
        return {"user": old.user, "email": old.email, "visits": 1}


class RegularGuest(State, events=[Seen], snapshot_every=1, name="Guest"):
    user: Subject[str] = ""
    email: Personal[str] = ""
    known: bool = False
    visits: int = 0

    @reducer
    def entered(self, event: Entered) -> None:
        self.user, self.email, self.visits = event.user, event.email, event.visits
        self.known = bool(event.email)

    @action
    def see(self, pages: int) -> Seen:
        return Seen(pages)


def test_where_upcasters_keep_it_personal_snapshots_go_on(path: Path, keys: FileKeyStore) -> None:
    with Act(path, RegularGuest, keys=keys) as app:
        app.do(RegularGuest.see, "guest-1", pages=2)
        app.do(RegularGuest.see, "guest-1", pages=2)
        found = app.store.latest_snapshot("guest-1")
        assert found is not None
        assert found.version == 3
    with Act(path, RegularGuest, keys=keys) as app:
        snapshot = app.load(RegularGuest, "guest-1")
        assert (snapshot.replayed, snapshot.state.email) == (0, "ada.Lovelace@home-of-ada.example")
        app.restart_stream(RegularGuest, "guest-1")
        assert app.snapshot(RegularGuest, "guest-1").version == 4
        assert files_with(path, SECRETS) == []
        app.forget("u-1", reason="asked")
        assert app.load(RegularGuest, "guest-1").state.email is FORGOTTEN


def test_a_stream_that_goes_on_from_its_books_has_snapshots(path: Path, keys: FileKeyStore) -> None:
    with Act(path, FirstGuest, keys=keys) as app:
        app.restart_stream(FirstGuest, "guest-1")
    guest: Any = of_class()
    with Act(path, guest, keys=keys) as app:
        assert app.do(guest.see, "guest-1", pages=2).state.said == ""
        assert app.store.latest_snapshot("guest-1") is not None


def leaky(every: int | None) -> Any:
    """A later release whose reducer takes the address into a field that is not personal."""

    class Guest(State, events=[Seen], snapshot_every=every):
        said: str = ""

        @reducer
        def joined(self, event: Joined) -> None:
            self.said = event.email or ""

        @action
        def join(self, user: str, email: str) -> Joined:
            return Joined(user, email)

        @action
        def see(self, pages: int) -> Seen:
            return Seen(pages)

    return Guest


def test_what_reducers_keep_is_looked_at_however_it_was_folded(path: Path, keys: FileKeyStore) -> None:
    guest = leaky(1)
    with Act(path, guest, keys=keys) as app:
        app.do(guest.see, "guest-1", pages=2)
        assert app.store.latest_snapshot("guest-1") is None
    assert files_with(path, SECRETS) == []


@pytest.mark.parametrize("verb", ["snapshot", "close_stream", "restart_stream"])
def test_what_reducers_keep_is_looked_at_whenever_a_state_is_written(path: Path, keys: FileKeyStore, verb: str) -> None:
    guest = leaky(None)
    with Act(path, guest, keys=keys) as app:
        app.do(guest.join, "guest-3", user="u-3", email="ada@home-of-ada.example")
        with pytest.raises(DefinitionError, match=r"Guest holds the value of Joined\.email in a field that is not"):
            getattr(app, verb)(guest, "guest-3")
    assert files_with(path, SECRETS) == []


def test_what_a_state_moves_from_its_personal_fields_is_looked_at(path: Path, keys: FileKeyStore) -> None:
    class Guest(State, snapshot_every=1):
        user: Subject[str] = ""
        email: Personal[str] = ""
        said: str = ""

        @reducer
        def joined(self, event: Joined) -> None:
            self.user, self.email = event.user, event.email

        @reducer
        def seen(self, event: Seen) -> None:
            self.said = self.email or ""

        @action
        def see(self, pages: int) -> Seen:
            return Seen(pages)

    with Act(path, Guest, keys=keys) as app:
        app.snapshot(Guest, "guest-1")
        app.do(Guest.see, "guest-1", pages=1)
        found = app.store.latest_snapshot("guest-1")
        assert found is not None
        assert found.version == 1
    assert files_with(path, SECRETS) == []


deciding, forgotten = threading.Event(), threading.Event()


def test_who_was_at_work_while_someone_was_forgotten_writes_nothing_down(path: Path, keys: FileKeyStore) -> None:
    class Guest(State, snapshot_every=1):
        said: str = ""

        @reducer
        def joined(self, event: Joined) -> None:
            self.said = event.email or ""

        @reducer
        def seen(self, event: Seen) -> None:
            pass

        @action
        def see(self) -> Seen:
            deciding.set()
            assert forgotten.wait(30)
            return Seen(1)

    with Act(path, Guest, keys=keys) as app:
        beside = threading.Thread(target=app.do, args=(Guest.see, "guest-1"))
        beside.start()
        assert deciding.wait(30)
        app.forget("u-1", reason="asked")
        forgotten.set()
        beside.join()
        assert app.store.version("guest-1") == 2
        assert app.store.latest_snapshot("guest-1") is None
        assert app.snapshot(Guest, "guest-1").state.said == ""
    assert files_with(path, SECRETS) == []


def test_snapshots_of_versions_that_did_not_look_are_not_used(path: Path, keys: FileKeyStore) -> None:
    guest: Any = of_class()
    with Act(path, guest, keys=keys) as app:
        model = app._engine.registry.models[guest]
        before = mark_of(model.definition, [*model.steps])
        data = f'{{"mark":"{before}","state":{{"said":"home-of-ada.example"}}}}'.encode()
        app.store.save_snapshot("guest-2", 1, data)
        assert app.load(guest, "guest-2").state.said == ""
        app.forget("u-1", reason="asked")
        assert app.do(guest.see, "guest-1", pages=1).state.said == "gone"


def test_without_keys_nothing_is_looked_at() -> None:
    guest: Any = of_dict()
    with Act("memory:", guest) as app:
        app.store.append("guest-1", [("Joined", b'{"user":"u-1","email":"ada@example.org"}')])
        assert app.do(guest.see, "guest-1", pages=1).state.said == "example.org"
        assert app.store.latest_snapshot("guest-1") is not None


def test_values_from_before_they_were_sealed_do_not_count() -> None:
    guest: Any = of_class()
    with Act("memory:", guest, keys=MemoryKeyStore()) as app:
        app.store.append("guest-1", [("Joined", b'{"user":"u-1","email":"ada@example.org"}')])
        assert app.do(guest.see, "guest-1", pages=1).state.said == "example.org"
        assert app.store.latest_snapshot("guest-1") is not None
