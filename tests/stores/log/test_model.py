"""The store against a plain list: whatever the order of verbs, handles and reopenings, both give the same answers.

ACT_FAST_EXAMPLES sets how many random sequences of steps are tried.
"""

import os
import re
from collections import Counter
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from act_fast import Append, Committed, LogStore, Meta, StreamInfo
from act_fast.errors import ConcurrencyError, ValidationError

EXAMPLES = int(os.environ.get("ACT_FAST_EXAMPLES", "40"))
HANDLES = 3
STREAMS = [f"s-{number}" for number in range(5)] + ["S-1", "größe/7", "x" * 512]
NAMES = ["Opened", "Closed", "Tick", "größe"]
DATA = [b"1", b"{}", b'{"a":[1,2,{"b":null}]}', '"ü"'.encode(), b'"' + b"x" * 300 + b'"', b'"' + b"y" * 2000 + b'"']
CORRELATIONS = ["r-1", "r-2", 'quote"d']
PATTERNS = ["^s-", "[13]$", "^S", "x{100}", "größe|s-0", "nowhere", ""]

stream = st.sampled_from(STREAMS)
event = st.tuples(st.sampled_from(NAMES), st.integers(0, len(DATA) - 1))  # which of DATA: a failure stays readable
events = st.lists(event, min_size=1, max_size=6)
meta = st.none() | st.builds(Meta, correlation=st.none() | st.sampled_from(CORRELATIONS))
handle = st.integers(0, HANDLES - 1)
bound = st.integers(0, 120)
expectation = st.sampled_from(["none", "right", "right", "one less", "one more", "new"])


def with_data(events: list[tuple[str, int]]) -> list[tuple[str, bytes]]:
    return [(name, DATA[which]) for name, which in events]


