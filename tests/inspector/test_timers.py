"""Timers: what waits, what became of the others, and cancelling one by hand."""

from datetime import timedelta
from pathlib import Path

import pytest

from act_fast import Act
from tests.inspector.conftest import BASE, Browser
from tests.inspector.test_changes import audit
from tests.timers.orders import Order


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Act(tmp_path / "shop.act", Order) as app:
        for number in range(3):
            app.do(Order.place, f"order-{number}")
            app.schedule(after=timedelta(days=1), key=f"late-{number}").do(Order.expire, f"order-{number}", reason="x")
        app.schedule(after=timedelta(days=2), key="late-0", replace=True).do(Order.expire, "order-0", reason="secret")
        app.cancel("late-1")
        app.schedule(after=timedelta(0), key="ran").do(Order.expire_anyway, "order-9")
        app.settle()
    return tmp_path / "shop.act"


def keys(text: str) -> list[str]:
    return [each.partition('"')[0] for each in text.split("/stream?name=%24timer-")[1:]]


def test_those_that_wait_are_listed_the_last_scheduled_first(path: Path, browser: Browser) -> None:
    text = browser(str(path)).get("/timers").text
    assert keys(text) == ["late-0", "late-2"]
    assert "Order.expire" in text
    assert "Cancel…" not in text


def test_all_are_listed_once_with_what_became_of_them(path: Path, browser: Browser) -> None:
    text = browser(str(path)).get("/timers?state=all").text
    assert keys(text) == ["ran", "late-0", "late-2", "late-1"]
    assert "done <time" in text
    assert "cancelled <time" in text


def test_arguments_are_masked_like_events(path: Path, browser: Browser) -> None:
    assert "secret" in browser(str(path)).get("/timers").text
    assert "secret" not in browser(str(path), payload="masked").get("/timers").text


def test_listings_are_paged(path: Path, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("act_fast.inspector.views.timers.ROWS", 3)
    client = browser(str(path))
    text = client.get("/timers?state=all").text
    assert keys(text) == ["ran", "late-0", "late-2"]
    before = text.partition("before=")[2].partition('"')[0].partition("&")[0]
    assert keys(client.get(f"/timers?state=all&before={before}").text) == ["late-1"]


def test_a_timer_is_cancelled_when_that_was_confirmed_and_recorded(path: Path, browser: Browser) -> None:
    client = browser(str(path), write=True)
    asked = client.get("/cancel?key=late-2").text
    assert f"act-fast cancel {path} late-2" in asked
    assert '<form method="post" action="/cancelled">' in asked
    assert keys(client.get("/timers").text) == ["late-0", "late-2"]
    client.post("/cancelled", data={"key": "late-2"}, headers={"origin": BASE})
    assert keys(client.get("/timers").text) == ["late-0"]
    (line,) = audit(path)
    assert (line["verb"], line["target"], line["outcome"]) == ("cancel", "$timer-late-2@1", "cancelled")
    with Act(path, Order) as app:
        *_, last = app.store.load("$timer-late-2")
    assert last.meta.actor is not None
    assert last.meta.actor.id == line["by"]


def test_one_that_was_done_is_not_cancelled(path: Path, browser: Browser) -> None:
    client = browser(str(path), write=True)
    assert "does not wait any more" in client.get("/cancel?key=ran").text
    client.post("/cancelled", data={"key": "ran"}, headers={"origin": BASE})
    assert audit(path)[0]["outcome"] == "it was done already"
    assert client.post("/cancelled", data={"key": "never"}, headers={"origin": BASE}).status_code == 400


def test_without_write_nothing_is_cancelled(path: Path, browser: Browser) -> None:
    client = browser(str(path))
    assert client.get("/cancel?key=late-2").status_code == 404
    client.post("/cancelled", data={"key": "late-2"}, headers={"origin": BASE})
    assert keys(client.get("/timers").text) == ["late-0", "late-2"]


def test_a_form_of_another_page_cancels_nothing(path: Path, browser: Browser) -> None:
    client = browser(str(path), write=True)
    answer = client.post("/cancelled", data={"key": "late-2"}, headers={"origin": "https://evil.example"})
    assert answer.status_code == 403
    assert keys(client.get("/timers").text) == ["late-0", "late-2"]
