"""The store on several machines: what is appended goes through an ordered log, all else is here, on a replica."""

import os
import time
import weakref
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from act_fast._checks import arguments
from act_fast._core import Appended
from act_fast._events.meta import Meta
from act_fast._rows import Progress
from act_fast._runtime.file_lock import FileLock
from act_fast.errors import (
    EngineAwayError,
    StoreClosedError,
    StoreCorruptError,
    StoreError,
    ValidationError,
)
from act_fast.stores.append_condition import Condition
from act_fast.stores.capabilities import Encoded, Keys, ReplayGroups, Rows, Transfer
from act_fast.stores.given import Guards, cause_of, guards_of, part, parts_of
from act_fast.stores.log.local import LocalLog
from act_fast.stores.once import Keeping, Repeated, append_once
from act_fast.stores.ordered.port import OrderedLog
from act_fast.stores.reaction_port import ReactionPort
from act_fast.stores.replicated.address import place_of
from act_fast.stores.replicated.applier import Applier
from act_fast.stores.replicated.checkpoint import Checkpoint, keep_newest, name_for, seal
from act_fast.stores.replicated.keeper import ReplicaKeeper
from act_fast.stores.replicated.membership import Worker
from act_fast.stores.replicated.opening import FOLDER, Engine, SetAside, mark_damaged, open_replica, set_aside
from act_fast.stores.replicated.proposer import Part, Proposed, Proposer
from act_fast.stores.replicated.reactions import ReplicaReactions
from act_fast.stores.replicated.shelves import shelf_at
from act_fast.stores.replicated.state import STATE, Member, State
from act_fast.stores.replicated.transfer import ReplicaTransfer
from act_fast.stores.values import Append, NewEvent, VerifyReport

__all__ = ["ReplicatedStore"]

_PAYLOAD_BYTES_MAX: Final = 16 * 1024 * 1024
_CATCH_UP_SECONDS: Final = 30.0


