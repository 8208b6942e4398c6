"""Who may do what over HTTP: a function of the request and of what is asked decides."""

import hmac
import inspect
import ipaddress
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from act_fast._events.meta import Actor
from act_fast.errors import DefinitionError, ValidationError
from act_fast.serving.problems import Refusal

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["LOOPBACK_HOSTS", "Access", "Authorize", "authorized", "bearer", "check_host"]

_PASSED_ON: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
"""What proxies add: a client behind a proxy on this machine may be elsewhere."""

LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""The names that this machine has for itself."""

Verb: TypeAlias = Literal["act", "read", "events", "describe", "health", "metrics"]


class Access(msgspec.Struct, frozen=True):
    """What a request wants to do.

    Attributes:
        verb: `"act"`: to run an action; `"read"`: a state or its history; `"events"`: events, of one stream or of all;
            `"describe"`: the OpenAPI document; `"health"` and `"metrics"`: how the store and its reactions are doing.
        state: the name of the state class; None if there is none.
        stream: the stream; None for all.
        action: the name of the action; None if there is none.
    """

    verb: Verb
    state: str | None = None
    stream: str | None = None
    action: str | None = None


Authorize: TypeAlias = Callable[["Request", Access], Actor | bool | Awaitable[Actor | bool | None] | None]
"""Decides about a request: an `Actor` may, and acts in its own name; True may; False may not (403); None has not said
who it is (401)."""


def bearer(token: str, actor: Actor | None = None) -> Authorize:
    """Let in requests that carry a token, as `Authorization: Bearer …`. It is compared in constant time.

    Args:
        token: the secret, 16 characters or more.
        actor: the actor that these requests act as; None for none.

    Raises:
        ValidationError: the token is too short to be a secret.
    """
    if not isinstance(token, str) or len(token) < 16 or not token.isascii() or not token.isprintable():
        raise ValidationError("a token must have 16 or more printable ASCII characters; secrets.token_urlsafe() has 43")
    expected = f"bearer {token}".encode()

    def authorize(request: "Request", access: Access) -> Actor | bool | None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        sent = f"{scheme.lower()} {given.strip()}".encode("latin-1", "replace")
        return (actor or True) if hmac.compare_digest(sent, expected) else None

    return authorize


async def authorized(authorize: Authorize | None, request: "Request", access: Access) -> Actor | None:
    """The actor that a request acts as; None for none.

    Raises:
        Refusal: it may not.
    """
    if authorize is None:
        passed_on = any(name in request.headers for name in _PASSED_ON)
        if passed_on or not _is_near(request.scope.get("client")):
            raise Refusal(403, "only this machine is served; pass api() a function authorize= to let others in")
        return None
    found: Any = authorize(request, access)
    if inspect.isawaitable(found):
        found = await found
    if found is None:
        raise Refusal(401, "say who you are", {"WWW-Authenticate": "Bearer"})
    if isinstance(found, Actor):
        return found
    if found is True:
        return None
    if found is False:
        raise Refusal(403, "you may not do this")
    raise DefinitionError(f"authorize= returned {type(found).__name__}; it returns an Actor, a bool or None")


def check_host(hosts: frozenset[str] | None, request: "Request") -> None:
    """Refuse a request for another host, as from a stranger's page in a browser whose name resolves to this machine.

    Raises:
        Refusal: the host is none of those that are served.
    """
    if hosts is not None and _host(request.headers.get("host", "")) not in hosts:
        raise Refusal(421, "this host is not served here")


def _host(header: str) -> str:
    inside, bracket, _ = header.partition("]")
    return (inside + bracket if bracket else header.partition(":")[0]).lower()


def _is_near(client: Any) -> bool:
    try:
        return ipaddress.ip_address(client[0]).is_loopback
    except (TypeError, ValueError, LookupError):
        return False
