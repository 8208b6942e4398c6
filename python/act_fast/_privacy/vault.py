"""What an app seals and opens with: keys of a key store at hand, for as long as nobody was forgotten."""

import hashlib
import hmac
import os
import threading
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from typing import Final

from act_fast._privacy.key_store import KeyRecord, KeyStore, key_id
from act_fast._privacy.master_key import cipher
from act_fast._runtime.forks import tell_in_child
from act_fast.errors import KeyMissingError, KeyStoreError, SealError, SubjectForgottenError, ValidationError

__all__ = ["Vault"]

_PREFIX: Final = "$sealed:"
_ID_AT: Final = len(_PREFIX)
_ID_END: Final = _ID_AT + 16
_BOX_AT: Final = _ID_END + 1
_FORMAT: Final = b"\x01"
_NONCE_BYTES: Final = 12
_SEALED_AT: Final = 1 + _NONCE_BYTES
_NONCES: Final = 256
_KEYS_MAX: Final = 100_000
_LOOKUP: Final = "$lookup"
"""The subject whose key hashes are made with. No subject of an event begins with `$`."""


class _Key:
    """A key that is at hand; it neither encrypts nor decrypts once it was destroyed."""

    __slots__ = ("aad", "decrypt", "encrypt", "head", "id", "subject")

    def __init__(self, record: KeyRecord, secret: bytes | None) -> None:
        self.id = record.id
        self.subject = record.subject
        self.head = f"{_PREFIX}{record.id}:"
        self.aad = b"\0" + record.subject.encode()
        made = None if secret is None else cipher(secret)
        self.encrypt: Callable[[bytes, bytes, bytes], bytes] | None = None if made is None else made.encrypt
        self.decrypt: Callable[[bytes, bytes, bytes], bytes] | None = None if made is None else made.decrypt


class _AtHand:
    """The keys that were fetched in one generation."""

    __slots__ = ("by_id", "by_subject", "generation")

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.by_subject: dict[str, _Key] = {}
        self.by_id: dict[bytes, _Key] = {}


