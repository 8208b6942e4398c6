"""The routes: each takes a request apart, awaits one verb of the app, and answers with the account as it then is."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, FastAPI, HTTPException, Response

from act_fast import AsyncAct, Snapshot, Store
from examples.bank.account import Account
from examples.fastapi_app.errors import add_error_handlers
from examples.fastapi_app.request import Asked

__all__ = ["make_api"]

accounts = APIRouter(prefix="/accounts/{name}", tags=["accounts"])
Field = Body(embed=True)


def make_api(store: Store | str | os.PathLike[str]) -> FastAPI:
    """The service on a store: a path, an address, or a store that is open, which is then left open."""

    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        async with AsyncAct(store, Account) as app:
            api.state.app = app
            yield

    api = FastAPI(title="Bank", lifespan=lifespan)
    api.include_router(accounts)
    add_error_handlers(api)
    return api


@accounts.post("", status_code=201)
async def open_account(app: Asked, name: str, owner: Annotated[str, Field], response: Response) -> dict[str, Any]:
    """Open an account."""
    return _answer(await app.do(Account.open, _stream(name), owner), response)


@accounts.post("/deposits")
async def deposit(app: Asked, name: str, cents: Annotated[int, Field], response: Response) -> dict[str, Any]:
    """Pay money in."""
    return _answer(await app.do(Account.deposit, _stream(name), cents), response)


@accounts.post("/withdrawals")
async def withdraw(app: Asked, name: str, cents: Annotated[int, Field], response: Response) -> dict[str, Any]:
    """Pay money out."""
    return _answer(await app.do(Account.withdraw, _stream(name), cents), response)


@accounts.delete("")
async def close_account(app: Asked, name: str, response: Response) -> dict[str, Any]:
    """Close an empty account for good."""
    closed = await app.do(Account.close, _stream(name))
    # Pinned again, since closing was an event too.
    return _answer(await app.expecting(closed.version).close_stream(Account, _stream(name)), response)


@accounts.get("")
async def read_account(app: Asked, name: str, response: Response, at: int | None = None) -> dict[str, Any]:
    """The account now, or as it was at a version."""
    found = await app.load(Account, _stream(name), at=at)
    if not found.version:
        raise HTTPException(404, f"there is no account {name!r}")
    return _answer(found, response)


@accounts.get("/history")
async def read_history(app: Asked, name: str) -> list[dict[str, Any]]:
    """The account after each of its events."""
    return [_as_json(then) async for then in app.history(Account, _stream(name))]


def _stream(name: str) -> str:
    return f"account-{name}"


def _answer(found: Snapshot[Account], response: Response) -> dict[str, Any]:
    response.headers["ETag"] = f'"{found.version}"'
    return _as_json(found)


def _as_json(found: Snapshot[Account]) -> dict[str, Any]:
    return {"version": found.version, **msgspec.to_builtins(found.state)}
