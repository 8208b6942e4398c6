"""What every key store does, wherever it keeps its keys."""

import base64
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from act_fast import (
    FORGOTTEN,
    Act,
    FileKeyStore,
    KeyStore,
    KeyStoreError,
    LocalMasterKey,
    LogStore,
    MemoryKeyStore,
    PostgresKeyStore,
    ValidationError,
)
from tests.support.people import Person

Open = Callable[..., KeyStore]


@pytest.fixture(params=["files", "own master", "memory", "postgres"])
def open_keys(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens a handle of one key store, each time it is called."""
    master = LocalMasterKey.new()
    opened: list[KeyStore] = []
    memory = MemoryKeyStore()
    url = ""
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        url = server.url(server.new_database())

    def opening(**options: object) -> KeyStore:
        if request.param == "postgres":
            found: KeyStore = PostgresKeyStore(url, **{"master": master, "refresh": 0, **options})  # type: ignore[arg-type]
        elif request.param == "memory":
            found = memory
        elif request.param == "files":
            found = FileKeyStore(tmp_path / "keys")
        else:
            found = FileKeyStore(tmp_path / "keys", **{"master": master, **options})  # type: ignore[arg-type]
        opened.append(found)
        return found

    yield opening
    for each in opened:
        each.close()


def test_a_key_is_the_same_for_all_and_made_once(open_keys: Open) -> None:
    one, other = open_keys(), open_keys()
    assert one.salt == other.salt
    made = one.create("aa", "u-1")
    again = other.create("aa", "u-1")
    assert one.unwrap(made) == other.unwrap(again)
    assert len(one.unwrap(made)) == 32
    assert other.find("bb") is None


def test_many_who_make_one_key_get_the_same(open_keys: Open) -> None:
    found: list[bytes] = []

    def make() -> None:
        keys = open_keys()
        found.append(keys.unwrap(keys.create("aa", "u-1")))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_destroyed_key_is_gone_for_all_and_is_never_made_again(open_keys: Open) -> None:
    one, other = open_keys(), open_keys()
    one.create("aa", "u-1")
    before = other.generation()
    left = one.destroy("aa", "u-1", "asked")
    assert other.generation() != before
    assert left == other.find("aa") == other.create("aa", "u-1")
    assert (left.wrapped, left.master, left.reason) == (b"", "", "asked")
    assert other.destroy("aa", "u-1", "again") == left


def test_who_never_had_a_key_can_be_forgotten(open_keys: Open) -> None:
    keys = open_keys()
    assert keys.destroy("aa", "u-1", "asked").forgotten is not None
    assert keys.create("aa", "u-1").forgotten is not None


def test_rotation_keeps_the_keys(open_keys: Open, request: pytest.FixtureRequest) -> None:
    keys = open_keys()
    secrets = {id: keys.unwrap(keys.create(id, id)) for id in ("aa", "bb", "cc")}
    old = {record.id: record.master for record in keys.records()}
    keys.destroy("dd", "gone", "asked")
    parameter = request.node.callspec.params["open_keys"]
    if parameter in ("own master", "postgres"):
        given = keys._given if isinstance(keys, FileKeyStore) else keys._master  # type: ignore[attr-defined]
        new = LocalMasterKey.new()
        keys = open_keys(master=new, previous=[given])
        assert keys.unwrap(keys.find("aa")) == secrets["aa"]  # type: ignore[arg-type]
        rotated = keys.rotate()
        keys = open_keys(master=new)
    else:
        rotated = keys.rotate()
    assert (rotated.rewrapped, rotated.kept, rotated.destroyed) == (3, 0, 1)
    assert {record.id: keys.unwrap(record) for record in keys.records() if record.forgotten is None} == secrets
    assert all(record.master not in old.values() for record in keys.records() if record.wrapped)


def test_an_app_forgets_with_it(open_keys: Open) -> None:
    with LogStore.memory() as store:
        app, other = (Act(store, Person, keys=open_keys()) for _ in range(2))
        app.do(Person.register, "person-1", user="u-1", email="ada@example.org")
        app.do(Person.register, "person-2", user="u-2", email="bob@example.org")
        assert other.load(Person, "person-1").state.email == "ada@example.org"
        assert app.forget("u-1", reason="asked").clean
        assert other.load(Person, "person-1").state.email is FORGOTTEN
        assert other.load(Person, "person-2").state.email == "bob@example.org"


def test_no_key_is_in_a_repr_or_an_error(open_keys: Open) -> None:
    keys = open_keys()
    record = keys.create("aa", "u-1")
    master = LocalMasterKey.new()
    said = repr(keys) + repr(record) + repr(master)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(master)
    with pytest.raises(KeyStoreError) as wrong:
        master.unwrap(record.wrapped, b"context")
    said += str(wrong.value)
    for secret in (keys.unwrap(record), record.wrapped, master.secret):
        for form in (repr(secret)[2:-1], secret.hex(), base64.b64encode(secret).decode()):
            assert form not in said


def test_a_key_store_within_a_store_is_refused(tmp_path: Path) -> None:
    LogStore(tmp_path / "people.act").close()
    with pytest.raises(ValidationError, match=r"is within the store .*people\.act; choose a place outside"):
        FileKeyStore(tmp_path / "people.act" / "keys")


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(KeyStoreError, match="a directory with other things in it"):
        FileKeyStore(tmp_path)


def test_without_its_master_key_a_store_of_files_says_what_is_missing(tmp_path: Path) -> None:
    master = LocalMasterKey.new()
    with FileKeyStore(tmp_path / "keys", master=master) as keys:
        keys.create("aa", "u-1")
    with pytest.raises(KeyStoreError, match="it was made with one from elsewhere; pass it as master="):
        FileKeyStore(tmp_path / "keys")
    with FileKeyStore(tmp_path / "keys", master=LocalMasterKey.new()) as other:
        record = other.find("aa")
        assert record is not None
        with pytest.raises(KeyStoreError, match=f"wrapped by master key '{master.id}', which is not at hand"):
            other.unwrap(record)


def test_a_damaged_key_is_told_from_a_destroyed_one(tmp_path: Path) -> None:
    with FileKeyStore(tmp_path / "keys") as keys:
        keys.create("aa", "u-1")
        path = tmp_path / "keys" / "keys" / "aa" / "aa.key"
        data = path.read_bytes()
        path.write_bytes(data[:30] + bytes([data[30] ^ 1]) + data[31:])
        with pytest.raises(KeyStoreError, match=r"aa\.key is damaged"):
            keys.find("aa")
        assert keys.destroy("aa", "u-1", "asked").forgotten is not None


def test_a_master_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = os.urandom(32)
    monkeypatch.setenv("MASTER", base64.b64encode(secret).decode())
    assert LocalMasterKey.from_env("MASTER").id == LocalMasterKey(secret).id
    for wrong in ("", "short", "not base64 at all!", base64.b64encode(b"16 bytes of them").decode()):
        monkeypatch.setenv("MASTER", wrong)
        with pytest.raises(ValidationError, match="32 random bytes as base64") as refused:
            LocalMasterKey.from_env("MASTER")
        assert not wrong or wrong not in str(refused.value)
    with pytest.raises(ValidationError, match="no environment variable NOTHING"):
        LocalMasterKey.from_env("NOTHING")
