"""`act-fast sql`: one question, questions from a pipe, and the shell."""

import json
import os
import pty
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND, TIMEOUT_SECONDS, Ran
from tests.support.processes import ready

BANK = """
from act_fast import Act, Event, State

class Deposited(Event):
    amount: int

class Account(State, events=[Deposited]):
    amount: int = 0

def app():
    return Act("bank.act", Account, unknown="skip")
"""


@pytest.fixture
def module(bank: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An app over the bank, as people name it."""
    (bank.parent / "bank_app.py").write_text(BANK)
    monkeypatch.chdir(bank.parent)
    return "bank_app:app"


def test_an_answer_in_a_pipe_is_lines_without_titles(bank: Path, run: Callable[..., Ran]) -> None:
    ran = run("sql", bank, "select name, count(*), max(created) is not null from events group by name order by name")
    assert (ran.code, ran.err) == (0, "")
    assert ran.rows == [
        ["Checked", "2", "true"],
        ["Deposited", "2", "true"],
        ["Opened", "2", "true"],
        ["Withdrawn", "1", "true"],
    ]


def test_json_keeps_what_is_json_as_it_is(bank: Path, run: Callable[..., Ran]) -> None:
    ran = run("sql", bank, "select position, data, [1, 2] as list, 1.5 as price from events limit 1", "--json")
    assert json.loads(ran.out) == {"position": 1, "data": {"owner": "Ada"}, "list": [1, 2], "price": "1.5"}


def test_csv_has_titles(bank: Path, run: Callable[..., Ran]) -> None:
    ran = run("sql", bank, "select position, 'a,b' as text, null as nothing from events limit 1", "--csv")
    assert ran.out == 'position,text,nothing\n1,"a,b",\n'


def test_files_are_read_when_that_is_said(bank: Path, run: Callable[..., Ran]) -> None:
    prices = bank.parent / "prices.csv"
    prices.write_text("price\n5\n")
    query = f"select price from '{prices}'"
    assert run("sql", bank, query, "--files").out == "5\n"
    refused = run("sql", bank, query)
    assert refused.code == 2
    assert "no files" in refused.err


def test_a_table_on_a_terminal_has_titles(bank: Path, run_on_terminal: Callable[..., Ran]) -> None:
    ran = run_on_terminal("sql", bank, "select stream, version from streams order by stream")
    assert ran.code == 0
    assert [line.split() for line in ran.out.splitlines() if "account" in line or "stream" in line] == [
        ["stream", "version"],
        ["account-12", "2"],
        ["account-7", "3"],
    ]


def test_the_past_is_asked_with_at(bank: Path, run: Callable[..., Ran]) -> None:
    assert run("sql", bank, "select count(*) from events", "--at", "3").out == "3\n"
    assert run("sql", bank, "select count(*) from events", "--at", "2001-01-01").out == "0\n"
    ran = run("sql", bank, "select 1", "--at", "yesterday")
    assert ran.code == 2
    assert "neither a position nor a time" in ran.err


def test_an_app_has_its_classes(module: str, run: Callable[..., Ran]) -> None:
    assert run("sql", module, "select stream, amount from deposited order by position").rows == [
        ["account-12", "5"],
        ["account-7", "50"],
    ]
    assert run("sql", module, "select amount from account_at(3)").out == "5\n"


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("drop table events", "DROP is not a question"),
        ("selekt", "cannot be read"),
        ("from account", "there is events, streams, targets, skipped; those of classes are there when you name an app"),
        ("select 'x'::int", "cannot be answered"),
    ],
)
def test_what_cannot_be_answered_is_wrong_usage(bank: Path, run: Callable[..., Ran], query: str, reason: str) -> None:
    ran = run("sql", bank, query)
    assert (ran.code, ran.out) == (2, "")
    assert reason in ran.err
    assert "Traceback" not in ran.err


def test_there_must_be_a_store(tmp_path: Path, run: Callable[..., Ran]) -> None:
    ran = run("sql", tmp_path / "nothing.act", "select 1")
    assert ran.code == 2
    assert not (tmp_path / "nothing.act").exists()


def test_questions_come_from_a_pipe(bank: Path) -> None:
    text = "select count(*)\nfrom events;\n-- a remark\nselect max(position) from events"
    ran = subprocess.run(
        [COMMAND, "sql", bank], input=text, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "7\n7\n", "")


def test_the_words_of_the_shell_work_without_a_terminal(bank: Path, run: Callable[..., Ran]) -> None:
    assert run("sql", bank, ".tables").out.split() == ["events", "streams", "targets", "skipped"]
    ran = run("sql", bank, ".nonsense")
    assert (ran.code, ran.out) == (2, "")
    assert ".nonsense is not a command; .help lists them" in ran.err
    text = ".schema skipped\nselect count(*)\nfrom events;\n.tables\nselect 1"
    ran = subprocess.run(
        [COMMAND, "sql", bank], input=text, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("skipped\n  target VARCHAR\n")
    assert ran.stdout.endswith("\n7\nevents\nstreams\ntargets\nskipped\n1\n")


class Talk:
    """A shell at the other end of a terminal."""

    def __init__(self, source: str | Path, home: Path) -> None:
        self._ours, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "dumb", "HOME": str(home), "XDG_STATE_HOME": "", "COLUMNS": "100"}
        self.process = subprocess.Popen(
            [COMMAND, "sql", source], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
        )
        os.close(theirs)
        self._said = ""

    def say(self, text: str, until: str) -> str:
        """Type something, and wait until the shell has said something in return; all that it said."""
        os.write(self._ours, text.encode())
        return self.hear(until)

    def hear(self, until: str) -> str:
        """Wait until the shell has said something; all that it said."""
        while (found := re.search(until, self._said)) is None:
            assert ready(self._ours, TIMEOUT_SECONDS), f"it said only {self._said!r}"
            self._said += os.read(self._ours, 65536).decode()
        heard, self._said = self._said[: found.end()], self._said[found.end() :]
        return heard

    def interrupt(self, until: str) -> str:
        """Press Ctrl-C until the shell has said something: what comes just before it waits for a line is not heard."""
        heard = ""
        while not heard:
            self.process.send_signal(signal.SIGINT)
            heard = os.read(self._ours, 65536).decode() if ready(self._ours, 5) else ""
        self._said += heard
        return self.hear(until)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@pytest.fixture
def talk(bank: Path, tmp_path: Path) -> Iterator[Callable[[], Talk]]:
    talks: list[Talk] = []

    def start() -> Talk:
        talks.append(Talk(bank, tmp_path / "home"))
        talks[-1].hear("sql> ")
        return talks[-1]

    yield start
    for each in talks:
        each.close()


def test_the_shell_answers_over_several_lines_and_goes_on_after_an_error(talk: Callable[[], Talk]) -> None:
    shell = talk()
    shell.say("select count(*) as events\n", r"\.\.\.> ")
    assert "7" in shell.say("from events;\n", r"1 row, as of position 7\s+sql> ")
    assert "not a question" in shell.say("drop table events;\n", "sql> $")
    assert "streams" in shell.say(".tables\n", "skipped\\s+sql> ")
    assert "BIGINT" in shell.say(".schema events\n", "tags VARCHAR\\[\\]\\s+sql> ")
    assert "is not a command" in shell.say(".nonsense\n", "sql> $")
    assert "semicolon" in shell.say(".help\n", "running\\.\\s+sql> ")
    os.write(shell._ours, b".quit\n")
    assert shell.process.wait(TIMEOUT_SECONDS) == 0


def test_the_shell_sees_what_was_appended_meanwhile(talk: Callable[[], Talk], bank: Path) -> None:
    from act_fast import LogStore

    shell = talk()
    shell.say("select 1;\n", "as of position 7")
    with LogStore(bank, durability=None) as store:
        store.append("audit", [("Checked", b"{}")])
    shell.say("select 1;\n", "as of position 8")


def test_the_shell_remembers_what_was_typed(talk: Callable[[], Talk], tmp_path: Path) -> None:
    shell = talk()
    shell.say("select 41 + 1;\n", r"position 7\s+sql> ")
    shell.say("\x04", "\n")
    assert shell.process.wait(TIMEOUT_SECONDS) == 0
    assert "select 41 + 1;" in (tmp_path / "home" / ".local" / "state" / "act-fast" / "sql_history").read_text()


def test_ctrl_c_forgets_what_was_typed(talk: Callable[[], Talk]) -> None:
    shell = talk()
    shell.say("select nonsense\n", r"\.\.\.> ")
    shell.interrupt("sql> ")
    assert "7" in shell.say("select count(*) from events;\n", "1 row")


def test_ctrl_c_stops_a_question_and_the_shell_goes_on(talk: Callable[[], Talk]) -> None:
    shell = talk()
    endless = "select sum(a.range * b.range % 7) from range(1000000) a, range(1000000) b;"
    heard = ""
    while "stopped" not in heard:  # when Ctrl-C comes before the question is begun, it is the line that is forgotten
        shell.say(f"{endless}\n", "b;\r\n")
        heard = shell.interrupt("sql> ")
    assert "7" in shell.say("select count(*) from events;\n", "1 row")
