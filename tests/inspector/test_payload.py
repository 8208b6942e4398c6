"""How much of events and states is shown: everything, the fields without their values, or nothing."""

import pytest

from act_fast import Act
from tests.inspector.conftest import Browser

SECRETS = ("customer-2@example.org", "Ada &lt;2&gt;", "3902", "a kettle", "bank-2", "nowhere.invalid")
VIEWS = (
    *("/", "/log", "/event?position=5", "/event?position=10", "/stream?name=order-2", "/stream?name=payment-2"),
    *("/correlation?id=checkout-1&near=5", "/targets", "/target?name=mail-order-1", "/blocked", "/model"),
    "/sql?q=from+opened",
    *("/do?verb=skip&target=mail-order-1", "/stream?name=order-2&version=2"),
)


@pytest.mark.parametrize("payload", ["masked", "none"])
@pytest.mark.parametrize("view", VIEWS)
def test_no_value_shows_where_data_is_masked_or_hidden(shop: Act, browser: Browser, view: str, payload: str) -> None:
    text = browser(shop, payload=payload, write=True).get(view).text
    assert [secret for secret in SECRETS if secret in text] == []


def test_what_would_be_masked_shows_in_full(shop: Act, browser: Browser) -> None:
    client = browser(shop, write=True)
    text = "".join(client.get(view).text for view in VIEWS)
    assert [secret for secret in SECRETS if secret not in text] == []


def test_masked_data_tells_its_fields_and_kinds(shop: Act, browser: Browser) -> None:
    client = browser(shop, payload="masked")
    assert '"customer"</span>: <span class="j-mask">text' in client.get("/event?position=9").text.replace("&#34;", '"')
    assert "MailRefusedError: •••" in client.get("/blocked").text


def test_hidden_data_tells_nothing_of_its_fields(shop: Act, browser: Browser) -> None:
    text = browser(shop, payload="none").get("/event?position=9").text
    assert "customer" not in text.replace("customer-2", "").replace("Ada", "")


@pytest.mark.parametrize("download", ["/sql.csv", "/sql.parquet"])
@pytest.mark.parametrize("payload", ["masked", "none"])
def test_sql_is_off_where_data_is_masked(shop: Act, browser: Browser, download: str, payload: str) -> None:
    client = browser(shop, payload=payload)
    assert "SQL is off here" in client.get("/sql?q=select+1").text
    assert client.get(f"{download}?q=select+1").status_code == 400


def test_mounted_data_is_masked_unless_asked_for(shop: Act) -> None:
    from starlette.testclient import TestClient

    from act_fast.inspector import inspector
    from tests.inspector.conftest import BASE

    client = TestClient(inspector(shop, allow=lambda scope: True), base_url=BASE)
    assert "j-mask" in client.get("/event?position=1").text
