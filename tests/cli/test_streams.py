"""`act-fast streams` lists the streams."""

import json
from pathlib import Path

import pytest


def test_streams_are_listed_in_the_order_they_came_to_be(run, bank: Path) -> None:
    ran = run("streams", bank)
    assert ran.code == 0
    assert [(row[0], row[1], row[2], row[3], row[6]) for row in ran.rows] == [
        ("account-7", "3", "1", "5", "Withdrawn"),
        ("account-12", "2", "2", "3", "Deposited"),
        ("audit", "2", "6", "7", "Checked"),
    ]


@pytest.mark.parametrize(
    ("options", "streams"),
    [
        (["--pattern", "^account-"], ["account-7", "account-12"]),
        (["--after", "account-7"], ["account-12", "audit"]),
        (["--limit", "1"], ["account-7"]),
        (["--limit", "0"], []),
        (["--pattern", "a", "--after", "account-7", "--limit", "1"], ["account-12"]),
    ],
)
def test_streams_are_narrowed_by(run_here, bank: Path, options: list[str], streams: list[str]) -> None:
    ran = run_here("streams", bank, *options)
    assert [row[0] for row in ran.rows] == streams


def test_streams_as_json_are_one_object_a_line(run_here, bank: Path) -> None:
    lines = [json.loads(line) for line in run_here("streams", bank, "--json").out.splitlines()]
    assert [line["stream"] for line in lines] == ["account-7", "account-12", "audit"]
    assert lines[0]["version"] == 3
    assert lines[0]["last_name"] == "Withdrawn"


def test_streams_on_a_terminal_have_titles(run_on_terminal, bank: Path) -> None:
    title, *_, last = run_on_terminal("streams", bank).out.rstrip().splitlines()
    assert title.split()[:2] == ["stream", "version"]
    assert last.split()[:2] == ["audit", "2"]
