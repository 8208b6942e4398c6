"""What the compiled core offers. Names, numbers and encoded bytes cross here; schemas and user code stay in Python."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar, final, type_check_only

from act_fast._rows import (
    CommitRow,
    ConditionRow,
    EventColumns,
    EventPair,
    Filter,
    GuardedProposal,
    OnceRow,
    Progress,
    Proposal,
    ProposedPart,
    PrunableRow,
    PruningRow,
    RecordRow,
    RewrittenRow,
    Row,
    StreamRow,
    TargetTally,
)

__all__ = [
    "Appended",
    "Applier",
    "Columns",
    "Declaration",
    "Group",
    "Groups",
    "Log",
    "Mirror",
    "Pattern",
    "Query",
    "Reactions",
    "Replay",
    "Restoring",
    "StateColumns",
    "StreamColumns",
    "__version__",
    "body_record",
    "check_commit",
    "check_guards",
    "check_name",
    "commits_record",
    "correlation",
    "genesis_record",
    "is_pattern",
    "read_genesis",
    "record_head",
    "verify_path",
]
_Step = TypeVar("_Step")
_State = TypeVar("_State")

__version__: str

def correlation(process: int) -> str:
    """A new correlation id of this process, which a number below 2**20 tells from others."""

def is_pattern(source: str) -> bool:
    """Whether the source of a reaction is a pattern, and not the name of one stream."""

def check_commit(parts: Sequence[ProposedPart], meta: bytes, payload_max_bytes: int) -> None:
    """Refuse what the log would refuse: parts (stream, events, expected version) with the meta of their commit."""

def check_guards(versions: Sequence[tuple[str, int]], conditions: Sequence[ConditionRow]) -> None:
    """Refuse what can be no versions of streams, each (stream, version), and no conditions, each (items, after)."""

def check_name(what: str, name: str) -> None:
    """Refuse what cannot be a name; `what` is the word for it."""

def genesis_record(store_id: bytes, segment_bytes: int) -> bytes:
    """The record that brings a replicated store into being."""

def read_genesis(record: bytes) -> tuple[bytes, int] | None:
    """What a genesis says: the store id and the size of a log file; None for any other record."""

def record_head(record: bytes) -> tuple[str, bytes, bytes, int, int]:
    """What a record says of itself: kind, store id, session, number, and the log's time in ms."""

def commits_record(
    store_id: bytes, session: bytes, number: int, time_ms: int, proposals: Sequence[Proposal | GuardedProposal]
) -> bytes:
    """A record of proposals: (created in µs since 1970 UTC, meta, parts) each, and each part (stream, events, expected
    version); with versions of other streams and conditions behind them where there are any."""

def body_record(store_id: bytes, session: bytes, number: int, time_ms: int, kind: str, body: bytes) -> bytes:
    """A record of reactions, or of a member."""

@final
class Applier:
    """Applies records to a replica: one at a time, which the caller sees to."""

    def __new__(cls, log: Log, state: bytes | None) -> Applier: ...
    @property
    def place(self) -> int:
        """The place of the last record that was applied."""

    def apply(self, records: Sequence[tuple[int, bytes]]) -> list[RecordRow]:
        """Apply records (place, record), in the order of the ordered log; those up to `place` are passed over. Answers
        those that are not commits, and not there twice.

        At a record that it cannot apply it stops; it raises when that is the first one to be applied: so when it is
        called with the rest. `place` says how far it is."""

    def duplicates(self) -> list[tuple[int, int]]:
        """The records that were there already, and so were passed over, since this was last asked: the place of each,
        and where it was seen first, 0 if that is no longer known."""

    def publish(self) -> None:
        """Say how far it is: who waits for a place is woken. What `apply` has answered must be kept by then."""

    def state(self) -> bytes:
        """What is to be kept for the next one; to be written once the log has been flushed."""

