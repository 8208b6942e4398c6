"""A replica that can be gone on with: one that is there, or one made from a checkpoint, or from the log's beginning.

A replica that is damaged, or older than what the engine still has, is made again: the new one is made beside it, the
old one is renamed, so that its name says why, and the new one takes its place. Whenever that is interrupted, either a
replica is in its place, or there is none, and the next who opens it makes it.
"""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple, Self

import msgspec

from act_fast._core import Log, genesis_record, read_genesis, record_head
from act_fast._runtime.file_lock import FileLock
from act_fast._runtime.flushing import flush
from act_fast._runtime.logger import log as logger
from act_fast.errors import (
    EngineAwayError,
    OutcomeUnknownError,
    StoreCorruptError,
    StoreError,
    StoreFormatError,
    StoreLockedError,
)
from act_fast.stores.ordered.address import parts_of
from act_fast.stores.ordered.port import OrderedLog
from act_fast.stores.ordered.schemes import open_ordered_log
from act_fast.stores.replicated.checkpoint import Checkpoint, load, newest
from act_fast.stores.replicated.late import LateLog
from act_fast.stores.replicated.shelves import Shelf
from act_fast.stores.replicated.state import STATE, State

__all__ = ["FOLDER", "Engine", "Opened", "SetAside", "mark_damaged", "open_replica", "set_aside"]

FOLDER: Final = "replica"
"""The folder of what a replica keeps beside its log."""

_SEGMENT_BYTES: Final = 64 * 1024 * 1024
_FLUSH_MS: Final = 100
_PRESENT: Final = "present"
_WHY: Final = "set-aside.json"
_LEAVE_SECONDS: Final = 3.0


class Engine(NamedTuple):
    """How the ordered log is had.

    Attributes:
        name: where it is, for people: without credentials.
        given: the log, if the caller has opened it.
        address: where it is otherwise.
    """

    name: str
    given: OrderedLog | None
    address: str

    @classmethod
    def at(cls, address: str) -> Self:
        """The log at an address."""
        return cls(str(parts_of(address)), None, address)

    @classmethod
    def of(cls, log: OrderedLog) -> Self:
        """A log that is open."""
        return cls(log.name, log, "")

    def open(self) -> OrderedLog:
        """The log, opened unless it is open."""
        return open_ordered_log(self.address) if self.given is None else self.given

    def release(self, log: OrderedLog) -> None:
        """Close it, if it can be opened again."""
        if log is not self.given:
            log.close()


class Opened(NamedTuple):
    """A replica that is open, and the ordered log that it goes with.

    Attributes:
        ordered: the ordered log, or one that stands for it until it can be reached.
        log: the replica.
        state: what is kept beside it.
        present: the lock that all who have it open share.
    """

    ordered: OrderedLog
    log: Log
    state: State
    present: FileLock


class _Why(msgspec.Struct, frozen=True):
    why: str
    at: datetime


class SetAside(msgspec.Struct, frozen=True):
    """A replica that was set aside, and rebuilt in its place.

    Attributes:
        path: where it is now; remove it when you do not need it any more.
        why: what was wrong with it.
        at: when that was found.
    """

    path: str
    why: str
    at: datetime


