"""Signatures of messages, as Standard Webhooks describes them: HMAC-SHA-256 over id, time and body."""

import base64
import binascii
import hmac
from collections.abc import Sequence
from typing import Final, TypeAlias

from act_fast.errors import ValidationError

__all__ = ["Secret", "is_signed", "keys_of", "signatures"]

Secret: TypeAlias = str | bytes
"""What sender and receiver share: 24 bytes or more, as they are, or in base64, with or without `whsec_` before it."""

_PREFIX: Final = "whsec_"
_BYTES_MIN: Final = 24
_VERSION: Final = "v1"


def keys_of(secret: Secret | Sequence[Secret]) -> tuple[bytes, ...]:
    """The keys, of one secret or of several.

    Raises:
        ValidationError: a secret is none, or too short. It is not repeated.
    """
    given = (secret,) if isinstance(secret, str | bytes) else tuple(secret)
    if not given:
        raise ValidationError("secret= is empty; pass a secret, or several while you change it")
    return tuple(map(_key, given))


def signatures(keys: Sequence[bytes], id: str, timestamp: int, body: bytes) -> str:
    """What stands in `webhook-signature`: one signature for each key."""
    return " ".join(f"{_VERSION},{_signature(key, id, timestamp, body)}" for key in keys)


def is_signed(keys: Sequence[bytes], id: str, timestamp: int, body: bytes, header: str) -> bool:
    """Whether one of the signatures in a header is made with one of the keys. Takes the same time for any other."""
    given = [each[len(_VERSION) + 1 :] for each in header.split(" ") if each.startswith(f"{_VERSION},")]
    expected = [_signature(key, id, timestamp, body) for key in keys]
    found = False
    for each in given:
        for own in expected:
            found |= hmac.compare_digest(each.encode(errors="replace"), own.encode())
    return found


def _signature(key: bytes, id: str, timestamp: int, body: bytes) -> str:
    told = id.encode(errors="surrogatepass")  # some servers hand over bytes that are no text like that
    return base64.b64encode(hmac.digest(key, b"%s.%d.%s" % (told, timestamp, body), "sha256")).decode()


def _key(secret: Secret) -> bytes:
    if isinstance(secret, str):
        try:
            secret = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            raise ValidationError("a secret given as text must be base64; pass bytes if it is not") from None
    if not isinstance(secret, bytes) or len(secret) < _BYTES_MIN:
        raise ValidationError(f"a secret must have {_BYTES_MIN} bytes or more; secrets.token_bytes(32) makes one")
    return secret
