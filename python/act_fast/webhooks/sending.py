"""A reaction that sends each event to a URL."""

import asyncio
import copy
import hashlib
import logging
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from importlib import import_module
from typing import Any, Final, Self
from urllib.parse import urlsplit

import msgspec

from act_fast._checks import arguments
from act_fast._checks.extras import need
from act_fast._checks.moments import microseconds_of
from act_fast._core import __version__
from act_fast._events.committed import Committed
from act_fast._events.sealing import outside
from act_fast.errors import ActError, NonRetryableError, RetryAfterError, ValidationError
from act_fast.webhooks.signing import Secret, keys_of, signatures

__all__ = ["Webhook"]

_AGAIN: Final = frozenset({408, 425, 429})
"""What is tried again although it is a status of the client's fault."""
_RETRY_AFTER_MAX_S: Final = 24 * 3600.0
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OWN_HEADERS: Final = ("webhook-", "content-length", "content-type", "host", "transfer-encoding")


_SENDING: Final[ContextVar[bool]] = ContextVar("act_fast_webhook", default=False)


class UndeliveredError(ActError):
    """A receiver could not be reached, or said that it may be tried again."""


class Webhook:
    """Sends each event of a reaction to a URL, signed as [Standard Webhooks](https://www.standardwebhooks.com) asks.

        app.on(Deposited, name="shop-hook", retries=12)(Webhook("https://shop.example/hook", secret=secret))

    Every attempt for one event carries the same `webhook-id`, made from the event and the reaction, so that the
    receiver can recognise a repetition. An answer of 2xx is success. No answer in time, a broken connection, 5xx, 408,
    425 and 429 are retried as the reaction's options say, and not before the time in `Retry-After`. Everything else,
    including 410, blocks the target at once. Redirects are not followed, and the body of the answer is not read.

    It works in any app, with or without an event loop of its own.

    Args:
        url: where to send; `https` unless the network is yours.
        secret: what messages are signed with, so that the receiver can check them; or several while you change it, and
            each signs.
        timeout: seconds that an attempt may take, from the connection to the answer.
        headers: more headers to send.
        payload: a function of the event that returns what is sent, which must be JSON; by default an object with
            `type`, `timestamp`, `data`, `stream`, `version`, `position` and `meta`; personal fields are null.
        meta: whether the default payload has `meta`, which names who did it and why.

    Raises:
        MissingExtraError: httpx is not installed.
        ValidationError: an option is not valid.
    """

    __name__ = "webhook"

    def __init__(
        self,
        url: str,
        *,
        secret: Secret | Sequence[Secret],
        timeout: float = 15.0,
        headers: Mapping[str, str] | None = None,
        payload: Callable[[Committed[Any]], Any] | None = None,
        meta: bool = True,
    ) -> None:
        need("Webhook()", "httpx")
        self._url, self._place = _checked(url)
        self._keys = keys_of(secret)
        self._seconds = arguments.milliseconds("timeout", timeout) / 1000
        if not self._seconds:
            raise ValidationError("timeout= must be more than 0 seconds")
        self._headers = _own(headers or {})
        if payload is not None and not callable(payload):
            raise ValidationError("payload= must be a function of the event")
        self._payload = payload
        self._meta = arguments.flag("meta", meta)
        self._reaction = self.__name__
        self._context: Any = None

    async def __call__(self, event: Committed[Any]) -> None:
        """Send one event; what a reaction does with it.

        Raises:
            NonRetryableError: the receiver does not want it, or it cannot be sent.
            RetryAfterError: the receiver says when to come again.
        """
        body = self._body(event)
        id, now = self._id(event), int(time.time())
        headers = {
            "user-agent": f"act-fast/{__version__}",
            **self._headers,
            "content-type": "application/json",
            "webhook-id": id,
            "webhook-timestamp": str(now),
            "webhook-signature": signatures(self._keys, id, now, body),
        }
        status, retry_after = await self._send(body, headers)
        self._judge(status, retry_after)

    def __act_fast_bind__(self, reaction: str) -> Self:
        """The same for a reaction of this name."""
        other = copy.copy(self)
        other._reaction = reaction
        return other

    def __repr__(self) -> str:
        return f"Webhook({self._place!r})"

    def _id(self, event: Committed[Any]) -> str:
        """The same for each attempt, and for no other event or reaction; also where a store was moved or restored."""
        told = msgspec.json.encode((self._reaction, event.stream, event.version, microseconds_of(event.created)))
        return f"msg_{hashlib.blake2b(told, digest_size=16).hexdigest()}"

    def _body(self, event: Committed[Any]) -> bytes:
        if self._payload is not None:
            return msgspec.json.encode(self._payload(event))
        told = {
            "type": type(event.data).__stored_name__,
            "timestamp": event.created,
            "data": outside(event.data),
            "stream": event.stream,
            "version": event.version,
            "position": event.position,
        }
        return msgspec.json.encode({**told, "meta": event.meta} if self._meta else told)

    async def _send(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, str | None]:
        """The status of the answer, and its `Retry-After`. A connection of its own: nothing is left to be closed."""
        httpx: Any = import_module("httpx")
        _keep_quiet()
        sending = _SENDING.set(True)
        if self._context is None:
            self._context = httpx.create_ssl_context()
        try:
            async with (
                asyncio.timeout(self._seconds),
                httpx.AsyncClient(verify=self._context, timeout=None, follow_redirects=False) as client,
                client.stream("POST", self._url, content=body, headers=headers) as answer,
            ):
                return answer.status_code, answer.headers.get("retry-after")
        except TimeoutError:
            raise UndeliveredError(f"{self._place} did not answer within {self._seconds:g} seconds") from None
        except (httpx.HTTPError, OSError, UnicodeError) as error:
            raise UndeliveredError(f"{self._place} could not be reached: {type(error).__name__}") from None
        finally:
            _SENDING.reset(sending)

    def _judge(self, status: int, retry_after: str | None) -> None:
        if 200 <= status < 300:
            return
        told = f"{self._place} answered {status}"
        if status == 410:
            raise NonRetryableError(f"{told}: it wants no more events; remove the reaction, or unblock its target")
        if status not in _AGAIN and status < 500:
            hint = "redirects are not followed" if 300 <= status < 400 else "trying again would not help"
            raise NonRetryableError(f"{told}; {hint}")
        seconds = _seconds_of(retry_after)
        if seconds is None:
            raise UndeliveredError(told)
        raise RetryAfterError(f"{told}, and asks to wait", seconds)


