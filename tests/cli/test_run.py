"""`act-fast run`: what a person sees of failures, at the start, and when it ends."""

import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from act_fast import LogStore
from tests.cli.terminal import Terminal

APP = """
import time
from act_fast import Act, Event, State

class Sold(Event):
    amount: int

class Till(State, events=[Sold]):
    amount: int = 0

app = Act("shop.act", Till)

def deeply(amount):
    raise ValueError("no paper")

@app.on(Sold, to="{{stream}}", name="{name}", retries=1, backoff=0.1)
def mail(event):
    {body}
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Write an app over a store with two sales."""
    monkeypatch.chdir(tmp_path)
    with LogStore("shop.act", durability="os") as store:
        store.append("till-1", [("Sold", b'{"amount":1}'), ("Sold", b'{"amount":2}')])

    def write(name: str = "mail", body: str = "deeply(event.data.amount)") -> None:
        Path("shop_app.py").write_text(APP.format(name=name, body=body))

    return write


def read_until(process: "subprocess.Popen[str]", text: str) -> list[str]:
    """What it writes to standard error up to a text."""
    lines: list[str] = []
    assert process.stderr is not None
    for line in process.stderr:
        lines.append(line.rstrip("\n"))
        if text in line:
            return lines
    raise AssertionError(lines)


def test_failures_are_told_with_their_tracebacks(
    shop: Callable[..., None], start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    shop()
    worker = start("run", "shop_app:app")
    told = read_until(worker, "is blocked at position 1")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    text = "\n".join(told)
    assert re.search(r"WARNING .*reaction 'mail' on 'till-1' at position 1 failed: ValueError: no paper", text)
    assert "version 1 of stream 'till-1', attempt 1 of 2; the next one is in" in text
    assert 'raise ValueError("no paper")' in text
    assert re.search(r"ERROR .*'till-1' is blocked at position 1: ValueError: no paper", text)
    assert "act-fast unblock" in text
    assert re.search(r"WARNING .*reaction 'mail' is new on this store, and starts with the 2 events", text)


def test_what_is_less_than_the_level_is_not_told(
    shop: Callable[..., None], start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    shop()
    worker = start("run", "shop_app:app", "--log-level", "error")
    told = read_until(worker, "is blocked at position 1")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert not [line for line in told if "WARNING" in line]
    assert [line for line in told if "ERROR" in line]


def test_a_renamed_handler_is_told_of_before_it_begins(
    shop: Callable[..., None], start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    shop(body="print('sent', flush=True)")
    first = start("run", "shop_app:app")
    assert first.stdout is not None
    assert [first.stdout.readline() for _ in range(2)] == ["sent\n"] * 2
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 0

    shop(name="letter", body="pass")
    second = start("run", "shop_app:app", "--workers", "2")
    told = read_until(second, "worker 2 is process")
    second.send_signal(signal.SIGTERM)
    assert second.wait(60) == 0
    assert second.stderr is not None
    told += second.stderr.read().splitlines()
    for once in (
        "reaction 'letter' is new on this store, and starts with the 2 events",
        "reaction 'mail' is known to this store, but this program has no code",
    ):
        assert len([line for line in told if once in line]) == 1


@pytest.mark.parametrize("moment", ["is process", "at work"])
def test_ctrl_c_ends_it_without_a_traceback(shop: Callable[..., None], moment: str) -> None:
    """Also while worker processes only begin; a terminal sends it to all of them."""
    shop(body="print('at work', flush=True); time.sleep(0.3); print('done', event.position, flush=True)")
    with Terminal("run", "shop_app:app", "--workers", "2") as workers:
        workers.until(moment)
        workers.press("\x03")
        assert workers.end() == 0, workers.shown
        assert "Traceback" not in workers.shown
        assert workers.shown.count("at work") == workers.shown.count("done")  # what was begun is finished


def test_a_second_ctrl_c_ends_it_at_once(shop: Callable[..., None]) -> None:
    shop(body="print('at work', flush=True); time.sleep(3600)")
    with Terminal("run", "shop_app:app", "--grace", "3000") as workers:
        workers.until("at work")
        workers.press("\x03")
        workers.until("shutting down, within 3000 s")
        workers.press("\x03")
        workers.until("is killed, as requested")
        assert workers.end() == 1
        assert "Traceback" not in workers.shown
