"""Following events: what keeps a connection open, what ends it, and what is let go of when a client has gone."""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from act_fast import Act
from act_fast.serving import Api, api
from act_fast.serving.events import follow
from tests.serving.bank import Account

PATIENCE_SECONDS = 60
EVERY: dict[str, Any] = {"names": ["Opened", "Deposited"], "stream": None, "pattern": None}


async def soon(coming: AsyncIterator[bytes]) -> bytes:
    return await asyncio.wait_for(anext(coming), PATIENCE_SECONDS)


async def test_an_id_alone_keeps_the_connection_and_the_place(bank: Act) -> None:
    nothing = {**EVERY, "names": ["Deposited"]}
    coming = follow(bank, nothing, 0, asyncio.Event(), heartbeat=0.05)
    assert await soon(coming) == b"retry: 1000\n\n"
    assert await soon(coming) == b"id: 1\n\n"  # the one event is no deposit, and need not be looked at again
    bank.do(Account.deposit, "account-7", cents=5)
    message = await soon(coming)
    while message.startswith(b"id: 1\n\n"):
        message = await soon(coming)
    assert message.startswith(b"id: 2\nevent: Deposited\ndata: {")
    await coming.aclose()  # type: ignore[attr-defined]


async def test_pages_follow_each_other_without_a_gap(bank: Act) -> None:
    for _ in range(450):
        bank.store.append("account-7", [("Deposited", b'{"cents":1}')])
    coming = follow(bank, EVERY, 0, asyncio.Event())
    found = b""
    while found.count(b"\nevent: ") < 451:
        found += await soon(coming)
    ids = [int(line[4:]) for line in found.splitlines() if line.startswith(b"id: ")]
    assert ids == list(range(1, 452))
    await coming.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize("how", ["stop", "close"])
async def test_it_ends_with_the_service_and_with_the_store(bank: Act, how: str) -> None:
    stopping = asyncio.Event()
    coming = follow(bank, EVERY, 1, stopping)
    await soon(coming)
    waiting = asyncio.ensure_future(anext(coming))
    await asyncio.sleep(0.1)
    if how == "stop":
        stopping.set()
    else:
        bank.close()
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(waiting, PATIENCE_SECONDS)


async def test_an_event_that_does_not_decode_ends_it_and_is_logged(
    bank: Act, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(name: str, data: bytes) -> tuple[str, bytes]:
        raise RuntimeError("an upcaster that fails")

    monkeypatch.setattr(type(bank._codec), "upcasted", lambda self, name, data: broken(name, data))
    coming = follow(bank, EVERY, 0, asyncio.Event())
    await soon(coming)
    with pytest.raises(StopAsyncIteration):
        await soon(coming)
    assert "sent away at position 0" in caplog.text
    assert "an upcaster that fails" in caplog.text


async def following(service: Api, gone: asyncio.Event, answers: list[Any]) -> None:
    """Ask as a server does, for a client that goes when it is told to."""

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        answers.append(message)

    headers = [(b"accept", b"text/event-stream"), (b"host", b"localhost")]
    scope = {
        **{"type": "http", "method": "GET", "path": "/events", "raw_path": b"/events", "query_string": b""},
        **{"headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "scheme": "http"},
        **{"asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "root_path": ""},
    }
    await service(scope, receive, send)


async def test_so_many_may_follow_and_a_place_is_free_again_when_one_has_gone(
    bank: Act, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["act_fast.serving.api"], "FOLLOWERS_MAX", 2)
    service, gone = api(bank), asyncio.Event()
    first: list[list[Any]] = [[], []]
    tasks = [asyncio.ensure_future(following(service, gone, answers)) for answers in first]
    while not all(len(answers) > 1 for answers in first):
        await asyncio.sleep(0.01)
    refused: list[Any] = []
    await following(service, gone, refused)
    assert refused[0]["status"] == 503
    gone.set()
    await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE_SECONDS)
    again: list[Any] = []
    await asyncio.wait_for(following(service, gone, again), PATIENCE_SECONDS)
    assert again[0]["status"] == 200


async def test_a_service_that_is_told_to_end_lets_its_clients_go(bank: Act) -> None:
    service, answers = api(bank), list[Any]()
    task = asyncio.ensure_future(following(service, asyncio.Event(), answers))
    while len(answers) < 2:
        await asyncio.sleep(0.01)
    service.stop()
    await asyncio.wait_for(task, PATIENCE_SECONDS)
    assert answers[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
