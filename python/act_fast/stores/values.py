"""The values that a store takes and returns."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from act_fast._events.event import Event
from act_fast.stores.append_condition import Condition

__all__ = [
    "Append",
    "Archived",
    "Backup",
    "Compressed",
    "Compression",
    "Exported",
    "Moved",
    "NewEvent",
    "Problem",
    "Pruned",
    "PrunedPart",
    "Redacted",
    "Restored",
    "Share",
    "Shares",
    "StoreStats",
    "StoredSnapshot",
    "StreamInfo",
    "VerifyReport",
]

Compression: TypeAlias = Literal["zstd", "snappy", "gzip", "lz4", "uncompressed"]
"""How Parquet files are compressed."""

NewEvent: TypeAlias = Event | tuple[str, bytes] | tuple[str, bytes, Sequence[str]]
"""An event to append, or its name and its data already encoded as JSON, with its tags if it has any."""


class Append(msgspec.Struct, frozen=True):
    """One stream's part of an `append_many`.

    Attributes:
        stream: the stream's name.
        events: at least one.
        expected_version: the version that the stream must be at, 0 for a new one; None does not check.
        condition: what must hold for the whole commit.
    """

    stream: str
    events: Sequence[NewEvent]
    expected_version: int | None = None
    condition: Condition | None = None


class StreamInfo(msgspec.Struct, frozen=True):
    """What is known about a stream without reading its events.

    Attributes:
        stream: its name.
        version: the number of events ever appended to it.
        first_position: where its first event is in the log.
        last_position: where its last event is in the log.
        first_created: when its first event was committed, in UTC.
        last_created: when its last event was committed, in UTC.
        last_name: the name of its last event.
    """

    stream: str
    version: int
    first_position: int
    last_position: int
    first_created: datetime
    last_created: datetime
    last_name: str


class StoredSnapshot(msgspec.Struct, frozen=True):
    """A state as it was stored: the version it stands at, when it was stored (UTC), and its encoded bytes."""

    version: int
    created: datetime
    data: bytes


class Problem(msgspec.Struct, frozen=True):
    """Something that `verify` found wrong.

    Attributes:
        file: the damaged file, relative to the store's directory; in an archive, the object, below its address.
        offset: where in the file, in bytes.
        position: the first position that cannot be read, or None if it is not known or none is lost.
        message: what is wrong, in a sentence.
    """

    file: str
    offset: int
    position: int | None
    message: str


class VerifyReport(msgspec.Struct, frozen=True):
    """What `verify` read and what it found wrong.

    Attributes:
        events: events that were read and are intact.
        commits: commits that were read and are intact.
        snapshots: snapshots that were read and are intact.
        streams: streams that these events belong to.
        bytes: bytes read.
        index_checked: whether there was an index to compare with; False means that there was none, which does no harm.
        problems: what is wrong and where; empty if all is well.
    """

    events: int
    commits: int
    snapshots: int
    streams: int
    bytes: int
    index_checked: bool
    problems: list[Problem]

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


class Share(msgspec.Struct, frozen=True):
    """The part of a log whose files have one form.

    Attributes:
        segments: how many files it has.
        events: how many events are in them.
        written: how many bytes of log they are, as they were written.
        here: how many bytes they take in the store's directory, including reserved space.
        there: how many bytes they take in the archive.
    """

    segments: int = 0
    events: int = 0
    written: int = 0
    here: int = 0
    there: int = 0


class Shares(msgspec.Struct, frozen=True):
    """A log by the form of its files.

    Attributes:
        hot: the part that is stored as it was written.
        compressed: the part that is compressed.
        archived: the part that is archived.
    """

    hot: Share
    compressed: Share
    archived: Share


class StoreStats(msgspec.Struct, frozen=True):
    """How much a store holds.

    Attributes:
        events: events in the log.
        streams: streams that have events.
        bytes: the space used on disk, or in memory.
        segments: files that the log is made of.
        last_flush: when appended data last became safe from a power cut, in UTC; None if that is not known.
        compressed: how many of the segments are compressed.
        archived: how many of the segments are archived.
        shares: how much of the log is hot, compressed and archived; None of a store that is no log on this machine.
        archive: where the archived part is, without credentials; empty where there is none.
        pruned: how many events of a log were pruned.
        pruned_bytes: how many bytes of data they had.
        redacted: how many events of a log were redacted.
        last_created: when the last event of a log was committed, in UTC.
        analytics_bytes: the additional space that the files of SQL use on disk.
    """

    events: int
    streams: int
    bytes: int
    segments: int
    last_flush: datetime | None
    compressed: int = 0
    archived: int = 0
    shares: Shares | None = None
    archive: str = ""
    pruned: int = 0
    pruned_bytes: int = 0
    redacted: int = 0
    last_created: datetime | None = None
    analytics_bytes: int = 0


class Compressed(msgspec.Struct, frozen=True):
    """What compressing or decompressing a log did, or would do.

    Attributes:
        segments: how many files of the log were changed.
        bytes_before: what they took on disk before.
        bytes_after: what they take now.
    """

    segments: int
    bytes_before: int
    bytes_after: int


class Archived(msgspec.Struct, frozen=True):
    """What archiving or unarchiving a log did, or would do.

    Attributes:
        to: where the archive is, without credentials.
        segments: how many files of the log were changed.
        bytes_before: what they took here before.
        bytes_after: what they take here now.
        parquet: how many Parquet files were written there.
    """

    to: str
    segments: int
    bytes_before: int
    bytes_after: int
    parquet: int = 0


class Backup(msgspec.Struct, frozen=True):
    """What a backup holds.

    Attributes:
        path: where it is.
        position: the last position in it: it is the store as it was when this position was its last.
        streams: how many streams it holds.
        bytes: how many bytes of log it has.
    """

    path: str
    position: int
    streams: int
    bytes: int


class Exported(msgspec.Struct, frozen=True):
    """What was exported: where it was written, and how many rows."""

    path: str
    rows: int


class Redacted(msgspec.Struct, frozen=True):
    """What was redacted, or with `dry_run` would be.

    Attributes:
        positions: the positions of the events whose data was changed.
        streams: the streams that they belong to.
        held: positions of later events of these streams that hold a whole state (`$closed`, `$restarted`), and so may
            still hold what was redacted.
        snapshots: how many snapshots were removed, since they may have held it too.
        bytes_before: how large the log was, in bytes.
        bytes_after: how large it is.
        position: where the event is that records it; 0 with `dry_run`.
    """

    positions: Sequence[int]
    streams: Sequence[str]
    held: Sequence[int]
    snapshots: int
    bytes_before: int
    bytes_after: int
    position: int


class PrunedPart(msgspec.Struct, frozen=True):
    """A share of what was pruned: the name of an event or a state class, how many events, and their data's bytes."""

    name: str
    events: int
    bytes: int


