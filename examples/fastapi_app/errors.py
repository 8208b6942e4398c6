"""Which error becomes which HTTP status. Its text is for the client to read: errors carry no payload."""

from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from act_fast import (
    ConcurrencyError,
    DecodeError,
    DefinitionError,
    InvariantError,
    KeyReusedError,
    StoreFullError,
    StreamClosedError,
    ValidationError,
)
from examples.bank.account import OverdrawnError

__all__ = ["add_error_handlers"]

STATUS: Final[dict[type[Exception], int]] = {
    ConcurrencyError: 409,
    InvariantError: 409,
    KeyReusedError: 422,
    OverdrawnError: 409,
    StreamClosedError: 410,
    ValidationError: 422,
    StoreFullError: 507,
}


def add_error_handlers(api: FastAPI) -> None:
    """Answer each of these errors with its status.

    Any other remains a 500, and is logged; so do the two kinds of `ValidationError` that no client can fix.
    """
    for kind in STATUS:
        api.add_exception_handler(kind, _answer)


async def _answer(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, DecodeError | DefinitionError):
        raise error
    return JSONResponse({"error": type(error).__name__, "detail": str(error)}, STATUS[type(error)])
