"""The pages in a real browser: live, by keyboard, without a script, and legible to everybody as far as axe can tell."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from act_fast import Act
from examples.shop.app import Order, app_at
from tests.inspector.conftest import fill
from tests.support.chromium import axe_script, chromium
from tests.support.servers import Unavailable, unavailable

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SECONDS = 60
VIEWS = (
    *("/", "/log", "/event?position=8", "/streams", "/stream?name=order-2", "/correlation?id=checkout-2&near=9"),
    *("/targets", "/target?name=mail-order-1", "/blocked", "/sql?q=select name, count(*) n from events group by 1"),
    *("/sql?q=select name, count(*) n from events group by 1&view=chart", "/timers", "/model", "/storage"),
    *("/do?verb=skip&target=mail-order-1", "/log?at=7", "/nothing"),
)


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    with ExitStack() as stack:
        try:
            found = stack.enter_context(chromium())
        except Unavailable as reason:
            unavailable(reason)
        yield found


@contextmanager
def inspecting(path: Path, *options: str) -> Iterator[str]:
    """The command, as people start it; the address that it prints."""
    command = [Path(sys.executable).with_name("act-fast"), "inspect", "examples.shop.app:app", "--port", "0", *options]
    environment = {"SHOP": str(path), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stderr is not None
            address = re.search(r"http://\S+", server.stderr.readline())
            assert address is not None
            yield address[0]
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("browsed") / "shop.act"
    with app_at(str(path)) as app:
        fill(app)
    return path


@pytest.fixture(scope="module")
def site(shop: Path, browser: "Browser") -> "Iterator[Site]":
    with inspecting(shop, "--write") as address:
        yield Site(browser, address)


class Site:
    """The inspector, as one browser has got into it with the only token."""

    def __init__(self, browser: "Browser", address: str) -> None:
        self.base = address.partition("/?")[0]
        self._browser = browser
        context = browser.new_context()
        context.set_default_timeout(SECONDS * 1000)
        page = context.new_page()
        page.goto(address)
        self.address_after = page.url
        self._storage = context.storage_state()
        context.close()

    @contextmanager
    def open(self, view: str, **options: Any) -> "Iterator[Page]":
        """A view in a window of its own, in which nothing may go wrong."""
        context = self._browser.new_context(storage_state=self._storage, **options)
        page = context.new_page()
        wrong: list[str] = []
        page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.set_default_timeout(SECONDS * 1000)
        page.goto(self.base + view)
        try:
            yield page
        finally:
            context.close()
        assert [each for each in wrong if "404" not in each] == []


def test_the_token_is_gone_from_the_address(site: Site) -> None:
    assert site.address_after == f"{site.base}/"


@pytest.fixture(scope="module")
def axe() -> str:
    try:
        return axe_script()
    except Unavailable as reason:
        unavailable(reason)


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_to_complain_of_by_day_or_by_night(site: Site, axe: str, view: str) -> None:
    with site.open(view, color_scheme="light") as page:
        page.evaluate(axe)
        said = page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice']})")
        page.emulate_media(color_scheme="dark")
        by_night = page.evaluate("axe.run({runOnly: ['color-contrast', 'link-in-text-block']})")
    found = [(each["id"], node) for each in said["violations"] + by_night["violations"] for node in each["nodes"]]
    assert [(rule, node["target"], node["failureSummary"]) for rule, node in found] == []


def test_everything_is_reached_by_keyboard(site: Site) -> None:
    with site.open("/") as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        reached = set()
        for _ in range(80):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.getAttribute('href') || ''"))
        assert {"/log", "/blocked", "/?span=1+h"} <= reached


def test_the_slider_travels_in_time_by_keyboard(site: Site) -> None:
    with site.open("/stream?name=order-2") as page:
        assert page.locator("#travelled").get_attribute("data-version") == "4"
        page.get_by_role("slider").focus()
        page.keyboard.press("ArrowLeft")
        page.wait_for_selector("#travelled[data-version='3']")
        page.keyboard.press("Home")
        page.wait_for_selector("#travelled[data-version='1']")
        assert page.locator(".state-fields tr.changed th").all_inner_texts() == ["customer", "mail"]
        assert "version=1" in page.url
        assert page.evaluate("document.activeElement.type") == "range"


def test_a_page_that_nobody_sees_holds_no_connection(site: Site) -> None:
    seen = "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
    change = f"{seen} document.dispatchEvent(new Event('visibilitychange')); }}"
    with site.open("/") as page:
        page.wait_for_selector("#live[data-state=live]")  # a function would be evaluated by the page, which allows none
        with page.expect_event("requestfailed", lambda request: request.url.endswith("/live")):
            page.evaluate(change, True)
        with page.expect_request("**/live"):
            page.evaluate(change, False)


def test_pages_work_without_a_script(site: Site) -> None:
    with site.open("/stream?name=order-2", java_script_enabled=False) as page:
        page.get_by_role("slider").fill("2")
        page.get_by_role("button", name="Go").click()
        page.get_by_text("State after version 2").wait_for()
        page.get_by_role("link", name="Log", exact=True).first.click()
        page.locator("select[name=name]").select_option("Settled")
        page.get_by_role("button", name="Filter").click()
        page.wait_for_url("**name=Settled**")
        assert page.locator("tbody tr").count() == 6


def test_news_show_without_loading_the_page_again(shop: Path, browser: "Browser", tmp_path: Path) -> None:
    path = tmp_path / "shop.act"
    with app_at(str(path)) as app:
        fill(app, orders=1)
        with inspecting(path) as address:
            site = Site(browser, address)
            with site.open("/log") as page:
                page.wait_for_selector("#live[data-state=live]")
                page.evaluate("window.kept = true")
                app.do(Order.open, "order-new", customer="Eve", mail="eve@example.org")
                page.wait_for_selector(f"#p{app.store.head}")
                assert page.evaluate("window.kept")
                app.settle()
            with site.open("/target?name=mail-order-new") as page:
                page.wait_for_selector("#live[data-state=live]")
                block(app)
                page.wait_for_selector("h1 .state-blocked")


def block(app: Act) -> None:
    app.block("mail-order-new", error="by hand")
    app.do(Order.place, "order-new", item="a lamp", cents=100)


def test_a_blocked_target_is_found_explained_and_unblocked(site: Site, shop: Path) -> None:
    with site.open("/") as page:
        page.locator(".figure-bad a").click()
        page.get_by_role("link", name="mail-order-1").first.click()
        assert "MailRefusedError" in page.locator(".why").inner_text()
        page.get_by_role("link", name="Unblock…").click()
        assert f"act-fast unblock {shop} mail-order-1" in page.locator(".confirm").inner_text()
        page.get_by_role("button", name="Unblock").click()
        page.wait_for_url("**/target?**")
        assert page.locator("h1 .state-behind").is_visible()
        assert "act-fast unblock" in page.get_by_role("region", name="Changes made by hand").inner_text()