@final
class Pattern:
    """A regular expression as the engine understands it: searched, in linear time."""

    def __new__(cls, pattern: str) -> Pattern: ...
    def found_in(self, name: str) -> bool:
        """Whether it is found in a name."""

@final
class Appended:
    """Where an append put its events."""

    def __new__(cls, first_version: int, last_version: int, first_position: int, last_position: int) -> Appended: ...
    @property
    def first_version(self) -> int: ...
    @property
    def last_version(self) -> int: ...
    @property
    def first_position(self) -> int: ...
    @property
    def last_position(self) -> int: ...

@final
class Columns:
    """Events as Arrow columns: a question that can be asked any number of times."""

    @property
    def width(self) -> int:
        """How many events have to be looked at, at most."""

    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

@final
class Groups:
    """The groups that some events make: what a question that is kept answered has come to."""

    def __new__(cls, question: str, columns: Columns) -> Groups:
        """None yet. `question`: what is kept, as JSON, which names the columns by their numbers."""

    def take(self, columns: Columns) -> None:
        """Take in all events of some columns, or none of them."""

    def copy(self) -> Groups:
        """The same once more, which goes its own way from here."""

    def dump(self) -> bytes:
        """All of it as bytes."""

    def load(self, dumped: bytes) -> Groups | None:
        """What `dump` has made of the same question; None when it is not that."""

    def __len__(self) -> int: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

@final
class StreamColumns:
    """Streams as Arrow columns, from the index."""

    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

@final
class StateColumns:
    """States as Arrow columns: stream, version, position, the fields of the shape, error."""

    def __new__(
        cls,
        shape_json: str,
        names: Sequence[str],
        pages: Callable[[], Iterable[Iterable[tuple[str, int, int, bytes | str]]]],
        at: str | None = None,
    ) -> StateColumns: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

@type_check_only
class ClassDecoder(Protocol):
    """Reads what a shape does not take as it stands."""

    def decode(self, events: list[tuple[str, bytes]], /) -> Sequence[bytes | str]:
        """For each event (name, data): JSON that has the shape, or in words why there is none."""

    def ended(self, failed: int, /) -> object:
        """All is read; so many had none."""

@final
class Query:
    """A running query: one consistent cut of the log, handed out page by page."""

    def next_page(self, limit: int) -> list[Row] | None:
        """At most `limit` rows; may be empty while there is more to look through; None at the end."""

    def next_columns(self, limit: int, moment: Callable[[int], datetime]) -> EventColumns | None:
        """The same as columns. `moment` makes a moment of µs since 1970 UTC."""

    def next_commit_page(self, limit: int) -> list[CommitRow] | None:
        """The same, each row with the position of its commit's first event behind its own."""

@final
class Replay:
    """A replay at work: hands out groups of streams."""

    def next_group(self) -> Group | None:
        """The next streams; None when there are no more."""

@final
class Declaration:
    """What the fields of a state are declared to be."""

    @staticmethod
    def read(json: bytes) -> Declaration:
        """Read a declaration, which is JSON."""

@final
class Group:
    """A group of streams that are folded together. A stream's slot is its number in the group."""

    def __len__(self) -> int: ...
    def next_page(
        self, limit: int, steps: list[_Step], states: list[_State | None], make: Callable[[], _State]
    ) -> tuple[list[_State], list[_Step], list[bytes]] | None:
        """At most `limit` events: for each the state to fold it into, the step of its name, and its data. States are by
        slot, and are made where there is none. May be empty while there is more; None at the end."""

    def fold(
        self,
        declaration: Declaration,
        read: Callable[[list[tuple[int, str, int, int, bytes]]], Iterable[bytes]],
        told: Callable[[int], object],
    ) -> bool:
        """Fold all events as declared, on all cores. `read` is given what only Python can read, (number of the name,
        stream, version, position, data) each, and gives each as it would be encoded today; `told` is given how many
        events were folded. False when there is an event that the core cannot fold, or that cannot be folded at all:
        the group is to be walked once more, by Python, which says what is wrong."""

    def rewind(self) -> None:
        """Forget what was walked."""

    def states(
        self, declaration: Declaration, from_: int, to: int, /
    ) -> tuple[list[str], list[int], list[int], list[bool], list[bytes]]:
        """What was folded into the streams with these slots, those without a known event left out: streams, versions,
        positions, whether closed, the states' JSON."""

    def place(self, at: int) -> tuple[str, int, int, int]:
        """Stream, version, position and number of the name of an event of the page handed out last."""

    def standings(self, from_: int, to: int, /) -> list[tuple[str, int, int, bool] | None]:
        """Where streams with these slots stand: stream, version, position, closed; None without a known event."""

    def strangers(self) -> list[tuple[str, int, str]]:
        """Events that nothing folds in streams that have others: stream, version, name; the first of each name."""

