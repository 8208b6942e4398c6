"""The store on several machines: what is appended goes through an ordered log, all else is here, on a replica."""

import os
import secrets
import shutil
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from act_fast._checks import arguments
from act_fast._core import Appended, Log, check_commit, genesis_record, read_genesis, record_head
from act_fast._events.meta import Meta
from act_fast._rows import Progress
from act_fast._runtime.file_lock import FileLock
from act_fast.errors import (
    EngineAwayError,
    OutcomeUnknownError,
    StoreClosedError,
    StoreError,
    StoreFormatError,
    StoreLockedError,
    ValidationError,
)
from act_fast.stores.capabilities import Encoded, ReplayGroups, Rows, Transfer
from act_fast.stores.database.mirrored import MirroredReactions
from act_fast.stores.given import cause_of, part, parts_of
from act_fast.stores.log.local import LocalLog
from act_fast.stores.ordered.port import OrderedLog
from act_fast.stores.ordered.schemes import open_ordered_log
from act_fast.stores.reaction_port import ReactionPort
from act_fast.stores.replicated.address import place_of
from act_fast.stores.replicated.applier import Applier
from act_fast.stores.replicated.checkpoint import Checkpoint, folder_for, keep_newest, load, newest, seal
from act_fast.stores.replicated.keeper import ReplicaKeeper
from act_fast.stores.replicated.proposer import Part, Proposer
from act_fast.stores.replicated.state import STATE, Member, State
from act_fast.stores.replicated.transfer import ReplicaTransfer
from act_fast.stores.values import Append, NewEvent

__all__ = ["ReplicatedStore"]

_FOLDER: Final = "replica"
_SEGMENT_BYTES: Final = 64 * 1024 * 1024
_PAYLOAD_BYTES_MAX: Final = 16 * 1024 * 1024
_FLUSH_MS: Final = 100
_CATCH_UP_SECONDS: Final = 30.0


