"""Sealing is the app's, so it is the same over every store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from act_fast import FORGOTTEN, Act, AsyncAct, MemoryKeyStore, ValidationError
from tests.support.people import SECRETS, Person, Registered, files_with


@pytest.fixture(params=["memory", "log", "postgres", "replicated"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "postgres":
        yield request.getfixturevalue("postgres_url")
    elif request.param == "replicated":
        yield f"dir://{tmp_path}/log?replica={tmp_path}/replica"
    else:
        yield "memory:" if request.param == "memory" else str(tmp_path / "people.act")


def test_it_is_sealed_found_and_forgotten(address: str, tmp_path: Path) -> None:
    with Act(address, Person, keys=MemoryKeyStore()) as app:
        for number in (1, 2):
            app.do(Person.register, f"person-{number}", user=f"u-{number}", email=f"{number}-ada@example.org")
            app.do(Person.visit, f"person-{number}", pages=3)
        stored = [event.data for event in app.store.query()]
        assert not [secret for secret in SECRETS for data in stored if secret.encode() in data]
        snapshot = app.store.latest_snapshot("person-1")
        assert snapshot is not None
        assert b"ada@example.org" not in snapshot.data
        [found] = app.lookup(Registered, email="2-ada@example.org")
        assert found.stream == "person-2"
        report = app.forget("u-1", reason="asked")
        assert (report.clean, report.events, report.streams, report.snapshots) == (True, 1, 1, 1)
        assert app.forget("u-1", reason="asked").already
        assert app.load(Person, "person-1").state == Person("u-1", FORGOTTEN, "free", 3)
        assert app.load(Person, "person-2").state.email == "2-ada@example.org"
        assert [snapshot.state.email for _, snapshot in app.replay(Person)] == [FORGOTTEN, "2-ada@example.org"]
        assert app.sql("select email, plan from registered").fetchall() == [(None, "free")] * 2
    assert files_with(tmp_path, SECRETS) == []


async def test_the_async_app_forgets_too(tmp_path: Path) -> None:
    async with AsyncAct(tmp_path / "people.act", Person, keys=MemoryKeyStore()) as app:
        await app.do(Person.register, "person-1", user="u-1", email="ada@example.org")
        assert [event.stream async for event in app.lookup(Registered, email="ada@example.org")] == ["person-1"]
        assert (await app.forget("u-1", reason="asked")).clean
        assert (await app.load(Person, "person-1")).state.email is FORGOTTEN


@pytest.mark.parametrize("subject", ["", "$lookup", None, True, 1.5])
def test_who_is_forgotten_must_be_a_subject(subject: object) -> None:
    with (
        Act("memory:", Person, keys=MemoryKeyStore()) as app,
        pytest.raises(ValidationError, match="a subject is text, an int or a UUID"),
    ):
        app.forget(subject, reason="asked")  # type: ignore[arg-type]


def test_an_app_without_keys_has_nobody_to_forget() -> None:
    with Act("memory:") as app, pytest.raises(ValidationError, match="no key store, so nothing in it is sealed"):
        app.forget("u-1", reason="asked")
