"""Every view answers without a script, from an app and from a store alone, at any moment."""

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from act_fast import Act, LogStore
from act_fast.errors import StoreError
from tests.inspector.conftest import Browser
from tests.support.aged import aged

VIEWS = (
    *("/", "/log", "/event?position=1", "/streams", "/stream?name=order-1", "/correlation?id=checkout-1&near=5"),
    *("/targets", "/target?name=mail-order-1", "/blocked", "/timers", "/sql", "/model", "/storage"),
)


@pytest.fixture
def client(shop: Act, browser: Browser) -> TestClient:
    return browser(shop)


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_of_an_app_answers(client: TestClient, view: str) -> None:
    answer = client.get(view)
    assert answer.status_code == 200, answer.text
    assert "<h1" in answer.text


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_of_a_store_alone_answers(shop_path: Path, browser: Browser, view: str) -> None:
    assert browser(str(shop_path)).get(view).status_code == 200


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_of_an_empty_store_answers_or_says_what_is_missing(browser: Browser, view: str) -> None:
    with LogStore.memory() as store:
        answer = browser(store).get(view)
        assert answer.status_code == (400 if view.startswith(("/event", "/stream?")) else 200)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("at", ["7", "2999-01-01T00:00:00Z"])
def test_every_view_can_be_pinned_to_a_moment_and_its_links_stay_there(client: TestClient, view: str, at: str) -> None:
    text = client.get(view, params={"at": at}).text if "?" not in view else client.get(f"{view}&at={at}").text
    assert "The log as it was at position" in text
    assert f'href="/log?at={at.replace(":", "%3A")}"' in text


def test_the_overview_tells_the_head_and_what_is_blocked(client: TestClient, shop: Act) -> None:
    text = client.get("/").text
    assert f">{shop.store.head:,}<" in text
    assert '<a href="/blocked">1</a>' in text


def test_a_pinned_overview_tells_the_head_of_then(client: TestClient, shop: Act) -> None:
    assert f">7<small>of {shop.store.head:,}</small>" in client.get("/?at=7").text


def test_the_log_is_filtered_by_name_stream_pattern_and_correlation(client: TestClient) -> None:
    assert client.get("/log?name=Settled").text.count("<tr id=") == 6
    assert client.get("/log?stream=payment-2").text.count("<tr id=") == 2
    assert client.get("/log?pattern=payment-[12]$").text.count("<tr id=") == 4
    assert client.get("/log?correlation=checkout-3").text.count("<tr id=") == 6


def test_the_log_is_paged_by_position_in_both_directions(client: TestClient) -> None:
    first = client.get("/log?before=6").text
    assert [f'id="p{position}"' in first for position in (1, 5, 6)] == [True, True, False]
    assert 'href="/log?after=5"' in first
    assert 'id="p6"' in client.get("/log?after=5").text


def test_an_event_tells_its_cause_and_what_it_caused(client: TestClient, shop: Act) -> None:
    settled = next(each for each in shop.store.query(stream="payment-2", names=["Settled"]))
    paid = next(each for each in shop.store.query(stream="order-2", names=["Paid"]))
    assert f'id="p{paid.position}"' in client.get(f"/event?position={settled.position}").text
    text = client.get(f"/event?position={paid.position}").text
    assert "Caused by" in text
    assert f"/event?position={settled.position}" in text
    assert "Order.confirm_payment" in text


def test_data_is_escaped(client: TestClient) -> None:
    text = client.get("/stream?name=order-3&version=1").text
    assert "Ada &lt;3&gt;" in text
    assert "Ada <3>" not in text


def test_a_stream_shows_the_state_at_a_version_and_marks_what_changed(client: TestClient) -> None:
    text = client.get("/stream?name=order-2&version=2").text
    assert "State after version 2" in text
    changed = text.split('<tr class="changed">')[1:]
    assert [each.split("</th>")[0].rpartition(">")[2] for each in changed] == ["items", "cents"]
    assert "3902" in changed[1].split("</tr>")[0]


