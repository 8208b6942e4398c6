"""The command on the address of a store."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from act_fast import Act, Committed, LogStore, Meta, ValidationError
from act_fast.stores.postgres.address import place_of
from act_fast.stores.postgres.store import PostgresStore
from tests.stores.postgres.stores import without_tags
from tests.support.bank import Deposited
from tests.support.servers import PostgresServer

COMMAND = Path(sys.executable).with_name("act-fast")
SECRET = "hunter2secret"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def bank(postgres_url: str, tmp_path: Path) -> tuple[str, Path]:
    """The same events in a database and in a directory."""
    path = tmp_path / "bank.act"
    with PostgresStore(postgres_url) as store, LogStore(path) as log:
        for each in (store, log):
            each.append("account-7", [("Opened", b'{"owner":"Ada"}')], meta=Meta(correlation="request-1"))
            each.append("account-12", [("Opened", b'{"owner":"Bob"}'), ("Deposited", b'{"amount":5}')])
            each.append("account-7", [("Deposited", b'{"amount":50}')])
    return postgres_url.replace("postgres@", f"postgres:{SECRET}@"), path


def without_times(text: str) -> list[dict[str, object]]:
    rows = [json.loads(line) for line in text.splitlines()]
    return [{key: value for key, value in row.items() if "created" not in key} for row in rows]


@pytest.mark.parametrize(
    "arguments",
    [
        ["events"],
        ["events", "--name", "Opened", "--backwards"],
        ["events", "--correlation", "request-1"],
        ["streams"],
        ["streams", "--after", "account-7", "--pattern", "1"],
    ],
    ids=" ".join,
)
def test_a_listing_is_the_same_as_that_of_a_directory(bank: tuple[str, Path], arguments: list[str]) -> None:
    command, *options = arguments
    url, path = bank
    found, expected = run(command, url, *options, "--json"), run(command, path, *options, "--json")
    assert (found.returncode, found.stderr) == (0, "")
    assert without_times(found.stdout) == without_times(expected.stdout)
    assert found.stdout


def test_targets_are_listed_explained_and_handled_by_the_address_of_a_store(bank: tuple[str, Path]) -> None:
    url, path = bank
    said: list[list[tuple[int, str]]] = []
    for place in (url, path):
        with Act(str(place)) as app:

            @app.on(Deposited, to="mail-{stream}", retries=0)
            def mail(event: Committed[Deposited]) -> None:
                if event.stream == "account-7":
                    raise ValueError("no such address")

            app.settle()
        asked = (
            ["targets", place, "--json"],
            ["why", place, "mail-account-7"],
            ["unblock", place, "mail-account-7"],
            ["reset", place, "--pattern", "12"],
            ["targets", place, "--json"],
        )
        found = [run(*each) for each in asked]
        assert SECRET not in "".join(each.stdout + each.stderr for each in found)
        shown = shlex.quote(str(place_of(url)).replace("://", "://postgres@")) if place is url else str(path)
        said.append([(each.returncode, each.stdout.replace(shown, "STORE")) for each in found])
    assert said[0] == said[1]


def test_the_commands_that_why_names_can_be_run_as_they_stand(bank: tuple[str, Path]) -> None:
    url, _ = bank
    with Act(url) as app:

        @app.on(Deposited, to="mail", retries=0)
        def mail(event: Committed[Deposited]) -> None:
            raise ValueError("no such address")

        app.settle()
    url += "&listen=false&sslpassword=secret"
    lines = run("why", url, "mail").stdout.splitlines()
    look, go_on = (line.partition("act-fast ")[2] for line in lines if "to look" in line or "to continue" in line)
    assert all("listen=false" in line and "secret" not in line for line in (look, go_on))
    assert "Deposited" in run(*shlex.split(look)).stdout
    assert run(*shlex.split(go_on)).stdout == "1 target unblocked\n"


def test_info_and_verify_read_a_store_by_its_address(bank: tuple[str, Path]) -> None:
    url, _ = bank
    info = json.loads(run("info", url, "--json").stdout)
    assert (info["events"], info["streams"], info["names"]) == (4, 2, {"Opened": 2, "Deposited": 2})
    assert info["path"].startswith("postgresql://127.0.0.1")
    verified = run("verify", url)
    assert (verified.returncode, verified.stdout.partition(";")[0]) == (0, "healthy")


@pytest.mark.parametrize("command", ["events", "streams", "info", "verify", "backup", "export", "targets", "sql"])
def test_no_command_says_the_password(bank: tuple[str, Path], command: str, tmp_path: Path) -> None:
    url, _ = bank
    further = {"backup": [tmp_path / "copy.act"], "export": [tmp_path / "all.jsonl"], "sql": ["select 1"]}
    for address in (url, url.replace("postgresql://", "nonsense://"), url.replace("127.0.0.1:", "127.0.0.1:1")):
        ran = run(command, address, *further.get(command, []))
        assert SECRET not in ran.stdout + ran.stderr
        assert "Traceback" not in ran.stderr


def test_what_takes_a_directory_says_so_without_repeating_an_address(bank: tuple[str, Path]) -> None:
    url, _ = bank
    with pytest.raises(ValidationError, match="not the address of a server") as caught:
        LogStore(url)
    assert SECRET not in str(caught.value)


def test_sql_and_export_answer_as_for_a_directory(bank: tuple[str, Path], tmp_path: Path) -> None:
    url, path = bank
    question = "select position, stream, version, name, data, correlation from events order by position"
    found, expected = run("sql", url, question, "--json"), run("sql", path, question, "--json")
    assert (found.returncode, found.stderr, found.stdout) == (0, "", expected.stdout)
    exported = run("export", url, tmp_path / "all.jsonl", "--name", "Opened")
    assert (exported.returncode, exported.stdout) == (0, f"{tmp_path / 'all.jsonl'}: 2 events\n")
    assert len((tmp_path / "all.jsonl").read_text().splitlines()) == 2


def test_restore_fills_a_database_that_is_empty_and_no_other(
    bank: tuple[str, Path], postgres: PostgresServer, tmp_path: Path
) -> None:
    url, path = bank
    run("export", path, tmp_path / "all.jsonl")
    empty = postgres.url(schema=f"{place_of(url).schema}_restored")
    rehearsed = run("restore", empty, tmp_path / "all.jsonl", "--dry-run")
    assert rehearsed.stdout.startswith("4 events in 3 commits and 2 streams would be restored")
    restored = run("restore", empty, tmp_path / "all.jsonl")
    assert (restored.returncode, restored.stdout.partition(" restored")[0]) == (
        0,
        "4 events in 3 commits and 2 streams",
    )
    run("export", empty, tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_text() == (tmp_path / "all.jsonl").read_text()
    refused = run("restore", url, tmp_path / "all.jsonl")
    assert refused.returncode == 2
    assert "holds 4 events" in refused.stderr
    assert SECRET not in refused.stderr


def test_a_store_that_is_not_there_is_not_made(postgres_url: str) -> None:
    ran = run("events", postgres_url)
    assert ran.returncode != 0
    assert "there is no store in the schema" in ran.stderr
    assert run("events", postgres_url).stderr == ran.stderr


def test_the_tables_are_made_and_upgraded_by_a_command(postgres_url: str) -> None:
    assert run("store", "upgrade", postgres_url).stderr.count("act-fast store init") == 1
    for _ in range(2):
        assert run("store", "init", postgres_url).stdout == "the store is there, with 0 events\n"
    assert run("store", "upgrade", postgres_url).stdout == "the tables already have format 2\n"
    without_tags(postgres_url)
    assert "run `act-fast store upgrade ADDRESS`" in run("events", postgres_url).stderr
    assert run("store", "upgrade", postgres_url).stdout == "upgraded from format 1 to 2\n"
    assert run("events", postgres_url).returncode == 0
