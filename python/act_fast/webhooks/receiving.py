"""What a receiver does with a message: make sure that it is genuine and new."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from act_fast.errors import ValidationError, WebhookError
from act_fast.webhooks.signing import Secret, is_signed, keys_of

__all__ = ["Received", "verify_webhook"]

_TOLERANCE_MAX_S: Final = 100 * 365 * 86400.0
_NAMES: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")


class Received(msgspec.Struct, frozen=True):
    """A message that is genuine.

    Attributes:
        id: the same whenever the same message is sent: keep it, and ignore an id that you have seen.
        sent: when it was sent.
        body: the body as it came.
    """

    id: str
    sent: datetime
    body: bytes

    def json(self) -> Any:
        """The body, decoded.

        Raises:
            WebhookError: it is not JSON.
        """
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, RecursionError):
            raise WebhookError("the body is not JSON") from None


def verify_webhook(
    headers: Mapping[str, str],
    body: bytes,
    secret: Secret | Sequence[Secret],
    *,
    tolerance: float | timedelta = 300.0,
) -> Received:
    """Make sure that a message comes from a sender that has the secret, is complete, and was sent just now.

        received = verify_webhook(request.headers, await request.body(), secret)

    It works for any sender that follows Standard Webhooks, and takes the same time for any wrong signature.

    Args:
        headers: of the request; upper or lower case.
        body: of the request, exactly as it came.
        secret: what the sender signs with; or several, one of which must match.
        tolerance: how many seconds the clocks may differ, and how long a message can be replayed.

    Raises:
        WebhookError: it is not genuine, or too old. Answer with 400 or 401.
        ValidationError: the secret is not valid.
    """
    keys = keys_of(secret)
    seconds = tolerance.total_seconds() if isinstance(tolerance, timedelta) else tolerance
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < _TOLERANCE_MAX_S:
        raise ValidationError("tolerance= must be seconds from 0 to a hundred years, or a timedelta")
    if not isinstance(body, bytes | bytearray | memoryview):
        raise ValidationError(f"body must be the bytes that came, not {type(body).__name__}")
    found = {name.lower(): value for name, value in headers.items() if name.lower() in _NAMES}
    missing = [name for name in _NAMES if not found.get(name)]
    if missing:
        raise WebhookError(f"the header {missing[0]} is missing")
    id, told, signed = (found[name] for name in _NAMES)
    if not (told.isascii() and told.isdigit() and len(told) <= 12):
        raise WebhookError("webhook-timestamp is not a time")
    if not is_signed(keys, id, int(told), bytes(body), signed):
        raise WebhookError("the signature does not fit")
    if abs(time.time() - int(told)) > seconds:
        raise WebhookError("the message is too old, or from the future")
    return Received(id, datetime.fromtimestamp(int(told), UTC), bytes(body))
