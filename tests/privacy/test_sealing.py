"""What is personal never reaches a store in clear, and comes back as it was."""

import pickle
import shutil
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Generic, NamedTuple, NewType, TypedDict, TypeVar
from uuid import UUID, uuid4

import msgspec
import pytest

from act_fast import (
    FORGOTTEN,
    Act,
    DecodeError,
    DefinitionError,
    Event,
    FileKeyStore,
    Forgotten,
    LogStore,
    MemoryKeyStore,
    Personal,
    Sealing,
    State,
    Subject,
    Tag,
    ValidationError,
    View,
    action,
    decision,
    last,
    reducer,
    upcast,
)
from act_fast.errors import KeyMissingError, KeyStoreError, SealError, SubjectForgottenError
from act_fast.testing import given
from tests.support.people import SECRETS, Address, Person, Profile, Registered, Renamed, files_with


@pytest.fixture
def app(tmp_path: Path) -> Act:
    return Act(tmp_path / "people.act", Person, Profile, keys=FileKeyStore(tmp_path / "people.keys"))


def register(app: Act, user: str = "u-1", email: str = "ada@example.org") -> None:
    app.do(Person.register, f"person-{user}", user=user, email=email)


def test_what_is_personal_is_on_no_file_of_the_store(app: Act, tmp_path: Path) -> None:
    register(app)
    app.do(Person.visit, "person-u-1", pages=3)
    assert app.store.latest_snapshot("person-u-1") is not None
    app.close()
    assert files_with(tmp_path, SECRETS) == []


def test_it_is_read_as_it_was_written(app: Act) -> None:
    register(app)
    [event] = app.query(events=[Registered])
    assert event.data == Registered(
        "u-1",
        "ada@example.org",
        "Ada Lovelace",
        Address("12 St James's Square", "London"),
        ["+44 20 5550 0001"],
        {"music": "plays the harp"},
        "1815-12-10",
    )


def test_another_process_reads_it_with_the_keys_and_from_a_snapshot(app: Act, tmp_path: Path) -> None:
    register(app)
    app.do(Person.visit, "person-u-1", pages=3)
    app.close()
    with Act(tmp_path / "people.act", Person, keys=FileKeyStore(tmp_path / "people.keys")) as other:
        snapshot = other.load(Person, "person-u-1")
        assert snapshot.state == Person("u-1", "ada@example.org", "free", 3)
        assert snapshot.replayed == 0


def test_a_forgotten_value_reads_as_forgotten_everywhere(app: Act) -> None:
    register(app)
    app.forget("u-1", reason="asked")
    [event] = app.query(events=[Registered])
    assert event.data == Registered(
        "u-1", FORGOTTEN, FORGOTTEN, Address(FORGOTTEN, "London"), [FORGOTTEN], {"music": FORGOTTEN}, FORGOTTEN
    )
    assert app.load(Person, "person-u-1").state.email is FORGOTTEN
    assert dict(app.replay(Person))["person-u-1"].state.email is FORGOTTEN


def test_folding_goes_on_after_forgetting(app: Act) -> None:
    register(app)
    app.forget("u-1", reason="asked")
    assert app.do(Person.visit, "person-u-1", pages=2).state == Person("u-1", FORGOTTEN, "free", 2)
    assert app.do(Person.visit, "person-u-1", pages=2).state.pages == 4  # with a snapshot that holds what is forgotten
    app._engine.cache.clear()
    assert app.load(Person, "person-u-1").state == Person("u-1", FORGOTTEN, "free", 4)


def test_a_declared_field_takes_nothing_from_what_is_forgotten(app: Act) -> None:
    app.do(Profile.rename, "profile-1", user="u-1", name="Ada Lovelace")
    app.do(Profile.rename, "profile-1", user="u-2", name="Charles Babbage")
    assert app.load(Profile, "profile-1").state.name == "Charles Babbage"
    app.forget("u-2", reason="asked")
    assert app.load(Profile, "profile-1").state == Profile("Ada Lovelace", 2, "u-2")
    assert dict(app.replay(Profile))["profile-1"].state == Profile("Ada Lovelace", 2, "u-2")


