"""Health and metrics over HTTP: an ASGI app of two pages, which any server runs and any framework mounts."""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

import msgspec

from act_fast._checks import arguments
from act_fast.errors import ActError
from act_fast.monitoring.counts import counts_of
from act_fast.monitoring.health import check_limits, judge, unreachable
from act_fast.monitoring.overview import Overview, Source, look
from act_fast.monitoring.prometheus import OPENMETRICS, PLAIN, written

__all__ = ["AsgiApp", "monitor"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
"""An application as ASGI servers run it."""

_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"


def monitor(
    source: Source,
    /,
    *,
    max_lag: int | None = None,
    max_age: float | None = None,
    max_blocked: int | None = 0,
    fresh: float = 5.0,
) -> AsgiApp:
    """An ASGI app with `/health` and `/metrics`.

    `/health` answers 200 if all is well and 503 if not, with the reasons as JSON. `/metrics` is for Prometheus, in the
    format that it asks for. Both share one look at the store, on a thread of its own.

        api.mount("/monitor", monitor(app, max_age=60))

    It has no access control: mount it where it can only be reached by those who may know the names of reactions.

    Args:
        source: an app, a store, or the path or address of an existing one, which is opened for each look.
        max_lag: as for `check_health`.
        max_age: as for `check_health`.
        max_blocked: as for `check_health`.
        fresh: how many seconds one look at the store is reused for all requests.

    Raises:
        ValidationError: a limit is not valid.
    """
    check_limits(max_lag, max_age, max_blocked)
    return _Monitor(source, (max_lag, max_age, max_blocked), arguments.milliseconds("fresh", fresh) / 1000)


class _Monitor:
    """See `monitor`."""

    def __init__(self, source: Source, limits: tuple[int | None, float | None, int | None], fresh: float) -> None:
        self._source = source
        self._limits = limits
        self._fresh_s = fresh
        self._looked: tuple[float, Overview] | None = None
        self._looking: asyncio.Task[Overview] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, send)
        else:  # a websocket is refused
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    async def _answer(self, scope: Scope, send: Send) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", "")).rstrip("/")
        body_too = scope["method"] != "HEAD"
        if path not in ("/health", "/metrics"):
            await _send(send, 404, _TEXT, "there is /health and /metrics\n", body_too)
        elif scope["method"] not in ("GET", "HEAD"):
            await _send(send, 405, _TEXT, "only GET\n", body_too)
        elif path == "/health":
            await _send(send, *await self._health(), body_too)
        else:
            await _send(send, *await self._metrics(scope), body_too)

    async def _health(self) -> tuple[int, str, str]:
        try:
            health = judge(await self._look(), *self._limits)
        except (ActError, OSError) as error:
            health = unreachable(error)
        return 200 if health.healthy else 503, _JSON, msgspec.json.encode(health).decode() + "\n"

    async def _metrics(self, scope: Scope) -> tuple[int, str, str]:
        openmetrics = any(name == b"accept" and b"openmetrics" in value for name, value in scope["headers"])
        try:
            overview = await self._look()
        except (ActError, OSError) as error:
            return 503, _TEXT, f"{error}\n"
        text = written(overview, counts_of(self._source), openmetrics=openmetrics)
        return 200, OPENMETRICS if openmetrics else PLAIN, text

    async def _look(self) -> Overview:
        """The last look if it is fresh; else a new one, which all that ask meanwhile wait for."""
        if self._looked is not None and time.monotonic() < self._looked[0] + self._fresh_s:
            return self._looked[1]
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_now())
            self._looking.add_done_callback(
                lambda task: task.cancelled() or task.exception()
            )  # looked at, at least once
        return await asyncio.shield(self._looking)

    async def _look_now(self) -> Overview:
        try:
            found = await asyncio.to_thread(look, self._source)
            self._looked = time.monotonic(), found
            return found
        finally:
            self._looking = None


async def _send(send: Send, status: int, kind: str, text: str, body_too: bool) -> None:
    body = text.encode()
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body if body_too else b""})


async def _live(receive: Receive, send: Send) -> None:
    """Have nothing to do when the server starts and when it ends."""
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return