class ReplicatedStore(LocalLog):
    """A store that any number of machines share: an ordered log of an engine, and a replica on each machine.

    An append is proposed to the ordered log, and returns once this replica has applied it. Everything is read from the
    replica, as from an embedded log: it may be behind what other machines have just appended.

    Args:
        ordered: the ordered log, or the address of one, such as `nats://host/bank?replica=/var/lib/bank.act`.
        replica: the folder of the replica. All processes of a machine share it; the address may name it too.
        checkpoints: the folder with checkpoints, for a replica that is new, or too far behind to continue. The address
            may name it too.
        payload_max_bytes: the largest data that an event may have; a commit must also fit into a record of the engine.
        create: whether to create a store if there is none.

    Raises:
        StoreFormatError: the folder holds something else, or the replica of another store.
        StoreError: the engine cannot be reached, or refuses.
        ValidationError: the address cannot be read, or an option is not valid.
    """

    __slots__ = (
        "_applier",
        "_checkpoints",
        "_closing",
        "_finalizer",
        "_folder",
        "_ordered",
        "_payload_max_bytes",
        "_proposer",
        "_state",
    )

    _ordered: OrderedLog

    def __init__(
        self,
        ordered: OrderedLog | str,
        replica: str | os.PathLike[str] | None = None,
        *,
        checkpoints: str | os.PathLike[str] | None = None,
        payload_max_bytes: int = _PAYLOAD_BYTES_MAX,
        create: bool = True,
    ) -> None:
        self._payload_max_bytes = arguments.count("payload_max_bytes", payload_max_bytes)
        create = arguments.flag("create", create)
        if isinstance(ordered, str):
            place = place_of(ordered)
            replica = place.replica if replica is None else replica
            checkpoints = place.checkpoints if checkpoints is None else checkpoints
            self._ordered = open_ordered_log(place.engine)
        elif replica is None:
            raise ValidationError("replica must name the folder of this machine's replica")
        else:
            self._ordered = ordered
        self._checkpoints = None if checkpoints is None else Path(arguments.directory(checkpoints))
        self._closing: weakref.WeakSet[MirroredReactions] = weakref.WeakSet()
        try:
            self._open(Path(arguments.directory(replica)), create)
        except BaseException:
            self._ordered.close()
            raise

    @staticmethod
    def upgrade(address: str) -> tuple[int, int]:
        """Always refused: there are no tables to upgrade.

        Raises:
            ValidationError: always.
        """
        raise ValidationError("a store on an ordered log has no tables: there is nothing to upgrade")

    def _open(self, path: Path, create: bool) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        making = FileLock(path.with_name(f".{path.name}.opening"), os.O_RDWR | os.O_CREAT)
        try:
            making.wait()  # one process of the machine makes the replica, or makes it again
            genesis = self._prepare(path, create)
            log = Log.open_replica(str(path), "interval", _FLUSH_MS, False, genesis)
        finally:
            making.close()
        self._begin(log)
        try:
            if genesis is None:
                _check_goes_with(self._ordered, str(path), self._log.store_id, self._log.applied())
            self._folder = path / _FOLDER
            self._state = State(self._folder)
            self._applier = Applier(self._ordered, self._log, self._state, self._folder)
            store_id = bytes.fromhex(self._log.store_id.replace("-", ""))
            applier = weakref.ref(self._applier)
            self._proposer = Proposer(
                self._ordered,
                self._log,
                self._state,
                store_id,
                lambda: _trouble_of(applier()),
                lambda place, record: _offer_to(applier(), place, record),
            )
            self._applier.say = self._proposer.say
            self._catch_up()
        except BaseException:
            self.close()
            raise
        self._finalizer = weakref.finalize(self, _let_go, self._proposer, self._applier, os.getpid())
        self._finalizer.atexit = False

    def _prepare(self, path: Path, create: bool) -> tuple[bytes, int] | None:
        """Have a replica at a path that can go on; what the store began with, where the log is still to be made."""
        first, known = self._ordered.first(), (path / "log").is_dir()
        if first > 1 and known:
            if first <= _going_on(path) + 1:
                return None
            self._set_aside(path)
            known = False
        if self._checkpoints is not None and not known:
            found = newest(self._checkpoints)
            if found is not None:
                _check_goes_with(self._ordered, f"the checkpoint {found.path}", found.store_id, found.place)
                load(found, path)
                return None
        if known and not self._ordered.head():
            raise StoreError(
                f"{self._ordered.name} is empty, but {path} is the replica of a store: the engine has lost it, or it is"
                " another engine; for a new store, choose another path"
            )
        return _genesis(self._ordered, create)

    def _set_aside(self, path: Path) -> None:
        """Rename a replica that is too old, and that no process has open."""
        where = f"{path} is older than what is left of {self._ordered.name}"
        if self._checkpoints is None or newest(self._checkpoints) is None:
            raise StoreError(f"{where}; name the folder of its checkpoints, with `checkpoints=`, to make it again")
        lock = FileLock(path / _FOLDER / "applier", os.O_RDWR | os.O_CREAT)
        try:
            if not lock.take():
                raise StoreLockedError(f"{where}, and other processes have it open; end them to make it again")
            os.rename(path, path.with_name(f"{path.name}.old-{time.time_ns() // 1_000_000}"))
        finally:
            lock.close()

    @property
    def engine(self) -> str:
        """The address of the ordered log, to show to people."""
        return self._ordered.name

    @property
    def trouble(self) -> str:
        """Why this process cannot apply what comes next; empty while all is well, and where another process applies."""
        found = self._applier.trouble
        return "" if found is None else str(found)

    @property
    def lag(self) -> int:
        """How far this replica is behind the ordered log, as a difference of places; 0 when it has all of it."""
        return max(0, self._ordered.head() - self._log.applied())

    def append(
        self,
        stream: str,
        events: Sequence[NewEvent],
        *,
        expected_version: int | None = None,
        meta: Meta | None = None,
    ) -> Appended:
        """Append `events` to `stream` as one commit, all or nothing.

        Concurrent appends by threads of this process go to the ordered log together, in one record.

        Args:
            stream: the stream's name, 1 to 512 bytes, without NUL or newline.
            events: at least one: events, or pairs of a name and encoded JSON.
            expected_version: the version that the stream must be at, 0 for a new one; None does not check.
            meta: why it happened; one for the whole commit.

        Returns:
            the first and last version and position of what was appended.

        Raises:
            ConcurrencyError: the stream is at another version; nothing was written.
            OutcomeUnknownError: the engine has not said in time whether it has the record.
            StoreError: the engine cannot be reached, or refuses; nothing was written.
            ValidationError: an argument is not valid, or the commit is too large for a record of the engine.
        """
        (appended,) = self._append([part(stream, events, expected_version)], b"" if meta is None else cause_of(meta))
        return appended

    def append_many(self, appends: Sequence[Append], *, meta: Meta | None = None) -> list[Appended]:
        """Append to several streams as one commit, all or nothing; each may expect a version.

        Returns:
            for each of `appends`, in their order, where its events are.

        Raises:
            ConcurrencyError: a stream is at another version than expected; nothing was written.
            OutcomeUnknownError: the engine has not said in time whether it has the record.
            StoreError: the engine cannot be reached, or refuses; nothing was written.
            ValidationError: an argument is not valid, or the commit is too large for a record of the engine.
        """
        return self._append(parts_of(appends), b"" if meta is None else cause_of(meta))

    def checkpoint(
        self, where: str | os.PathLike[str] | None = None, *, keep: int | None = None, progress: Progress | None = None
    ) -> Checkpoint:
        """Save this replica, as it is now, as a checkpoint that new nodes can start from. It blocks no one.

        Args:
            where: a folder, created if it does not exist; by default, the one that the store was opened with.
            keep: remove all checkpoints there except this many of the newest; None removes none.
            progress: called now and then with (bytes done, bytes in all).

        Returns:
            what was made. The ordered log may be trimmed up to its place.

        Raises:
            ValidationError: there is no folder to put it in.
            StoreFullError: there is no room; nothing was kept of it.
        """
        self._check()
        folder = self._checkpoints if where is None else Path(arguments.directory(where))
        if folder is None:
            raise ValidationError("where must name a folder, since the store was opened without one for checkpoints")
        keep = arguments.optional_count("keep", keep)
        place = self._applier.save(_CATCH_UP_SECONDS)
        target = folder_for(folder, place)
        try:
            target.mkdir(parents=True)
            (target / _FOLDER).mkdir()
            self._state.copy_into(target / _FOLDER / STATE)
            self._log.backup(str(target / "backup"), progress)
            for path in (target / "backup").iterdir():
                path.rename(target / path.name)
            (target / "backup").rmdir()
            made = seal(target, self._log.store_id, place, self._log.head)
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
        if keep:
            keep_newest(folder, keep)
        return made

    def trim(self, checkpoint: Checkpoint) -> None:
        """Let the engine drop the records that a checkpoint covers. A node further behind must start from it."""
        self._check()
        if checkpoint.store_id != self._log.store_id:
            raise ValidationError(f"the checkpoint {checkpoint.path} is of another store")
        self._ordered.trim(min(checkpoint.place + 1, self._ordered.head() + 1))

    def members(self) -> list[Member]:
        """The nodes that have this store open, as far as this replica has heard."""
        self._check()
        now = self._log.log_time()
        return [each for each in self._state.members() if each.until_ms > now]

    def flush(self) -> None:
        """Return at once: what was appended is with the engine, which keeps it as durably as it is configured to."""
        self._check()

    def reactions(self) -> ReactionPort:
        """What the store keeps of reactions, opened for one program: targets, leases, and what they have to do.

        It is closed with the store. Apps do all this themselves; use it to look at a store without an app.
        """
        keeper = ReplicaKeeper(self._log, self._folder, self._proposer, self._check)
        try:
            found = MirroredReactions(keeper)
        except BaseException:
            keeper.close()
            raise
        self._closing.add(found)
        return found

    def rows(self) -> Rows | None:
        """Events as rows, for the framework. None in a subclass, whose verbs may do more."""
        return ReplicaRows(self) if type(self) is ReplicatedStore else None

    def transfer(self) -> Transfer:
        """All that the store holds, out and in as it stands, for the framework."""
        return ReplicaTransfer(self._log, self._folder, self._proposer, self._ordered.name)

    def replay_groups(self) -> ReplayGroups | None:
        """The core's own replay, for the framework."""
        return self._log

    def close(self) -> None:
        """Release the store. Closing again does nothing; any other call raises `StoreClosedError` from now on."""
        if self.closed:
            return
        with suppress(AttributeError):
            self._finalizer.detach()
        for reactions in tuple(self._closing):
            reactions.close()
        try:
            with suppress(AttributeError):  # it was not opened whole
                self._proposer.close()
                self._applier.end()
            self._ordered.close()
            with suppress(AttributeError):
                self._applier.close()
                self._state.close()
        finally:
            super().close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._ordered.name!r}, replica={self.path!r})"

    def _append(self, parts: Sequence[Part], meta: bytes) -> list[Appended]:
        self._check()
        check_commit(parts, meta, self._payload_max_bytes)
        return self._proposer.append(parts, meta)

    def _check(self) -> None:
        if self._log.closed:
            raise StoreClosedError("this store was closed, or was opened by the process this one was forked from")

    def _catch_up(self) -> None:
        """Apply what there is already, unless that takes long."""
        end = time.monotonic() + _CATCH_UP_SECONDS
        head = self._ordered.head()
        while self._log.wait_applied(head, 100) < head and time.monotonic() < end:
            trouble = self._applier.trouble
            if trouble is not None and not isinstance(trouble, EngineAwayError):
                raise StoreError(f"nothing can be applied to {self.path}: {trouble}") from trouble


