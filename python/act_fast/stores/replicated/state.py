"""What a replica keeps beside its log: sessions, changes of reactions, members, duplicates.

One process of the machine writes, the one that applies; all may read. Whatever is written again, because the replica
has to go through some records a second time, is there already, and stays as it is.
"""

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from act_fast._runtime.forks import tell_in_child
from act_fast.errors import StoreCorruptError, StoreError, StoreFullError
from act_fast.stores.database.lines import Page
from act_fast.stores.replicated.changes import UNSEEN_MAX, Change, ChangePart, addresses, packed, unpacked
from act_fast.stores.replicated.membership import Membership, read

__all__ = ["STATE", "Applied", "Member", "State"]

STATE: Final = "state.sqlite"
"""The name of its file."""

_TABLES: Final = """
create table if not exists core (one integer primary key check (one = 1), place integer, state blob);
create table if not exists reactions
    (one integer primary key check (one = 1), number integer, mark integer, folded integer);
insert or ignore into reactions values (1, 0, 0, 0);
create table if not exists changes (number integer primary key, mark integer, lines blob);
create table if not exists lines (address integer primary key, line blob);
create table if not exists members (session blob primary key, place integer, time_ms integer, said blob);
create table if not exists parts
    (mark integer, part integer, count integer, time_ms integer, piece blob, primary key (mark, part));
create table if not exists membership
    (one integer primary key check (one = 1), version integer, turn integer, turn_of integer, said blob);
create table if not exists duplicates (place integer primary key, first integer);
"""
_FOLD_CHANGES: Final = 256
_FOLD_BYTES: Final = 4 * 1024 * 1024
"""After so many changes, or so many bytes of them, their lines are written as lines of their own."""

_KEPT_CHANGES: Final = 5_000
"""So many changes stay afterwards, for mirrors that have not taken them over yet."""

_MEMBERSHIP: Final = msgspec.msgpack.Decoder(Membership)
_KEPT_DUPLICATES: Final = 100_000
_KEPT_MEMBERS_MS: Final = 60_000
_KEPT_PARTS_MS: Final = 600_000
"""The parts of a change whose proposer died halfway are kept for so long, by the log's time."""

_BUSY_MS: Final = 10_000


class Applied(NamedTuple):
    """A record that the core leaves to its caller.

    Attributes:
        place: where it is in the ordered log.
        kind: `"reactions"`, `"part"` or `"member"`.
        session: of its proposer.
        number: of the record in its session.
        time_ms: the log's time when it was proposed.
        body: what it holds.
    """

    place: int
    kind: str
    session: bytes
    number: int
    time_ms: int
    body: bytes


class Member(msgspec.Struct, frozen=True):
    """A node, as it has reported itself.

    Attributes:
        node: its name: host and process.
        replica: the folder of its replica.
        place: how far it had applied.
        until_ms: until when, by the log's time, it counts as present.
    """

    node: str
    replica: str
    place: int
    until_ms: int = 0


