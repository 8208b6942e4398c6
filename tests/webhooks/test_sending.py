"""Webhooks against a server: what is sent, and what becomes of each answer."""

import email.utils
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from act_fast import Act, AsyncAct, Committed, Meta, RetryAfterError, ValidationError
from act_fast.webhooks import Webhook, verify_webhook
from tests.webhooks.receiver import Receiver, status
from tests.webhooks.shop import SECRET, Shop, Sold, Till


def test_an_event_arrives_signed_with_all_that_is_known_of_it(shop: Shop, receiver: Receiver) -> None:
    shop.app.store.append("till-1", [Sold(5)], meta=Meta(correlation="request-1"))
    shop.app.settle()
    (message,) = receiver.messages
    received = verify_webhook(message.headers, message.body, SECRET)
    told = received.json()
    assert told["data"] == {"amount": 5}
    assert (told["type"], told["stream"], told["version"], told["position"]) == ("shop.sold", "till-1", 1, 1)
    assert told["timestamp"] == next(shop.app.query()).created.isoformat().replace("+00:00", "Z")
    assert message.headers["content-type"] == "application/json"
    assert message.path == "/hook/a-secret-path"
    assert received.id == message.headers["webhook-id"]
    assert told["meta"] == {"correlation": "request-1"}


def test_events_of_a_stream_arrive_in_order_each_once(shop: Shop, receiver: Receiver) -> None:
    for amount in range(5):
        shop.sell(amount)
    shop.app.settle()
    assert [json.loads(each.body)["data"]["amount"] for each in receiver.messages] == [0, 1, 2, 3, 4]
    assert len({each.headers["webhook-id"] for each in receiver.messages}) == 5


def test_a_repetition_has_the_same_id_and_another_reaction_its_own(shop: Shop, receiver: Receiver) -> None:
    shop.app.on(Sold, name="second", to="second")(shop.hook)
    receiver.answers = [status(500), status(500), status(204)]
    shop.sell()
    shop.app.settle()
    time.sleep(0.7)  # the backoff of the second, which has the usual one
    shop.app.settle()
    ids = [each.headers["webhook-id"] for each in receiver.messages]
    assert (len(ids), sorted(map(ids.count, set(ids)))) == (4, [2, 2])


@pytest.mark.parametrize("code", [200, 202, 204, 299])
def test_any_success_is_one(shop: Shop, receiver: Receiver, code: int) -> None:
    receiver.answers = [status(code)]
    shop.sell()
    shop.app.settle()
    assert (shop.target.lag, shop.target.blocked) == (0, False)
    assert len(receiver.messages) == 1


@pytest.mark.parametrize("code", [301, 302, 307, 308, 400, 401, 403, 404, 410, 413, 422, 451])
def test_what_trying_again_would_not_help_blocks_at_once(shop: Shop, receiver: Receiver, code: int) -> None:
    receiver.answers = [status(code, Location=f"{receiver.url}/elsewhere"), status(204)]
    shop.sell()
    shop.app.settle()
    assert shop.target.blocked
    assert f"answered {code}" in shop.target.error
    assert len(receiver.messages) == 1


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504, 599])
def test_what_may_pass_is_tried_again(shop: Shop, receiver: Receiver, code: int) -> None:
    receiver.answers = [status(code), status(204)]
    shop.sell()
    shop.app.settle()
    assert (len(receiver.messages), shop.target.lag, shop.target.blocked) == (2, 0, False)


def test_what_does_not_pass_blocks_when_the_attempts_are_used_up(shop: Shop, receiver: Receiver) -> None:
    receiver.answers = [status(503)]
    shop.sell()
    shop.app.settle()
    assert (len(receiver.messages), shop.target.blocked) == (2, True)
    receiver.answers = [status(204)]
    shop.app.unblock()
    shop.app.settle()
    assert shop.target.lag == 0


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_receiver_says_when_to_come_again(shop: Shop, receiver: Receiver, form: str) -> None:
    date = email.utils.format_datetime(datetime.now(UTC) + timedelta(seconds=121), usegmt=True)
    receiver.answers = [status(429, Retry_After="120" if form == "seconds" else date)]
    shop.sell()
    before = datetime.now(UTC)
    shop.app.settle()
    assert len(receiver.messages) == 1
    assert timedelta(seconds=100) < shop.target.due - before < timedelta(seconds=180)


@pytest.mark.parametrize("told", ["-5", "soon", "nan", "", "1e400"])
def test_a_time_that_is_none_does_no_harm(shop: Shop, receiver: Receiver, told: str) -> None:
    receiver.answers = [status(503, Retry_After=told), status(204)]
    shop.sell()
    shop.app.settle()
    due = shop.target.due
    assert due is None or due - datetime.now(UTC) < timedelta(hours=25)
    assert len(receiver.messages) == (1 if told == "1e400" else 2)


@pytest.mark.parametrize("answer", ["hangs", "drips"])
def test_an_answer_that_does_not_come_in_time_is_tried_again(receiver: Receiver, answer: str) -> None:
    slow = Shop(receiver, timeout=3.0)
    receiver.answers = [getattr(receiver, answer), status(204)]
    with slow.app:
        slow.sell()
        slow.app.settle()
        assert (len(receiver.messages), slow.target.lag) == (2, 0)


