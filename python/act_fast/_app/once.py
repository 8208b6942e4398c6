"""Deciding once: what is asked under a key, and what was the answer the first time."""

from collections.abc import Mapping, Sequence
from functools import partial
from math import isfinite
from typing import Any, Final

import msgspec

from act_fast._checks import arguments
from act_fast._core import Appended
from act_fast._events.committed import Committed
from act_fast._events.meta import Meta
from act_fast._events.sealing import Sealer
from act_fast._rows import ProposedPart
from act_fast.errors import KeyReusedError, ValidationError
from act_fast.stores.append_condition import Condition
from act_fast.stores.capabilities import Keys, keys_of
from act_fast.stores.given import Guards, cause_of, guards_of, parts_of
from act_fast.stores.once import Repeated, commit_of
from act_fast.stores.port import Store
from act_fast.stores.values import Append

__all__ = ["Once", "append_all"]

_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_plain: Final = partial(msgspec.to_builtins, str_keys=True, order="deterministic")
_DIGEST_BYTES: Final = 12


class Once:
    """One request, to be done once.

    Args:
        store: where it is done.
        key: its key.
        place: the action or decision, for errors.
        asked: what is asked; must be JSON.
        sealer: in an app with keys, what hashes it: a plain hash of something personal could be guessed.

    Attributes:
        digest: tells it from other requests.

    Raises:
        ValidationError: the store keeps no keys, the key is not valid, or what is asked cannot be told apart.
    """

    def __init__(self, store: Store, key: str, place: str, asked: Sequence[Any], sealer: Sealer | None = None) -> None:
        self._store = store
        self._keys: Keys = keys_of(store)
        self._key: str = arguments.text("key", key)
        try:
            encoded = _encode(_finite(_plain([place, *asked])))
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise ValidationError(
                f"{place} cannot be done once: its arguments cannot be encoded as JSON, so it could not be told apart"
                f" from another request under the same key: {error}"
            ) from None
        self.digest: str
        if sealer is not None:
            self.digest = sealer.lookup(b"$once", encoded)[: 2 * _DIGEST_BYTES]
            return
        from base64 import urlsafe_b64encode
        from hashlib import blake2b  # both of no use where no keys are

        self.digest = urlsafe_b64encode(blake2b(encoded, digest_size=_DIGEST_BYTES).digest()).decode()

    def check_new(self) -> None:
        """Raise `Repeated` if the key was used."""
        if (used := self._keys.used(self._key)) is not None:
            raise Repeated(*used)

    def append(self, parts: Sequence[ProposedPart], meta: bytes, guards: Guards | None = None) -> list[Appended]:
        """Append what was decided; raise `Repeated` if the key was used by now."""
        return self._keys.append(parts, self._key, meta, guards)

    def first_time(self, repeated: Repeated) -> list[Committed[bytes]]:
        """The events that were appended the first time.

        Raises:
            KeyReusedError: something else was asked then.
        """
        found = commit_of(self._store, repeated)
        action = found[0].meta.action
        # Earlier versions wrote something behind the digest.
        if action is None or action.digest.partition(".")[0] != self.digest:
            raise KeyReusedError(self._key, repeated.first)
        return found


def append_all(
    store: Store,
    once: Once | None,
    appends: Sequence[Append],
    versions: Mapping[str, int],
    condition: Condition | None,
    meta: Meta,
) -> list[Appended]:
    """Append what was decided as one commit; raise `Repeated` if that is under a key that was used by now."""
    if once is None:
        return store.append_many(appends, expected_versions=versions or None, condition=condition, meta=meta)
    return once.append(parts_of(appends), cause_of(meta), guards_of(versions or None, condition, appends))


def _finite(value: Any) -> Any:
    """The value, unless there is a number in it that JSON would have as null."""
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"{value} is no number")
    if isinstance(value, list | tuple):
        for each in value:
            _finite(each)
    elif isinstance(value, dict):
        for each in value.values():
            _finite(each)
    return value
