"""`act-fast events` lists events."""

import json
from pathlib import Path

import pytest

from act_fast import LogStore


def positions(ran) -> list[int]:
    return [int(row[0]) for row in ran.rows]


def test_events_are_listed_in_the_order_of_their_positions(run, bank: Path) -> None:
    ran = run("events", bank)
    assert ran.code == 0
    assert positions(ran) == [1, 2, 3, 4, 5, 6, 7]
    assert ran.rows[3][2:] == ["account-7", "2", "Deposited", '{"amount":50}']


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--stream", "account-7"], [1, 4, 5]),
        (["--stream", "account-1"], []),
        (["--pattern", "account-1"], [2, 3]),
        (["--name", "Deposited"], [3, 4]),
        (["--name", "Deposited", "--name", "Withdrawn"], [3, 4, 5]),
        (["--correlation", "request-1"], [1]),
        (["--after", "5"], [6, 7]),
        (["--before", "3"], [1, 2]),
        (["--before", "0"], []),
        (["--limit", "2"], [1, 2]),
        (["--limit", "0"], []),
        (["--backwards", "--limit", "2"], [7, 6]),
        (["--created-after", "2000-01-01", "--limit", "1"], [1]),
        (["--created-before", "2000-01-01T00:00:00+02:00"], []),
        (["--stream", "account-7", "--name", "Opened"], [1]),
    ],
)
def test_events_are_narrowed_by(run_here, bank: Path, options: list[str], expected: list[int]) -> None:
    assert positions(run_here("events", bank, *options)) == expected


def test_events_as_json_carry_data_and_meta_as_they_are(run_here, bank: Path) -> None:
    event, *_ = (json.loads(line) for line in run_here("events", bank, "--json").out.splitlines())
    assert event.pop("created").endswith("Z")
    assert event == {
        "position": 1,
        "stream": "account-7",
        "version": 1,
        "name": "Opened",
        "tags": [],
        "data": {"owner": "Ada"},
        "meta": {"correlation": "request-1"},
    }


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_an_event_takes_one_line_however_its_data_was_laid_out(run_here, tmp_path: Path, options: list[str]) -> None:
    path = tmp_path / "wide.act"
    with LogStore(path) as store:
        store.append("s", [("Noted", b'{\n\t"text": "two\\nlines"\n}')])
    [line] = run_here("events", path, *options).out.splitlines()
    assert '"text":"two\\nlines"' in line


def test_a_name_cannot_command_the_terminal(run_here, run_on_terminal, tmp_path: Path) -> None:
    path = tmp_path / "odd.act"
    with LogStore(path) as store:
        store.append("a\tb\x1b[2Jc", [("Noted", b'{"text":"\xc2\x9b2J"}')])
    assert "a\\tb\\x1b[2Jc" in run_here("events", path).out
    assert "a\\tb\\x1b[2Jc" in run_on_terminal("events", path).out


def test_events_on_a_terminal_are_cut_to_its_width(run_on_terminal, tmp_path: Path) -> None:
    path = tmp_path / "long.act"
    with LogStore(path) as store:
        store.append("s", [("Noted", json.dumps({"text": "x" * 1000}).encode())])
    title, *_, row = run_on_terminal("events", path).out.rstrip().splitlines()
    assert title.split() == ["position", "created", "stream", "version", "name", "data"]
    assert row.endswith("…")
    assert len(row) <= 100


def test_a_long_listing_on_a_terminal_has_its_titles_once(run_on_terminal, tmp_path: Path) -> None:
    path = tmp_path / "long.act"
    with LogStore(path) as store:
        store.append("s", [("Noted", b"{}")] * 1000)
    lines = run_on_terminal("events", path).out.strip().splitlines()
    assert [line.split()[0] for line in lines if "Noted" in line] == [str(n) for n in range(1, 1001)]
    assert sum("position" in line for line in lines) == 1
    assert len(lines) == 1002