@final
class Log:
    @staticmethod
    def open(
        path: str,
        durability: str | None,
        flush_interval_ms: int,
        segment_bytes: int,
        payload_max_bytes: int,
        read_only: bool,
        create: bool,
        archive: str | None = None,
        compress: bool = False,
    ) -> Log: ...
    @staticmethod
    def open_replica(
        path: str,
        durability: str | None,
        flush_interval_ms: int,
        read_only: bool,
        genesis: tuple[bytes, int] | None,
    ) -> Log:
        """Open the replica of a replicated store. With a genesis, (store id, size of a log file): that of this store,
        which is made where there is none. Without a durability: that of the handles that have it open, else
        "interval"."""

    @staticmethod
    def replica_remains(path: str) -> tuple[bytes | None, int | None]:
        """What can still be told of the replica at a path, however damaged it is: its store id, and how far it had
        applied records."""

    @property
    def is_replica(self) -> bool:
        """Whether this is the replica of a replicated store."""

    def origin(self) -> tuple[int, int]:
        """Which proposal the last commit was: the place of its record, and its number there, from 0. (0, 0) at the
        beginning."""

    def applied(self) -> int:
        """The place up to which all records have been applied, as far as is known."""

    def wait_applied(self, place: int, timeout_ms: int | None = None) -> int:
        """Sleep until the record at a place has been applied, or the time is over; how far it is either way."""

    def log_time(self) -> int:
        """The log's time now, in ms since 1970."""

    def settled(self, place: int) -> list[tuple[int, int, int]]:
        """The commits that came from the record at a place: its number there, and the positions of its first and last
        event."""

    def position_at(self, place: int) -> int:
        """The last position that came from a record at or before a place."""

    def version_at(self, stream: str, position: int) -> int:
        """The version that a stream had when a position was the last."""

    def check_proposal(
        self,
        parts: Sequence[ProposedPart],
        meta: bytes,
        payload_max_bytes: int,
        expected_versions: Sequence[tuple[str, int]] | None = None,
        conditions: Sequence[ConditionRow] | None = None,
        once: OnceRow | None = None,
    ) -> None:
        """Refuse a commit that replicas would refuse whatever is in the log, or that no log takes."""

    def check_guards(
        self,
        position: int,
        expected_versions: Sequence[tuple[str, int]] | None = None,
        conditions: Sequence[ConditionRow] | None = None,
    ) -> None:
        """Refuse what an append would have been refused for when a position was the log's last."""

    @staticmethod
    def memory(segment_bytes: int, payload_max_bytes: int) -> Log: ...
    def now_us(self) -> int:
        """What time it is here, in µs since 1970."""

    def advance(self, by_ms: int) -> None:
        """Move the clock of a log in memory forward by so many ms."""

    @property
    def head(self) -> int: ...
    @property
    def store_id(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def copies_on_write(self) -> str | None: ...
    @property
    def durability(self) -> str: ...
    @property
    def closed(self) -> bool: ...
    @property
    def replaced(self) -> bool:
        """Whether the log that this was pinned to has given way to a restored one, or is about to."""

    def pin(self) -> Log:
        """The same handle, for as long as the log is the one that is open now."""

    def append(
        self,
        stream: str,
        events: Sequence[EventPair],
        expected_version: int | None = None,
        meta: bytes | None = None,
        conditions: Sequence[ConditionRow] | None = None,
    ) -> Appended:
        """Append `events` as one commit, if the conditions hold."""

    def append_many(
        self,
        parts: Sequence[ProposedPart],
        meta: bytes | None = None,
        expected_versions: Sequence[tuple[str, int]] | None = None,
        conditions: Sequence[ConditionRow] | None = None,
    ) -> list[Appended]:
        """Append several (stream, events, expected version) as one commit, if other streams have the versions expected
        and the conditions hold."""

    def append_once(
        self,
        parts: Sequence[ProposedPart],
        once: OnceRow,
        meta: bytes | None = None,
        expected_versions: Sequence[tuple[str, int]] | None = None,
        conditions: Sequence[ConditionRow] | None = None,
    ) -> list[Appended] | tuple[int, int]:
        """Append as `append_many` does, unless the key was used: then the positions of the first and the last event of
        the commit that has it."""

    def used(self, key: str, since: int, position: int | None = None) -> tuple[int, int] | None:
        """The positions of the first and the last event of the commit that a key was used for since a time in µs since
        1970, as the log was when a position was its last; None without one."""

    def append_copied(self, rows: list[CommitRow]) -> None:
        """Append events of another store as they stand there, in whole commits. Each must come to its own position and
        version here, too; what comes before one that does not is appended."""

    def reaction_lines(self) -> bytes | None:
        """The record of reactions, which no one may work on, as lines of a `Mirror`; None if there is nothing."""

    def put_reaction_lines(self, lines: bytes) -> None:
        """Keep such lines in place of the record of reactions, which no one may work on."""

    def version(self, stream: str) -> int: ...
    def position_before(self, created_us: int) -> int:
        """The last position created before a time; 0 when there is none."""
    def load(
        self, stream: str, after: int | None = None, before: int | None = None, limit: int | None = None
    ) -> tuple[list[Row], int | None]:
        """Events of one stream with after < version < before, at most `limit` (or 1000); and the version to go on
        after, None at the end."""

    def load_columns(
        self,
        stream: str,
        after: int | None,
        before: int | None,
        limit: int | None,
        moment: Callable[[int], datetime],
    ) -> tuple[EventColumns, int | None]:
        """The same as columns. `moment` makes a moment of µs since 1970 UTC."""

    def columns(
        self,
        columns: Sequence[tuple[str, str | int]],
        shape: str | None = None,
        direct: set[str] | None = None,
        decoder: ClassDecoder | None = None,
        filter: Filter | None = None,
    ) -> Columns:
        """Events as Arrow columns, each (its name, what it holds): `position`, `commit` (the position of its commit's
        first event), `stream`, `version`, `name`, `created`, `data`, `meta`, `correlation`, `causation`, `actor`, the
        number of a field of the shape, or `error`. Payloads of events whose name is not in `direct`, or that do not
        have the shape, are handed to `decoder`."""

    def stream_columns(self, columns: Sequence[str], cut: int, streams: Sequence[str] | None = None) -> StreamColumns:
        """Streams as Arrow columns, as they were when the position `cut` was the last: all, or those that are named.
        Columns are `stream`, `version`, `first_position`, `last_position`, `first_created`, `last_created` and
        `last_name`."""

    def query(self, filter: Filter | None = None, backwards: bool = False) -> Query: ...
    def streams(
        self, pattern: str | None = None, after: str | None = None, limit: int | None = None
    ) -> tuple[list[StreamRow], str | None]:
        """Streams in the order they came to be; and the stream to go on after, None at the end."""

    def replay(
        self,
        names: Sequence[str],
        closing: str,
        cut: int,
        group_max: int,
        pattern: str | None = None,
        after: str | None = None,
    ) -> Replay:
        """Begin a replay: the streams that a pattern is found in, after a stream, as of a cut, `group_max` at a time.
        `names` are those of the events to be folded, `closing` is that of the event that closes a stream."""

    def stream_count(self) -> int: ...
    def names(self) -> list[tuple[str, int]]:
        """Every event name with how many events carry it."""

    def save_snapshot(self, stream: str, version: int, data: bytes) -> None: ...
    def latest_snapshot(
        self, stream: str, at_or_below: int | None = None, beginning: bytes | None = None
    ) -> tuple[int, int, bytes] | None:
        """version, created µs, data; of those whose data has this beginning"""

    def wait(self, after: int, timeout_ms: int | None = None) -> int:
        """Sleep until the head is above `after`, or the time is over; the head either way."""

    @property
    def news(self) -> int:
        """Changes with all news that has waiters: publications, and what is done to targets by hand."""

    def expect_news(self) -> int:
        """Have the next publication change `news`, and answer what it is now. Look for work after this, then wait."""

    def expect_moves(self) -> int:
        """Have the next move of a target change a number, and answer what it is now."""

    def wait_moves(self, seen: int, timeout_ms: int | None = None) -> int:
        """Sleep until targets have moved on since `seen`, or the time is over; the number either way."""

    def moved(self) -> None:
        """Wake those who wait for targets to move on."""
    def wake(self) -> None:
        """Wake all who wait for news, in this and other processes."""

    def wait_news(self, seen: int, timeout_ms: int | None = None) -> int:
        """Sleep until `news` is another number than `seen`, or the time is over; the number either way."""

    def flush(self) -> None:
        """Return when everything appended so far would survive a power cut."""

    def verify(self, progress: Progress | None = None) -> dict[str, object]: ...
    def backup(self, path: str, whole: bool, progress: Progress | None = None) -> tuple[int, int, int]:
        """Copy the store, as it is now, to a path where nothing is yet: (position, streams, bytes). `whole`: with what
        is archived."""

    def export(
        self,
        path: str,
        format: str,
        filter: Filter | None = None,
        progress: Progress | None = None,
    ) -> int:
        """Write events to a file that is made, or written over, and flushed: how many. `format`: "jsonl" or "csv"."""

    def restoring(self, replace: bool) -> Restoring:
        """Begin to make the successor of this store, which must have been released, and holds nothing or is to be
        replaced."""

    def redact(
        self,
        replaced: Sequence[tuple[int, bytes, bytes]],
        note: tuple[str, str, bytes, bytes],
        progress: Progress | None = None,
    ) -> RewrittenRow:
        """Replace payloads, each (position, what it is, what it becomes), in this store, which must have been released.
        `note`: stream, name, data and meta of the event that tells of it."""

    def prune(
        self, what: PruningRow, note: tuple[str, str, bytes], progress: Progress | None = None
    ) -> tuple[PrunableRow, RewrittenRow] | None:
        """Empty what lies below closings in this store, which must have been released. None: there was nothing."""

    def prunable(self, what: PruningRow, progress: Progress | None = None) -> PrunableRow:
        """What there is to prune."""

    def release(self, let_go: Callable[[], object]) -> None:
        """Let go of the store, to open it again later: as closing does, but waiting until no thread uses this handle.
        `let_go` is called when none can begin to use it."""

    def reopen(self) -> None:
        """Open the store again that was released, be it another log by now."""

    def compress(self, seal: bool, dry_run: bool, progress: Progress | None = None) -> tuple[int, int, int]:
        """Compress the sealed log files that are not yet: how many, and what they took before and take now."""

    def decompress(self, dry_run: bool, progress: Progress | None = None) -> tuple[int, int, int]:
        """Have the compressed log files plain again: how many, and what they took before and take now."""

    def archive(
        self,
        to: str,
        upto: int,
        parquet: Callable[[int, int], bytes] | None,
        also_before: bool,
        dry_run: bool,
        progress: Progress | None = None,
    ) -> tuple[int, int, int, int]:
        """Archive the log files whose events are all at or below a position, to an address: how many, what they took
        here before and take now, and how many Parquet files were written. `parquet`: makes one of the events between
        two positions. `also_before`: also of the files that were archived without."""

    def unarchive(self, remove: bool, dry_run: bool, progress: Progress | None = None) -> tuple[int, int, int]:
        """Have the archived log files here again: how many, and what they took here before and take now. `remove`: also
        remove the objects."""

    def archived(self) -> tuple[str | None, list[tuple[int, str, int, str, int, int]]]:
        """Where the archive of the store is, and the log files that are there: (number, object, bytes, digest, first
        position, last position)."""

    @property
    def archived_upto(self) -> int:
        """The position of the last event that is archived; 0 when none is."""

    def rewritings(self) -> list[tuple[str, bytes]]:
        """The events that tell what was redacted and pruned: (name, data). Nothing is fetched for it."""

    def archived_parquet(self) -> list[str]:
        """The Parquet files of the archive: their names."""

    def archived_object(self, name: str) -> bytes:
        """An object of the archive."""

    def rebuild_index(self) -> None: ...
    def stats(self) -> dict[str, object]: ...
    def close(self) -> None: ...

@final
class Restoring:
    """A log that is being made from an export, until it is finished or given up."""

    @staticmethod
    def begin(path: str, replace: bool) -> Restoring:
        """Begin to make the store at a path: a new one, or the successor of the one there, which no one has open, and
        which holds nothing or is to be replaced."""

    @staticmethod
    def rehearsal() -> Restoring:
        """Only check what comes, and make nothing."""

    def text(self, source: str, format: str, progress: Progress | None = None) -> None:
        """Take all events of a file: "jsonl" or "csv"."""

    def columns(self, columns: object, source: str, total: int, progress: Progress | None = None) -> None:
        """Take all events of an Arrow stream that `columns` offers: position, commit, stream, version, name, created in
        µs since 1970, data, meta, and tags as a JSON list, each null where it is not said. Numbers are unsigned except
        `created`. `source` is its name in errors; `progress` hears of rows, of which there are `total`."""

    def finish(self, progress: Progress | None = None) -> tuple[int, int, int, int, int]:
        """Read what was made, and put it in its place: (events, commits, streams, held, causes lost)."""

    def cancel(self) -> None:
        """Give up: what was made is removed. Doing so again, or after the end, does nothing."""

@final
class Mirror:
    """The lines of reactions in memory, which the caller keeps in step with a database.

    A section: hand in what others have written, `begin`, let `reactions` do something, fetch what is `written`, and say
    that it is `kept`; or `undo` it."""

    def __new__(cls) -> Mirror: ...
    def reactions(self) -> Reactions:
        """The verbs that run on it, but for those that read events."""

    def clear(self) -> None:
        """Forget all lines."""

    def take_over(self, change: int, packed: bytes) -> None:
        """Take over lines, packed, that are in a change of this number."""

    def take_pages(self, pages: Sequence[tuple[int, bytes]]) -> None:
        """Take over pages of lines of their own: where each begins, and what its lines hold."""

    def begin(self, head: int, now_ms: int, folded: int) -> None:
        """Begin a section: where the log is, what time it is in ms since 1970, and the last change that lines of their
        own have."""

    def written(self) -> bytes:
        """What was written in this section, packed; empty when nothing was."""

    def kept(self, change: int, packed: bytes) -> tuple[bool, bool]:
        """The section has ended, and its change has this number: whether to wake those who wait for news, and for
        moves."""

    def undo(self) -> None:
        """The section has ended, and nothing of it is in the database."""

    @property
    def unfolded_count(self) -> int:
        """How many lines are in changes only."""

    def unfolded(self) -> tuple[list[int], list[bytes]]:
        """The pages of these lines: where each begins, and what its lines hold."""

    def share(
        self, members: Sequence[tuple[int, int, set[str], Sequence[str] | None]], own: int | None, gone: set[int]
    ) -> None:
        """Say who works on the targets: (generation, holder, reactions, lanes or None for all) each; the generation of
        this program if it is one of them, and is to claim its own only; and the holders that are gone, whose leases are
        over."""

    def abandon(self) -> int:
        """Drop all leases of this program; how many there were."""

    def owned(self) -> dict[int, int]:
        """How many targets belong to each generation."""

    def next_window(self, head: int) -> tuple[int, int, list[str], bool, bool] | None:
        """What is to be correlated next, up to the head: the positions that it is between, the names of its events, and
        whether their data and their tags are looked at. None when there is nothing."""

    def correlate(
        self, events: Sequence[tuple[int, str, str, bytes]], to: int, tags: Sequence[Sequence[str]] = ...
    ) -> tuple[int, int, int, list[tuple[int, int, int, list[int]]], list[tuple[int, int, str]]]:
        """Correlate the events of this window, (position, stream, name, data) each, up to a position; with their
        tags, if these are looked at: (examined, subscribed, marked, unresolved, failed) as `Reactions.correlate` has
        them, with positions in place of rows."""

    def hold(self, reaction: int, position: int, name: str, attempts: int, due_ms: int | None, error: str) -> bool:
        """Let a reaction hold before an event, which has this name; as `Reactions.hold`."""

    def lease(
        self,
        lanes: Sequence[str] | None,
        lagging: int,
        leading: int,
        window: int,
        lease_ms: int,
        holder: int,
        cut: int,
    ) -> list[
        tuple[
            int,
            str,
            int,
            int,
            bool,
            list[int],
            list[list[int]],
            bool,
            tuple[bool, str | None, list[tuple[int, int]], list[tuple[int, str, int]]] | None,
        ]
    ]:
        """Lease targets that have work; as `Reactions.claim`, with positions in the place of rows."""

@final
class Reactions:
    """The reactions of one program on one store."""

    @staticmethod
    def open(log: Log) -> Reactions: ...
    def register(
        self, specs: Sequence[tuple[str, Sequence[str], str | None, str | None, str, int, bool, Sequence[str]]]
    ) -> None:
        """Make known the reactions of this program: (name, event names, target template or None for a function, source
        or None, lane, priority, from now on, tags). Their order is that of the numbers that leases speak of."""

    def correlate(
        self, limit: int
    ) -> tuple[int, int, int, bool, list[tuple[int, int, int, list[Row]]], list[tuple[int, int, str]]]:
        """Read up to `limit` new events for the reactions that have come the least far: (examined, subscribed, marked,
        caught up, unresolved, failed): lists of (reaction, from, to, rows) for functions to resolve, and of (reaction,
        position, error) for events whose templates could not be filled in."""

    def resolve(
        self, reaction: int, from_: int, to: int, found: Sequence[tuple[int, Sequence[str]]], /
    ) -> tuple[int, int]:
        """Take the targets that a function found for a reaction's events between two positions, (position, targets)
        each: (subscribed, marked)."""

    def attempts_at(self, reaction: int, position: int) -> int:
        """How often the targets of an event could not be found for a reaction so far."""

    def hold(self, reaction: int, position: int, attempts: int, due_ms: int | None, error: str) -> bool:
        """Let a reaction hold before an event whose targets could not be found, for the attempts so far, until a time
        in ms since 1970, or until it is unblocked with None; whether it does."""

    def progress(self, target: str) -> dict[str, object] | None:
        """How far all that may come to a target has been done, as `targets` tells it, whether it is there yet or not;
        None when no reaction may run under it."""

    def claim(
        self,
        lanes: Sequence[str] | None,
        lagging: int,
        leading: int,
        window: int,
        lease_ms: int,
        holder: int,
        cut: int,
    ) -> list[
        tuple[
            int,
            str,
            int,
            int,
            bool,
            list[Row],
            list[list[int]],
            bool,
            tuple[bool, str | None, list[tuple[int, int]], list[tuple[int, str, int]]] | None,
        ]
    ]:
        """Lease targets that have work, and fetch their next events: (target number, name, token, attempts, lagging,
        rows, for each row the numbers of its reactions, whether there are more, what it has been through or None).

        The last is (whether the last lease was lost, what went wrong before, failures of the first event by reaction,
        up to where each reaction does again what it did before)."""

    def finish(
        self,
        outcomes: Sequence[tuple[int, int, int | None, str, int, int, str]],
        blamed: Sequence[int | None] = ...,
    ) -> list[bool]:
        """Take the outcomes of a cycle: (target number, token, done up to or None, "free" | "retry" | "block" |
        "defer", position, due in ms since 1970, error), and the numbers of the reactions that failed. Answers which
        were accepted."""

    def renew(self, leases: Sequence[tuple[int, int]], lease_ms: int) -> list[bool]:
        """Keep leases, (target number, token) each; which are still held."""

    def cut(self) -> int:
        """The position that a cycle works up to."""

    def forget(self, reaction: str) -> bool:
        """Forget a reaction that no program has any more; whether it was known."""

    def any_ready(self, lanes: Sequence[str] | None = None) -> bool: ...
    def next_ms(self) -> int | None:
        """How many ms until a lease ends, or a retry or deferral is due; None when nothing waits."""

    def reset(
        self,
        names: Sequence[str] | None = None,
        pattern: str | None = None,
        lane: str | None = None,
        blocked: bool | None = None,
        to: int = 0,
    ) -> int: ...
    def heads(self, target: str) -> list[tuple[str, int | None, int, int]]:
        """Where each reaction of a target stands: (reaction, position of its next event or None, how often that has
        failed, how many it has processed)."""

    def skip(self, target: str, reaction: str, position: int, note: str) -> None:
        """Step over the next event of a reaction on a target, which is at `position`, and keep a note of it."""

    def skipped(self) -> list[str]:
        """What was noted of skipped events, the oldest first."""

    def unblock(
        self, names: Sequence[str] | None = None, pattern: str | None = None, lane: str | None = None
    ) -> int: ...
    def block(
        self, error: str, names: Sequence[str] | None = None, pattern: str | None = None, lane: str | None = None
    ) -> int: ...
    def defer(
        self, due_ms: int, names: Sequence[str] | None = None, pattern: str | None = None, lane: str | None = None
    ) -> int: ...
    def prioritize(
        self, priority: int, names: Sequence[str] | None = None, pattern: str | None = None, lane: str | None = None
    ) -> int: ...
    def targets(
        self,
        names: Sequence[str] | None = None,
        pattern: str | None = None,
        lane: str | None = None,
        blocked: bool | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> list[dict[str, object]]:
        """Keys: name, lane, priority, watermark, mark, lag, holder, lease_ms, attempts, failing, blocked, error,
        due_ms, reactions, known."""

    def tally(self, start: int, limit: int, head: int, parts: int, worst: int) -> TargetTally:
        """The targets from a number on, added up."""

    def cursors(self) -> list[tuple[str, int, bool]]:
        """How far each reaction has been correlated: (reaction, position, whether this program has code for it)."""

    def flush(self) -> None: ...
    def close(self) -> None: ...

def verify_path(path: str, progress: Progress | None = None) -> dict[str, object]:
    """Verify a store without opening it, so that one too damaged to open can be looked at too.

    Keys: events, commits, snapshots, streams, bytes, index ("checked" | "absent"), problems: a list of
    (file, offset, position or None, sentence).
    """
