"""The command with nothing but msgspec installed: plain lines instead of tables, and what to install for the rest."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ran
from tests.support.extras import hide_extras


@pytest.fixture(autouse=True)
def hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hide_extras(tmp_path / "hidden", monkeypatch)


def test_a_listing_on_a_terminal_is_lines_with_a_title(bank: Path, run_on_terminal: Callable[..., Ran]) -> None:
    title, *rows = run_on_terminal("streams", bank).out.splitlines()
    assert title.split("\t")[:2] == ["stream", "version"]
    assert [row.split("\t")[:2] for row in rows] == [["account-7", "3"], ["account-12", "2"], ["audit", "2"]]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["info"], "events\t7"),
        (["verify"], "healthy; read 7 events"),
        (["targets"], "head 7; leading 0"),
        (["events", "--limit", "1"], "account-7"),
    ],
)
def test_commands_work_on_a_terminal(
    bank: Path, run_on_terminal: Callable[..., Ran], command: list[str], told: str
) -> None:
    ran = run_on_terminal(command[0], bank, *command[1:])
    assert ran.code == 0, ran.out
    assert told in ran.out


def test_a_listing_in_a_pipe_is_as_ever(bank: Path, run: Callable[..., Ran]) -> None:
    assert run("streams", bank).rows[0][0] == "account-7"


def test_backups_and_exports_work(bank: Path, run_on_terminal: Callable[..., Ran]) -> None:
    for verb in ("backup", "export"):
        ran = run_on_terminal(verb, bank, bank.with_name("copy.act" if verb == "backup" else "events.jsonl"))
        assert "7 events" in ran.out
        assert ran.code == 0


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        (
            ["sql", "{bank}", "select 1"],
            "act-fast sql needs duckdb, which is not installed",
        ),
        (
            ["serve", "bank:app"],
            "act-fast serve needs starlette, which is not installed; pip install 'act-fast[serve]'",
        ),
        (["export", "{bank}", "{bank}.parquet"], "exporting to Parquet needs duckdb, which is not installed"),
        (["targets", "{bank}", "--watch"], "--watch needs rich, which is not installed; pip install 'act-fast[cli]'"),
    ],
)
def test_what_needs_more_says_what_to_install(
    bank: Path, run_on_terminal: Callable[..., Ran], command: list[str], needed: str
) -> None:
    ran = run_on_terminal(*(each.replace("{bank}", str(bank)) for each in command))
    assert ran.code == 2
    assert needed in ran.out.replace("\n", " ")
