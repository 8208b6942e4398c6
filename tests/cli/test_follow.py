"""`act-fast events --follow` goes on with what others commit."""

import signal
from pathlib import Path

import pytest

from act_fast import LogStore

TIMEOUT_SECONDS = 60


def next_position(child) -> int:
    return int(child.stdout.readline().split("\t")[0])


def test_follow_shows_what_is_there_and_then_what_comes(start, bank: Path) -> None:
    child = start("events", bank, "--follow", "--after", "5")
    assert [next_position(child) for _ in range(2)] == [6, 7]
    with LogStore(bank) as store:
        store.append("audit", [("Checked", b"{}")])
        assert next_position(child) == 8


def test_follow_keeps_to_its_conditions(start, bank: Path) -> None:
    child = start("events", bank, "--follow", "--name", "Deposited", "--after", "3")
    assert next_position(child) == 4
    with LogStore(bank) as store:
        store.append("audit", [("Checked", b"{}")])
        store.append("account-7", [("Deposited", b'{"amount":1}')])
        assert next_position(child) == 9


def test_follow_ends_at_its_limit(start, bank: Path) -> None:
    child = start("events", bank, "--follow", "--limit", "8")
    assert [next_position(child) for _ in range(7)] == [1, 2, 3, 4, 5, 6, 7]
    with LogStore(bank) as store:
        store.append("audit", [("Checked", b"{}"), ("Checked", b"{}")])
        out, err = child.communicate(timeout=TIMEOUT_SECONDS)
    assert (child.returncode, len(out.splitlines()), err) == (0, 1, "")


def test_ctrl_c_ends_it_quietly(start, bank: Path) -> None:
    child = start("events", bank, "--follow", "--after", "6")
    assert next_position(child) == 7
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=TIMEOUT_SECONDS)
    assert (child.returncode, err) == (130, "")


@pytest.mark.parametrize("option", [["--backwards"], ["--before", "3"], ["--created-before", "2026-01-01"]])
def test_follow_goes_only_forwards_and_on(run, bank: Path, option: list[str]) -> None:
    ran = run("events", bank, "--follow", *option)
    assert ran.code == 2
    assert "--follow" in ran.err
