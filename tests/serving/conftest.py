"""The bank in memory, and a client that asks it as a server would."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from act_fast import Act
from act_fast.serving import api
from tests.serving.bank import Account, OverdrawnError, Purse


@pytest.fixture
def bank() -> Iterator[Act]:
    with Act("memory:", Account, Purse) as app:
        app.do(Account.open, "account-7", owner="Ada")
        yield app


def client(service: Any, host: str = "127.0.0.1") -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(service, client=(host, 1)), base_url="http://localhost")


@pytest.fixture
async def http(bank: Act) -> AsyncIterator[httpx.AsyncClient]:
    async with client(api(bank, errors={OverdrawnError: 409})) as asking:
        yield asking
