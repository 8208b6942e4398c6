"""From an address to a store, and what is wrong with one; a password is never repeated."""

import logging
import ssl
import traceback
from collections.abc import Callable

import pytest

from act_fast import Act, StoreError, ValidationError
from act_fast.stores.mysql.address import place_of
from act_fast.stores.mysql.store import MySqlStore
from tests.stores.mysql.stores import numbered
from tests.support.bank import Account
from tests.support.mariadb import MariaDbServer

SECRET = "hunter2secret"


def test_an_app_runs_on_a_database_by_its_address(mariadb_url: str) -> None:
    with Act(mariadb_url, Account) as app:
        app.do(Account.open, "account-7", owner="Ada")
        assert app.do(Account.deposit, "account-7", amount=50).state.balance == 50
        store = app._engine.store
    assert store.closed
    with Act(mariadb_url.replace("mysql://", "mariadb://"), Account) as app:
        assert app.load(Account, "account-7").state.balance == 50


def test_stores_with_several_prefixes_share_a_database(mariadb: MariaDbServer, mariadb_url: str) -> None:
    longer = mariadb.url(prefix="p" * 40)
    with MySqlStore(mariadb_url) as one, MySqlStore(longer) as other:
        one.append("a", numbered(1))
        assert (one.head, other.head) == (1, 0)
        other.append("b", numbered(1))
        assert list(one.streams(pattern="b")) == []
        assert other.wait(0) == 1
        assert other.verify().healthy


def test_an_address_is_shown_without_user_and_password(mariadb: MariaDbServer) -> None:
    mariadb.ask(f"create user if not exists shown@'%' identified by '{SECRET}'")
    mariadb.ask("grant all on test.* to shown@'%'")
    url = f"mysql://shown:{SECRET}@127.0.0.1:{mariadb.port}/test?prefix=shown"
    with MySqlStore(url) as store:
        shown = f"mysql://127.0.0.1:{mariadb.port}/test?prefix=shown"
        assert store.path == shown
        assert repr(store) == f"MySqlStore({shown!r})"
        assert SECRET not in repr(vars(store)) + repr(store._connections) + repr(store._connections.place)


@pytest.mark.parametrize(
    "address",
    [
        "mysql://u:{}@127.0.0.1:1/db",
        "mysql://u:{}@127.0.0.1:notaport/db",
        "mysql://u:p@{}@127.0.0.1/db",
        "mysql://u:p/{}@127.0.0.1/db",
        "mysql://u:p?{}@127.0.0.1/db",
        "mysql://u:p#{}@127.0.0.1/db",
        "mysql://u:p[{}@127.0.0.1/db",
        "mysql://u:%zz{}@127.0.0.1/db",
        "mysql://u:{}@127.0.0.1:1",
        "mysql://u:{}@127.0.0.1:1/",
        "mysql://u:{}@127.0.0.1:1/db/more",
        "mysql://u:{}@127.0.0.1:1/db?password=x",
        "mysql://u@127.0.0.1:1/db?password={}",
        "mysql://u@127.0.0.1:1/db?{}",
        "mysql://u:{}@127.0.0.1:1/db?prefix=",
        "mysql://u:{}@127.0.0.1:1/db?prefix=a;b",
        "mysql://u:{}@127.0.0.1:1/db?prefix=%60",
        "mysql://u:{}@127.0.0.1:1/db?lock_timeout=soon",
        "mysql://u:{}@127.0.0.1:1/db?connect_timeout=0",
        "mysql://u:{}@127.0.0.1:1/db?ssl_ca=/nowhere",
        "mysql:{}",
        "postgresql://u:{}@127.0.0.1:1/db",
    ],
)
def test_an_address_that_leads_nowhere_is_told_without_its_password(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    attempts: list[Callable[[], object]] = [lambda: MySqlStore(address.format(SECRET))]
    if "://" in address:
        attempts.append(lambda: Act(address.format(SECRET), Account))
    for attempt in attempts:
        with pytest.raises((ValidationError, StoreError)) as caught:
            attempt()
        told = "".join(traceback.format_exception(caught.value)) + caplog.text
        assert SECRET not in told.replace(repr(address.format(SECRET)), "")


def test_a_wrong_password_is_told_without_it(mariadb: MariaDbServer) -> None:
    mariadb.ask("create user if not exists ada@'%' identified by 'another one'")
    with pytest.raises(StoreError, match="Access denied") as caught:
        MySqlStore(f"mysql://ada:{SECRET}@127.0.0.1:{mariadb.port}/test")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_the_systems_certificates_are_read_once(mariadb_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MySqlStore(mariadb_url).close()
    read: list[object] = []
    monkeypatch.setattr(ssl, "create_default_context", lambda **given: read.append(given))
    for _ in range(3):
        with MySqlStore(mariadb_url) as store:
            assert store.append("a", numbered(1)).first_position == store.head
    assert read == []


def test_a_database_that_is_not_there_is_told(mariadb: MariaDbServer) -> None:
    with pytest.raises(StoreError, match="Unknown database 'nowhere'"):
        MySqlStore(mariadb.url("nowhere"))


def test_the_parts_of_an_address_are_read() -> None:
    place = place_of("mariadb://u%40x:p%40%2F%25@[::1]:3307/a%20b?prefix=bank&lock_timeout=5&unix_socket=/run/x")
    assert {key: place.options[key] for key in ("host", "port", "user", "password", "database", "unix_socket")} == {
        "host": "::1", "port": 3307, "user": "u@x", "password": "p@/%", "database": "a b", "unix_socket": "/run/x",
    }  # fmt: skip
    assert (place.prefix, place.lock_seconds) == ("bank", 5)
    assert str(place) == "mariadb://[::1]:3307/a b?prefix=bank"


@pytest.mark.parametrize("bad", [None, 7, b"mysql://x/y", "bank.act", "http://127.0.0.1/"])
def test_what_is_no_address_is_refused(bad: str) -> None:
    with pytest.raises(ValidationError):
        MySqlStore(bad)


@pytest.mark.parametrize("options", [{"payload_max_bytes": 0}, {"payload_max_bytes": "1"}, {"create": "no"}])
def test_an_option_that_cannot_be_right_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MySqlStore("mysql://127.0.0.1:1/db", **options)  # type: ignore[arg-type]