class StoreAndList(RuleBasedStateMachine):
    """Handles on one store, and the list of all events that it should hold."""

    durability = "os"

    def __init__(self) -> None:
        super().__init__()
        self.directory = TemporaryDirectory()
        self.path = Path(self.directory.name) / "store.act"
        self.handles: list[LogStore] = []
        self.log: list[Committed[bytes]] = []
        self.snapshots: dict[str, dict[int, bytes]] = {}

    @initialize()
    def open(self) -> None:
        self.handles = [self.opened() for _ in range(HANDLES)]

    def opened(self) -> LogStore:
        return LogStore(self.path, segment_bytes=64 * 1024, durability=self.durability)  # type: ignore[arg-type]

    def teardown(self) -> None:
        for handle in self.handles:
            assert handle.verify().healthy
            handle.close()
        self.directory.cleanup()

    def of(self, stream: str) -> list[Committed[bytes]]:
        return [event for event in self.log if event.stream == stream]

    def expected(self, kind: str, actual: int) -> int | None:
        kinds = {"none": None, "right": actual, "one less": max(0, actual - 1), "one more": actual + 1, "new": 0}
        return kinds[kind]

    def extend(self, handle: LogStore, parts: list[tuple[str, list[tuple[str, bytes]]]], meta: Meta | None) -> None:
        """Add to the list what was appended; the time is the only thing that the store alone knows."""
        count = sum(len(events) for _, events in parts)
        created = next(handle.query(after=len(self.log), limit=1)).created
        assert not self.log or created >= self.log[-1].created
        for stream, events in parts:
            for name, data in events:
                version = len(self.of(stream)) + 1
                position = len(self.log) + 1
                self.log.append(Committed(data, name, stream, version, position, created, meta or Meta()))
        assert handle.head == len(self.log) >= count

    @rule(at=handle, stream=stream, events=events, kind=expectation, meta=meta)
    def append(self, at: int, stream: str, events: list[tuple[str, int]], kind: str, meta: Meta | None) -> None:
        pairs = with_data(events)
        actual = len(self.of(stream))
        expected = self.expected(kind, actual)
        if expected not in (None, actual):
            with pytest.raises(ConcurrencyError) as caught:
                self.handles[at].append(stream, pairs, expected_version=expected, meta=meta)
            assert (caught.value.stream, caught.value.expected, caught.value.actual) == (stream, expected, actual)
            return
        appended = self.handles[at].append(stream, pairs, expected_version=expected, meta=meta)
        assert (appended.first_version, appended.last_version) == (actual + 1, actual + len(events))
        assert (appended.first_position, appended.last_position) == (len(self.log) + 1, len(self.log) + len(events))
        self.extend(self.handles[at], [(stream, pairs)], meta)

    @rule(at=handle, parts=st.lists(st.tuples(stream, events, expectation), min_size=1, max_size=4), meta=meta)
    def append_many(self, at: int, parts: list[tuple[str, list[tuple[str, int]], str]], meta: Meta | None) -> None:
        versions = Counter({stream: len(self.of(stream)) for stream in STREAMS})
        appends, conflict = [], False
        for stream, events, kind in parts:
            expected = self.expected(kind, versions[stream])
            conflict = conflict or expected not in (None, versions[stream])
            appends.append(Append(stream, with_data(events), expected))
            versions[stream] += len(events)
        if conflict:
            with pytest.raises(ConcurrencyError):
                self.handles[at].append_many(appends, meta=meta)
            return
        appended = self.handles[at].append_many(appends, meta=meta)
        self.extend(self.handles[at], [(stream, with_data(events)) for stream, events, _ in parts], meta)
        found = [(self.log[each.first_position - 1], self.log[each.last_position - 1]) for each in appended]
        assert [first.stream for first, _ in found] == [stream for stream, _, _ in parts]
        for each, (first, last) in zip(appended, found, strict=True):
            assert (each.first_version, each.last_version) == (first.version, last.version)

    @rule(at=handle, stream=stream, bad=st.sampled_from([("", b"1"), ("Bad", b"{"), ("a\nb", b"1"), ("Bad", b"\xff")]))
    def append_what_is_refused(self, at: int, stream: str, bad: tuple[str, bytes]) -> None:
        with pytest.raises(ValidationError):
            self.handles[at].append(stream, [("Good", b"1"), bad])

    @rule(at=handle, stream=stream, after=bound, before=st.none() | bound, limit=st.none() | st.integers(0, 20))
    def load(self, at: int, stream: str, after: int, before: int | None, limit: int | None) -> None:
        right = [
            event for event in self.of(stream) if event.version > after and (before is None or event.version < before)
        ]
        assert list(self.handles[at].load(stream, after=after, before=before, limit=limit)) == right[:limit]

    @rule(
        at=handle,
        stream=st.none() | stream,
        pattern=st.none() | st.sampled_from(PATTERNS),
        names=st.none() | st.lists(st.sampled_from([*NAMES, "Never"]), max_size=3),
        after=bound,
        before=st.none() | bound,
        moments=st.tuples(st.none() | bound, st.none() | bound),
        correlation=st.none() | st.sampled_from([*CORRELATIONS, "r"]),
        limit=st.none() | st.integers(0, 20),
        backwards=st.booleans(),
    )
    def query(
        self, at: int, moments: tuple[int | None, int | None], limit: int | None, backwards: bool, **filters: Any
    ) -> None:
        filters["created_after"], filters["created_before"] = (self.moment(which) for which in moments)
        right = [event for event in self.log if accepts(event, **filters)]
        right = (right[::-1] if backwards else right)[:limit]
        assert list(self.handles[at].query(**filters, limit=limit, backwards=backwards)) == right

    def moment(self, which: int | None) -> datetime | None:
        return None if which is None or not self.log else self.log[which % len(self.log)].created

    @rule(at=handle, pattern=st.none() | st.sampled_from(PATTERNS), skip=st.integers(0, 9), limit=st.none() | bound)
    def streams(self, at: int, pattern: str | None, skip: int, limit: int | None) -> None:
        names = list(dict.fromkeys(event.stream for event in self.log))
        after = names[skip] if skip < len(names) else None
        rest = names[skip + 1 :] if after is not None else names
        right = [self.info(name) for name in rest if pattern is None or re.search(pattern, name)]
        assert list(self.handles[at].streams(pattern=pattern, after=after, limit=limit)) == right[:limit]

    def info(self, stream: str) -> StreamInfo:
        first, *_ = events = self.of(stream)
        last = events[-1]
        return StreamInfo(stream, last.version, first.position, last.position, first.created, last.created, last.name)

    @precondition(lambda self: self.log)
    @rule(at=handle, which=st.integers(0, 10_000), data=st.sampled_from([b"", b"state", b"\xff" * 3000]))
    def save_snapshot(self, at: int, which: int, data: bytes) -> None:
        event = self.log[which % len(self.log)]
        stored = self.snapshots.setdefault(event.stream, {})
        if stored and event.version < max(stored):
            return
        self.handles[at].save_snapshot(event.stream, event.version, data)
        stored[event.version] = data

    @rule(at=handle, stream=stream, at_or_below=st.none() | bound)
    def latest_snapshot(self, at: int, stream: str, at_or_below: int | None) -> None:
        stored = self.snapshots.get(stream, {})
        fitting = [version for version in stored if at_or_below is None or version <= at_or_below]
        found = self.handles[at].latest_snapshot(stream, at_or_below=at_or_below)
        if fitting:
            assert found is not None
            assert (found.version, found.data) == (max(fitting), stored[max(fitting)])
        else:
            assert found is None

    @rule(at=handle)
    def reopen_one(self, at: int) -> None:
        self.handles[at].close()
        self.handles[at] = self.opened()

    @rule()
    def reopen_all(self) -> None:
        for each in self.handles:
            each.close()
        self.open()

    @rule(at=handle)
    def rebuild_index(self, at: int) -> None:
        self.handles[at].rebuild_index()

    @rule(at=handle)
    def flush(self, at: int) -> None:
        self.handles[at].flush()

    @rule(at=handle, behind=st.integers(0, 3))
    def wait(self, at: int, behind: int) -> None:
        assert self.handles[at].wait(max(0, len(self.log) - behind), timeout=0) == len(self.log)

    @invariant()
    def every_handle_knows_head_versions_and_names(self) -> None:
        names = Counter(event.name for event in self.log)
        for each in self.handles:
            assert each.head == len(self.log)
            assert each.names() == names
            assert each.version(STREAMS[len(self.log) % len(STREAMS)]) == len(
                self.of(STREAMS[len(self.log) % len(STREAMS)])
            )


def accepts(
    event: Committed[bytes],
    stream: str | None,
    pattern: str | None,
    names: list[str] | None,
    after: int,
    before: int | None,
    created_after: datetime | None,
    created_before: datetime | None,
    correlation: str | None,
) -> bool:
    return (
        (stream is None or event.stream == stream)
        and (pattern is None or re.search(pattern, event.stream) is not None)
        and (names is None or event.name in names)
        and event.position > after
        and (before is None or event.position < before)
        and (created_after is None or event.created > created_after)
        and (created_before is None or event.created < created_before)
        and (correlation is None or event.meta.correlation == correlation)
    )


class FlushedStoreAndList(StoreAndList):
    """The same with every append flushed."""

    durability = "fsync"


TestStoreAndList = StoreAndList.TestCase
TestStoreAndList.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    print_blob=True,
)
TestFlushedStoreAndList = FlushedStoreAndList.TestCase
TestFlushedStoreAndList.settings = settings(TestStoreAndList.settings, max_examples=max(1, EXAMPLES // 4))
