"""What a request says about itself: who asks, under which id, which version it rests on, and its key."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Header, Request

from act_fast import Actor, AsyncAct

__all__ = ["Asked"]


async def _asked(
    request: Request,
    x_actor: Annotated[str | None, Header(description="who asks; a real service would take it from a token")] = None,
    x_request_id: Annotated[str | None, Header(description="the correlation of everything that follows")] = None,
    idempotency_key: Annotated[str | None, Header(description="the same when the request is sent again")] = None,
    if_match: Annotated[str | None, Header(pattern=r'^"\d+"$', description="the ETag that was read")] = None,
) -> AsyncIterator[AsyncAct]:
    """The app as this request is to use it."""
    app: AsyncAct = request.app.state.app
    if x_actor:
        app = app.acting(Actor(x_actor))
    if idempotency_key:
        app = app.once(f"{x_actor}:{idempotency_key}")  # each actor has keys of their own
    if if_match:
        app = app.expecting(int(if_match.strip('"')))
    with app.context(correlation=x_request_id):
        yield app


Asked = Annotated[AsyncAct, Depends(_asked)]
"""The app, acting for whoever asks, pinned to the version in `If-Match`, once for each `Idempotency-Key`."""