class State:
    """The file of a replica's state.

    Args:
        folder: where it is; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / STATE
        self._lock = threading.RLock()
        tell_in_child(self)
        self._process = os.getpid()
        self._connection: sqlite3.Connection | None = None
        self._unfolded_bytes = 0
        with self._using() as connection:
            connection.execute("pragma journal_mode=wal")
            connection.execute("pragma synchronous=normal")
            connection.executescript(f"begin immediate;{_TABLES}commit;")

    def forked(self) -> None:
        """The thread that held the lock stayed with the parent."""
        self._lock = threading.RLock()

    def core(self) -> bytes | None:
        """What the core keeps of sessions, as of the place that it knows; None at the beginning."""
        found = self._ask("select state from core")
        return bytes(found[0][0]) if found else None

    def place(self) -> int:
        """The place that this is of; 0 at the beginning."""
        found = self._ask("select place from core")
        return found[0][0] if found else 0

    def save_core(self, place: int, state: bytes) -> None:
        """Keep that. The log must have been flushed up to that place before."""
        with self._writing() as connection:
            connection.execute("insert or replace into core values (1, ?, ?)", (place, state))

    def take(self, applied: Iterable[Applied], duplicates: Iterable[tuple[int, int]]) -> bool:
        """Keep what records hold, and which were there before and where; whether reactions or members have changed."""
        changed = False
        with self._writing() as connection:
            connection.executemany("insert or ignore into duplicates values (?, ?)", duplicates)
            connection.execute(
                "delete from duplicates where place <= (select max(place) from duplicates) - ?", (_KEPT_DUPLICATES,)
            )
            membership = _membership_in(connection)
            version, place = membership.version, membership.place
            for each in applied:
                if each.place <= membership.place:
                    continue  # it was taken before, and may not be taken twice
                membership.place = each.place
                membership.pass_to(each.time_ms)
                if each.kind == "reactions":
                    changed = self._take_change(connection, membership, Change.read(each.body)) or changed
                elif each.kind == "part":
                    part = ChangePart.read(each.body)
                    changed = self._take_part(connection, membership, part, each.time_ms) or changed
                elif (says := read(each.body)) is not None:
                    membership.take(says)
                else:
                    connection.execute(
                        "insert into members values (?, ?, ?, ?) on conflict (session) do update set"
                        " place = excluded.place, time_ms = excluded.time_ms, said = excluded.said"
                        " where excluded.place > members.place",
                        (each.session, each.place, each.time_ms, each.body),
                    )
                    connection.execute("delete from members where time_ms < ?", (each.time_ms - _KEPT_MEMBERS_MS,))
            if changed:
                self._fold(connection)
            if membership.place > place:
                connection.execute(
                    "insert or replace into membership values (1, ?, ?, ?, ?)",
                    (membership.version, *(membership.turn or (0, 0))[::-1], msgspec.msgpack.encode(membership)),
                )
        return changed or membership.version != version

    def first_place(self, place: int) -> int | None:
        """Where the record at a place was seen for the first time; None when it was there."""
        found = self._ask("select first from duplicates where place = ?", place)
        return found[0][0] if found else None

    def membership(self) -> Membership:
        """Who works on targets."""
        with self._using() as connection:
            return _membership_in(connection)

    def membership_version(self) -> int:
        """The version of who works on targets."""
        found = self._ask("select version from membership")
        return found[0][0] if found else 0

    def turn(self) -> tuple[int, int]:
        """Whose turn it is to make a change, by the place where it asked, and its generation; zeros: all may."""
        found = self._ask("select turn, turn_of from membership")
        return found[0] if found else (0, 0)

    def standing(self, number: int, mark: int) -> tuple[int, int, int, bool, int]:
        """How changes stand.

        Returns:
            number and mark of the last one, up to which one all are folded, whether a change is there, and the version
            of who is a member.
        """
        (row,) = self._ask(
            "select number, mark, folded, (number = ?1 and mark = ?2)"
            " or exists (select 1 from changes where number = ?1 and mark = ?2), (select version from membership)"
            " from reactions",
            number, mark,
        )  # fmt: skip
        return row[0], row[1], row[2], bool(row[3]), row[4] or 0

    def number_of(self, after: int, mark: int) -> int | None:
        """The number that a change got after another one; None where it is not there."""
        found = self._ask("select number from changes where number > ? and mark = ?", after, mark)
        return found[0][0] if found else None

    def changes(self, after: int) -> list[tuple[int, int, bytes]]:
        """The changes after one: number, mark, and packed lines."""
        return self._ask("select number, mark, lines from changes where number > ? order by number", after)

    def lines(self) -> Iterator[bytes]:
        """The lines of their own, packed."""
        yield packed(self.pages())

    def pages(self) -> list[Page]:
        """The lines of their own, each a page of its own."""
        return self._ask("select address, line from lines order by address")

    def begin(self) -> None:
        """See the file as it is now until `end`."""
        with self._using() as connection:
            if not connection.in_transaction:
                connection.execute("begin")

    def end(self) -> None:
        """See the file as it is each time."""
        with self._using() as connection:
            if connection.in_transaction:
                connection.execute("rollback")

    def members(self) -> list[Member]:
        """The members that have said something, the youngest word last; a program may have had several sessions."""
        found: dict[tuple[str, str], Member] = {}
        for (said,) in self._ask("select said from members order by place"):
            try:
                member = msgspec.json.decode(said, type=Member)
            except msgspec.DecodeError:
                continue  # of another version; they are for people only
            found.pop((member.node, member.replica), None)
            found[member.node, member.replica] = member
        return list(found.values())

    def copy_into(self, path: Path) -> None:
        """Copy the file as it is now."""
        with self._using() as connection, sqlite3.connect(path) as target:
            connection.backup(target)
        target.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._process != os.getpid():  # the thread that held the lock stayed with the parent
            return
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def _take_change(self, connection: sqlite3.Connection, membership: Membership, change: Change) -> bool:
        """Keep a change under the next number.

        Not if its generation is gone, nor if a change that its section had not seen has written one of its lines.
        """
        if not membership.changes(change.generation):
            return False
        (last,) = connection.execute("select number from reactions").fetchone()
        if not change.number - 1 <= last < change.number + UNSEEN_MAX:
            return False
        unseen = connection.execute("select mark, lines from changes where number >= ?", (change.number,)).fetchall()
        written = {address for _, lines in unseen for address in addresses(lines)}
        if any(mark == change.mark for mark, _ in unseen) or not written.isdisjoint(addresses(change.lines)):
            return False
        connection.execute("insert into changes values (?, ?, ?)", (last + 1, change.mark, change.lines))
        connection.execute("update reactions set number = ?, mark = ?", (last + 1, change.mark))
        self._unfolded_bytes += len(change.lines)
        return True

    def _take_part(
        self, connection: sqlite3.Connection, membership: Membership, part: ChangePart, time_ms: int
    ) -> bool:
        """Keep a part of a change, and the change with the last of them; whether reactions have changed."""
        connection.execute("delete from parts where time_ms < ?", (time_ms - _KEPT_PARTS_MS,))
        row = (part.mark, part.at, part.parts, time_ms, part.piece)
        connection.execute("insert or ignore into parts values (?, ?, ?, ?, ?)", row)
        found = connection.execute(
            "select piece from parts where mark = ? and count = ? order by part", (part.mark, part.parts)
        ).fetchall()
        if len(found) < part.parts:
            return False
        connection.execute("delete from parts where mark = ?", (part.mark,))
        return self._take_change(connection, membership, Change.read(b"".join(piece for (piece,) in found)))

    def _fold(self, connection: sqlite3.Connection) -> None:
        number, folded = connection.execute("select number, folded from reactions").fetchone()
        if number - folded < _FOLD_CHANGES and self._unfolded_bytes < _FOLD_BYTES:
            return
        lines: dict[int, bytes] = {}
        for (page,) in connection.execute("select lines from changes where number > ? order by number", (folded,)):
            lines.update(unpacked(page))
        connection.executemany("insert or replace into lines values (?, ?)", lines.items())
        connection.execute("update reactions set folded = ?", (number,))
        connection.execute("delete from changes where number <= ?", (number - _KEPT_CHANGES,))
        self._unfolded_bytes = 0

    def _ask(self, question: str, *given: Any) -> list[Any]:
        with self._using() as connection:
            return connection.execute(question, given).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._using() as connection:
            connection.execute("begin immediate")
            try:
                yield connection
                connection.execute("commit")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("rollback")
                raise

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._connection is None or self._process != os.getpid():
                    self._connection = sqlite3.connect(
                        self._path, timeout=_BUSY_MS / 1000, isolation_level=None, check_same_thread=False
                    )
                    self._process = os.getpid()
                yield self._connection
            except sqlite3.DatabaseError as error:
                raise _as_store_error(error, self._path) from error


def _membership_in(connection: sqlite3.Connection) -> Membership:
    found = connection.execute("select said from membership").fetchone()
    return Membership() if found is None else _MEMBERSHIP.decode(found[0])


def _as_store_error(error: sqlite3.DatabaseError, path: Path) -> StoreError:
    code = getattr(error, "sqlite_errorname", "")
    if code.startswith("SQLITE_FULL"):
        return StoreFullError(f"there is no room for {path}: {error}")
    if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StoreCorruptError(f"{path} is damaged ({error})")
    return StoreError(f"{path} cannot be used: {error}")