class ReplicaRows:
    """The events of a replicated store as rows: see `Rows`."""

    def __init__(self, store: ReplicatedStore) -> None:
        self._store = store
        log = store._log
        self.load: Final = log.load
        self.version: Final = log.version
        self.latest_snapshot: Final = log.latest_snapshot

    def append(
        self,
        stream: str,
        events: Sequence[Encoded],
        expected_version: int | None = None,
        meta: bytes | None = None,
    ) -> Appended:
        """Append events as one commit."""
        (appended,) = self._store._append([(stream, events, expected_version)], meta or b"")
        return appended


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
                " there is no checkpoint to begin with"
            )


def _check_goes_with(ordered: OrderedLog, what: str, store_id: str, place: int) -> None:
    """Refuse a replica, or a checkpoint, with which this log cannot be gone on with: each would damage the other."""
    for each in ordered.read(ordered.first() - 1, bytes_max=1):
        found = record_head(each.record)[1].hex()
        if found != store_id.replace("-", ""):
            raise StoreFormatError(f"{what} is of another store ({store_id}) than {ordered.name} ({found})")
    head = ordered.head()
    if head < place:
        raise StoreError(
            f"{what} has the records of {ordered.name} up to place {place}, but that ends at {head}: the engine has"
            " lost what it had acknowledged, or it is another engine"
        )


def _going_on(path: Path) -> int:
    """After which place a replica that is not open would go on."""
    state = State(path / _FOLDER)
    try:
        return state.place()
    finally:
        state.close()


def _trouble_of(applier: Applier | None) -> Exception | None:
    return None if applier is None else applier.trouble


def _offer_to(applier: Applier | None, place: int, record: bytes) -> None:
    if applier is not None:
        applier.offer(place, record)


def _let_go(proposer: Proposer, applier: Applier, process: int) -> None:
    """End the threads of a store that was dropped without being closed."""
    if process != os.getpid():  # they stayed with the parent, and so did whoever holds their locks
        return
    proposer.abandon()
    applier.abandon()
