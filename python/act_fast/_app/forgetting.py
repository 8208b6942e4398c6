"""Forgetting a subject: its key is destroyed, everybody hears of it, and what was sealed is searched for."""

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID

import msgspec

from act_fast._app.plaintext_search import Search
from act_fast._checks import arguments
from act_fast._events.codec import Codec
from act_fast._events.committed import Committed
from act_fast._events.context import deciding
from act_fast._events.event import Event, known_wire
from act_fast._events.gone import BOOKS
from act_fast._events.meta import Actor
from act_fast._events.personal import Subject
from act_fast._events.sealing import texts_in
from act_fast._privacy.vault import Vault
from act_fast._reactions.catalog import Catalog, codec_of
from act_fast._states.state import State
from act_fast.errors import ConcurrencyError, DefinitionError, ValidationError

if TYPE_CHECKING:
    from act_fast._app.pipeline import Engine

__all__ = ["ForgetReport", "Forgetting", "SubjectForgotten", "forget", "look_up"]

E = TypeVar("E", bound=Event)

_VALUES_MAX: Final = 10_000
"""More values of one subject than these are destroyed all the same, but not searched for."""

_UNREACHABLE: Final = (
    "copies of the key store that were made before; rotate the master key, and destroy them and the old one",
    "what receivers were sent, and what programs wrote to places of their own",
)


class SubjectForgotten(Event):
    """Somebody was forgotten: what is personal about them cannot be read any more. Act on it where copies are kept.

    Attributes:
        subject: who, as in the `Subject` fields of events.
        reason: why.
    """

    subject: Subject[str]
    reason: str


class Forgetting(State, events=[SubjectForgotten]):
    """The state of a stream that says that somebody was forgotten. An app with keys has it.

    Attributes:
        subject: who; empty if nobody was.
        reason: why.
    """

    subject: Subject[str] = ""
    reason: str = ""


class ForgetReport(msgspec.Struct, frozen=True):
    """What forgetting a subject did, and what it found.

    Attributes:
        subject: who was forgotten.
        reason: why, as it was given the first time.
        forgotten_at: when the key was destroyed; None for a subject that is unknown.
        already: whether that had happened before.
        unknown: whether there never was a key, and no event with personal fields names the subject. Then nothing was
            done: it is not forgotten, and nothing was appended.
        key: the id of the key that was destroyed; empty for a subject that is unknown.
        position: where `SubjectForgotten` is in the log; 0 for a subject that is unknown.
        events: how many events hold values that were sealed for the subject, and cannot be read any more.
        streams: in how many streams.
        snapshots: how many of these streams have a snapshot that holds such values.
        in_clear: how many events hold values of the subject in clear, from before their fields were personal.
        unread: how many more events name the subject and do not decode, as with another key store: nothing is known of
            their values.
        values: how many different values were searched for; none if they could not be read any more.
        receivers: the reactions that are given such values, and may have kept or passed them on.
        files: how many files were searched.
        parts: how many of these are Parquet or DuckDB's, whose values were looked at.
        bytes: how many bytes they have.
        plaintext: where a value was found all the same: the file, or the place in the store.
        unreachable: what could not be searched.
    """

    subject: str
    reason: str
    forgotten_at: datetime | None
    already: bool
    unknown: bool
    key: str
    position: int
    events: int
    streams: int
    snapshots: int
    in_clear: int
    unread: int
    values: int
    receivers: Sequence[str]
    files: int
    parts: int
    bytes: int
    plaintext: Sequence[str]
    unreachable: Sequence[str]

    @property
    def clean(self) -> bool:
        """Whether no plaintext was found, in the store and wherever else it was searched for, and all was read."""
        return not self.plaintext and not self.in_clear and not self.unread


class _Held(msgspec.Struct):
    """What the log holds of a subject."""

    named: bool = False
    events: int = 0
    in_clear: int = 0
    undecoded: int = 0
    unread: int = 0
    names: set[str] = msgspec.field(default_factory=set)
    streams: set[str] = msgspec.field(default_factory=set)
    values: set[str] = msgspec.field(default_factory=set)

    def unsearched(self) -> list[str]:
        """What could not be searched for."""
        return [f"the values of {self.undecoded} events, which do not decode"] if self.undecoded else []


def forget(
    engine: "Engine",
    catalog: Catalog,
    subject: str | int | UUID,
    reason: str,
    also: Sequence[str | os.PathLike[str]],
    actor: Actor | None,
) -> ForgetReport:
    """See `Act.forget`."""
    if deciding.get() is not None:
        raise DefinitionError(f"forget was called by {deciding.get()}, which may only fold or decide")
    vault = _vault(engine)
    name = _subject(subject)
    arguments.text("reason", reason)
    if isinstance(also, str | os.PathLike):
        raise ValidationError("also= must be a sequence of paths; put a single one in brackets")
    places = [Path(arguments.directory(each)) for each in also]
    already = vault.is_forgotten(name)
    codec = codec_of(engine.registry, catalog.reactions)
    held = _held(engine, codec, vault, name)
    if not held.named and not vault.knows(name):  # in this order: a key is made before anything is appended
        return _unknown(name, reason)
    left = vault.forget(name, reason)
    engine.drop_values()
    position = _told(engine, vault, name, left.reason, actor)
    search = Search(held.values)
    search.store(engine.store)
    for each in places:
        search.path(each)
    id = vault.id_of(name)
    return ForgetReport(
        name,
        left.reason,
        left.forgotten or datetime.now(UTC),
        already,
        False,
        id,
        position,
        held.events,
        len(held.streams),
        sum(_has_snapshot(engine, stream, id) for stream in sorted(held.streams)),
        held.in_clear,
        held.unread,
        len(held.values),
        _receivers(catalog, codec, held),
        search.files,
        search.parts,
        search.bytes,
        tuple(search.found),
        (*search.unreachable, *held.unsearched(), *_UNREACHABLE),
    )


