"""The inspector as an ASGI app, to be run by itself or mounted in another one."""

import os
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from act_fast._checks import arguments
from act_fast._checks.extras import need
from act_fast._runtime.logger import log
from act_fast.errors import ValidationError
from act_fast.inspector.masking import Payload

if TYPE_CHECKING:
    from act_fast.inspector.guard import Allow
    from act_fast.monitoring.overview import Source

__all__ = ["AsgiApp", "Payload", "inspector"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
AsgiApp: TypeAlias = Callable[
    [Scope, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]
"""An application as ASGI servers run it."""


def inspector(
    source: "Source",
    /,
    *,
    write: bool = False,
    payload: "Payload" = "masked",
    token: str | None = None,
    allow: "Allow | None" = None,
    hosts: Sequence[str] | None = None,
    audit: str | os.PathLike[str] | None = None,
) -> AsgiApp:
    """The inspector as an ASGI app: what happened, what each reaction is doing, and what holds it up.

        api.mount("/act", inspector(app))

    Without `token` and `allow` it makes a token that can be used once, and logs the address to open.

    Args:
        source: an app, a store, or the path or address of an existing one.
        write: whether targets may be unblocked, skipped, reset and deferred. Each is confirmed first and recorded.
        payload: how much to show of events and states: `"full"`, `"masked"` (the fields, without their values) or
            `"none"`. SQL needs `"full"`.
        token: what a browser must present once, as `?token=`; several browsers may use the same one.
        allow: called with the ASGI scope of each request instead of asking for a token: whether to answer it, or the
            name of the user, for the audit. May be `async`.
        hosts: the names under which browsers may address it; None: those of this machine's loopback, or any if `allow`
            is given.
        audit: a file to which a line is appended for each change; None: `inspector.log` in the directory of a store
            that has one.

    Raises:
        MissingExtraError: Starlette or Jinja2 is not installed.
        ValidationError: an option is not valid, or the source cannot be inspected.
        StoreError: the store cannot be opened.
    """
    need("the inspector", "starlette", "jinja2", extra="inspect")
    from act_fast.inspector.guard import Access, Guard, new_token
    from act_fast.inspector.pages import application
    from act_fast.inspector.subject import open_subject

    arguments.flag("write", write)
    arguments.one_of("payload", payload, ("none", "masked", "full"))
    if token is not None and allow is not None:
        raise ValidationError("token= and allow= both say who may look; give one of them")
    subject = open_subject(source, write=write, audit=audit)
    once = token is None and allow is None
    known = new_token() if once else None if token is None else arguments.text("token", token)
    if once:
        log.info("inspector: open the address where it is mounted with ?token=%s", known)
    return Guard(application(subject, write, payload), Access(known, once, allow, hosts))
