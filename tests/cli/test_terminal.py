"""What comes from data never commands a terminal, whichever command shows it; in a pipe it is as documented."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from act_fast import LogStore
from tests.cli.conftest import Ran
from tests.cli.terminal import Terminal

NASTY = "\x1b[5;666m\x1b]0;owned\x07\x7f\x9b31m\u202eb\u2066\u200f[red]"
STREAM = f"s{NASTY}"

APP = """
from act_fast import Act, Event, Projection, State

NASTY = {nasty!r}

class Noted(Event):
    text: str

class Note(State, events=[Noted]):
    text: str = ""

app = Act("nasty.act", Note, unknown="skip")

@app.on(Noted, to="t{{stream}}", name="n" + NASTY, retries=0)
def failing(event):
    raise ValueError(event.data.text)

def broken():
    raise ValueError(NASTY)
"""

COMMANDS = [
    ["info", "nasty.act"],
    ["info", "nasty.act", "--json"],
    ["streams", "nasty.act"],
    ["streams", "nasty.act", "--json"],
    ["streams", "nasty.act", "--after", NASTY],
    ["streams", "nasty.act", "--pattern", f"({NASTY}"],
    ["events", "nasty.act"],
    ["events", "nasty.act", "--json"],
    ["events", f"{NASTY}.act"],
    ["sql", "nasty.act", "select stream, data, data->>'text' as \"" + NASTY + '" from events'],
    ["sql", "nasty.act", "select stream, data->>'text' as text, data from events", "--json"],
    ["sql", "nasty.act", "select stream, data->>'text' as \"" + NASTY + '" from events', "--csv"],
    ["sql", "nasty.act", f"select {NASTY}"],
    ["sql", "nasty.act", f'from "{NASTY}"'],
    ["sql", "nasty.act", "select error(data->>'text') from events"],
    ["sql", "nasty_app:app", "from note"],
    ["verify", "nasty.act"],
    ["verify", "nasty.act", "--json"],
    ["check", "nasty_app:app", "nasty.act"],
    ["check", "nasty_app:app", "nasty.act", "--json"],
    ["check", "nasty_app:broken", "nasty.act"],
    ["replay", "nasty_app:app", "nasty.act"],
    ["replay", "nasty_app:app", "nasty.act", "--state", NASTY],
    ["unblock", "nasty.act", NASTY],
    ["reset", "nasty.act", NASTY],
    ["forget-reaction", "nasty.act", NASTY],
    ["rebuild", "nasty_app:app", NASTY],
    ["backup", "nasty.act", f"b{NASTY}"],
    ["export", "nasty.act", f"e{NASTY}.jsonl"],
    ["export", "nasty.act", NASTY],
    ["restore", "other.act", f"{NASTY}.jsonl"],
    ["bench", f"{NASTY}/{NASTY}"],
    ["run", f"nasty_app:{NASTY}"],
    [NASTY],
]


OF_TARGETS = [
    ["targets", "nasty.act"],
    ["targets", "nasty.act", "--json"],
    ["why", "nasty.act", f"t{STREAM}"],
    ["why", "nasty.act", f"t{STREAM}", "--json"],
    ["why", "nasty.act", NASTY],
    ["unblock", "nasty.act", f"t{STREAM}", NASTY],
]


@pytest.fixture
def nasty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store and an app whose every name, value and error would command a terminal."""
    monkeypatch.chdir(tmp_path)
    Path("nasty_app.py").write_text(APP.format(nasty=NASTY))
    with LogStore("nasty.act", durability="os") as store:
        store.append(STREAM, [("Noted", json.dumps({"text": NASTY}, ensure_ascii=False).encode())])
        store.append(STREAM, [(f"Unknown{NASTY}", json.dumps({NASTY: NASTY}, ensure_ascii=False).encode())])
        store.append(STREAM, [("Noted", b'{"text": 5}')])
    return tmp_path


@pytest.fixture
def settled(nasty: Path) -> Path:
    """The same, with a target that is blocked."""
    settle = "import nasty_app; nasty_app.app.settle(); nasty_app.app.close()"
    subprocess.run([sys.executable, "-c", settle], check=True, timeout=60)
    return nasty


@pytest.mark.parametrize("arguments", COMMANDS, ids=ascii)
def test_no_command_lets_data_command_a_terminal(nasty: Path, arguments: list[str]) -> None:
    shown = Terminal.run(*arguments)
    assert harmless(shown)


@pytest.mark.parametrize("arguments", OF_TARGETS, ids=ascii)
def test_no_command_lets_targets_command_a_terminal(settled: Path, arguments: list[str]) -> None:
    assert harmless(Terminal.run(*arguments))


def test_the_shell_lets_nothing_through(nasty: Path) -> None:
    with Terminal("sql", "nasty.act") as shell:
        shell.press("select data->>'text' as text from events limit 1;\n")
        shell.until("as of position")
        shell.press("from not_there;\n")
        shell.until("does not exist")
        shell.press(".quit\n")
        assert shell.end() == 0
        assert harmless(shell.shown)


def test_workers_show_failures_harmlessly(nasty: Path) -> None:
    with Terminal("run", "nasty_app:app") as worker:
        worker.until("is blocked at position 1")
        worker.press("\x03")
        assert worker.end() == 0
        assert "Traceback (most recent call last)" in worker.shown
        assert "KeyboardInterrupt" not in worker.shown
        assert harmless(worker.shown)


def test_json_on_a_terminal_means_the_same(nasty: Path) -> None:
    shown = Terminal.run("events", "nasty.act", "--json", "--limit", "1")
    event = json.loads(shown)
    assert (event["stream"], event["data"]) == (STREAM, {"text": NASTY})


def test_json_in_a_pipe_is_exact(nasty: Path, run: Callable[..., Ran]) -> None:
    ran = run("events", "nasty.act", "--json", "--limit", "1")
    assert json.loads(ran.out)["data"] == {"text": NASTY}
    assert "\u202e" in ran.out


def harmless(shown: str) -> bool:
    """Whether all that is left without the colours and movements of our own can be printed."""
    assert "666" not in "".join(re.findall(r"\x1b\[[0-9;?]*[A-Za-z]", shown)), repr(shown)
    rest = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\n\t]", "", shown)
    assert rest.isprintable(), repr(rest)
    return True