def test_the_forgotten_is_falsy_one_of_its_kind_and_null_in_json() -> None:
    assert not FORGOTTEN
    assert isinstance(FORGOTTEN, Forgotten)
    assert pickle.loads(pickle.dumps(FORGOTTEN)) is FORGOTTEN
    assert msgspec.json.encode({"email": FORGOTTEN}) == b'{"email":null}'
    assert f"{FORGOTTEN}" == repr(FORGOTTEN) == "FORGOTTEN"
    assert Renamed("u", FORGOTTEN) == Renamed("u", FORGOTTEN) != Renamed("u", "")


def test_a_forgotten_value_can_be_stored_again(app: Act) -> None:
    register(app)
    app.forget("u-1", reason="asked")
    data = app._codec.encode(Registered("u-2", FORGOTTEN, "Charles"))[1]
    assert b'"email":"$forgotten"' in data
    assert app._codec.decode("Registered", data) == Registered("u-2", FORGOTTEN, "Charles")


def test_nothing_personal_is_stored_about_who_was_forgotten(app: Act) -> None:
    register(app)
    app.forget("u-1", reason="asked")
    with pytest.raises(SubjectForgottenError, match="'u-1' was forgotten"):
        app.do(Person.register, "person-again", user="u-1", email="ada@example.org")
    assert app.store.version("person-again") == 0


def test_repr_of_events_and_states_leaves_it_out(app: Act) -> None:
    register(app)
    snapshot = app.load(Person, "person-u-1")
    said = repr(snapshot) + repr(snapshot.event) + repr(list(app.query())) + snapshot._repr_html_()
    assert not [each for each in SECRETS if each in said]
    assert "user='u-1'" in said


def test_a_store_by_itself_refuses_events_with_personal_fields() -> None:
    with LogStore.memory() as store, pytest.raises(ValidationError, match="only an app with keys= seals"):
        store.append("person-1", [Registered("u-1", "ada@example.org", "Ada")])


def test_an_app_without_keys_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"personal fields, but the app has no key store; .*FileKeyStore"):
        Act("memory:", Person)


class Mail(Event):
    user: Subject[str]
    address: Personal[str]


def test_a_personal_value_in_the_name_of_the_stream_is_refused(app: Act) -> None:
    with pytest.raises(ValidationError, match="its value is also in the stream's name"):
        app.do(Person.register, "person-ada@example.org", user="u-1", email="ada@example.org")
    assert app.store.head == 0


def test_a_subject_that_is_a_personal_value_is_refused(app: Act) -> None:
    with pytest.raises(ValidationError, match="also in the subject 'user'") as refused:
        app.do(Person.register, "person-1", user="ada@example.org", email="ada@example.org")
    assert "ada@example.org" not in str(refused.value)


def test_a_personal_value_in_a_tag_is_refused() -> None:
    class Joined(Event):
        user: Subject[str]
        group: Tag[str]
        name: Personal[str]

    class Group(State, events=[Joined]):
        @action
        def join(self, user: str, group: str, name: str) -> Joined:
            return Joined(user, group, name)

    app = Act("memory:", Group, keys=MemoryKeyStore())
    with pytest.raises(ValidationError, match="also in a tag"):
        app.do(Group.join, "g", user="u", group="Ada", name="Ada")


def test_a_personal_field_cannot_be_a_tag() -> None:
    with pytest.raises(DefinitionError, match="cannot be a tag"):

        class Wrong(Event):
            user: Subject[str]
            email: Tag[Personal[str]]


def test_without_a_subject_nothing_can_be_personal() -> None:
    with pytest.raises(DefinitionError, match=r"nothing in .*Wrong says whose it is; add a field such as"):

        class Wrong(Event):
            email: Personal[str]