class ReplicatedStore(LocalLog):
    """A store that any number of machines share: an ordered log of an engine, and a replica on each machine.

    An append is proposed to the ordered log, and returns once this replica has applied it. Everything is read from the
    replica, as from an embedded log: it may be behind what other machines have just appended.

    Args:
        ordered: the ordered log, or the address of one, such as `nats://host/bank?replica=/var/lib/bank.act`.
        replica: the folder of the replica. All processes of a machine share it; the address may name it too.
        checkpoints: the folder with checkpoints, or `s3://bucket/prefix`, for a replica that is new, damaged, or too
            far behind to continue. The address may name it too.
        payload_max_bytes: the largest data that an event may have; a commit must also fit into a record of the engine.
        create: whether to create a store if there is none.
        keys_for: how long a key counts as used, at least a day; None: forever.

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
        "_keeping",
        "_ordered",
        "_payload_max_bytes",
        "_present",
        "_proposer",
        "_state",
    )

    _ordered: OrderedLog
    _state: State
    _present: FileLock

    def __init__(
        self,
        ordered: OrderedLog | str,
        replica: str | os.PathLike[str] | None = None,
        *,
        checkpoints: str | os.PathLike[str] | None = None,
        payload_max_bytes: int = _PAYLOAD_BYTES_MAX,
        create: bool = True,
        keys_for: timedelta | None = None,
    ) -> None:
        self._keeping = Keeping(keys_for)
        self._payload_max_bytes = arguments.count("payload_max_bytes", payload_max_bytes)
        create = arguments.flag("create", create)
        if isinstance(ordered, str):
            place = place_of(ordered)
            replica = place.replica if replica is None else replica
            checkpoints = place.checkpoints if checkpoints is None else checkpoints
            engine = Engine.at(place.engine)
        elif replica is None:
            raise ValidationError("replica must name the folder of this machine's replica")
        else:
            engine = Engine.of(ordered)
        self._checkpoints = None if checkpoints is None else shelf_at(checkpoints)
        self._closing: weakref.WeakSet[ReplicaReactions] = weakref.WeakSet()
        try:
            self._open(engine, Path(arguments.directory(replica)), create)
        except BaseException:
            if not isinstance(ordered, str):
                ordered.close()
            raise

    @staticmethod
    def upgrade(address: str) -> tuple[int, int]:
        """Always refused: there are no tables to upgrade.

        Raises:
            ValidationError: always.
        """
        raise ValidationError("a store on an ordered log has no tables: there is nothing to upgrade")

    def _open(self, engine: Engine, path: Path, create: bool) -> None:
        damage = ""
        while True:
            opened = open_replica(engine, path, self._checkpoints, create=create, damage=damage)
            self._ordered, self._state, self._present = opened.ordered, opened.state, opened.present
            self._begin(opened.log)
            try:
                self._start(path / FOLDER)
                return
            except BaseException as error:
                self._end()
                engine.release(self._ordered)
                super().close()
                if damage or not isinstance(error, StoreCorruptError):
                    raise
                damage = str(error)
                mark_damaged(path, damage)

    def _start(self, folder: Path) -> None:
        """Begin to apply and to propose."""
        self._folder = folder
        self._applier = Applier(self._ordered, self._log, self._state, folder)
        applier = weakref.ref(self._applier)
        self._proposer = Proposer(
            self._ordered,
            self._log,
            self._state,
            bytes.fromhex(self._log.store_id.replace("-", "")),
            lambda: _trouble_of(applier()),
            lambda place, record: _offer_to(applier(), place, record),
        )
        self._applier.say = self._proposer.say
        self._catch_up()
        self._finalizer = weakref.finalize(self, _let_go, self._proposer, self._applier, os.getpid())
        self._finalizer.atexit = False

    def _end(self) -> None:
        """End what `_start` has begun, and let go of the files that are kept beside the log."""
        with suppress(AttributeError):  # it was not opened whole
            self._proposer.close()
            self._applier.end()
        with suppress(AttributeError):
            self._applier.close()
        self._state.close()
        self._present.close()

    @property
    def engine(self) -> str:
        """The address of the ordered log, to show to people."""
        return self._ordered.name

    @property
    def trouble(self) -> str:
        """Why what comes next cannot be applied on this machine; empty while all is well."""
        found = self._applier.trouble
        return "" if found is None else str(found)

    @property
    def set_aside(self) -> list[SetAside]:
        """The replicas at this path that were damaged or too old, and were rebuilt; the oldest first."""
        return set_aside(Path(self.path))

    @property
    def proposed(self) -> Proposed:
        """The outcomes of the commits that this process has proposed so far."""
        return replace(self._proposer.proposed)

    @property
    def lag(self) -> int:
        """How far this replica is behind the ordered log, as a difference of places; 0 when it has all of it.

        Raises:
            EngineAwayError: the engine cannot be reached.
        """
        return max(0, self._ordered.head() - self._log.applied())

    def append(
        self,
        stream: str,
        events: Sequence[NewEvent],
        *,
        expected_version: int | None = None,
        condition: Condition | None = None,
        meta: Meta | None = None,
        key: str | None = None,
    ) -> Appended:
        """Append `events` to `stream` as one commit, all or nothing.

        Concurrent appends by threads of this process go to the ordered log together, in one record.

        Args:
            stream: the stream's name, 1 to 512 bytes, without NUL or newline.
            events: at least one: events, or pairs of a name and encoded JSON.
            expected_version: the version that the stream must be at, 0 for a new one; None does not check.
            condition: which events must not be there after a position.
            meta: why it happened; one for the whole commit.
            key: append once: if this key was used before, nothing is appended, and the first answer is returned.

        Returns:
            the first and last version and position of what was appended.

        Raises:
            ConcurrencyError: the stream is at another version; nothing was written.
            KeyReusedError: the key was used before, for other events; nothing was written.
            ConditionError: an event that the condition excludes is there; nothing was written.
            OutcomeUnknownError: the engine did not say in time whether it has the record.
            StoreError: the engine cannot be reached, or refuses; nothing was written.
            ValidationError: an argument is not valid, or the commit is too large for a record of the engine.
        """
        parts = [part(stream, events, expected_version)]
        (appended,) = self._append_given(parts, key, meta, guards_of(None, condition))
        return appended

    def append_many(
        self,
        appends: Sequence[Append],
        *,
        expected_versions: Mapping[str, int] | None = None,
        condition: Condition | None = None,
        meta: Meta | None = None,
        key: str | None = None,
    ) -> list[Appended]:
        """Append to several streams as one commit, all or nothing; each may expect a version and have a condition.

        Args:
            appends: what to append to which stream.
            expected_versions: the versions that other streams, which are not written to, must be at; 0: no such stream.
            condition: which events must not be there after a position.
            meta: why it happened; one for the whole commit.
            key: append once: if this key was used before, nothing is appended, and the first answer is returned.

        Returns:
            for each of `appends`, in their order, where its events are.

        Raises:
            ConcurrencyError: a stream is at another version than expected; nothing was written.
            KeyReusedError: the key was used before, for other events; nothing was written.
            ConditionError: an event that a condition excludes is there; nothing was written.
            OutcomeUnknownError: the engine did not say in time whether it has the record.
            StoreError: the engine cannot be reached, or refuses; nothing was written.
            ValidationError: an argument is not valid, or the commit is too large for a record of the engine.
        """
        parts = parts_of(appends)
        return self._append_given(parts, key, meta, guards_of(expected_versions, condition, appends))

    def checkpoint(
        self, where: str | os.PathLike[str] | None = None, *, keep: int | None = None, progress: Progress | None = None
    ) -> Checkpoint:
        """Save this replica, as it is now, as a checkpoint that new nodes can start from. It blocks no one.

        Args:
            where: a folder, created if it does not exist, or `s3://bucket/prefix`; by default, the one that the store
                was opened with.
            keep: remove all checkpoints there except this many of the newest; None removes none.
            progress: called now and then with (bytes done, bytes in all).

        Returns:
            what was made. The ordered log may be trimmed up to its place.

        Raises:
            ValidationError: there is no folder to put it in.
            StoreFullError: there is no room; nothing is left of it.
        """
        self._check()
        shelf = self._checkpoints if where is None else shelf_at(where)
        if shelf is None:
            raise ValidationError("where must name a folder, since the store was opened without one for checkpoints")
        keep = arguments.optional_count("keep", keep)
        place = self._applier.save(_CATCH_UP_SECONDS)
        name = name_for(place)
        with shelf.filling(name, Path(self.path)) as target:
            (target / FOLDER).mkdir()
            self._state.copy_into(target / FOLDER / STATE)
            self._log.backup(str(target / "backup"), False, progress)
            for path in (target / "backup").iterdir():
                path.rename(target / path.name)
            (target / "backup").rmdir()
            made = seal(target, f"{shelf.name}/{name}", self._log.store_id, place, self._log.head)
        if keep:
            keep_newest(shelf, keep)
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

    def verify(self, *, progress: Progress | None = None) -> VerifyReport:
        """Read everything, check every checksum and every index, and report what is wrong and where.

        A replica that is damaged is rebuilt when it is opened next, and no other process has it open.

        Args:
            progress: called now and then with (bytes done, bytes in all).
        """
        report = super().verify(progress=progress)
        lost = [each for each in report.problems if each.file.startswith("log")]  # an index is made again by itself
        if lost:
            mark_damaged(Path(self.path), f"{lost[0].message} (file {lost[0].file}, byte {lost[0].offset})")
        return report

    def workers(self) -> list[Worker]:
        """The programs whose workers share the targets, and how many targets each owns."""
        self._check()
        found = sorted(self._state.membership().members.values(), key=lambda each: each.generation)
        if found:
            with closing(self._reactions()) as reactions:
                owned = reactions.owned()
            for each in found:
                each.targets = owned.get(each.generation, 0)
        return found

    def generation(self) -> int:
        """The last generation given to a worker: how often one has joined."""
        self._check()
        return self._state.membership().generation

    def flush(self) -> None:
        """Return at once: what was appended is with the engine, which keeps it as durably as it is configured to."""
        self._check()

    def reactions(self) -> ReactionPort:
        """The store's record of reactions, opened for one program: targets, leases, and their pending work.

        It is closed with the store. Apps do all this themselves; use it to look at a store without an app.
        """
        return self._reactions()

    def _reactions(self) -> ReplicaReactions:
        keeper = ReplicaKeeper(self._log, self._folder, self._proposer, self._check)
        try:
            found = ReplicaReactions(keeper)
        except BaseException:
            keeper.close()
            raise
        self._closing.add(found)
        return found

    def rows(self) -> Rows | None:
        """Events as rows, for the framework. None in a subclass, whose verbs may do more."""
        return ReplicaRows(self) if type(self) is ReplicatedStore else None

    def keys(self) -> Keys | None:
        """Appending once, for the framework. None in a subclass, as `rows`."""
        return ReplicaKeys(self) if type(self) is ReplicatedStore else None

    def transfer(self) -> Transfer:
        """Copies everything that the store holds, out and in, unchanged; for the framework."""
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
            self._proposer.close()
            self._applier.end()
            self._ordered.close()
            self._end()
        finally:
            super().close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._ordered.name!r}, replica={self.path!r})"

    def _append(self, parts: Sequence[Part], meta: bytes, guards: Guards | None = None) -> list[Appended]:
        self._check()
        versions, conditions, once = guards or (None, None, None)
        self._log.check_proposal(parts, meta, self._payload_max_bytes, versions, conditions, once)
        return self._proposer.append(parts, meta, guards)

    def _append_given(
        self, parts: Sequence[Part], key: str | None, meta: Meta | None, guards: Guards | None
    ) -> list[Appended]:
        cause = b"" if meta is None else cause_of(meta)
        if key is None:
            return self._append(parts, cause, guards)
        try:
            return self._append(parts, cause, self._keyed(guards, key))
        except Repeated as repeated:
            return append_once(self, key, parts, repeated)

    def _keyed(self, guards: Guards | None, key: str) -> Guards:
        versions, conditions, _ = guards or ((), (), None)
        return versions, conditions, self._keeping.once(key)

    def _check(self) -> None:
        if self._log.closed:
            raise StoreClosedError("this store was closed, or was opened by the process this one was forked from")

    def _catch_up(self) -> None:
        """Apply what there is already, unless that takes long."""
        end = time.monotonic() + _CATCH_UP_SECONDS
        self._applier.begun.wait(_CATCH_UP_SECONDS)
        try:
            head = self._ordered.head()
        except EngineAwayError:
            head = 0  # it is gone on with once the engine can be reached
        while True:
            trouble = self._applier.trouble
            if isinstance(trouble, StoreCorruptError):
                raise trouble
            if self._log.applied() >= head or time.monotonic() > end:
                return
            if trouble is not None and not isinstance(trouble, EngineAwayError):
                raise StoreError(f"nothing can be applied to {self.path}: {trouble}") from trouble
            self._log.wait_applied(head, 100)


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


class ReplicaKeys:
    """Appending once to a replicated store: see `Keys`."""

    def __init__(self, store: ReplicatedStore) -> None:
        self._store = store

    def used(self, key: str) -> tuple[int, int] | None:
        """The positions of the first and the last event of the commit that a key was used for; None without one."""
        return self._store._keeping.used(self._store._log, key)

    def append(self, parts: Sequence[Part], key: str, meta: bytes, guards: Guards | None = None) -> list[Appended]:
        """Append several parts as one commit, under a key."""
        return self._store._append(parts, meta, self._store._keyed(guards, key))


def _trouble_of(applier: Applier | None) -> Exception | None:
    return None if applier is None else applier.trouble


def _offer_to(applier: Applier | None, place: int, record: bytes) -> None:
    if applier is not None:
        applier.offer(place, record)


def _let_go(proposer: Proposer, applier: Applier, process: int) -> None:
    """End the threads of a store that was dropped without being closed."""
    if process != os.getpid():  # they stayed with the parent, and so did the threads that hold their locks
        return
    proposer.abandon()
    applier.abandon()
