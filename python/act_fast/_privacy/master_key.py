"""Master keys: what wraps the data keys before a key store keeps them."""

import base64
import binascii
import hashlib
import os
from importlib import import_module
from typing import Any, Final, Protocol, Self

from act_fast._checks.extras import need
from act_fast.errors import KeyStoreError, ValidationError

__all__ = ["KEY_BYTES", "LocalMasterKey", "MasterKey", "cipher"]

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class MasterKey(Protocol):
    """What wraps data keys: a key in this process, or a key management service that is asked.

    Attributes:
        id: a name for it, kept with everything it has wrapped; not secret.
    """

    @property
    def id(self) -> str:
        """A name for it."""
        ...

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """A data key, encrypted and bound to a context."""
        ...

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """The data key again.

        Raises:
            KeyStoreError: it was wrapped by another key or for another context, or the service cannot be asked.
        """
        ...


class LocalMasterKey:
    """A master key of 32 bytes in this process's memory.

        FileKeyStore("bank.keys", master=LocalMasterKey.from_env("BANK_MASTER_KEY"))

    Args:
        secret: the key.
    """

    def __init__(self, secret: bytes) -> None:
        if not isinstance(secret, bytes) or len(secret) != KEY_BYTES:
            raise ValidationError(f"a master key is {KEY_BYTES} random bytes; make one with LocalMasterKey.new()")
        self._secret = secret
        self._cipher = cipher(secret)
        self._id = hashlib.blake2b(secret, digest_size=8, person=b"act-fast master").hexdigest()

    @classmethod
    def new(cls) -> Self:
        """A new random one."""
        return cls(os.urandom(KEY_BYTES))

    @classmethod
    def from_env(cls, name: str) -> Self:
        """The one in an environment variable, as base64.

        Raises:
            ValidationError: there is none, or it is something else.
        """
        text = os.environ.get(name)
        if text is None:
            raise ValidationError(f"there is no environment variable {name} with a master key in it")
        try:
            return cls(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError):
            raise ValidationError(
                f"the environment variable {name} has no master key: {KEY_BYTES} random bytes as base64"
            ) from None

    @property
    def id(self) -> str:
        """A hash that tells it from others."""
        return self._id

    @property
    def secret(self) -> bytes:
        """The key itself, to be kept somewhere safe."""
        return self._secret

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """See `MasterKey`."""
        nonce = os.urandom(_NONCE_BYTES)
        wrapped: bytes = self._cipher.encrypt(nonce, key, context)
        return nonce + wrapped

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """See `MasterKey`."""
        from cryptography.exceptions import InvalidTag

        try:
            key: bytes = self._cipher.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], context)
        except (InvalidTag, ValueError):
            raise KeyStoreError(
                f"a data key does not open with master key {self._id}: the record was changed, or belongs elsewhere"
            ) from None
        return key

    def __repr__(self) -> str:
        return f"LocalMasterKey({self._id!r})"

    def __reduce__(self) -> Any:
        raise TypeError("a master key cannot be pickled; pass its secret on another way")


def cipher(secret: bytes) -> Any:
    """AES-256-GCM under a key."""
    need("Sealing personal values", "cryptography")
    return import_module("cryptography.hazmat.primitives.ciphers.aead").AESGCM(secret)
