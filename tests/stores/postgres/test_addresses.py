"""From an address to a store, and what is wrong with one; a password is never repeated."""

import logging
import traceback
from collections.abc import Callable

import pytest

from act_fast import Act, StoreError, ValidationError
from act_fast.stores.postgres.address import place_of
from act_fast.stores.postgres.store import PostgresStore
from tests.support.bank import Account
from tests.support.servers import PostgresServer

SECRET = "hunter2secret"


def test_an_app_runs_on_a_database_by_its_address(postgres_url: str) -> None:
    with Act(postgres_url, Account) as app:
        app.do(Account.open, "account-7", owner="Ada")
        assert app.do(Account.deposit, "account-7", amount=50).state.balance == 50
        store = app._engine.store
    assert store.closed
    with Act(postgres_url.replace("postgresql://", "postgres://"), Account) as app:
        assert app.load(Account, "account-7").state.balance == 50


def test_stores_of_several_schemas_share_a_database(postgres: PostgresServer, postgres_url: str) -> None:
    odd = postgres.url(schema='odd%20"name{}')
    with PostgresStore(postgres_url) as one, PostgresStore(odd) as other:
        one.append("a", [("Counted", b"1")])
        assert (one.head, other.head) == (1, 0)
        other.append("b", [("Counted", b"1")])
        assert list(one.streams(pattern="b")) == []
        assert other.wait(0) == 1
        assert other.verify().healthy


def test_an_address_is_shown_without_user_and_password(postgres: PostgresServer) -> None:
    url = f"postgresql://postgres:{SECRET}@127.0.0.1:{postgres.port}/postgres?schema=shown"
    with PostgresStore(url) as store:
        shown = f"postgresql://127.0.0.1:{postgres.port}/postgres?schema=shown"
        assert store.path == shown
        assert repr(store) == f"PostgresStore({shown!r})"
        assert SECRET not in repr(vars(store)) + repr(store._connections) + repr(store._connections.place)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u:{}@127.0.0.1:1/db",
        "postgresql://u:{}@127.0.0.1:notaport/db",
        "postgresql://u:p@{}@127.0.0.1/db",
        "postgresql://u:p/{}@127.0.0.1/db",
        "postgresql://u:p?{}@127.0.0.1/db",
        "postgresql://u:p#{}@127.0.0.1/db",
        "postgresql://u:p[{}@127.0.0.1/db",
        "postgresql://u:%zz{}@127.0.0.1/db",
        "postgresql://u@127.0.0.1:1/db?password={}",
        "postgresql://u@127.0.0.1:1/db?password={}&nonsense=1",
        "postgresql://u@127.0.0.1:1/db?password={}&schema=pg_x",
        "postgresql://u@127.0.0.1:1/db?password={}&schema=",
        "postgresql://u@127.0.0.1:1/db?password={}&schema=%25",
        "postgresql://u@127.0.0.1:1/db?password={}&listen=maybe",
        "postgresql://u@127.0.0.1:1/db?{}",
        "postgresql:{}",
        "mysql://u:{}@127.0.0.1/db",
    ],
)
def test_an_address_that_leads_nowhere_is_told_without_its_password(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    attempts: list[Callable[[], object]] = [lambda: PostgresStore(address.format(SECRET))]
    if "://" in address:
        attempts.append(lambda: Act(address.format(SECRET), Account))
    for attempt in attempts:
        with pytest.raises((ValidationError, StoreError)) as caught:
            attempt()
        told = "".join(traceback.format_exception(caught.value)) + caplog.text
        assert SECRET not in told.replace(repr(address.format(SECRET)), "")


def test_an_option_that_is_not_known_is_told_apart_from_an_address_that_cannot_be_read() -> None:
    with pytest.raises(ValidationError, match="an option that is not known") as caught:
        place_of(f"postgresql://u@127.0.0.1:1/db?shema={SECRET}")
    assert SECRET not in str(caught.value)
    with pytest.raises(ValidationError, match="cannot be read"):
        place_of("postgresql://u@127.0.0.1:notaport/db?sslmode=require")


def test_a_wrong_password_is_told_without_it(own_postgres: PostgresServer) -> None:
    own_postgres.ask_for_passwords()
    url = f"postgresql://postgres:{SECRET}@127.0.0.1:{own_postgres.port}/postgres"
    with pytest.raises(StoreError, match="password authentication failed") as caught:
        PostgresStore(url)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_what_libpq_knows_is_passed_on() -> None:
    place = place_of("postgresql://u:p%40%2F@one:1,two:2/db?schema=a%20b&listen=false&target_session_attrs=read-write")
    assert "target_session_attrs=read-write" in place.conninfo
    assert "host=one,two" in place.conninfo
    assert (place.schema, place.listen) == ("a b", False)
    assert str(place) == "postgresql://one,two:1,2/db?schema=a b"


@pytest.mark.parametrize("bad", [None, 7, b"postgresql://x", "bank.act", "http://127.0.0.1/"])
def test_what_is_no_address_is_refused(bad: str) -> None:
    with pytest.raises(ValidationError):
        PostgresStore(bad)


@pytest.mark.parametrize("options", [{"payload_max_bytes": 0}, {"payload_max_bytes": "1"}, {"create": "no"}])
def test_an_option_that_cannot_be_right_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PostgresStore("postgresql://127.0.0.1:1/db", **options)  # type: ignore[arg-type]