def open_replica(engine: Engine, path: Path, checkpoints: Shelf | None, *, create: bool, damage: str) -> Opened:
    """Open a replica; where it is new, damaged or too old, it is made first. Without the engine, one that is there.

    Args:
        engine: how the ordered log is had.
        path: where the replica is, or will be.
        checkpoints: where checkpoints are.
        create: whether to make a store where there is none.
        damage: what is wrong with the replica, as far as the caller has found out.

    Raises:
        StoreError: it cannot be opened or made; why.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        ordered = engine.open()
    except EngineAwayError as error:
        return _without_engine(engine, None, path, error)
    try:
        with _one_at_a_time(path):
            genesis = _ready(ordered, path, checkpoints, create, damage)
            try:
                log, state = _files(path, genesis)
            except StoreCorruptError as error:
                if damage:
                    raise
                genesis = _ready(ordered, path, checkpoints, create, str(error))
                log, state = _files(path, genesis)
            found = Opened(ordered, log, state, _present(path))
            if genesis is None:
                try:
                    _check_goes_with(ordered, str(path), _bytes_of(log.store_id), log.applied())
                except BaseException:
                    _close(found)
                    raise
            return found
    except EngineAwayError as error:
        return _without_engine(engine, ordered, path, error)
    except BaseException:
        engine.release(ordered)
        raise


def _without_engine(engine: Engine, ordered: OrderedLog | None, path: Path, why: EngineAwayError) -> Opened:
    """Open a replica to be read, until the engine can be reached."""
    if ordered is not None:
        engine.release(ordered)
    if not _is_there(path):
        raise why
    with _one_at_a_time(path):
        try:
            log, state = _files(path, None)
        except StoreCorruptError as error:
            raise StoreCorruptError(
                f"{path} is damaged ({error}). It is rebuilt when it is opened while the engine can be reached,"
                f" which is not the case now: {why}"
            ) from error
        logger.warning("the replica %s can only be read for now: %s", path, str(why))
        return Opened(_late(engine, path, log, why), log, state, _present(path))


def _late(engine: Engine, path: Path, log: Log, why: EngineAwayError) -> LateLog:
    def reach() -> OrderedLog:
        found = engine.open()
        try:
            _check_goes_with(found, str(path), _bytes_of(log.store_id), log.applied())
        except BaseException:
            engine.release(found)
            raise
        return found

    return LateLog(engine.name, reach, why, engine.given)


def _files(path: Path, genesis: tuple[bytes, int] | None) -> tuple[Log, State]:
    log = Log.open_replica(str(path), "interval", _FLUSH_MS, False, genesis)
    try:
        return log, State(path / FOLDER)
    except BaseException:
        log.close()
        raise


def _close(opened: Opened) -> None:
    opened.present.close()
    opened.state.close()
    opened.log.close()


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """One process of the machine opens a replica, makes it, or makes it again."""
    lock = FileLock(path.with_name(f".{path.name}.opening"), os.O_RDWR | os.O_CREAT)
    try:
        lock.wait()
        yield
    finally:
        lock.close()


def _is_there(path: Path) -> bool:
    """Whether there is a replica at a path."""
    return (path / "log").is_dir()


def _present(path: Path) -> FileLock:
    """A lock that all who have a replica open share, so that it is not set aside under their hands."""
    lock = FileLock(path / FOLDER / _PRESENT, os.O_RDWR | os.O_CREAT)
    lock.share()
    return lock


def mark_damaged(path: Path, why: str) -> None:
    """Have a replica made again by the next who opens it, once no one else has it open."""
    with suppress(OSError):  # if there is no room, the next opening finds the damage again
        (path / FOLDER).mkdir(exist_ok=True)
        fresh = path / FOLDER / f"{_WHY}.new"
        fresh.write_bytes(msgspec.json.encode(_Why(why, datetime.now(UTC))))
        os.replace(fresh, path / FOLDER / _WHY)


def set_aside(path: Path) -> list[SetAside]:
    """The replicas of a path that were set aside, the oldest first."""
    found = []
    for where in path.parent.iterdir():
        if not where.name.startswith((f"{path.name}.damaged-", f"{path.name}.old-")):
            continue
        why = _why(where) or _Why("it is not known why", datetime.fromtimestamp(where.stat().st_mtime, UTC))
        found.append(SetAside(str(where), why.why, why.at))
    return sorted(found, key=lambda each: each.at)


def _ready(
    ordered: OrderedLog, path: Path, checkpoints: Shelf | None, create: bool, damage: str
) -> tuple[bytes, int] | None:
    """Have a replica at a path that can go on; what the store began with, where the log is still to be made."""
    if not _is_there(path):
        return _made(ordered, path, checkpoints, create)
    first = ordered.first()
    if not ordered.head():
        raise StoreError(
            f"{ordered.name} is empty, but {path} is the replica of a store: the engine has lost it, or it is"
            " another engine; for a new store, choose another path"
        )
    store_id, place = Log.replica_remains(str(path))
    _check_goes_with(ordered, str(path), store_id, _known_place(path) if place is None else place)
    if not damage and _made_again_as_marked(ordered, path, checkpoints):
        return None if _is_there(path) else _genesis(ordered, create)
    if not any((path / "log").iterdir()) and ((path / "control").exists() or first > 1):
        damage = damage or "its log files are gone"
    kind = "damaged"
    if not damage and first > 1:
        try:
            if first <= _going_on(path) + 1:
                return None
        except StoreCorruptError as error:
            damage = str(error)
        else:
            kind, damage = "old", f"it is older than what is left of {ordered.name}"
    if damage:
        _make_again(ordered, path, checkpoints, kind, damage)
    return None if first > 1 or (_is_there(path) and damage) else _genesis(ordered, create)


def _check_goes_with(ordered: OrderedLog, what: str, store_id: bytes | None, place: int) -> None:
    """Refuse a replica, or a checkpoint, with which this log cannot be gone on with: each would damage the other."""
    for each in ordered.read(ordered.first() - 1, bytes_max=1):
        found = record_head(each.record)[1]
        if store_id not in (None, found):
            raise StoreFormatError(f"{what} is of another store ({store_id.hex()}) than {ordered.name} ({found.hex()})")
    head = ordered.head()
    if head < place:
        raise StoreError(
            f"{what} has the records of {ordered.name} up to place {place}, but that ends at {head}: the engine has"
            " lost what it had acknowledged, or it is another engine"
        )


def _made(ordered: OrderedLog, path: Path, checkpoints: Shelf | None, create: bool) -> tuple[bytes, int] | None:
    """A new replica: from the newest checkpoint, or what the store began with."""
    found = _usable(ordered, checkpoints)
    if checkpoints is None or found is None:
        if (first := ordered.first()) > 1:
            raise StoreError(
                f"{ordered.name} begins at place {first}; what was before was trimmed. A new replica begins with a"
                " checkpoint: name where they are, with `checkpoints=`"
            )
        return _genesis(ordered, create)
    load(checkpoints, found, path)
    return None


def _made_again_as_marked(ordered: OrderedLog, path: Path, checkpoints: Shelf | None) -> bool:
    """Make a replica again that is marked as damaged, unless that is not possible now; it may still be opened."""
    marked = _why(path)
    if marked is None:
        return False
    try:
        _make_again(ordered, path, checkpoints, "damaged", marked.why)
    except EngineAwayError:
        raise
    except StoreError as error:
        logger.warning("the replica %s is damaged, and is used as it is: %s", path, str(error))
        return False
    return True


def _make_again(ordered: OrderedLog, path: Path, checkpoints: Shelf | None, kind: str, why: str) -> None:
    """Set a replica aside, and make it again from a checkpoint, if there is one; else there is none afterwards."""
    found = _usable(ordered, checkpoints)
    if found is None and ordered.first() > 1:
        what = f"{path} cannot be used as it is: {why}"
        raise StoreError(f"{what}; name where its checkpoints are, with `checkpoints=`, to have it made again")
    with _alone(path, why):
        if _why(path) is None:
            mark_damaged(path, why)
        where = path.with_name(f"{path.name}.{kind}-{time.time_ns() // 1_000_000}")
        if checkpoints is None or found is None:
            os.rename(path, where)
            flush(path.parent)
        else:
            load(checkpoints, found, path, away=where)
    source = "the beginning of the log" if found is None else f"the checkpoint {found.path}"
    logger.warning("the replica %s is rebuilt from %s: %s; the old one is now %s", path, source, why, where)


def _usable(ordered: OrderedLog, checkpoints: Shelf | None) -> Checkpoint | None:
    found = None if checkpoints is None else newest(checkpoints)
    if found is not None:
        _check_goes_with(ordered, f"the checkpoint {found.path}", _bytes_of(found.store_id), found.place)
    return found


@contextmanager
def _alone(path: Path, why: str) -> Iterator[None]:
    """No other process has the replica open while the block lasts."""
    (path / FOLDER).mkdir(exist_ok=True)
    lock = FileLock(path / FOLDER / _PRESENT, os.O_RDWR | os.O_CREAT)
    try:
        end = time.monotonic() + _LEAVE_SECONDS
        while not lock.take():
            if time.monotonic() > end:
                raise StoreLockedError(
                    f"{path} has to be rebuilt ({why}), and other processes have it open; end them first"
                )
            time.sleep(0.01)
        yield
    finally:
        lock.close()


def _known_place(path: Path) -> int:
    """How far a replica is known to be whose control file is damaged; 0 if that is not known."""
    with suppress(StoreError):
        return _going_on(path) if (path / FOLDER / STATE).exists() else 0
    return 0


def _bytes_of(store_id: str) -> bytes:
    return bytes.fromhex(store_id.replace("-", ""))


def _going_on(path: Path) -> int:
    """After which place a replica that is not open would go on."""
    state = State(path / FOLDER)
    try:
        return state.place()
    finally:
        state.close()


def _why(path: Path) -> _Why | None:
    """What is said to be wrong with a replica."""
    with suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode((path / FOLDER / _WHY).read_bytes(), type=_Why)
    return None


def _genesis(ordered: OrderedLog, create: bool) -> tuple[bytes, int]:
    """The store id and the segment size that the first record of a log says; made where there is none.

    Raises:
        StoreFormatError: the log holds something else.
        StoreError: there is no store, and none is to be made.
    """
    while True:
        if not ordered.head():
            if not create:
                raise StoreError(f"there is no store at {ordered.name}; create=True makes one")
            with suppress(OutcomeUnknownError):  # what is there is seen below
                ordered.append(genesis_record(secrets.token_bytes(16), _SEGMENT_BYTES))
        for each in ordered.read(bytes_max=1, timeout=1.0):
            found = read_genesis(each.record)
            if found is not None:
                return found
            raise StoreFormatError(
                f"{ordered.name} does not begin like a store: its first record is something else, or was trimmed, and"
                " there is no checkpoint to start from"
            )
