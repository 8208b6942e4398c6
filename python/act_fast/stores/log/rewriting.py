"""Rewriting a log: what redaction puts in the place of data, and what pruning may empty."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, cast

import msgspec

from act_fast._checks import arguments
from act_fast._core import Log
from act_fast._events.committed import Committed
from act_fast._events.gone import BOOKS, GONE, REDACTED, REWRITINGS
from act_fast._events.sealing import FORGOTTEN_JSON, SEALED
from act_fast._rows import PrunableRow, PruningRow, RewrittenRow, Row
from act_fast.errors import StoreLockedError, ValidationError
from act_fast.stores.reaction_port import ReactionPort
from act_fast.stores.rows import committed
from act_fast.stores.values import Pruned, PrunedPart, Redacted

__all__ = ["Change", "check_behind", "pruned", "pruning", "redaction", "runs"]

Change = tuple[list[tuple[int, bytes, bytes]], tuple[str, str, bytes], Redacted]
"""What the core is to replace, the event that records it, and what it would change."""

_PAGE: Final = 1000
_BEHIND_MAX: Final = 5
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def redaction(
    log: Log,
    positions: Iterable[int],
    fields: Mapping[str, Any] | None,
    drop: bool,
    reason: str,
    check: Callable[[Committed[bytes], bytes], object] | None = None,
) -> Change:
    """What a redaction comes to; nothing is changed yet.

    Raises:
        ValidationError: an argument is wrong, or an event cannot be redacted so.
    """
    wanted = sorted({arguments.count("positions", each) for each in positions})
    if not wanted:
        raise ValidationError("name the positions of the events to redact")
    if not wanted[0]:
        raise ValidationError("there is no event at position 0; positions begin with 1")
    if drop == (fields is not None):
        raise ValidationError(
            "say what to do with the events: give fields= new values, or drop=True to take all data away"
        )
    arguments.text("reason", reason)
    if not reason.strip():
        raise ValidationError("give a reason: it is kept, along with who did it, in place of the removed data")
    values = (
        {} if fields is None else {arguments.text("fields", name): _raw(name, each) for name, each in fields.items()}
    )
    if fields is not None and not values:
        raise ValidationError("fields= is empty; name at least one field and its new value")
    rows = [row for first, last in runs(wanted) for row in _rows(log, first, last)]
    if missing := sorted(set(wanted) - {row[0] for row in rows}):
        raise ValidationError(f"there is no event at position {missing[0]}")
    changes = [(row, new) for row in rows if (new := _changed(row, values, drop)) != row[5]]
    if check is not None and not drop:
        for row, new in changes:
            check(committed(row), new)
    replaced = [(row[0], row[5], new) for row, new in changes]
    changed = [each[0] for each in replaced]
    streams = list(dict.fromkeys(row[1] for row in rows if row[0] in changed))
    told = {"positions": runs(changed), "fields": None if drop else [*values], "reason": reason}
    found = Redacted(changed, streams, _held(log, streams, changed), 0, 0, 0, 0)
    return replaced, (REWRITINGS, "$redacted", _encode(told)), found


def runs(positions: Iterable[int]) -> list[tuple[int, int]]:
    """Positions in order as stretches, each from its first to its last."""
    found: list[tuple[int, int]] = []
    for each in positions:
        if found and found[-1][1] == each - 1:
            found[-1] = (found[-1][0], each)
        else:
            found.append((each, each))
    return found


def _rows(log: Log, first: int, last: int) -> Iterable[Row]:
    query = log.query({"after": first - 1, "before": last + 1})
    while (page := query.next_page(_PAGE)) is not None:
        yield from page


def _raw(name: str, value: Any) -> msgspec.Raw:
    try:
        return msgspec.Raw(_encode(value))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValidationError(f"the new value of {name!r} is not JSON: {error}") from None


def _changed(row: Row, values: Mapping[str, msgspec.Raw], drop: bool) -> bytes:
    """The data that an event has from now on."""
    position, name, data = row[0], row[3], row[5]
    if data in GONE:
        return data
    if row[1] == REWRITINGS:
        raise ValidationError(f"position {position} records an earlier redaction or pruning, and stays as it is")
    if drop:
        if name in BOOKS:
            raise ValidationError(
                f"position {position} is {name!r}, which holds a state that folding starts from; give fields= instead"
            )
        return REDACTED
    found = _fields(position, data)
    if name in BOOKS:
        if "state" not in found:
            return data
        found["state"] = msgspec.Raw(_merged(_fields(position, bytes(found["state"])), values))
        return _encode(found)
    return _merged(found, values) if found.keys() & values.keys() else data


def _fields(position: int, data: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _decode(data)
    except msgspec.MsgspecError:
        raise ValidationError(f"the data at position {position} has no fields; use drop=True") from None


def _merged(found: dict[str, msgspec.Raw], values: Mapping[str, msgspec.Raw]) -> bytes:
    return _encode({name: _put(name, each, values[name]) if name in values else each for name, each in found.items()})


def _put(name: str, old: msgspec.Raw, new: msgspec.Raw) -> msgspec.Raw:
    """What comes in the place of a field: nothing in clear where something was sealed."""
    held, given = bytes(old), bytes(new)
    if SEALED not in held and held != FORGOTTEN_JSON:
        return new
    if given not in (b"null", b"[]", b"{}"):
        raise ValidationError(
            f"field {name!r} is sealed, and a new value would be stored in clear; give None, or forget its subject"
        )
    return msgspec.Raw(FORGOTTEN_JSON) if held == FORGOTTEN_JSON or held.startswith(SEALED) else new


def _held(log: Log, streams: Iterable[str], changed: list[int]) -> list[int]:
    """Where events are that hold a state of some streams, other than those that are changed."""
    found: list[int] = []
    for stream in streams:
        query = log.query({"stream": stream, "names": [*BOOKS], "after": changed[0]})
        while (page := query.next_page(_PAGE)) is not None:
            found += [row[0] for row in page if row[5] not in GONE and row[5] != b"{}" and row[0] not in changed]
    return sorted(found)


def pruning(streams: str | None, upto: int | None) -> PruningRow:
    """What may be pruned."""
    pattern = None if streams is None else arguments.text("streams", streams)
    return [*BOOKS], pattern, None if upto is None else arguments.count("upto", upto)


def pruned(found: PrunableRow, done: RewrittenRow | None = None) -> Pruned:
    """What was pruned, or would be."""
    names, streams, last, tagged = found
    parts = [PrunedPart(*each) for each in names]
    events = sum(each.events for each in parts)
    data = sum(each.bytes for each in parts)
    spared = max(data - events * len(b'"pruned"'), 0)
    _, _, before, after, position = done or (0, 0, 0, 0, 0)
    return Pruned(events, spared, streams, last, tagged, parts, before, after, position)


def check_behind(found: PrunableRow, opened: Callable[[], ReactionPort]) -> None:
    """Refuse to prune what a reaction has yet to handle.

    Raises:
        StoreLockedError: who is behind.
    """
    last = found[2]
    if not last:
        return
    port = opened()
    try:
        behind = [
            f"reaction {name!r} has read up to {read}"
            for name, read, _ in port.cursors()
            if read < last and _is_meant(name)
        ]
        after: str | None = None
        while page := port.targets(after=after, limit=_PAGE):
            after = str(page[-1]["name"])
            behind += [
                f"target {each['name']!r} has handled up to {each['watermark']}"
                f"{' and is blocked' if each['blocked'] else ''}"
                for each in page
                if each["lag"] and int(str(each["watermark"])) < last and any(map(_is_meant, _reactions(each)))
            ]
    finally:
        port.close()
    if behind:
        more = f", and {len(behind) - _BEHIND_MAX} more" if len(behind) > _BEHIND_MAX else ""
        raise StoreLockedError(
            f"what would be pruned reaches up to position {last}, and is still wanted:"
            f" {'; '.join(behind[:_BEHIND_MAX])}{more}. Let them catch up, or unblock, skip or forget"
            " them; or prune less, with upto="
        )


def _reactions(target: dict[str, object]) -> list[str]:
    return cast("list[str]", target["reactions"])


def _is_meant(reaction: str) -> bool:
    """Whether it is a program's own: those of the framework want only events that are never pruned."""
    return not reaction.startswith("$")