class Vault:
    """Seals and opens the personal values of one app. Any number of threads may use it at once.

    Args:
        keys: where the keys are.

    Attributes:
        keys: where the keys are.
    """

    def __init__(self, keys: KeyStore) -> None:
        cipher(bytes(32))  # or say now what is missing
        self.keys: KeyStore = keys
        self._salt = keys.salt
        self._generation = keys.generation
        self._at_hand = _AtHand(keys.generation())
        self._lookup_key: bytes | None = None
        self._nonces: list[bytes] = []
        self._listeners: list[Callable[[], object]] = []
        self._lock = threading.Lock()
        tell_in_child(self)

    def forked(self) -> None:
        """A child draws nonces of its own: none may ever be used twice."""
        self._nonces = []
        self._lock = threading.Lock()

    def on_forgotten(self, listener: Callable[[], object]) -> None:
        """Have a function called when it is noticed that somebody was forgotten, here or elsewhere."""
        self._listeners.append(listener)

    def notice(self) -> None:
        """Drop all keys and tell those who keep values, if somebody was forgotten since this was last asked."""
        if self._generation() != self._at_hand.generation:
            self._drop()

    def seal(self, subject: str, context: bytes, plain: bytes) -> str:
        """See `Sealer`.

        Raises:
            SubjectForgottenError: the subject was forgotten.
            KeyStoreError: there is no key, and none can be made.
            ValidationError: nobody may be called that.
        """
        here = self._at_hand
        if self._generation() != here.generation:
            here = self._drop()
        key = here.by_subject.get(subject) or self._key_of(subject)
        encrypt = key.encrypt
        if encrypt is None:
            raise SubjectForgottenError(
                f"subject {subject!r} was forgotten, so nothing personal is stored about it; who comes back gets a new"
                " id"
            )
        try:
            nonce = self._nonces.pop()
        except IndexError:
            nonce = self._more_nonces()
        box = _FORMAT + nonce + encrypt(nonce, plain, context + key.aad)
        return key.head + b2a_base64(box, newline=False).decode()

    def open(self, sealed: bytes, subject: str | None, context: bytes) -> bytes | None:
        """See `Sealer`.

        Raises:
            KeyMissingError: there never was such a key.
            SealError: it does not open.
            KeyStoreError: the key store cannot be read.
        """
        here = self._at_hand
        if self._generation() != here.generation:
            here = self._drop()
        id = sealed[_ID_AT:_ID_END]
        key = here.by_id.get(id) or self._key_by(id.decode(errors="replace"), context)
        if subject is not None and subject != key.subject:
            raise SealError(f"{_place(context)} was sealed for another subject, so it was moved there")
        decrypt = key.decrypt
        if decrypt is None:
            return None
        try:
            box = a2b_base64(sealed[_BOX_AT:])
            if box[:1] != _FORMAT:
                raise ValueError("another format")
            return decrypt(box[1:_SEALED_AT], box[_SEALED_AT:], context + key.aad)
        except Exception as error:  # what a cipher raises for a wrong tag derives from no error of ours
            raise SealError(
                f"{_place(context)} does not open ({type(error).__name__}): it was changed, moved from another field or"
                " event, or the key store is another one"
            ) from None

    def lookup(self, context: bytes, plain: bytes) -> str:
        """See `Sealer`: the same for the same value of the same field, whoever it is about."""
        key = self._lookup_key
        if key is None:
            record = self.keys.create(self.id_of(_LOOKUP), _LOOKUP)
            key = self._lookup_key = self.keys.unwrap(record)
        return hmac.new(key, context + b"\0" + plain, hashlib.sha256).hexdigest()[:32]

    def id_of(self, subject: str) -> str:
        """See `Sealer`."""
        return key_id(self._salt, subject)

    def generation(self) -> int:
        """See `Sealer`."""
        return self._generation()

    def is_forgotten(self, subject: str) -> bool:
        """Whether a subject was forgotten. A key that cannot be read was not destroyed."""
        try:
            record = self.keys.find(self.id_of(subject))
        except KeyStoreError:
            return False
        return record is not None and record.forgotten is not None

    def knows(self, subject: str) -> bool:
        """Whether a subject has or had a key, even a damaged one."""
        try:
            return self.keys.find(self.id_of(subject)) is not None
        except KeyStoreError:
            return True

    def forget(self, subject: str, reason: str) -> KeyRecord:
        """Destroy a subject's key."""
        left = self.keys.destroy(self.id_of(subject), subject, reason)
        self._drop()
        return left

    def _key_of(self, subject: str) -> _Key:
        here = self._at_hand  # before the record is read: what is read of an older generation must stay in that one
        id = self.id_of(subject)
        if subject.startswith("$"):
            raise ValidationError(f"a subject must not begin with '$', as {subject[:40]!r} does")
        record = self.keys.find(id)
        if record is None:
            record = self.keys.create(id, subject)
        return self._keep(here, record)

    def _key_by(self, id: str, context: bytes) -> _Key:
        here = self._at_hand
        record = self.keys.find(id)
        if record is None:
            raise KeyMissingError(
                f"{_place(context)} was sealed with key {id!r}, which {self.keys!r} has never had; open the app with"
                " the key store that it was written with"
            )
        return self._keep(here, record)

    def _keep(self, here: _AtHand, record: KeyRecord) -> _Key:
        key = _Key(record, None if record.forgotten is not None else self.keys.unwrap(record))
        if len(here.by_id) >= _KEYS_MAX:
            here.by_id.clear()
            here.by_subject.clear()
        here.by_id[key.id.encode()] = key
        here.by_subject[key.subject] = key
        return key

    def _drop(self) -> _AtHand:
        here = self._at_hand = _AtHand(self._generation())  # which is read before any record is
        for each in self._listeners:
            each()
        return here

    def _more_nonces(self) -> bytes:
        drawn = os.urandom(_NONCE_BYTES * _NONCES)
        fresh = [drawn[at : at + _NONCE_BYTES] for at in range(0, len(drawn), _NONCE_BYTES)]
        nonce = fresh.pop()
        self._nonces = fresh
        return nonce

    def __repr__(self) -> str:
        return f"Vault({self.keys!r})"


def _place(context: bytes) -> str:
    name, _, path = context.decode(errors="replace").partition("\0")
    return f"the field {path!r} of {name}"
