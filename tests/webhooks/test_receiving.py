"""What a receiver is told: genuine messages pass, and nothing else does."""

import base64
import time
from datetime import UTC, datetime, timedelta

import pytest

from act_fast import ValidationError, WebhookError
from act_fast.webhooks import verify_webhook
from act_fast.webhooks.signing import keys_of, signatures

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'


def headers(sent: int | None = None, secret: str | bytes = SECRET, id: str = "msg_1") -> dict[str, str]:
    now = int(time.time()) if sent is None else sent
    signature = signatures(keys_of(secret), id, now, BODY)
    return {"Webhook-Id": id, "Webhook-Timestamp": str(now), "Webhook-Signature": signature}


def test_a_known_message_of_another_library_has_the_signature_that_is_known() -> None:
    found = signatures(keys_of(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, BODY)
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_genuine_message_says_what_it_is_and_when_it_was_sent() -> None:
    received = verify_webhook(headers(), BODY, SECRET)
    assert (received.id, received.body, received.json()) == ("msg_1", BODY, {"test": 2432232314})
    assert datetime.now(UTC) - received.sent < timedelta(seconds=30)


def test_a_secret_is_bytes_or_base64_with_or_without_its_prefix() -> None:
    raw = base64.b64decode(SECRET.removeprefix("whsec_"))
    for secret in (raw, SECRET, SECRET.removeprefix("whsec_"), ["whsec_" + "A" * 32, SECRET]):
        assert verify_webhook(headers(), BODY, secret).id == "msg_1"


def test_one_of_several_signatures_is_enough() -> None:
    several = headers()
    several["Webhook-Signature"] = f"v1,AAAA v2,x {several['Webhook-Signature']} v1a,y"
    assert verify_webhook(several, BODY, SECRET)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Webhook-Id", "msg_2"),
        ("Webhook-Id", ""),
        ("Webhook-Timestamp", "0"),
        ("Webhook-Timestamp", "١٢٣"),
        ("Webhook-Timestamp", "-1"),
        ("Webhook-Timestamp", "9" * 400),
        ("Webhook-Signature", ""),
        ("Webhook-Signature", "v1,"),
        ("Webhook-Signature", "v1,ÿÿÿ"),
        ("Webhook-Signature", "v1,\udcff"),
        ("Webhook-Signature", "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ],
)
def test_a_changed_header_is_noticed(name: str, value: str) -> None:
    with pytest.raises(WebhookError):
        verify_webhook({**headers(), name: value}, BODY, SECRET)


def test_a_missing_header_is_named() -> None:
    for name in headers():
        left = {key: value for key, value in headers().items() if key != name}
        with pytest.raises(WebhookError, match=name.lower()):
            verify_webhook(left, BODY, SECRET)


def test_a_changed_body_or_another_secret_is_noticed() -> None:
    with pytest.raises(WebhookError, match="does not fit"):
        verify_webhook(headers(), BODY + b" ", SECRET)
    with pytest.raises(WebhookError, match="does not fit"):
        verify_webhook(headers(secret=b"x" * 24), BODY, SECRET)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_an_old_message_and_one_from_the_future_are_refused(seconds: int) -> None:
    late = headers(int(time.time()) + seconds)
    with pytest.raises(WebhookError, match="too old, or from the future"):
        verify_webhook(late, BODY, SECRET)
    assert verify_webhook(late, BODY, SECRET, tolerance=timedelta(hours=1))


def test_what_is_no_secret_no_body_and_no_tolerance_is_a_mistake_of_the_program() -> None:
    for arguments in ({"secret": "!"}, {"secret": "c2hvcnQ="}, {"body": "text"}, {"tolerance": -1}):
        with pytest.raises(ValidationError) as raised:
            verify_webhook(headers(), **{"body": BODY, "secret": SECRET, **arguments})  # type: ignore[arg-type]
        assert not isinstance(raised.value, WebhookError)


def test_a_body_that_is_no_json_is_told() -> None:
    raw = keys_of(SECRET)
    now = int(time.time())
    told = {"webhook-id": "a", "webhook-timestamp": str(now), "webhook-signature": signatures(raw, "a", now, b"{")}
    with pytest.raises(WebhookError, match="not JSON"):
        verify_webhook(told, b"{", SECRET).json()
