"""What is stored is not to be trusted: names, texts and answers that mean harm, and stores that go away."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from act_fast import Act, LogStore, Meta
from act_fast.inspector import inspector
from tests.inspector.conftest import BASE, TOKEN, Browser
from tests.support.bank import Account, Opened

MARKUP = '"><img src=x hx-post=/done hx-trigger=load>'


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A store with markup wherever text can be."""
    path = tmp_path / "hostile.act"
    with LogStore(str(path)) as store:
        for number in range(2):
            data = b'{"<img src=x>": "<img src=x>", "on": {"ada@example.org": 1}}'
            store.append(f"{MARKUP}{number}", [(MARKUP, data)], meta=Meta(correlation=MARKUP))
    return path


@pytest.mark.parametrize("payload", ["full", "masked", "none"])
def test_no_name_becomes_markup_on_any_page(hostile: Path, browser: Browser, payload: str) -> None:
    client = browser(str(hostile), payload=payload)
    for path, parameters in {
        "/": {},
        "/log": {"name": MARKUP},
        "/event": {"position": "1"},
        "/streams": {"name": MARKUP},
        "/stream": {"name": f"{MARKUP}0"},
        "/correlation": {"id": MARKUP},
        "/model": {},
        "/sql": {"q": f"select '{MARKUP}' as \"<img src=x>\", 1 as n union all select 'b', 2", "view": "chart"},
    }.items():
        answer = client.get(path, params=parameters)
        assert answer.status_code == 200, path
        assert "<img" not in answer.text, path


def test_keys_that_are_no_names_of_fields_are_masked(hostile: Path, browser: Browser) -> None:
    text = browser(str(hostile), payload="masked").get("/event?position=1").text
    assert "ada@example.org" not in text
    assert "on" in text


def test_why_no_targets_are_found_is_masked(tmp_path: Path, browser: Browser) -> None:
    def to(event: Any) -> str:
        raise ValueError(f"no target for {event.data.owner}; act-fast unblock; rm -rf /")

    with Act(str(tmp_path / "held.act"), Account) as app:
        app.on(Opened, to=to, name="held", retries=0)(lambda event: None)
        app.do(Account.open, "ada", "secret-owner")
        app.settle()
        shown = browser(app, payload="masked").get("/target?name=nobody").text
        assert "is held" in shown
        assert "secret-owner" not in shown
        full = browser(app).get("/target?name=held").text
        assert "secret-owner" in full
        assert 'data-copy="act-fast unblock; rm' not in full  # what an error says is no command


@pytest.mark.parametrize(
    "path", ["/%09/elsewhere.example", "/%0A/elsewhere.example", "/%0D%0ASet-Cookie:%20a=b", "/%E2%82%AC"]
)
def test_an_address_leads_nowhere_else_whatever_is_in_its_path(shop_path: Path, browser: Browser, path: str) -> None:
    client = browser(str(shop_path), enter=False)
    link = client.get(f"{BASE}{path}", headers={"sec-fetch-site": "cross-site"}).text
    assert f'href="{path}"' in link
    assert client.get(f"{BASE}{path}?token={TOKEN}", follow_redirects=False).headers["location"] == path
    missing = client.get(f"{BASE}/{path}").text  # two slashes would be another host
    assert 'action="//' not in missing
    assert 'href="//' not in missing


def test_an_origin_that_is_none_is_refused(shop_path: Path, browser: Browser) -> None:
    client = browser(str(shop_path), write=True)
    assert client.post("/done", headers={"origin": "http://["}).status_code == 403


def test_a_position_of_any_length_is_answered(shop_path: Path, browser: Browser) -> None:
    assert browser(str(shop_path)).get("/log", params={"at": "9" * 5000}).status_code == 400


@pytest.mark.parametrize("moments", ["timestamp 'infinity'", "timestamp '-infinity'", "date '0001-01-01'"])
def test_times_that_no_clock_shows_are_drawn_or_not_but_answered(shop: Act, browser: Browser, moments: str) -> None:
    query = f"select {moments} as at, i from range(4) t(i)"
    assert browser(shop).get("/sql", params={"q": query, "view": "chart"}).status_code == 200


def test_an_answer_is_cut_where_it_would_fill_the_memory(shop: Act, browser: Browser) -> None:
    client = browser(shop)
    answer = client.get("/sql", params={"q": "select repeat('x', 1000000) from range(60)"})
    assert answer.status_code == 200
    assert len(answer.content) < 3_000_000
    assert ", and more" in answer.text


def test_questions_that_wait_are_few(shop: Act) -> None:
    from act_fast import ValidationError
    from act_fast.inspector.questions import WAITING_MAX, Questions

    questions = Questions(shop.store, shop, lambda: None)
    with questions.turn():
        questions.waiting += WAITING_MAX
        with pytest.raises(ValidationError, match="are being answered"):
            questions.ask("select 1", None)


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-1-x", "@sum(a1)", "\t=1"])
def test_a_spreadsheet_takes_nothing_for_a_formula(shop: Act, browser: Browser, text: str) -> None:
    client = browser(shop)
    written = client.get("/sql.csv", params={"q": f"select '{text}' as \"=a\", -1 as n, '-1.5' as m"}).text
    title, row = written.splitlines() if "\t" in text else written.split("\n")[:2]
    assert title == "'=a,n,m"
    assert row == f"'{text},-1,-1.5"


def test_a_change_that_cannot_be_recorded_is_not_made(own_path: Path, browser: Browser, tmp_path: Path) -> None:
    client = browser(str(own_path), write=True, audit=tmp_path / "missing" / "audit.log")
    answer = client.post("/done", data={"verb": "unblock", "target": "mail-order-1"}, headers={"origin": BASE})
    assert answer.status_code == 400
    assert "cannot be recorded" in answer.text
    assert "after" in client.get("/blocked").text
    assert "mail-order-1" in client.get("/targets?state=blocked").text


class TestNews:
    """The stream of news, asked for in ways that browsers do not."""

    @pytest.fixture
    def app(self, shop_path: Path) -> Iterator[Act]:
        from examples.shop.app import app_at

        with app_at(str(shop_path)) as app:
            yield app

    def test_asking_for_the_headers_alone_ends(self, app: Act) -> None:
        sent = asyncio.run(_asked(inspector(app, allow=lambda scope: "me"), "HEAD", "/live"))
        assert sent[0]["status"] == 200

    def test_a_closed_store_ends_it_without_an_error(self, app: Act) -> None:
        page = inspector(app, allow=lambda scope: "me")
        app.close()
        sent = asyncio.run(_asked(page, "GET", "/live"))
        assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def _asked(app: Any, method: str, path: str) -> list[Any]:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(3600)
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        **{"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path},
        **{"raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "http"},
        **{"headers": [(b"host", b"127.0.0.1")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 1)},
    }
    async with asyncio.timeout(60):
        await app(scope, receive, send)
    return sent