class Pruned(msgspec.Struct, frozen=True):
    """What was pruned, or with `dry_run` would be.

    Attributes:
        events: how many events were emptied.
        bytes: by how many bytes of data the log became smaller.
        streams: in how many streams.
        upto: the position of the last of them; 0 if there are none.
        tagged: how many events below a closing stay as they are because they carry tags, or because they are needed to
            answer a request made under a key in the last 30 days.
        parts: the same by the name of the event, or in an app by state class.
        bytes_before: how large the log was, in bytes; 0 with `dry_run`.
        bytes_after: how large it is; 0 with `dry_run`.
        position: where the event is that records it; 0 if nothing was changed.
    """

    events: int
    bytes: int
    streams: int
    upto: int
    tagged: int
    parts: Sequence[PrunedPart]
    bytes_before: int = 0
    bytes_after: int = 0
    position: int = 0


class Moved(msgspec.Struct, frozen=True):
    """What was moved.

    Attributes:
        source: from where.
        target: to where.
        events: how many events are there.
        snapshots: how many snapshots of the source are there.
        digest: of all events as they are at the target, equal to that of the source.
        handed_over: whether the source takes no more events.
    """

    source: str
    target: str
    events: int
    snapshots: int
    digest: str
    handed_over: bool


class Restored(msgspec.Struct, frozen=True):
    """What was restored, or with `dry_run` would have been.

    Attributes:
        source: what it was restored from.
        events: how many events.
        commits: in how many commits.
        streams: in how many streams.
        held: how many commits had an earlier timestamp than a commit before them, and were given that one's time, since
            time never runs backwards along a log.
        causes_lost: how many commits were caused by an event that is not in the source; its position is now 0.
    """

    source: str
    events: int
    commits: int
    streams: int
    held: int
    causes_lost: int