@pytest.mark.parametrize("answer", ["resets", "babbles"])
def test_a_broken_connection_is_tried_again(shop: Shop, receiver: Receiver, answer: str) -> None:
    receiver.answers = [getattr(receiver, answer), status(204)]
    shop.sell()
    shop.app.settle()
    assert (len(receiver.messages), shop.target.lag, shop.target.blocked) == (2, 0, False)


def test_a_body_without_end_is_not_read(shop: Shop, receiver: Receiver) -> None:
    receiver.answers = [receiver.never_ends]
    shop.sell()
    shop.app.settle()
    assert (len(receiver.messages), shop.target.lag) == (1, 0)


def test_nobody_there_is_tried_again_and_no_error_tells_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    gone = Receiver()
    gone.close()
    silent = Shop(gone)
    with silent.app:
        silent.sell(4711)
        silent.app.settle()
        target = silent.target
    assert target.blocked
    assert "could not be reached: ConnectError" in target.error
    for secret in ("a-secret-path", SECRET.decode(), "4711"):
        assert secret not in target.error + caplog.text + repr(silent.hook)


async def test_it_works_in_an_app_with_a_loop(receiver: Receiver) -> None:
    async with AsyncAct("memory:", Till) as app:
        app.on(Sold, name="hook")(Webhook(receiver.url, secret=SECRET))
        app.sync.store.append("till-1", [Sold(5)])
        await app.settle()
    assert len(receiver.messages) == 1


def test_several_secrets_sign_side_by_side(receiver: Receiver) -> None:
    other = b"another secret of over 24 bytes"
    changing = Shop(receiver)
    changing.hook.__init__(receiver.url, secret=[other, SECRET])  # type: ignore[misc]
    with Act("memory:", Till) as app:
        app.on(Sold, name="hook")(changing.hook)
        app.store.append("till-1", [Sold(5)])
        app.settle()
    changing.app.close()
    (message,) = receiver.messages
    for secret in (other, SECRET):
        assert verify_webhook(message.headers, message.body, secret).id


def test_a_payload_and_headers_of_ones_own(receiver: Receiver) -> None:
    def payload(event: Committed[Any]) -> object:
        return {"sum": event.data.amount}

    own = Shop(receiver, payload=payload, headers={"X-Shop": "7"})
    with own.app:
        own.sell(5)
        own.app.settle()
    (message,) = receiver.messages
    assert (message.body, message.headers["x-shop"]) == (b'{"sum":5}', "7")


def test_who_and_why_can_be_left_out(receiver: Receiver) -> None:
    own = Shop(receiver, meta=False)
    with own.app:
        own.sell()
        own.app.settle()
    assert "meta" not in json.loads(receiver.messages[0].body)


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://shop.example/"},
        {"url": "https://ada:pw@shop.example/"},
        {"url": "shop.example"},
        {"url": "http://[::1"},
        {"secret": "short"},
        {"secret": b"short"},
        {"secret": []},
        {"timeout": 0},
        {"headers": {"Webhook-Id": "mine"}},
        {"headers": {"X-A": "a\r\nX-B: b"}},
        {"headers": {"X A": "a"}},
        {"payload": 7},
    ],
    ids=str,
)
def test_options_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    options = {"url": "https://shop.example/hook", "secret": SECRET, **wrong}
    with pytest.raises(ValidationError) as raised:
        Webhook(options.pop("url"), **options)
    assert "pw" not in str(raised.value)


def test_a_handler_of_ones_own_may_say_how_long_to_wait() -> None:
    with Act("memory:", Till) as app:

        @app.on(Sold, name="slow", backoff=0.0)
        def slow(event: Committed[Sold]) -> None:
            raise RetryAfterError("the partner is at lunch", 3600)

        app.store.append("till-1", [Sold(5)])
        app.settle()
        (target,) = app.targets()
    assert target.due is not None
    assert timedelta(minutes=59) < target.due - datetime.now(UTC) <= timedelta(hours=1)
    assert target.attempts == 1


PROGRAM = """
from act_fast import Act, Event, Lane, State
from act_fast.webhooks import Webhook

class Sold(Event):
    amount: int

class Till(State, events=[Sold]):
    amount: int = 0

def app():
    app = Act("shop.act", Till, lanes=[Lane("hooks", lease=3.0)])
    app.on(Sold, name="hook", lane="hooks", retries=9)(Webhook({url!r}, secret=b"a secret of more than 24 bytes"))
    return app
"""


def test_a_worker_killed_between_send_and_acknowledgement_sends_the_same_id_again(
    receiver: Receiver, tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text(textwrap.dedent(PROGRAM).format(url=receiver.url))
    receiver.answers = [receiver.hangs, status(204)]
    command = [sys.executable, "-m", "act_fast.cli", "run", "shop:app"]
    sale = "import shop; shop.app().store.append('till-1', [shop.Sold(5)])"
    subprocess.run([sys.executable, "-c", sale], cwd=tmp_path, check=True)
    with subprocess.Popen(command, cwd=tmp_path, start_new_session=True, stderr=subprocess.DEVNULL) as first:
        receiver.wait(1)
        os.killpg(first.pid, signal.SIGKILL)
    with subprocess.Popen(command, cwd=tmp_path, start_new_session=True, stderr=subprocess.DEVNULL) as second:
        before, after = receiver.wait(2)
        second.terminate()
        second.wait(60)
    assert before.headers["webhook-id"] == after.headers["webhook-id"]
    assert before.body == after.body
    assert verify_webhook(after.headers, after.body, SECRET).json()["data"] == {"amount": 5}
