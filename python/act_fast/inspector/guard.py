"""Who may look: a token that becomes a cookie, names to be addressed by, and headers that keep browsers in bounds."""

import asyncio
import hmac
import inspect
import ipaddress
import secrets
import socket
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from act_fast._reactions.skipped import operator
from act_fast.errors import ValidationError

__all__ = ["Access", "Allow", "Guard", "is_loopback", "local", "new_token"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Asgi: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

Allow: TypeAlias = Callable[[Scope], "bool | str | Awaitable[bool | str]"]
"""Whether to answer a request, or the name of who asks."""

TOKEN_LETTERS_MIN: Final = 16
_SESSIONS_MAX: Final = 1000
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_SAFE: Final = frozenset({"GET", "HEAD"})

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",  # with less, browsers do not tell where a form comes from
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"x-frame-options": b"DENY",
    b"cache-control": b"no-store",
}


def new_token() -> str:
    """A token that cannot be guessed."""
    return secrets.token_urlsafe(24)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Access:
    """Who may look, as it stands now.

    Args:
        token: what a browser presents first; None: `allow` decides.
        once: whether the token is good for one browser only.
        allow: decides instead of a token.
        hosts: the names it may be addressed by; None: those of loopback, or any if `allow` decides. `*` is any address
            in numbers, besides the machine's own name.
    """

    def __init__(
        self, token: str | None, once: bool, allow: Allow | None = None, hosts: Sequence[str] | None = None
    ) -> None:
        if token is not None and len(token) < TOKEN_LETTERS_MIN:
            raise ValidationError(
                f"the token has {len(token)} letters; it takes {TOKEN_LETTERS_MIN} so that no one can guess it"
            )
        self._token = token
        self._once = once
        self._allow = allow
        self._hosts = None if hosts is None and allow is not None else frozenset(hosts or ()) | _LOOPBACK
        self._sessions: OrderedDict[str, None] = OrderedDict()
        # Browsers send cookies to every port of a host, so each inspector needs a name of its own.
        self.cookie: str = f"act_fast_inspector_{secrets.token_hex(4)}"

    def named(self, host: str) -> bool:
        """Whether it may be addressed so: a page elsewhere can make its own name lead here."""
        if self._hosts is None:
            return True
        name = _hostname(host)
        if name in self._hosts:
            return True
        return "*" in self._hosts and (_is_number(name) or name == socket.gethostname())

    def session(self, token: str) -> str | None:
        """A new session for a token; None if it is not good, or has been used."""
        if self._token is None or not hmac.compare_digest(token.encode(), self._token.encode()):
            return None
        if self._once:
            self._token = None
        session = new_token()
        self._sessions[session] = None
        if len(self._sessions) > _SESSIONS_MAX:
            self._sessions.popitem(last=False)
        return session

    async def who(self, scope: Scope, cookies: str) -> str | None:
        """Who asks; None if they may not."""
        if self._allow is not None:
            allowed = self._allow(scope)
            if inspect.isawaitable(allowed):
                allowed = await allowed
            return allowed if isinstance(allowed, str) and allowed else operator() if allowed is True else None
        return operator() if _cookie(cookies, self.cookie) in self._sessions else None


class Guard:
    """An ASGI app behind a guard. What is refused never reaches it."""

    def __init__(self, app: Asgi, access: Access) -> None:
        self._app = app
        self.access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
        else:
            await self._answer(scope, receive, _with_headers(send))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "")
        if not self.access.named(host):
            await _refuse(send, 421, f"This inspector does not answer to the name {_hostname(host)!r}.")
        elif scope["method"] not in _SAFE and not _same_origin(headers, host):
            await _refuse(send, 403, "This request came from another page.")
        elif (token := _token_of(scope)) is not None:
            await self._admit(scope, send, token)
        elif (who := await self.access.who(scope, headers.get("cookie", ""))) is None:
            await _refuse(send, 401, *_how_to_get_in(scope, headers))
        else:
            scope.setdefault("state", {})["who"] = who
            await self._app(scope, receive, send)

    async def _admit(self, scope: Scope, send: Send, token: str) -> None:
        """Turn a token into a cookie, and take it out of the address."""
        await asyncio.sleep(0)
        session = self.access.session(token)
        if session is None:
            await _refuse(send, 401, _USED)
            return
        root = scope.get("root_path", "")
        rest = [(name, value) for name, value in parse_qsl(scope["query_string"].decode("latin-1")) if name != "token"]
        path = scope["path"] if scope["path"].startswith(root) else root + scope["path"]
        where = local(path) + (f"?{urlencode(rest)}" if rest else "")
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        cookie = f"{self.access.cookie}={session}; Path={local(root)}; HttpOnly; SameSite=Strict{secure}"
        headers = [(b"location", where.encode()), (b"set-cookie", cookie.encode())]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


def local(where: str) -> str:
    """A path on this host, as addresses have it: `//elsewhere` would be another host, `/<tab>/elsewhere` too."""
    return "/" + quote(where.lstrip("/\\"), safe="/:@!$&'()*+,;=~")


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message.get("headers", ())}
            added = [(name, value) for name, value in _HEADERS.items() if name not in there]
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await send(message)

    return sending


_USED = (
    "This token is not valid, or has been used already. Start the inspector again for a new one, or pass a --token of"
    " your own."
)


async def _refuse(send: Send, status: int, sentence: str, again: str = "") -> None:
    link = f'<p><a href="{again}">Try again</a></p>' if again else ""
    body = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>act-fast inspector</title>'
        f"<h1>act-fast inspector</h1><p>{_escaped(sentence)}</p>{link}</html>"
    ).encode()
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _how_to_get_in(scope: Scope, headers: MutableMapping[str, str]) -> tuple[str, str]:
    """A link from another site comes without the cookie; a click from here brings it."""
    sentence = "Open the address that was printed when the inspector started. It carries a token."
    if headers.get("sec-fetch-site") != "cross-site" or scope["method"] not in _SAFE:
        return sentence, ""
    query = scope["query_string"].decode("latin-1")
    return sentence, _escaped(local(scope["path"]) + (f"?{query}" if query else ""))


def _same_origin(headers: MutableMapping[str, str], host: str) -> bool:
    """Whether a form was sent by a page of ours. Browsers say where it comes from."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site") == "same-origin"
    try:
        return urlsplit(origin).netloc == host and bool(host)
    except ValueError:
        return False


def _token_of(scope: Scope) -> str | None:
    if scope["method"] not in _SAFE:
        return None
    return _first(value for name, value in parse_qsl(scope["query_string"].decode("latin-1")) if name == "token")


def _first(values: Iterable[str]) -> str | None:
    return next(iter(values), None)


def _cookie(header: str, name: str) -> str:
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value


def _hostname(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").casefold()
    except ValueError:
        return ""


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