def test_of_several_subjects_one_is_named() -> None:
    with pytest.raises(DefinitionError, match="has several subjects: buyer, seller; say whose it is"):

        class Wrong(Event):
            buyer: Subject[str]
            seller: Subject[str]
            email: Personal[str]


class Sold(Event):
    buyer: Subject[int]
    seller: Subject[UUID]
    buyer_name: Annotated[Personal[str], Sealing(subject="buyer")]
    seller_born: Annotated[Personal[date], Sealing(subject="seller")]
    price: int


class Sale(State, events=[Sold]):
    price: int = 0

    @action
    def sell(self, buyer: int, seller: UUID) -> Sold:
        return Sold(buyer, seller, "Ada Lovelace", date(1791, 12, 26), 5)


def test_each_value_is_sealed_for_its_own_subject() -> None:
    app, seller = Act("memory:", Sale, keys=MemoryKeyStore()), uuid4()
    app.do(Sale.sell, "sale-1", buyer=7, seller=seller)
    app.forget(7, reason="asked")
    assert next(app.query(events=[Sold])).data == Sold(7, seller, FORGOTTEN, date(1791, 12, 26), 5)
    app.forget(seller, reason="asked")
    assert next(app.query(events=[Sold])).data == Sold(7, seller, FORGOTTEN, FORGOTTEN, 5)


def test_a_value_without_a_subject_is_refused() -> None:
    app = Act("memory:", Person, keys=MemoryKeyStore())
    with pytest.raises(ValidationError, match=r"Registered.email is personal, but the subject 'user' is empty"):
        app.do(Person.register, "person-1", user="", email="ada@example.org")


def test_a_state_that_would_keep_it_in_clear_is_refused() -> None:
    class Leaky(State):
        email: str = ""

    class Moved(Event):
        user: Subject[str]
        email: Personal[str]

    class LeakyByDefault(State, events=[Moved]):
        email: str = ""

    with pytest.raises(DefinitionError, match=r"LeakyByDefault.email takes the personal value .*Moved.email"):
        Act("memory:", LeakyByDefault, keys=MemoryKeyStore())

    class LeakyByDeclaration(State):
        email: str | None = last(Moved.email)

    with pytest.raises(DefinitionError, match=r"LeakyByDeclaration.email takes the personal value"):
        Act("memory:", LeakyByDeclaration, keys=MemoryKeyStore())


def sealed_of(app: Act) -> bytes:
    return next(app.store.load("profile-1")).data


def changed(app: Act, data: bytes, name: str = "Renamed") -> None:
    app.store.append("profile-2", [(name, data)])
    app.load(Profile, "profile-2")


def test_ciphertext_that_was_changed_is_a_clear_error(app: Act) -> None:
    app.do(Profile.rename, "profile-1", user="u-1", name="Ada Lovelace")
    data = sealed_of(app)
    middle = len(data) - 20
    other = b"A" if data[middle : middle + 1] != b"A" else b"B"
    with pytest.raises(SealError, match=r"the field 'name' of Renamed does not open .* it was changed") as found:
        changed(app, data[:middle] + other + data[middle + 1 :])
    assert "version 1 of stream 'profile-2'" in "".join(found.value.__notes__)


def test_ciphertext_of_another_subject_does_not_open(app: Act) -> None:
    app.do(Profile.rename, "profile-1", user="u-1", name="Ada Lovelace")
    with pytest.raises(SealError, match="was sealed for another subject"):
        changed(app, sealed_of(app).replace(b'"user":"u-1"', b'"user":"u-2"'))


def test_ciphertext_of_another_field_does_not_open(app: Act) -> None:
    register(app)
    app.do(Profile.rename, "profile-1", user="u-1", name="Ada Lovelace")
    email = msgspec.json.decode(next(app.store.load("person-u-1")).data)["email"]
    with pytest.raises(SealError, match="moved from another field or event"):
        changed(app, msgspec.json.encode({"user": "u-1", "name": email}))


