"""`act-fast replay` lists the states of all streams."""

import json
from pathlib import Path

import pytest

from act_fast import LogStore

BANK = """
from act_fast import Act, Event, State, count, total

class Opened(Event):
    owner: str

class Deposited(Event):
    amount: int

class Withdrawn(Event):
    amount: int

class Checked(Event):
    pass

class Account(State, events=[Opened]):
    owner: str = ""
    balance: int = total(Deposited.amount) - total(Withdrawn.amount)

class Audit(State):
    checks: int = count(Checked)

def make():
    return Act("memory:", Account, Audit)
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bank.py").write_text(BANK)
    monkeypatch.chdir(tmp_path)


def test_states_are_listed_in_the_order_their_streams_came_to_be(run, bank):
    ran = run("replay", "bank:make", bank, "--state", "Account")
    assert (ran.code, ran.err) == (0, "")
    assert ran.rows == [
        ["account-7", "3", "5", '{"owner":"Ada","balance":42}'],
        ["account-12", "2", "3", '{"owner":"Bob","balance":5}'],
    ]


def test_a_table_is_shown_on_a_terminal(run_on_terminal, bank):
    ran = run_on_terminal("replay", "bank:Account", bank)
    assert ran.code == 0
    assert "account-12" in ran.out
    assert '{"owner":"Ada","balance":42}' in ran.out


def test_json_holds_the_state_itself(run, bank):
    ran = run("replay", "bank:Account", bank, "--json", "--streams", "7$", "--at", "4")
    assert [json.loads(line) for line in ran.out.splitlines()] == [
        {"stream": "account-7", "version": 2, "position": 4, "state": {"owner": "Ada", "balance": 50}}
    ]


def test_a_time_and_a_stream_to_go_on_after_narrow_it(run, bank):
    assert run("replay", "bank:Account", bank, "--at", "2020-01-01").rows == []
    assert [row[0] for row in run("replay", "bank:Account", bank, "--after", "account-7").rows] == ["account-12"]


def test_a_file_is_there_once_it_is_whole(run, bank, tmp_path):
    ran = run("replay", "bank:Audit", bank, "--output", "audit.jsonl")
    assert ran.code == 0
    assert ran.out.startswith("1 stream of 2 events in ")
    assert json.loads((tmp_path / "audit.jsonl").read_text())["state"] == {"checks": 2}
    with LogStore(bank) as store:
        store.append("account-7", [("Deposited", b'{"amount":"much"}')])
    ran = run("replay", "bank:Account", bank, "--output", "accounts.jsonl")
    assert ran.code == 2
    assert "version 4 of stream 'account-7'" in ran.err
    assert "much" not in ran.err
    assert sorted(each.name for each in tmp_path.glob("*.jsonl*")) == ["audit.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["bank:make"], "say which state with --state; the app has Account, Audit"),
        (["bank:make", "--state", "Order"], "there is no state 'Order'; the app has Account, Audit"),
        (["bank:Account", "--at", "yesterday"], "neither a position nor a time"),
        (["bank:Account", "--streams", "("], "not a regular expression"),
        (["bank:Account", "--json", "--output", "x"], "not allowed with"),
    ],
)
def test_what_cannot_be_meant_is_refused(run, bank, arguments, what):
    app, *options = arguments
    ran = run("replay", app, bank, *options)
    assert ran.code == 2
    assert what in ran.err
