"""News for pages that are open: a server-sent event whenever something has happened, and every few seconds besides."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from act_fast.errors import ActError
from act_fast.inspector.subject import Subject

__all__ = ["live"]

_PAUSE_S: Final = 0.3
_WAIT_S: Final = 1.0
_OPEN_MAX: Final = 32
_QUIET: Final = 3


def live(subject: Subject) -> Callable[[Request], Awaitable[Response]]:
    """The stream of news about a store."""
    streams = 0

    async def answer(request: Request) -> Response:
        if streams >= _OPEN_MAX:
            return Response("too many pages are open\n", 503, {"retry-after": "5"})
        news = empty() if request.method == "HEAD" else counted()
        return StreamingResponse(news, media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    async def empty() -> AsyncIterator[bytes]:
        return
        yield b""

    async def counted() -> AsyncIterator[bytes]:
        nonlocal streams
        streams += 1
        try:
            async for each in _news(subject):
                yield each
        finally:
            streams -= 1

    return answer


async def _news(subject: Subject) -> AsyncIterator[bytes]:
    try:
        head, moves = await asyncio.to_thread(lambda: (subject.store.head, _moves(subject)))
        yield _told(head)
        quiet = 0
        while True:
            now = await subject.store.wait_async(head, _WAIT_S)
            moved = await asyncio.to_thread(_moves, subject)
            if now != head or moved != moves:
                head, moves, quiet = now, moved, 0
                yield _told(head)
                await asyncio.sleep(_PAUSE_S)
            else:
                quiet += 1
                if quiet % _QUIET == 0:  # leases end and retries come due without anybody saying so
                    yield _told(head)
    except ActError:  # the store was closed, or cannot be reached: the browser will come again
        return


def _moves(subject: Subject) -> tuple[int, int]:
    port = subject.port()
    return (0, 0) if port is None else (port.expect_moves(), port.expect_news())


def _told(head: int) -> bytes:
    return b"data: " + msgspec.json.encode({"head": head}) + b"\n\n"