def test_another_key_store_is_told_from_forgetting(app: Act, tmp_path: Path) -> None:
    app.do(Profile.rename, "profile-1", user="u-1", name="Ada Lovelace")
    app.close()
    other = Act(tmp_path / "people.act", Profile, keys=FileKeyStore(tmp_path / "other.keys"))
    with pytest.raises(KeyMissingError, match="open the app with the key store that it was written with"):
        other.load(Profile, "profile-1")


def test_events_from_before_a_field_was_personal_are_read(app: Act) -> None:
    app.store.append("profile-1", [("Renamed", b'{"user":"u-1","name":"Ada Lovelace"}')])
    assert app.load(Profile, "profile-1").state.name == "Ada Lovelace"
    report = app.forget("u-1", reason="asked")
    assert report.in_clear == 1
    assert report.plaintext
    assert not report.clean


def test_it_is_found_by_its_value_and_only_with_the_keys(app: Act) -> None:
    register(app)
    register(app, "u-2", "charles@example.org")
    assert [each.stream for each in app.lookup(Registered, email="charles@example.org")] == ["person-u-2"]
    assert list(app.lookup(Registered, email="nobody@example.org")) == []
    with pytest.raises(ValidationError, match=r"Registered.name cannot be looked up"):
        list(app.lookup(Registered, name="Ada"))


class Moved(Event, name="Moved_v2"):
    user: Subject[str]
    town: Personal[str]

    @upcast(from_="Moved")
    @staticmethod
    def from_city(old: dict[str, str]) -> dict[str, str]:
        return {"user": old["user"], "town": old["city"]}


class MovedFirst(Event, name="Moved"):
    user: Subject[str]
    city: Personal[str]


class House(State, events=[MovedFirst]):
    @action
    def move(self, user: str, city: str) -> MovedFirst:
        return MovedFirst(user, city)


class Town(State):
    user: Subject[str] = ""
    town: Personal[str] = ""

    @reducer
    def moved(self, event: Moved) -> None:
        self.user, self.town = event.user, event.town


def test_an_upcaster_that_takes_a_dict_sees_the_value(tmp_path: Path) -> None:
    keys = FileKeyStore(tmp_path / "keys")
    with Act(tmp_path / "a.act", House, keys=keys) as before:
        before.do(House.move, "h-1", user="u-1", city="London")
    with Act(tmp_path / "a.act", Town, keys=keys) as after:
        assert after.load(Town, "h-1").state == Town("u-1", "London")
        after.forget("u-1", reason="asked")
        assert after.load(Town, "h-1").state == Town("u-1", FORGOTTEN)


class Named(Event):
    user: Tag[Subject[str]]
    name: Personal[str]


class user(View):
    name: Personal[str] = ""
    user: Subject[str] = ""

    @reducer
    def named(self, event: Named) -> None:
        self.name = event.name


@decision
def rename(seen: user, of: str, name: str) -> Named | None:
    return None if seen.name == name else Named(of, name)


def test_views_and_decisions_see_the_value_and_the_store_does_not(tmp_path: Path) -> None:
    with Act(tmp_path / "a.act", keys=FileKeyStore(tmp_path / "keys")) as app:
        app.decide(rename, user.of("u-1"), "u-1", "Ada Lovelace")
        assert not app.decide(rename, user.of("u-1"), "u-1", "Ada Lovelace").events
        assert files_with(tmp_path, ["Ada Lovelace"]) == []
        app.forget("u-1", reason="asked")
        with pytest.raises(SubjectForgottenError):
            app.decide(rename, user.of("u-1"), "u-1", "Ada Lovelace")


def test_a_scenario_needs_no_keys() -> None:
    given(Person, Registered("u-1", "ada@example.org", "Ada")).state(email="ada@example.org").when(
        Person.visit, pages=2
    ).state(pages=2)