def _checked(url: str) -> tuple[str, str]:
    """A URL, and how errors call it: without its path, which may be a secret."""
    try:
        parts = urlsplit(arguments.text("url", url))
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValidationError("the URL of a webhook is not one") from None
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.password or parts.fragment:
        raise ValidationError("the URL of a webhook must be https://host/path, without a name or a password in it")
    httpx: Any = import_module("httpx")
    try:
        httpx.Request("POST", url)
    except (ValueError, httpx.InvalidURL):  # it reads URLs more strictly, and would say so at each attempt
        raise ValidationError("the URL of a webhook is not one") from None
    named = f"[{host}]" if ":" in host else host
    return url, f"{parts.scheme}://{named}" + (f":{port}" if port else "")


@cache
def _keep_quiet() -> None:
    """Httpx logs the URL of each request, whose path may be a secret."""
    logging.getLogger("httpx").addFilter(lambda record: not _SENDING.get())


def _own(headers: Mapping[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        plain = isinstance(name, str) and _TOKEN.fullmatch(name) and isinstance(value, str) and value.isascii()
        if not plain or not value.isprintable() or name.lower().startswith(_OWN_HEADERS):
            raise ValidationError(f"headers= cannot set {name!r}; the webhook sets it, or it is not ASCII text")
    return {name.lower(): value for name, value in headers.items()}


def _seconds_of(retry_after: str | None) -> float | None:
    """How long a receiver asks to be left alone, at most a day; None if it does not say."""
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            when = parsedate_to_datetime(retry_after)
        except (ValueError, OverflowError):
            return None
        seconds = ((when if when.tzinfo else when.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
    return None if math.isnan(seconds) else min(max(seconds, 0.0), _RETRY_AFTER_MAX_S)
