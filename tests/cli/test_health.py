"""`act-fast health` and `act-fast metrics` beside worker processes, and logs as JSON."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from act_fast import Act, Event, LogStore, State
from tests.cli.conftest import Ran

APP = """
from act_fast import Act, Event, State

class Sold(Event):
    amount: int

class Till(State, events=[Sold]):
    amount: int = 0

app = Act("shop.act", Till)

@app.on(Sold, to="{stream}", name="mail", retries=0)
def mail(event):
    if event.data.amount < 0:
        raise ValueError("what is a negative sale?")
"""
PATIENCE_SECONDS = 60


class Sold(Event):
    amount: int


class Till(State, events=[Sold]):
    amount: int = 0


@pytest.fixture
def sell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sells in a shop that workers can run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop_app.py").write_text(APP)

    def append(*amounts: int) -> None:
        with LogStore("shop.act") as store:
            store.append("till-1", [Sold(amount) for amount in amounts])

    append(1)
    return append


def until(run: Callable[..., Ran], code: int, *command: str) -> Ran:
    """What the command says once it ends with a code."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (ran := run(*command)).code != code:
        assert time.monotonic() < deadline, ran
    return ran


def until_caught_up(run: Callable[..., Ran]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while 'act_fast_reaction_targets{reaction="mail",state="caught_up"} 1' not in run("metrics", "shop.act").out:
        assert time.monotonic() < deadline


def test_workers_bring_a_shop_to_health_and_a_failure_ends_it(
    sell: Callable[..., None], start: Callable[..., "subprocess.Popen[str]"], run: Callable[..., Ran]
) -> None:
    worker = start("run", "shop_app:app", "--workers", "2")
    until_caught_up(run)
    ran = run("health", "shop.act", "--max-lag", "0", "--max-age", "0")
    assert ran.out == "healthy; head 1, 0 events behind, 0 blocked\n"
    sell(2, -3, 4)
    ran = until(run, 1, "health", "shop.act")
    assert ran.out.splitlines()[0] == "1 blocked, 0 allowed: targets of mail"
    assert "NOT HEALTHY: 1 problem; head 4, 2 events behind, the oldest of which has waited" in ran.out
    metrics = run("metrics", "shop.act").out
    assert 'act_fast_reaction_targets{reaction="mail",state="blocked"} 1' in metrics
    assert 'act_fast_reaction_lag_events{reaction="mail"} 2' in metrics
    assert run("health", "shop.act", "--max-blocked", "1").code == 0
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(PATIENCE_SECONDS) == 0


def test_a_shop_whose_workers_are_gone_falls_behind(
    sell: Callable[..., None], start: Callable[..., "subprocess.Popen[str]"], run: Callable[..., Ran]
) -> None:
    worker = start("run", "shop_app:app")
    until_caught_up(run)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(PATIENCE_SECONDS) == 0
    sell(2, 3)
    assert run("health", "shop.act", "--max-lag", "2").code == 0
    ran = run("health", "shop.act", "--max-lag", "1", "--json")
    assert ran.code == 1
    assert json.loads(ran.out)["problems"] == ["reaction 'mail' is 2 events behind, 1 allowed"]


def test_a_store_that_is_not_there_is_exit_code_2(run: Callable[..., Ran], tmp_path: Path) -> None:
    plain, as_json = run("health", tmp_path / "none.act"), run("health", tmp_path / "none.act", "--json")
    assert (plain.code, as_json.code) == (2, 2)
    assert plain.err.startswith("act-fast: ")
    assert json.loads(as_json.out)["healthy"] is False
    assert run("metrics", tmp_path / "none.act").code == 2


@pytest.mark.parametrize("option", [["--max-age", "soon"], ["--max-lag", "-1"], ["--max-blocked", "few"]])
def test_a_limit_that_is_none_is_wrong_usage(run: Callable[..., Ran], bank: Path, option: list[str]) -> None:
    assert run("health", bank, *option).code == 2


def test_a_store_that_no_program_has_reacted_on_is_healthy_and_stays_as_it_is(
    run: Callable[..., Ran], bank: Path
) -> None:
    before = sorted(path.name for path in bank.iterdir())
    assert run("health", bank, "--max-lag", "0").out == "healthy; head 7, 0 events behind, 0 blocked\n"
    assert "act_fast_head 7\n" in run("metrics", bank, "--openmetrics").out
    assert sorted(path.name for path in bank.iterdir()) == before


def test_logs_are_json_lines_with_tracebacks_when_asked(
    sell: Callable[..., None], start: Callable[..., "subprocess.Popen[str]"], run: Callable[..., Ran]
) -> None:
    sell(-3)
    worker = start("run", "shop_app:app", "--log-format", "json")
    until(run, 1, "health", "shop.act")
    worker.send_signal(signal.SIGTERM)
    _, told = worker.communicate(timeout=PATIENCE_SECONDS)
    records = [json.loads(line) for line in told.splitlines()]
    failed = next(each for each in records if "error" in each)
    assert (failed["error"], failed["level"], failed["logger"]) == ("ValueError", "warning", "act_fast")
    assert "what is a negative sale?" in failed["traceback"]
    assert failed["time"].endswith("Z")
    assert any("worker 1 is process" in each["message"] for each in records)
    assert any(each["level"] == "error" and "is blocked at position 2" in each["message"] for each in records)
    assert {frozenset(each) - {"error", "traceback"} for each in records} == {
        frozenset({"time", "level", "logger", "process", "message"})
    }


def test_an_app_with_that_store_agrees(sell: Callable[..., None], run: Callable[..., Ran]) -> None:
    with Act("shop.act", Till) as app:
        app.on(Sold, to="books", name="books")(lambda event: None)
        app.settle()
    assert 'act_fast_reaction_targets{reaction="books",state="caught_up"} 1' in run("metrics", "shop.act").out