def test_in_sql_it_is_null_before_and_after(app: Act) -> None:
    register(app)
    asked = "select user, email, phones, address.street, address.city, plan from registered"
    assert app.sql(asked).fetchall() == [("u-1", None, None, None, "London", "free")]
    assert app.sql("select user, email, plan, pages from person").fetchall() == [("u-1", None, "free", 0)]
    app.forget("u-1", reason="asked")
    assert app.sql(asked).fetchall() == [("u-1", None, None, None, "London", "free")]
    assert app.sql("select subject, reason from subjectforgotten").fetchall() == [("u-1", "asked")]


class Leaky(State, snapshot_every=1):
    user: Subject[str] = ""
    note: str = ""

    @reducer
    def renamed(self, event: Renamed) -> None:
        self.user = event.user
        self.note = event.name or ""

    @action
    def rename(self, user: str, name: str) -> Renamed:
        return Renamed(user, name)


def test_a_reducer_that_keeps_it_in_clear_is_an_error_in_debugging(tmp_path: Path) -> None:
    app = Act(tmp_path / "a.act", Leaky, keys=MemoryKeyStore(), debug=True)
    with pytest.raises(
        DefinitionError, match=r"Leaky holds the value of Renamed\.name in a field that is not personal"
    ):
        app.do(Leaky.rename, "l-1", user="u-1", name="Ada Lovelace")
    assert app.store.head == 0


def test_a_state_that_keeps_it_in_clear_has_no_snapshots(tmp_path: Path) -> None:
    app = Act(tmp_path / "a.act", Leaky, keys=MemoryKeyStore())
    failures: list[str] = []
    app.observe("error", lambda failure: failures.append(str(failure.error)))
    app.do(Leaky.rename, "l-1", user="u-1", name="Ada Lovelace")
    app.do(Leaky.rename, "l-1", user="u-1", name="Augusta Ada King")
    assert app.store.latest_snapshot("l-1") is None
    assert files_with(tmp_path, ["Ada"]) == []
    assert all("Leaky holds the value of Renamed.name" in each for each in failures)
    assert failures
    with pytest.raises(DefinitionError, match="no snapshots of Leaky are stored"):
        app.snapshot(Leaky, "l-1")
    assert "Ada" not in "".join(failures)


def test_a_request_that_is_done_once_leaves_no_hash_that_could_be_guessed() -> None:
    def digest_of(keys: MemoryKeyStore) -> str:
        app = Act("memory:", Profile, keys=keys)
        app.once("request-1").do(Profile.rename, "profile-1", user="u-1", name="Ada")
        action = next(app.store.load("profile-1")).meta.action
        assert action is not None
        return action.digest

    keys = MemoryKeyStore()
    assert digest_of(keys) == digest_of(keys) != digest_of(MemoryKeyStore())


class Street(msgspec.Struct, frozen=True, tag=True):
    street: Personal[str]


class Box(msgspec.Struct, frozen=True, tag=True):
    number: int


class Settled(Event, forbid_unknown_fields=True):
    user: Subject[int]
    place: Street | Box

    @upcast(from_="SettledFirst")
    @staticmethod
    def from_first(old: dict[str, object]) -> dict[str, object]:
        return old


class Place(State, events=[Settled]):
    @action
    def settle(self, user: int, place: Street | Box) -> Settled:
        return Settled(user, place)


def test_one_of_several_structs_is_sealed_and_not_in_sql_whoever_reads_it(tmp_path: Path) -> None:
    app = Act(tmp_path / "a.act", Place, keys=MemoryKeyStore())
    app.do(Place.settle, "p-1", user=0, place=Street("12 St James's Square"))
    app.do(Place.settle, "p-1", user=0, place=Box(7))
    assert [event.data.place for event in app.query(events=[Settled])] == [Street("12 St James's Square"), Box(7)]
    app.store.append("p-2", [("SettledFirst", b'{"user":1,"place":{"type":"Street","street":"10 Downing Street"}}')])
    assert "Downing" not in str(app.sql("select * from settled").fetchall())
    app.forget(0, reason="asked")
    assert next(app.query(events=[Settled])).data.place == Street(FORGOTTEN)


