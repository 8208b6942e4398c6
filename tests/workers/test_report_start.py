"""What is said when reactions begin to work: which are new here, and which nobody here has code for."""

import logging
import threading
from pathlib import Path

import pytest

from act_fast import Act, Committed, Event, State


class Sold(Event):
    amount: int


class Returned(Event):
    amount: int


class Till(State, events=[Sold, Returned]):
    amount: int = 0


def handler(event: Committed[Sold | Returned]) -> None:
    """Nothing comes of it."""


def said(caplog: pytest.LogCaptureFixture, app: Act) -> list[str]:
    """What running an app warns of; it is stopped as soon as it has begun."""
    caplog.clear()
    with caplog.at_level(logging.INFO, "act_fast"):
        worker = threading.Thread(target=app.run)
        worker.start()
        while worker.is_alive():
            app.stop()
            worker.join(0.05)
    return [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]


def test_what_is_new_and_what_has_no_code_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Act(tmp_path / "shop.act", Till) as app:
        app.on(Sold, to="{stream}", name="mail")(handler)
        app.on(Returned, to="{stream}", name="refund")(handler)
        for _ in range(3):
            app.store.append("till-1", [("Sold", b'{"amount":1}')])
        [new] = said(caplog, app)
        assert "reaction 'mail' is new on this store, and starts with the 3 events" in new
        assert said(caplog, app) == []

    with Act(tmp_path / "shop.act", Till) as app:
        app.on(Sold, to="{stream}", name="mail2")(handler)
        app.on(Sold, to="{stream}", name="later", start="now")(handler)
        new, later, mail, refund = said(caplog, app)
        assert "reaction 'mail2' is new on this store, and starts with the 3 events" in new
        assert "reaction 'later' is new on this store, and leaves out the 3 events" in later
        assert "reaction 'mail' is known to this store, but this program has no code for it" in mail
        assert "name='mail'" in mail
        assert "act-fast forget" in mail
        assert "reaction 'refund' is known" in refund
