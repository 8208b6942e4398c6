"""`act-fast forget` and `act-fast keys`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from act_fast import Act, FileKeyStore
from tests.support.people import Person

APP = """
from act_fast import Act, FileKeyStore
from tests.support.people import Person
def app():
    return Act("people.act", Person, keys=FileKeyStore("people.keys"))
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    (tmp_path / "people_app.py").write_text(APP)
    with FileKeyStore("people.keys") as keys, Act("people.act", Person, keys=keys) as app:
        app.do(Person.register, "person-1", user="u-1", email="ada@example.org")
    return tmp_path


def test_it_forgets_and_says_what_it_searched(shop: Path, run: Callable[..., object]) -> None:
    ran = run("forget", "people_app:app", "u-1", "--reason", "asked")
    assert ran.code == 0, ran
    assert ran.out.startswith("u-1 is forgotten, ")
    assert "unreadable from now on: 1 event in 1 stream, 0 snapshots" in ran.out
    assert "ada@example.org" not in ran.out


def test_a_subject_of_whom_nothing_is_known_is_not_forgotten(shop: Path, run: Callable[..., object]) -> None:
    ran = run("forget", "people_app:app", "u_1", "--reason", "asked")
    assert ran.code == 1
    assert "u_1 is unknown: it has no key, and no event names it, so nothing was changed" in ran.out
    report = json.loads(run("forget", "people_app:app", "u_1", "--reason", "asked", "--json").out)
    assert (report["unknown"], report["forgotten_at"], report["position"]) == (True, None, 0)


def test_with_another_key_store_it_fails(shop: Path, run: Callable[..., object]) -> None:
    (shop / "people.keys").rename(shop / "away.keys")
    ran = run("forget", "people_app:app", "u-1", "--reason", "asked")
    assert ran.code == 1
    assert "NOT READ: 1 event; is this the key store that they were sealed with?" in ran.out


def test_its_report_is_json_and_what_is_found_elsewhere_is_a_failure(shop: Path, run: Callable[..., object]) -> None:
    (shop / "mails.txt").write_text("to ada@example.org\n")
    ran = run("forget", "people_app:app", "u-1", "--reason", "asked", "--also", "mails.txt", "--json")
    report = json.loads(ran.out)
    assert ran.code == 1
    assert report["plaintext"] == [str(shop / "mails.txt")]
    assert (report["events"], report["already"], report["subject"]) == (1, False, "u-1")


def test_keys_are_rotated_and_listed(shop: Path, run: Callable[..., object]) -> None:
    before = (shop / "people.keys" / "master.key").read_bytes()
    assert run("keys", "rotate", "people.keys").out.startswith("2 keys wrapped under master key ")
    assert (shop / "people.keys" / "master.key").read_bytes() != before
    with FileKeyStore("people.keys") as keys, Act("people.act", Person, keys=keys) as app:
        assert app.load(Person, "person-1").state.email == "ada@example.org"
    assert "u-1" in run("keys", "list", "people.keys").out


def test_there_must_be_a_key_store(shop: Path, run: Callable[..., object]) -> None:
    ran = run("keys", "list", "none.keys")
    assert ran.code == 2
    assert "there is no key store at none.keys" in ran.err
    assert not (shop / "none.keys").exists()