class Checked(Event):
    user: Subject[str]
    email: Personal[str]

    def __post_init__(self) -> None:
        if "@" not in self.email:  # type: ignore[operator]
            raise ValueError("no address")


class Check(State, events=[Checked]):
    @action
    def check(self, user: str, email: str) -> Checked:
        return Checked(user, email)


def test_a_post_init_that_does_not_take_what_is_forgotten_is_named() -> None:
    app = Act("memory:", Check, keys=MemoryKeyStore())
    app.do(Check.check, "c-1", user="u-1", email="ada@example.org")
    assert next(app.query(events=[Checked])).data.email == "ada@example.org"
    app.forget("u-1", reason="asked")
    with pytest.raises(DecodeError, match=r"Checked\.__post_init__ raised TypeError for a value that was forgotten"):
        next(app.query(events=[Checked]))


class Copied(State, events=[Renamed], snapshot_every=1):
    user: Subject[str] = ""
    name: Personal[str] = ""

    @action
    def rename(self, user: str, name: str) -> Renamed:
        return Renamed(user, name)

    @action
    def hand_on(self) -> Renamed:
        return Renamed("u-2", self.name)


def test_in_debugging_a_forgotten_value_may_be_handed_on() -> None:
    app = Act("memory:", Copied, keys=MemoryKeyStore(), debug=True)
    app.do(Copied.rename, "c-1", user="u-1", name="Ada Lovelace")
    app.forget("u-1", reason="asked")
    assert app.do(Copied.hand_on, "c-1").state == Copied("u-2", FORGOTTEN)


def test_arguments_that_are_personal_cannot_be_scheduled() -> None:
    class Reminder(State, events=[Renamed]):
        @action
        def remind(self, user: str, name: Personal[str]) -> Renamed:
            return Renamed(user, name)

    app = Act("memory:", Reminder, keys=MemoryKeyStore())
    with pytest.raises(
        ValidationError, match="the argument 'name' is personal, and scheduled arguments are stored in clear"
    ):
        app.schedule(after=timedelta(days=1)).do(Reminder.remind, "r-1", "u-1", "Ada")


T = TypeVar("T")


class Boxed(msgspec.Struct, Generic[T]):
    it: Personal[T]


class Wrapped(msgspec.Struct, Generic[T]):
    it: T


@dataclass
class Laid:
    street: Personal[str]


class Typed(TypedDict):
    street: Personal[str]


class Tupled(NamedTuple):
    street: Personal[str]


class Nest(msgspec.Struct):
    address: Address
    within: "Nest | None" = None


@pytest.mark.parametrize(
    "hint",
    [
        Boxed[str],
        list[Boxed[str]],
        Wrapped[Address],
        Laid,
        Typed,
        Tupled,
        Nest,
        tuple[Address, int],
        Mapping[str, Address],
        Sequence[Address],
        int | list[Address],
        NewType("Email", Personal[str]),  # type: ignore[valid-newtype]
    ],
    ids=str,
)
def test_where_a_personal_part_would_not_be_sealed_it_is_refused(hint: Any) -> None:
    with pytest.raises(DefinitionError, match=r"around the whole|holds itself"):
        type(Event)("Wrong", (Event,), {"__annotations__": {"user": Subject[str], "it": hint}, "__module__": __name__})


UserId = NewType("UserId", str)


class Joined(Event):
    user: Subject[UserId]
    names: Personal[list[str]] = msgspec.field(default_factory=list)


class Joining(State, events=[Joined], snapshot_every=1):
    user: Subject[UserId] = UserId("")
    names: Personal[list[str]] = msgspec.field(default_factory=list)

    @action
    def join(self, user: str, names: list[str]) -> Joined:
        return Joined(UserId(user), names)


