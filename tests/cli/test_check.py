"""`act-fast check` says whether a log still decodes as the classes of an app."""

import json
from pathlib import Path

import pytest

from act_fast import LogStore

BANK = """
from act_fast import Act, Event, Slice, State, reducer

class Opened(Event):
    owner: str

class Deposited(Event):
    amount: int

class Account(State):
    balance: int = 0

    @reducer
    def opened(self, event: Opened) -> None: ...

    @reducer
    def deposited(self, event: Deposited) -> None:
        self.balance += event.amount

banking = Slice(Account)

def make():
    return Act("memory:", Account)

number = 7
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bank.py").write_text(BANK)
    (tmp_path / "broken.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def accounts(tmp_path: Path) -> Path:
    path = tmp_path / "accounts.act"
    with LogStore(path, durability="os") as store:
        store.append("account-7", [("Opened", b'{"owner":"Ada"}'), ("Deposited", b'{"amount":50}')])
    return path


@pytest.fixture
def changed(accounts: Path) -> Path:
    """One of its events does not decode as the class of today."""
    with LogStore(accounts) as store:
        store.append("account-8", [("Deposited", b'{"amount":1}'), ("Deposited", b'{"amount":"much"}')])
    return accounts


@pytest.mark.parametrize("name", ["make", "Account", "banking"])
def test_a_log_that_decodes_is_well(run, accounts: Path, name: str) -> None:
    ran = run("check", f"bank:{name}", accounts)
    assert (ran.code, ran.err) == (0, "")
    assert [row[:4] for row in ran.rows] == [
        ["Deposited", "1", "bank.Deposited", "0"],
        ["Opened", "1", "bank.Opened", "0"],
    ]


def test_an_event_that_does_not_decode_is_named_and_gives_exit_code_1(run, changed: Path) -> None:
    ran = run("check", "bank:Account", changed)
    assert ran.code == 1
    assert ran.rows[0][:7] == ["Deposited", "3", "bank.Deposited", "1", "4", "account-8", "2"]
    assert "amount" in ran.rows[0][7]


def test_a_name_that_no_class_claims_gives_exit_code_1_unless_it_may_be_left_out(run, accounts: Path) -> None:
    with LogStore(accounts) as store:
        store.append("account-7", [("Frozen", b"{}")])
    assert run("check", "bank:Account", accounts).code == 1
    ran = run("check", "bank:Account", accounts, "--skip-unknown")
    assert ran.code == 0
    assert ran.rows[1][:4] == ["Frozen", "1", "", "0"]


def test_the_report_as_json_has_the_first_failure_of_each_name(run, changed: Path) -> None:
    ran = run("check", "bank:Account", changed, "--json")
    first = json.loads(ran.out)["names"][0]["first"]
    assert ran.code == 1
    assert (first["stream"], first["version"], first["position"]) == ("account-8", 2, 4)


def test_on_a_terminal_the_first_failure_is_a_sentence(run_on_terminal, changed: Path) -> None:
    shown = run_on_terminal("check", "bank:Account", changed).out
    assert "account-8 at version 2, position 4" in " ".join(shown.split())
    assert "1 of 4 events do not decode" in shown


def test_on_a_terminal_all_is_well_in_a_sentence(run_on_terminal, accounts: Path) -> None:
    assert run_on_terminal("check", "bank:Account", accounts).out.rstrip().endswith("all events decode")


@pytest.mark.parametrize(
    "address", ["bank", "bank:", "bank:nobody", "bank:number", "nowhere:app", "broken:app", ":app", "..bank:app"]
)
def test_what_is_no_app_is_wrong_usage(run, accounts: Path, address: str) -> None:
    ran = run("check", address, accounts)
    assert ran.code == 2
    assert ran.out == ""
    [sentence] = ran.err.splitlines()
    assert address in sentence


CHANGING = """
from act_fast import Event, State, reducer
import drawn

class Opened(Event):
    owner: str
    token: str = drawn.TOKEN
    shuffled: tuple[str, ...] = tuple({"a", "b", "c", "d", "e", "f", "g", "h"})
    tags: frozenset[str] = frozenset({"a", "b", "c", "d", "e", "f", "g", "h"})
    name: str = drawn.NAME

class Account(State, events=[Opened]):
    token: str = ""
"""


def test_a_default_that_each_start_has_another_one_of_is_named(run, accounts: Path, tmp_path: Path) -> None:
    (tmp_path / "drawn.py").write_text("import secrets\nTOKEN, NAME = secrets.token_hex(), 'a'\nprint('hello')\n")
    (tmp_path / "changing.py").write_text(CHANGING)
    ran = run("check", "changing:Account", accounts, "--skip-unknown", "--json")
    assert ran.code == 1
    assert json.loads(ran.out.splitlines()[-1])["changing"] == ["changing.Opened.shuffled", "changing.Opened.token"]
    assert "changing.Opened.token has a different default at each start" in ran.err


def test_an_app_that_a_fresh_process_cannot_load_is_told_as_such(run, accounts: Path, tmp_path: Path) -> None:
    (tmp_path / "once.py").write_text(
        f"from pathlib import Path\nPath({str(tmp_path)!r}, 'loaded').mkdir()\nfrom bank import Account\n"
    )
    ran = run("check", "once:Account", accounts)
    assert ran.code == 2
    assert "once:Account cannot be loaded in a fresh process" in ran.err
    assert "FileExistsError" in ran.err
