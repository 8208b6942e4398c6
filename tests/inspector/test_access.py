"""Who gets in, and what a browser may do with the pages. Each of these fails when its guard is taken away."""

import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from act_fast import Act, LogStore, ValidationError
from act_fast.cli import main
from act_fast.inspector import inspector
from act_fast.inspector.guard import Access, new_token
from tests.inspector.conftest import BASE, TOKEN, Browser

PAGES = (
    "/",
    "/log",
    "/sql?q=select+1",
    "/sql.csv?q=select+1",
    "/live",
    "/model.svg",
    "/static/inspector.css",
    "/nothing",
)


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_answered_without_the_cookie(shop_path: Path, browser: Browser, page: str) -> None:
    assert browser(str(shop_path), enter=False).get(page).status_code == 401


def test_a_wrong_token_is_refused(shop_path: Path, browser: Browser) -> None:
    client = browser(str(shop_path), enter=False)
    assert client.get("/", params={"token": TOKEN + "x"}).status_code == 401
    assert not client.cookies


def test_a_token_becomes_a_cookie_that_scripts_and_other_sites_do_not_get(shop_path: Path, browser: Browser) -> None:
    client = browser(str(shop_path), enter=False)
    answer = client.get(f"/log?name=Paid&token={TOKEN}", follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/log?name=Paid"  # the token does not stay in the history
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


def test_a_token_that_was_made_is_good_once(shop_path: Path) -> None:
    access = Access(token := new_token(), once=True)
    assert access.session(token) is not None
    assert access.session(token) is None


def test_a_browser_with_a_used_token_is_told_what_to_do(own_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "act_fast")
    client = TestClient(inspector(str(own_path)), base_url=BASE)
    token = caplog.messages[-1].rpartition("?token=")[2]
    assert client.get("/", params={"token": token}).status_code == 200
    again = client.get("/", params={"token": token})
    assert again.status_code == 401
    assert "Start the inspector again for a new one, or pass a --token of your own." in again.text


def test_a_token_of_your_own_is_good_again(shop_path: Path, browser: Browser) -> None:
    client = browser(str(shop_path))
    client.cookies.clear()
    assert client.get("/", params={"token": TOKEN}).status_code == 200


def test_a_short_token_is_refused(shop_path: Path) -> None:
    with pytest.raises(ValidationError, match="16"):
        inspector(str(shop_path), token="secret")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8765", "10.0.0.7", ""])
def test_a_name_that_is_not_its_own_is_refused(shop_path: Path, browser: Browser, host: str) -> None:
    assert browser(str(shop_path)).get("/", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:8765", "LOCALHOST:8765"])
def test_the_names_of_loopback_are_its_own(shop_path: Path, browser: Browser, host: str) -> None:
    client = browser(str(shop_path))
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    assert client.get("/", headers={"host": host, "cookie": cookie}).status_code == 200


def test_other_names_can_be_given(shop_path: Path, browser: Browser) -> None:
    client = browser(str(shop_path), hosts=["inspect.example"])
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    assert client.get("/", headers={"host": "inspect.example", "cookie": cookie}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_form_of_another_page_is_refused(own_path: Path, browser: Browser, headers: dict[str, str]) -> None:
    client = browser(str(own_path), write=True)
    answer = client.post("/done", data={"verb": "unblock", "target": "mail-order-1"}, headers=headers)
    assert answer.status_code == 403
    assert "blocked" in client.get("/target?name=mail-order-1").text


def test_pages_forbid_what_they_have_no_use_for(shop_path: Path, browser: Browser) -> None:
    client = browser(str(shop_path))
    for page in PAGES[1:-2]:
        if page != "/live":
            headers = client.get(page).headers
            assert "default-src 'none'" in headers["content-security-policy"]
            assert "unsafe" not in headers["content-security-policy"] or page == "/model.svg"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "same-origin"
            assert headers["cache-control"] == "no-store"


def test_no_page_has_a_script_or_a_style_of_its_own(shop: Act, browser: Browser) -> None:
    client = browser(shop, write=True)
    for page in ("/", "/stream?name=order-1", "/targets", "/model", "/do?verb=skip&target=mail-order-1"):
        text = client.get(page).text
        assert "<script>" not in text
        assert "<style" not in text
        assert " style=" not in text
        assert " onclick=" not in text


def test_a_store_is_opened_for_reading_only(shop_path: Path, browser: Browser) -> None:
    client = browser(str(shop_path))
    assert client.get("/do?verb=unblock&target=mail-order-1").status_code == 404
    answer = client.post("/done", data={"verb": "unblock", "target": "mail-order-1"}, headers={"origin": BASE})
    assert answer.status_code == 404


def test_reactions_can_only_be_looked_at_without_write(shop_path: Path) -> None:
    from act_fast.inspector.subject import open_subject

    subject = open_subject(str(shop_path), write=False, audit=None)
    with pytest.raises(AttributeError):
        subject.reactions().unblock(["mail-order-1"])
    with pytest.raises(Exception, match="read"):
        subject.store.append("order-1", [("Paid", b"{}")])


@pytest.mark.parametrize(
    "query",
    [
        "select * from read_csv('/etc/passwd')",
        "select * from '/etc/passwd'",
        "select * from read_text('/etc/passwd')",
        "copy (select 1) to '/tmp/act-fast-inspector.csv'",
        "install httpfs",
        "attach '/tmp/act-fast-inspector.db'",
        "create table t as select 1",
        "set memory_limit = '1GB'",
    ],
)
def test_sql_reads_no_files_and_changes_nothing(shop_path: Path, browser: Browser, query: str) -> None:
    client = browser(str(shop_path))
    for page in ("/sql", "/sql.csv", "/sql.parquet"):
        answer = client.get(page, params={"q": query})
        assert answer.status_code == 400
        assert "root:" not in answer.text
    assert not Path("/tmp/act-fast-inspector.csv").exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_other_machines_are_let_in_only_with_a_token(shop_path: Path, host: str, capsys: Any) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:  # so that nothing would be served if it were let in
        port = str(taken.getsockname()[1])
        assert main(["inspect", str(shop_path), "--host", host, "--port", port]) == 2
    assert "--token" in capsys.readouterr().err


def test_mounted_it_is_behind_the_host_s_own_check(shop: Act) -> None:
    seen: list[str] = []

    async def allow(scope: Any) -> bool | str:
        seen.append(scope["path"])
        return "ada" if (b"x-user", b"ada") in scope["headers"] else False

    api = Starlette()
    api.mount("/act", inspector(shop, allow=allow, payload="full"))
    client = TestClient(api, base_url="https://shop.example")
    assert client.get("/act/").status_code == 401
    answer = client.get("/act/log", headers={"x-user": "ada"})
    assert answer.status_code == 200
    assert 'href="/act/event?position=' in answer.text
    assert client.get("/act/static/inspector.css", headers={"x-user": "ada"}).status_code == 200


def test_mounted_without_a_token_it_makes_one_and_logs_it(shop: Act, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    app: Callable[..., Awaitable[None]] = inspector(shop)
    token = caplog.text.rpartition("?token=")[2].strip()
    client = TestClient(app, base_url=BASE)
    assert client.get("/").status_code == 401
    assert client.get("/", params={"token": token}).status_code == 200


def test_an_address_elsewhere_is_not_redirected_to(shop_path: Path, browser: Browser) -> None:
    client = browser(str(shop_path), enter=False)
    answer = client.get(f"{BASE}//evil.example/?token={TOKEN}", follow_redirects=False)
    assert answer.headers["location"] == "/evil.example/"


def test_an_empty_memory_store_can_be_inspected(browser: Browser) -> None:
    with LogStore.memory() as store:
        assert "The log is empty" in browser(store).get("/").text
