"""Changes by hand: asked first, with the command that does the same, done, and recorded."""

import json
from pathlib import Path

import pytest

from act_fast.cli import main
from examples.shop.app import app_at
from tests.inspector.conftest import BASE, Browser

TARGET = "mail-order-1"


def state_of(path: Path) -> tuple[bool, int, object]:
    with app_at(str(path)) as app:
        target = next(app.targets(TARGET))
        return target.blocked, target.lag, target.due


def audit(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (path / "inspector.log").read_text().splitlines()]


@pytest.mark.parametrize("verb", ["unblock", "skip", "reset", "defer"])
def test_each_change_is_asked_first_and_shows_the_command(own_path: Path, browser: Browser, verb: str) -> None:
    text = browser(str(own_path), write=True).get(f"/do?verb={verb}&target={TARGET}").text
    assert f"act-fast {verb} {own_path} {TARGET}" in text
    assert '<form method="post" action="/done">' in text
    assert state_of(own_path)[0]
    assert not (own_path / "inspector.log").exists()


@pytest.mark.parametrize(
    ("verb", "fields", "blocked", "command"),
    [
        ("unblock", {}, False, "act-fast unblock {path} mail-order-1"),
        ("reset", {"to": "0"}, False, "act-fast reset {path} mail-order-1"),
        ("defer", {"until": "2999-01-01T00:00:00Z"}, True, "--until 2999-01-01T00:00:00Z"),
        ("skip", {"reason": "no such customer"}, False, "--reason 'no such customer'"),
    ],
)
def test_a_change_is_made_and_recorded(
    own_path: Path, browser: Browser, verb: str, fields: dict[str, str], blocked: bool, command: str
) -> None:
    client = browser(str(own_path), write=True)
    answer = client.post("/done", data={"verb": verb, "target": TARGET, **fields}, headers={"origin": BASE})
    assert answer.status_code == 200
    assert answer.url.path == "/target"
    assert state_of(own_path)[0] is blocked
    (line,) = audit(own_path)
    assert (line["verb"], line["target"]) == (verb, TARGET)
    assert line["by"]
    assert line["at"]
    assert command.format(path=own_path) in line["command"]
    assert line["outcome"] in client.get("/blocked").text.replace("&#39;", "'")


def test_a_change_that_is_refused_is_recorded_too(own_path: Path, browser: Browser) -> None:
    client = browser(str(own_path), write=True)
    answer = client.post("/done", data={"verb": "skip", "target": TARGET}, headers={"origin": BASE})
    assert answer.status_code == 400
    assert "needs a reason" in answer.text
    assert audit(own_path)[0]["outcome"].startswith("refused: ")


def test_it_is_recorded_who_made_a_change(own_path: Path, browser: Browser) -> None:
    client = browser(str(own_path), write=True, token=None, allow=lambda scope: "ada@example.org", enter=False)
    client.post("/done", data={"verb": "unblock", "target": TARGET}, headers={"origin": BASE})
    assert audit(own_path)[0]["by"] == "ada@example.org"


def test_a_verb_that_there_is_none_of_is_refused(own_path: Path, browser: Browser) -> None:
    client = browser(str(own_path), write=True)
    answer = client.post("/done", data={"verb": "block", "target": TARGET}, headers={"origin": BASE})
    assert answer.status_code == 400
    assert state_of(own_path)[0]


def test_the_commands_that_are_shown_exist(own_path: Path) -> None:
    assert main(["defer", str(own_path), TARGET, "--until", "2999-01-01T00:00:00Z"]) == 0
    assert state_of(own_path)[2] is not None
    assert main(["skip", str(own_path), TARGET, "--reaction", "mail", "--position", "5", "--reason", "gone"]) == 0