def look_up(engine: "Engine", event: type[E], values: Mapping[str, object]) -> Iterator[Committed[E]]:
    """See `Act.lookup`."""
    vault = _vault(engine)
    engine.names_of([event])
    wire = known_wire(event)
    places = {each.name: each.encode_name for each in msgspec.structs.fields(event)}
    tags = []
    for field, value in values.items():
        leaf = next(
            (each for each in (wire.leaves if wire else ()) if each.lookup and each.path == places.get(field)), None
        )
        if leaf is None:
            raise ValidationError(
                f"{event.__qualname__}.{field} cannot be looked up; declare it as"
                f" `{field}: Annotated[Personal[...], Sealing(lookup=True)]`"
            )
        tags.append(f"{leaf.path}:{vault.lookup(leaf.path.encode(), msgspec.json.encode(value))}")
    if not tags:
        raise ValidationError("lookup takes at least one field with its value")
    found: Any = engine.query([event], tags=tags)
    yield from found


def _vault(engine: "Engine") -> Vault:
    if engine.vault is None:
        raise ValidationError("the app has no key store, so nothing in it is sealed; open it with keys=")
    return engine.vault


def _subject(subject: object) -> str:
    if isinstance(subject, bool) or not isinstance(subject, str | int | UUID) or str(subject)[:1] in ("", "$"):
        raise ValidationError("a subject is text, an int or a UUID, as in the Subject fields of events")
    return str(subject)


def _held(engine: "Engine", codec: Codec, vault: Vault, subject: str) -> _Held:
    """What the log holds of a subject, read while it can still be read.

    All events are looked at: values are sealed also in those that no class is here for, or whose class has no personal
    fields any more.
    """
    held, personal = _Held(), codec.personal
    mark = f'"$sealed:{vault.id_of(subject)}:'.encode()
    clear = {subject.encode(), msgspec.json.encode(subject)[1:-1]}
    for each in engine.store.query():
        sealed = mark in each.data
        named = each.name in personal or each.name in BOOKS
        if not sealed and not (named and any(form in each.data for form in clear)):
            continue
        held.named = held.named or sealed or _names(each.data, subject)
        if each.name in BOOKS:  # whose values are those of events, or of snapshots
            held.events += sealed
            held.streams.update([each.stream] if sealed else ())
            continue
        found: list[Any] = []
        try:
            found.extend(codec.values(each.name, each.data, subject))  # as far as that goes
        except Exception:  # of an upcaster, too; none must keep a key from being destroyed
            held.undecoded += 1
            held.unread += not sealed
        if sealed:
            held.events += 1
        elif found:
            held.in_clear += 1
        if sealed or found:
            held.names.add(each.name)
            held.streams.add(each.stream)
        for value in found:
            if len(held.values) < _VALUES_MAX:
                held.values.update(texts_in(value))
    return held


def _receivers(catalog: Catalog, codec: Codec, held: _Held) -> tuple[str, ...]:
    """The reactions that are given personal values, or what an upcaster has made of this subject's."""
    made = {codec.classes[name] for name in held.names & codec.classes.keys()}
    return tuple(
        each.name for each in catalog.reactions if any(known_wire(event) or event in made for event in each.events)
    )


def _names(data: bytes, subject: str) -> bool:
    """Whether a subject is among the values of an event, or cannot be told from them."""
    try:
        left = [msgspec.json.decode(data)]
    except msgspec.MsgspecError:
        return True
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left += value.values()
        elif isinstance(value, list):
            left += value
        elif isinstance(value, str | int) and str(value) == subject:
            return True
    return False


def _unknown(subject: str, reason: str) -> ForgetReport:
    """The report on a subject of whom nothing is known."""
    return ForgetReport(subject, reason, None, False, True, "", 0, 0, 0, 0, 0, 0, 0, (), 0, 0, 0, (), ())


def _told(engine: "Engine", vault: Vault, subject: str, reason: str, actor: Actor | None) -> int:
    """Append that a subject was forgotten, unless that was done; where it is."""
    stream = f"forgotten-{vault.id_of(subject)}"
    meta = engine.meta_of("Act.forget", stream, actor)
    try:
        done = engine.store.append(stream, [SubjectForgotten(subject, reason)], expected_version=0, meta=meta)
        return done.last_position
    except ConcurrencyError:
        return next(iter(engine.store.load(stream, limit=1))).position


def _has_snapshot(engine: "Engine", stream: str, id: str) -> bool:
    found = engine.store.latest_snapshot(stream)
    return found is not None and f'"$sealed:{id}:'.encode() in found.data
