"""The command on the address of a store."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from act_fast import LogStore, Meta
from act_fast.stores.mysql.store import MySqlStore
from tests.stores.mysql.stores import without_tags
from tests.support.mariadb import MariaDbServer

COMMAND = Path(sys.executable).with_name("act-fast")
SECRET = "hunter2secret"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def bank(mariadb: MariaDbServer, mariadb_url: str, tmp_path: Path) -> tuple[str, Path]:
    """The same events in a database and in a directory."""
    path = tmp_path / "bank.act"
    mariadb.ask(f"create user if not exists teller@'%' identified by '{SECRET}'")
    mariadb.ask("grant all on test.* to teller@'%'")
    with MySqlStore(mariadb_url) as store, LogStore(path) as log:
        for each in (store, log):
            each.append("account-7", [("Opened", b'{"owner":"Ada"}')], meta=Meta(correlation="request-1"))
            each.append("account-12", [("Opened", b'{"owner":"Bob"}'), ("Deposited", b'{"amount":5}')])
            each.append("account-7", [("Deposited", b'{"amount":50}')])
    return mariadb_url.replace("root@", f"teller:{SECRET}@"), path


def without_times(text: str) -> list[dict[str, object]]:
    rows = [json.loads(line) for line in text.splitlines()]
    return [{key: value for key, value in row.items() if "created" not in key} for row in rows]


@pytest.mark.parametrize(
    "arguments", [["events", "--name", "Opened", "--backwards"], ["streams", "--after", "account-7"]], ids=" ".join
)
def test_a_listing_is_the_same_as_that_of_a_directory(bank: tuple[str, Path], arguments: list[str]) -> None:
    command, *options = arguments
    url, path = bank
    found, expected = run(command, url, *options, "--json"), run(command, path, *options, "--json")
    assert (found.returncode, found.stderr) == (0, "")
    assert without_times(found.stdout) == without_times(expected.stdout)
    assert found.stdout


def test_info_and_verify_read_a_store_by_its_address(bank: tuple[str, Path]) -> None:
    url, _ = bank
    info = json.loads(run("info", url, "--json").stdout)
    assert (info["events"], info["streams"], info["names"]) == (4, 2, {"Opened": 2, "Deposited": 2})
    assert info["path"].startswith("mysql://127.0.0.1")
    verified = run("verify", url.replace("mysql://", "mariadb://"))
    assert (verified.returncode, verified.stdout.partition(";")[0]) == (0, "healthy")


@pytest.mark.parametrize("command", ["events", "verify", "backup", "targets"])
def test_no_command_says_the_password(bank: tuple[str, Path], command: str, tmp_path: Path) -> None:
    url, _ = bank
    further = {"backup": [tmp_path / "copy.act"]}
    for address in (url, url.replace("127.0.0.1:", "127.0.0.1:1")):
        ran = run(command, address, *further.get(command, []))
        assert SECRET not in ran.stdout + ran.stderr
        assert "Traceback" not in ran.stderr


def test_a_store_that_is_not_there_is_not_made(mariadb_url: str) -> None:
    for _ in range(2):
        ran = run("events", mariadb_url)
        assert ran.returncode != 0
        assert "there is no store with the prefix" in ran.stderr


def test_the_tables_are_made_and_upgraded_by_a_command(mariadb_url: str) -> None:
    assert run("store", "upgrade", mariadb_url).stderr.count("act-fast store init") == 1
    for _ in range(2):
        assert run("store", "init", mariadb_url).stdout == "the store is there, with 0 events\n"
    assert run("store", "upgrade", mariadb_url).stdout == "the tables already have format 2\n"
    without_tags(mariadb_url)
    assert "run `act-fast store upgrade ADDRESS`" in run("events", mariadb_url).stderr
    assert run("store", "upgrade", mariadb_url).stdout == "upgraded from format 1 to 2\n"
    assert run("events", mariadb_url).returncode == 0
