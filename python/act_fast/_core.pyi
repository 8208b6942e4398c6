"""What the compiled core offers. Names, numbers and encoded bytes cross here; schemas and user code stay in Python."""

from collections.abc import Sequence
from typing import final

from act_fast._rows import Progress, Row, StreamRow

__all__ = ["Appended", "Log", "Query", "__version__", "verify_path"]
__version__: str

@final
class Appended:
    """Where an append put its events."""

    @property
    def first_version(self) -> int: ...
    @property
    def last_version(self) -> int: ...
    @property
    def first_position(self) -> int: ...
    @property
    def last_position(self) -> int: ...

@final
class Query:
    """A running query: one consistent cut of the log, handed out page by page."""

    def next_page(self, limit: int) -> list[Row] | None:
        """At most `limit` rows; may be empty while there is more to look through; None at the end."""

@final
class Log:
    @staticmethod
    def open(
        path: str,
        durability: str,
        flush_interval_ms: int,
        segment_bytes: int,
        payload_max_bytes: int,
        read_only: bool,
        create: bool,
    ) -> Log: ...
    @staticmethod
    def memory(segment_bytes: int, payload_max_bytes: int) -> Log: ...
    @property
    def head(self) -> int: ...
    @property
    def path(self) -> str: ...
    @property
    def durability(self) -> str: ...
    @property
    def closed(self) -> bool: ...
    def append(
        self,
        stream: str,
        events: Sequence[tuple[str, bytes]],
        expected_version: int | None = None,
        meta: bytes | None = None,
        trusted: bool = False,
    ) -> Appended:
        """Append `events` as one commit. `trusted`: the caller has just encoded `data` itself, it is JSON."""

    def append_many(
        self,
        parts: Sequence[tuple[str, Sequence[tuple[str, bytes]], int | None]],
        meta: bytes | None = None,
        trusted: bool = False,
    ) -> list[Appended]:
        """Append several (stream, events, expected version) as one commit."""

    def version(self, stream: str) -> int: ...
    def position_before(self, created_us: int) -> int:
        """The last position created before a time; 0 when there is none."""
    def load(
        self, stream: str, after: int | None = None, before: int | None = None, limit: int | None = None
    ) -> tuple[list[Row], int | None]:
        """Events of one stream with after < version < before, at most `limit` (or 1000); and the version to go on after,
        None at the end."""

    def query(
        self,
        stream: str | None = None,
        pattern: str | None = None,
        names: Sequence[str] | None = None,
        after: int | None = None,
        before: int | None = None,
        created_after_us: int | None = None,
        created_before_us: int | None = None,
        correlation: str | None = None,
        backwards: bool = False,
    ) -> Query: ...
    def streams(
        self, pattern: str | None = None, after: str | None = None, limit: int | None = None
    ) -> tuple[list[StreamRow], str | None]:
        """Streams in the order they came to be; and the stream to go on after, None at the end."""

    def stream_count(self) -> int: ...
    def names(self) -> list[tuple[str, int]]:
        """Every event name with how many events carry it."""

    def save_snapshot(self, stream: str, version: int, data: bytes) -> None: ...
    def latest_snapshot(self, stream: str, at_or_below: int | None = None) -> tuple[int, int, bytes] | None:
        """version, created µs, data"""

    def wait(self, after: int, timeout_ms: int | None = None) -> int:
        """Sleep until the head is above `after`, or the time is over; the head either way."""

    def flush(self) -> None:
        """Return when everything appended so far would survive a power cut."""

    def verify(self, progress: Progress | None = None) -> dict[str, object]: ...
    def rebuild_index(self) -> None: ...
    def stats(self) -> dict[str, object]: ...
    def close(self) -> None: ...

def verify_path(path: str, progress: Progress | None = None) -> dict[str, object]:
    """Verify a store without opening it, so that one too damaged to open can be looked at too.

    Keys: events, commits, snapshots, streams, bytes, index ("checked" | "absent"), problems: a list of
    (file, offset, position or None, sentence).
    """
