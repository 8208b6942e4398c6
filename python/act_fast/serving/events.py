"""Events as JSON, a page at a time, and as server-sent events for as long as a client listens."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from act_fast._app.act import Act
from act_fast._events.committed import Committed
from act_fast.errors import StoreClosedError
from act_fast.serving.problems import Refusal

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["Page", "Written", "as_written", "conditions_of", "follow", "page_of"]

PAGE: Final = 200
HEARTBEAT_SECONDS: Final = 15.0

_LINE: Final = bytes.maketrans(b"\r\n", b"  ")  # neither stands inside a string of JSON

log: Final = logging.getLogger("act_fast")


class Written(msgspec.Struct, frozen=True):
    """An event as JSON: its data in today's form."""

    position: int
    stream: str
    version: int
    name: str
    created: Any
    data: msgspec.Raw
    meta: Any


class Page(msgspec.Struct, frozen=True):
    """Some events, and the position to continue after; `head` is that of the last event there was."""

    events: list[Written]
    next: int
    head: int


def as_written(app: Act, event: Committed[bytes]) -> Written:
    """A stored event as clients get it: its personal fields are null."""
    name, data = app._codec.outside(event.name, event.data)
    return Written(event.position, event.stream, event.version, name, event.created, msgspec.Raw(data), event.meta)


def conditions_of(app: Act, request: "Request") -> dict[str, Any]:
    """Which events a request asks for, as `query` takes it.

    Raises:
        Refusal: the app has no event of a name.
    """
    classes = app._codec.classes
    given = request.query_params
    wanted = given.getlist("name")
    for each in wanted:
        if not any(each in (name, event.__stored_name__) for name, event in classes.items()):
            raise Refusal(422, f"there is no event {each!r} in this app", errors=[{"parameter": "name"}])
    names = [name for name, event in classes.items() if not wanted or name in wanted or event.__stored_name__ in wanted]
    return {"names": names, "stream": given.get("stream"), "pattern": given.get("pattern")}


def page_of(app: Act, conditions: dict[str, Any], after: int, limit: int = PAGE) -> Page:
    """The next events after a position, as the store is now."""
    head = app.store.head
    if after >= head:
        return Page([], after, head)
    found = list(app.store.query(**conditions, after=after, before=head + 1, limit=limit))
    there = found[-1].position if limit and len(found) == limit else head if limit else after
    return Page([as_written(app, each) for each in found], there, head)


async def follow(
    app: Act, conditions: dict[str, Any], after: int, stopping: asyncio.Event, heartbeat: float = HEARTBEAT_SECONDS
) -> AsyncIterator[bytes]:
    """Events from a position on, as they happen, in the form of server-sent events; ends when the service does.

    Each carries its position as its id, so that a client that comes back goes on after the last that it has seen. When
    nothing happens, an id alone keeps the connection open, and saves the client what it would have skipped again.
    """
    yield b"retry: 1000\n\n"
    seen = after
    while not stopping.is_set():
        try:
            page = await asyncio.to_thread(page_of, app, conditions, seen)
            if page.events:
                yield b"".join(map(_message, page.events))
            if page.next == seen and not await _news(app, seen, stopping, heartbeat):
                yield f"id: {seen}\n\n".encode()
            seen = page.next
        except StoreClosedError:
            return
        except Exception:
            log.exception("a client that follows the events was sent away at position %d", seen)
            return


async def _news(app: Act, seen: int, stopping: asyncio.Event, heartbeat: float) -> bool:
    """Sleep until there is something after a position, or the service ends; False if nothing has come for a while."""
    waiting = asyncio.ensure_future(app.store.wait_async(after=seen, timeout=heartbeat))
    ending = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait((waiting, ending), return_when=asyncio.FIRST_COMPLETED)
        return ending.done() or waiting.result() > seen
    finally:
        waiting.cancel()
        ending.cancel()
        await asyncio.gather(waiting, ending, return_exceptions=True)


def _message(event: Written) -> bytes:
    name, data = event.name.encode(), msgspec.json.encode(event)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.position, name.translate(_LINE), data.translate(_LINE))