def test_a_subject_may_be_a_new_type_and_a_default_needs_no_subject() -> None:
    app = Act("memory:", Joining, keys=MemoryKeyStore())
    assert app.do(Joining.join, "j-1", "", []).state == Joining()
    assert app.do(Joining.join, "j-1", "u-1", ["Ada"]).state == Joining(UserId("u-1"), ["Ada"])
    app.forget("u-1", reason="asked")
    assert app.load(Joining, "j-1").state == Joining(UserId("u-1"), FORGOTTEN)


def test_a_subject_that_could_not_be_forgotten_is_refused() -> None:
    app = Act("memory:", Joining, keys=MemoryKeyStore())
    for subject in ("$lookup", "$money"):
        with pytest.raises(ValidationError, match=r"a subject must not begin with '\$'"):
            app.do(Joining.join, "j-1", subject, ["Ada"])


def test_an_event_that_does_not_decode_keeps_nobody_from_being_forgotten(app: Act) -> None:
    register(app)
    stored = next(app.store.load("person-u-1"))
    app.store.append("other-1", [("Registered", stored.data.replace(b'"email"', b'"mail"'))], expected_version=0)
    report = app.forget("u-1", reason="asked")
    assert (report.events, report.clean) == (2, True)
    assert "the values of 1 events, which do not decode" in report.unreachable
    assert app.load(Person, "person-u-1").state.email is FORGOTTEN


def test_a_subject_of_whom_nothing_is_known_is_not_forgotten(app: Act) -> None:
    register(app)
    report = app.forget("u_1", reason="asked")
    assert (report.unknown, report.already, report.forgotten_at) == (True, False, None)
    assert (report.key, report.position, app.store.head) == ("", 0, 1)
    register(app, "u_1")
    assert app.load(Person, "person-u_1").state.email == "ada@example.org"
    report = app.forget("u_1", reason="asked")
    assert (report.unknown, report.already, report.events) == (False, False, 1)
    assert app.forget("u_1", reason="asked").already


def test_a_subject_that_an_event_names_is_forgotten_though_nothing_was_sealed(app: Act) -> None:
    class Invited(Event):
        user: Subject[str]
        by: int
        email: Personal[str] | None = None

    class Guests(State, events=[Invited]):
        @action
        def invite(self, user: str, email: str | None = None) -> Invited:
            return Invited(user, 7, email)

    app.include(Guests)
    app.do(Guests.invite, "guests", "u-77")
    assert app.forget("u-7", reason="asked").unknown
    assert not app.forget("u-77", reason="asked").unknown
    assert not app.forget(7, reason="asked").unknown
    with pytest.raises(SubjectForgottenError):
        app.do(Guests.invite, "guests", "u-77", "ada@example.org")


def test_values_in_clear_are_counted_whatever_their_subject_is_called(app: Act) -> None:
    app.store.append("p-1", [("Renamed", b'{"user":"u\\"1","name":"Ada Lovelace"}')], expected_version=0)
    report = app.forget('u"1', reason="asked")
    assert (report.in_clear, report.clean) == (1, False)


def test_nested_personal_arguments_cannot_be_scheduled() -> None:
    class Mover(State, events=[Renamed]):
        @action
        def move(self, addresses: list[Address]) -> Renamed:
            return Renamed("u-1", addresses[0].street or "")

    app = Act("memory:", Mover, keys=MemoryKeyStore())
    with pytest.raises(ValidationError, match="the argument 'addresses' is personal"):
        app.schedule(after=timedelta(days=1)).do(Mover.move, "r-1", [Address("12 St James's Square", "London")])


def test_the_subject_of_a_damaged_key_can_be_forgotten(app: Act, tmp_path: Path) -> None:
    register(app)
    (key,) = (each for each in (tmp_path / "people.keys").rglob("*.key") if b'"u-1"' in each.read_bytes())
    key.write_bytes(key.read_bytes()[:-1])
    again = Act(tmp_path / "people.act", Person, keys=FileKeyStore(tmp_path / "people.keys"))
    assert again.forget("u-1", reason="asked").events == 1
    assert again.load(Person, "person-u-1").state.email is FORGOTTEN


