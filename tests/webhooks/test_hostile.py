"""Receivers and senders that mean harm, and what must not be told of a webhook."""

import logging
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler

import pytest

from act_fast import ValidationError, WebhookError
from act_fast.webhooks import Webhook, verify_webhook
from tests.webhooks.receiver import Receiver
from tests.webhooks.shop import SECRET, Shop


@pytest.mark.parametrize(
    "when", ["Mon, 01 Jan 2024 00:00:00 +99999999999999999999", "Mon, 99999999999999999999 Jan 2024 00:00:00 GMT"]
)
def test_a_date_that_is_none_is_as_good_as_no_date(shop: Shop, receiver: Receiver, when: str) -> None:
    def busy(request: BaseHTTPRequestHandler) -> None:
        request.send_response(503)
        request.send_header("retry-after", when)
        request.send_header("content-length", "0")
        request.end_headers()

    receiver.answers = [busy]
    shop.sell()
    shop.app.settle()
    (target,) = shop.app.targets()
    assert target.error is not None
    assert "answered 503" in target.error
    assert "Overflow" not in target.error


@pytest.mark.parametrize(
    "url", ["https://a.example/\tx", "https://a.example/\x7f", "https://a.example/" + "x" * 70_000, "https://xn--/x"]
)
def test_an_url_that_can_never_be_sent_to_is_refused_at_once_and_not_repeated(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Webhook(url, secret=SECRET)
    assert url[-5:] not in str(refused.value)


def test_the_path_of_the_url_is_in_no_log(shop: Shop, receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        shop.sell()
        shop.app.settle()
    assert len(receiver.messages) == 1
    assert "a-secret-path" not in caplog.text


def test_what_others_log_of_httpx_stays(receiver: Receiver, shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    import httpx

    with caplog.at_level(logging.INFO):
        shop.sell()
        shop.app.settle()
        httpx.post(receiver.url.replace("a-secret-path", "open"))
    assert "/hook/open" in caplog.text


@pytest.mark.parametrize("name", ["webhook-id", "webhook-signature"])
def test_a_header_that_is_no_text_is_refused_as_a_message_that_is_not_genuine(name: str) -> None:
    headers = {"webhook-id": "a", "webhook-timestamp": str(int(time.time())), "webhook-signature": "v1,x"}
    with pytest.raises(WebhookError):
        verify_webhook({**headers, name: "v1,\udcff"}, b"{}", SECRET)


def test_an_endless_tolerance_is_none() -> None:
    with pytest.raises(ValidationError, match="tolerance="):
        verify_webhook({}, b"{}", SECRET, tolerance=float("inf"))
    with pytest.raises(WebhookError):
        verify_webhook({}, b"{}", SECRET, tolerance=timedelta(days=365))
