"""Clients that mean harm, or send what no client should."""

import asyncio
import logging
from typing import Any

import httpx
import pytest

from act_fast import Act
from act_fast.serving import api
from tests.serving.bank import OverdrawnError
from tests.serving.conftest import client

ACCOUNT = "/states/Account/account-7"


async def test_without_authorize_a_page_whose_name_leads_here_is_refused(bank: Act) -> None:
    async with client(api(bank)) as asking:
        for host in ("localhost:8000", "127.0.0.1", "[::1]:8000"):
            assert (await asking.get(ACCOUNT, headers={"Host": host})).status_code == 200
        for host in ("rebound.example", "rebound.example:8000", "127.0.0.1.rebound.example"):
            assert (await asking.get(ACCOUNT, headers={"Host": host})).status_code == 421
            assert (
                await asking.post(f"{ACCOUNT}/deposit", json={"cents": 1}, headers={"Host": host})
            ).status_code == 421
    async with client(api(bank, authorize=lambda request, access: True)) as asking:
        assert (await asking.get(ACCOUNT, headers={"Host": "bank.example"})).status_code == 200


@pytest.mark.parametrize("status", [420, 499, 520])
async def test_an_error_may_have_a_status_that_has_no_name(bank: Act, status: int) -> None:
    async with client(api(bank, errors={OverdrawnError: status})) as asking:
        answer = await asking.post(f"{ACCOUNT}/withdraw", json={"cents": 1000})
    assert answer.status_code == status
    assert answer.json()["error"] == "OverdrawnError"


@pytest.mark.parametrize("tags", ['"9999999999999999999"', '"9223372036854775808", "9999999999999999998"'])
async def test_a_version_that_no_stream_can_have_is_refused(http: httpx.AsyncClient, tags: str) -> None:
    answer = await http.post(f"{ACCOUNT}/deposit", json={"cents": 1}, headers={"If-Match": tags})
    assert answer.status_code == 400


async def test_a_client_that_leaves_while_it_sends_is_no_mistake_of_the_service(
    bank: Act, caplog: pytest.LogCaptureFixture
) -> None:
    coming = iter([{"type": "http.request", "body": b'{"ce', "more_body": True}, {"type": "http.disconnect"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(coming)

    async def send(message: Any) -> None:
        sent.append(message)

    path = f"{ACCOUNT}/deposit"
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope = {
        **{"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""},
        **{"headers": headers, "client": ("127.0.0.1", 1), "root_path": "", "server": ("localhost", 80)},
        "scheme": "http",
    }
    with caplog.at_level(logging.ERROR, "act_fast"):
        async with asyncio.timeout(60):
            await api(bank)(scope, receive, send)
    assert caplog.text == ""
    assert sent == []