def test_a_stream_that_is_pinned_ends_then(client: TestClient) -> None:
    assert 'max="2"' in client.get("/stream?name=order-1&at=7").text


def test_a_correlation_is_drawn_with_its_gaps_and_causes(client: TestClient, shop: Act) -> None:
    last = max(each.position for each in shop.store.query(correlation="checkout-4"))
    for near in ("17", str(last), ""):
        text = client.get(f"/correlation?id=checkout-4&near={near}").text
        assert "6 events in 2 streams" in text
        assert text.count('class="cause"') == 2 * 2  # in the waterfall and in the graph


def test_a_target_says_in_words_why_it_stands_still(client: TestClient) -> None:
    text = client.get("/target?name=mail-order-1").text
    assert "it is blocked at position 5" in text
    assert "MailRefusedError: 550 5.1.2 the domain of ben@nowhere.invalid does not exist" in text
    assert "act-fast unblock" in text


def test_a_target_that_is_not_there_is_explained(client: TestClient) -> None:
    assert "no event correlated so far concerns a target of this name" in client.get("/target?name=nothing").text


def test_targets_are_paged_and_filtered(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("act_fast.inspector.views.targets.ROWS", 4)
    text = client.get("/targets?pattern=^parcel-").text
    assert text.count('class="mono" href="/target?name=parcel-') == 4
    after = text.rpartition("after=")[2].partition('"')[0]
    rest = client.get(f"/targets?pattern=^parcel-&after={after}").text
    assert rest.count('class="mono" href="/target?name=parcel-') == 2


def test_blocked_targets_are_listed_with_their_events(client: TestClient) -> None:
    text = client.get("/blocked").text
    assert "MailRefusedError" in text
    assert "/event?position=5" in text


def test_the_model_is_drawn_and_names_are_counted(client: TestClient) -> None:
    text = client.get("/model").text
    for word in ("confirm_payment()", "to mail-{stream}", "projection", "Turnover"):
        assert word in text
    assert client.get("/model.svg").headers["content-type"] == "image/svg+xml"


def test_storage_lists_the_parts_of_the_store(client: TestClient) -> None:
    text = client.get("/storage").text
    assert "00000000.seg" in text
    assert "act-fast backup" in text


def test_storage_says_how_much_is_in_each_form_while_the_archive_is_away(browser: Browser, tmp_path: Path) -> None:
    with aged(tmp_path) as app:
        text = browser(app).get("/storage").text
        assert "3 events of classes with sealed fields" in text
    (tmp_path / "cold").rename(tmp_path / "away")
    text = browser(str(tmp_path / "shop.act")).get("/storage").text
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", text)]
    events = {re.sub(r"<[^>]*>", "", row[0]): row[3] for row in rows if len(row) == 7}
    assert events == {"Hot": "6", "Compressed": "10", "Archived": "33"}
    assert f'archive at <span class="mono">{tmp_path}/cold</span>' in text
    assert "11 events, " in text
    assert "not known without an app" in text
    assert "1 subject" in text


@pytest.mark.parametrize(
    "address", ["/log?before=x", "/log?at=soon", "/event", "/log?since=never", "/stream?name=none"]
)
def test_what_is_wrong_with_an_address_is_said_in_a_sentence(client: TestClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 400
    assert "That did not work" in answer.text


def test_a_page_that_is_not_there_is_a_page_that_says_so(client: TestClient) -> None:
    assert client.get("/nothing").status_code == 404
    assert client.get("/static/../guard.py").status_code == 404


def test_a_store_whose_reactions_cannot_be_opened_shows_all_else(
    shop_path: Path, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(store: object) -> None:
        raise StoreError("the directory cannot be written")

    monkeypatch.setattr("act_fast.inspector.subject.reactions_of", refuse)
    client = browser(str(shop_path))
    assert client.get("/log").status_code == 200
    assert "The directory cannot be written." in client.get("/targets").text
    assert client.get("/target?name=mail-order-1").status_code == 400