def test_a_key_store_that_is_gone_is_an_error_of_its_own(app: Act, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "people.keys")
    with pytest.raises(KeyStoreError, match=r"people.keys cannot be used: No such file or directory"):
        register(app)
    with pytest.raises(KeyStoreError, match=r"people.keys cannot be used: No such file or directory"):
        app.forget("u-1", reason="asked")


@pytest.mark.parametrize("text", ["$sealed:abc", "$sealed:aaaaaaaaaaaaaaaa:AAAA", "$forgotten"])
def test_a_text_that_would_be_taken_for_a_sealed_one_is_refused(app: Act, text: str) -> None:
    event = Registered("u-1", "ada@example.org", "Ada", born="1815-12-10")
    for field in ("email", "plan"):
        with pytest.raises(ValidationError, match=r"Registered holds a text that is '.forgotten' or begins with"):
            app._codec.encode(msgspec.structs.replace(event, **{field: text, "address": Address("12 St", "London")}))


def test_a_snapshot_from_before_a_nested_field_was_personal_is_not_used(tmp_path: Path) -> None:
    def declared(street: Any) -> Any:
        home = msgspec.defstruct("Home", [("street", street)], module=__name__)
        settled: Any = type(Event)(
            "Settled", (Event,), {"__annotations__": {"user": Subject[str], "home": home}, "__module__": __name__}
        )
        annotations = {"user": Subject[str], "home": home | None}
        body = {"__annotations__": annotations, "user": "", "home": None, "__module__": __name__}
        settler: Any = type(State)("Settler", (State,), body, events=[settled])
        return settled, settler

    marks = set()
    for street in (str, Personal[str]):
        _, settler = declared(street)
        marks.add(Act("memory:", settler, keys=MemoryKeyStore())._engine.registry.models[settler].stored.mark)
    assert len(marks) == 2


deciding, forgotten = threading.Event(), threading.Event()


class Looked(Event):
    pass


class Slow(State, events=[Renamed, Looked]):
    user: Subject[str] = ""
    name: Personal[str] = ""

    @action
    def begin(self, user: str, name: str) -> Renamed:
        return Renamed(user, name)

    @action
    def look(self) -> Looked:
        deciding.set()
        assert forgotten.wait(30)
        return Looked()


def test_who_was_at_work_while_somebody_was_forgotten_leaves_nothing_behind() -> None:
    app = Act("memory:", Slow, keys=MemoryKeyStore())
    app.do(Slow.begin, "s-1", user="u-1", name="Ada Lovelace")
    beside = threading.Thread(target=app.do, args=(Slow.look, "s-1"))
    beside.start()
    assert deciding.wait(30)
    app.forget("u-1", reason="asked")
    forgotten.set()
    beside.join()
    found = app.load(Slow, "s-1")
    assert (found.version, found.state.name) == (2, FORGOTTEN)


def test_forgetting_with_another_key_store_is_not_clean(app: Act, tmp_path: Path) -> None:
    register(app)
    other = Act(tmp_path / "people.act", Person, Profile, keys=MemoryKeyStore())
    report = other.forget("u-1", reason="asked")
    assert (report.events, report.unread, report.clean) == (0, 1, False)
    assert app.load(Person, "person-u-1").state.email == "ada@example.org"


def test_what_is_no_key_store_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"such as FileKeyStore\('shop.keys'\), not 'shop.keys'"):
        Act("memory:", keys="shop.keys")  # type: ignore[arg-type]


def test_an_error_in_a_class_has_nothing_before_it() -> None:
    with pytest.raises(DefinitionError) as caught:

        class Alone(Event):
            name: Personal[str]

    assert caught.value.__context__ is None
