"""A store against a plain list: whatever the order of verbs, handles and reopenings, both give the same answers."""

import os
import re
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from act_fast._core import Appended
from act_fast._events.committed import Committed
from act_fast._events.meta import Meta
from act_fast._rows import EventPair
from act_fast.errors import ConcurrencyError, ConditionError, ConflictError, KeyReusedError, ValidationError
from act_fast.stores.append_condition import Condition, Query, QueryItem
from act_fast.stores.port import Store
from act_fast.stores.values import Append, StreamInfo
from act_fast.testing.conformance.cases import OpenStore, Pair

__all__ = ["NewStore", "StoreAndList", "compare_with_list"]

NewStore: TypeAlias = Callable[[], OpenStore]
"""Makes an empty store, and gives what opens it. The one made before is not used any more."""

_STREAMS = [f"s-{number}" for number in range(5)] + ["S-1", "größe/7", "x" * 512]
_NAMES = ["Opened", "Closed", "Tick", "größe"]
_DATA = [b"1", b"{}", b'{"a":[1,2,{"b":null}]}', '"ü"'.encode(), b'"' + b"x" * 300 + b'"', b'"' + b"y" * 2000 + b'"']
_CORRELATIONS = ["r-1", "r-2", 'quote"d']
_PATTERNS = ["^s-", "[13]$", "^S", "x{100}", "größe|s-0", "nowhere", ""]
_BAD = [("", b"1"), ("Bad", b"{"), ("a\nb", b"1"), ("Bad", b"\xff")]

_TAGS = ["a:1", "a:2", "b", "größe:ü", "x" * 512]
_KEYS = ["k-1", "k-2", "ü"]

_Given: TypeAlias = list[tuple[str, int, list[str]]]

_stream = st.sampled_from(_STREAMS)
_tags = st.lists(st.sampled_from(_TAGS), max_size=3)
# Which of _DATA: a failure stays readable.
_event = st.tuples(st.sampled_from(_NAMES), st.integers(0, len(_DATA) - 1), st.just([]) | _tags)
_asked = st.lists(st.sampled_from([*_TAGS, "key=k-1", "nobody's"]), max_size=2, unique=True)
_item = st.builds(QueryItem, st.lists(st.sampled_from(_NAMES), max_size=2), _asked)
_matching = st.builds(Query, st.lists(_item, min_size=1, max_size=3))
_events = st.lists(_event, min_size=1, max_size=6)
_meta = st.none() | st.builds(Meta, correlation=st.none() | st.sampled_from(_CORRELATIONS))
_handle = st.integers(0, 2)
_bound = st.integers(0, 120)
_expectation = st.sampled_from(["none", "right", "right", "one less", "one more", "new"])


class StoreAndList(RuleBasedStateMachine):
    """Handles on one store, and the list of all events that it should hold.

    Args:
        new_store: makes the store.
        handles: how many are open at once, at most 3.
        lasting: whether what was appended is there when all have been closed.
        tags: whether events carry tags, and appends have conditions.
        keys: whether an append under a key is done once.
    """

    def __init__(
        self, new_store: NewStore, handles: int = 3, *, lasting: bool = True, tags: bool = True, keys: bool = True
    ) -> None:
        super().__init__()
        self._tags = tags
        self._keys = keys
        self._used: dict[str, tuple[list[tuple[str, list[EventPair]]], list[Appended]]] = {}
        self._open_store = new_store()
        self._count = handles
        self._lasting = lasting
        self.handles: list[Store] = []
        self.log: list[Committed[bytes]] = []
        self.snapshots: dict[str, dict[int, bytes]] = {}

    @initialize()
    def open(self) -> None:
        """Open all handles."""
        self.handles = [self._open_store() for _ in range(self._count)]

    def teardown(self) -> None:
        """Close what is open."""
        for handle in self.handles:
            assert handle.verify().healthy
            handle.close()

    def at(self, which: int) -> Store:
        """One of the handles."""
        return self.handles[which % len(self.handles)]

    @rule(at=_handle, stream=_stream, events=_events, kind=_expectation, meta=_meta)
    def append(self, at: int, stream: str, events: _Given, kind: str, meta: Meta | None) -> None:
        """Append to a stream, perhaps with an expectation that is wrong."""
        pairs = self._pairs(events)
        actual = len(self._of(stream))
        expected = _expected(kind, actual)
        if expected not in (None, actual):
            with pytest.raises(ConcurrencyError) as caught:
                self.at(at).append(stream, pairs, expected_version=expected, meta=meta)
            assert (caught.value.stream, caught.value.expected, caught.value.actual) == (stream, expected, actual)
            return
        appended = self.at(at).append(stream, pairs, expected_version=expected, meta=meta)
        assert (appended.first_version, appended.last_version) == (actual + 1, actual + len(events))
        assert (appended.first_position, appended.last_position) == (len(self.log) + 1, len(self.log) + len(events))
        self._extend(self.at(at), [(stream, pairs)], meta)

    @rule(at=_handle, parts=st.lists(st.tuples(_stream, _events, _expectation), min_size=1, max_size=4), meta=_meta)
    def append_many(self, at: int, parts: list[tuple[str, _Given, str]], meta: Meta | None) -> None:
        """Append to several streams, or to one several times."""
        versions = Counter({stream: len(self._of(stream)) for stream in _STREAMS})
        appends, conflict = [], False
        for stream, events, kind in parts:
            expected = _expected(kind, versions[stream])
            conflict = conflict or expected not in (None, versions[stream])
            appends.append(Append(stream, self._pairs(events), expected))
            versions[stream] += len(events)
        if conflict:
            with pytest.raises(ConcurrencyError):
                self.at(at).append_many(appends, meta=meta)
            return
        appended = self.at(at).append_many(appends, meta=meta)
        self._extend(self.at(at), [(stream, self._pairs(events)) for stream, events, _ in parts], meta)
        found = [(self.log[each.first_position - 1], self.log[each.last_position - 1]) for each in appended]
        assert [first.stream for first, _ in found] == [stream for stream, _, _ in parts]
        for each, (first, last) in zip(appended, found, strict=True):
            assert (each.first_version, each.last_version) == (first.version, last.version)

    @precondition(lambda self: self._tags)
    @rule(
        at=_handle,
        parts=st.lists(st.tuples(_stream, _events), min_size=1, max_size=3),
        others=st.dictionaries(_stream, _expectation, max_size=2),
        matching=st.none() | _matching,
        behind=st.sampled_from([0, 0, 1, 2, 10, 1000, -1]),
    )
    def append_guarded(
        self,
        at: int,
        parts: list[tuple[str, _Given]],
        others: dict[str, str],
        matching: Query | None,
        behind: int,
    ) -> None:
        """Append if nothing matches above a position, and if streams that are not written to are as expected."""
        after = max(0, len(self.log) - behind)
        condition = None if matching is None else Condition(matching, after)
        written = {stream for stream, _ in parts}
        actual = {stream: len(self._of(stream)) for stream in others if stream not in written}
        expected = {stream: _expected(others[stream], version) or 0 for stream, version in actual.items()}
        in_the_way = [each.position for each in self.log if each.position > after and _matches(each, matching)]
        given = [(stream, self._pairs(events)) for stream, events in parts]
        appends = [Append(stream, events) for stream, events in given]
        call = partial(self.at(at).append_many, appends, expected_versions=expected or None, condition=condition)
        if expected == actual and not in_the_way:
            assert call()[-1].last_version == len(self._of(appends[-1].stream)) + sum(
                len(each.events) for each in appends if each.stream == appends[-1].stream
            )
            self._extend(self.at(at), given, None)
            return
        with pytest.raises(ConflictError) as caught:
            call()
        if isinstance(caught.value, ConditionError):
            assert (caught.value.after, caught.value.position) == (after, max(in_the_way))
        else:
            assert isinstance(caught.value, ConcurrencyError)
            stream = caught.value.stream
            assert (caught.value.expected, caught.value.actual) == (expected[stream], actual[stream])
            assert expected[stream] != actual[stream]

    @precondition(lambda self: self._keys)
    @rule(at=_handle, parts=st.lists(st.tuples(_stream, _events), min_size=1, max_size=2), key=st.sampled_from(_KEYS))
    def append_once(self, at: int, parts: list[tuple[str, _Given]], key: str) -> None:
        """Append under a key that may have been used before, for the same or for something else."""
        given = [(stream, self._pairs(events)) for stream, events in parts]
        appends = [Append(stream, events) for stream, events in given]
        before, answer = self._used.get(key, (given, None))
        if before != given:
            with pytest.raises(KeyReusedError):
                self.at(at).append_many(appends, key=key)
            appends = [Append(stream, events) for stream, events in before]
        appended = self.at(at).append_many(appends, key=key)
        if answer is None:
            self._used[key] = given, appended
            self._extend(self.at(at), given, None, key)
        else:
            assert appended == answer

    @rule(at=_handle, stream=_stream, bad=st.sampled_from(_BAD))
    def append_what_is_refused(self, at: int, stream: str, bad: Pair) -> None:
        """Append something that no store takes."""
        with pytest.raises(ValidationError):
            self.at(at).append(stream, [("Good", b"1"), bad])

    @rule(at=_handle, stream=_stream, after=_bound, before=st.none() | _bound, limit=st.none() | st.integers(0, 20))
    def load(self, at: int, stream: str, after: int, before: int | None, limit: int | None) -> None:
        """Load a part of a stream."""
        behind = [each for each in self._of(stream) if each.version > after]
        right = [each for each in behind if before is None or each.version < before]
        assert list(self.at(at).load(stream, after=after, before=before, limit=limit)) == right[:limit]

    @rule(
        at=_handle,
        stream=st.none() | _stream,
        pattern=st.none() | st.sampled_from(_PATTERNS),
        names=st.none() | st.lists(st.sampled_from([*_NAMES, "Never"]), max_size=3),
        after=_bound,
        before=st.none() | _bound,
        moments=st.tuples(st.none() | _bound, st.none() | _bound),
        correlation=st.none() | st.sampled_from([*_CORRELATIONS, "r"]),
        tags=st.none() | _asked,
        matching=st.none() | _matching,
        limit=st.none() | st.integers(0, 20),
        backwards=st.booleans(),
    )
    def query(
        self, at: int, moments: tuple[int | None, int | None], limit: int | None, backwards: bool, **filters: Any
    ) -> None:
        """Query by any conditions together."""
        if not self._tags:
            filters |= {"tags": None, "matching": None}
        filters["created_after"], filters["created_before"] = (self._moment(which) for which in moments)
        right = [each for each in self.log if _accepts(each, **filters)]
        right = (right[::-1] if backwards else right)[:limit]
        assert list(self.at(at).query(**filters, limit=limit, backwards=backwards)) == right

    @precondition(lambda self: self._tags)
    @rule(at=_handle, item=_item, matching=st.none() | _matching, backwards=st.booleans())
    def query_by_tags(self, at: int, item: QueryItem, matching: Query | None, backwards: bool) -> None:
        """Query by names and tags, from the beginning to the end."""
        right = [each for each in self.log if _matches(each, Query([item]))]
        right = [each for each in right if matching is None or _matches(each, matching)]
        names, tags = item.names or None, item.tags
        found = self.at(at).query(names=names, tags=tags, matching=matching, backwards=backwards)
        assert list(found) == (right[::-1] if backwards else right)

    @rule(at=_handle, pattern=st.none() | st.sampled_from(_PATTERNS), skip=st.integers(0, 9), limit=st.none() | _bound)
    def streams(self, at: int, pattern: str | None, skip: int, limit: int | None) -> None:
        """List streams."""
        names = list(dict.fromkeys(each.stream for each in self.log))
        after = names[skip] if skip < len(names) else None
        rest = names[skip + 1 :] if after is not None else names
        right = [self._info(name) for name in rest if pattern is None or re.search(pattern, name)]
        assert list(self.at(at).streams(pattern=pattern, after=after, limit=limit)) == right[:limit]

    @precondition(lambda self: self.log)
    @rule(at=_handle, which=st.integers(0, 10_000), data=st.sampled_from([b"", b"state", b"\xff" * 3000]))
    def save_snapshot(self, at: int, which: int, data: bytes) -> None:
        """Save a snapshot, of no version before the last: what becomes of older ones is a store's own affair."""
        event = self.log[which % len(self.log)]
        stored = self.snapshots.setdefault(event.stream, {})
        if stored and event.version < max(stored):
            return
        self.at(at).save_snapshot(event.stream, event.version, data)
        stored[event.version] = data

    @rule(at=_handle, stream=_stream, at_or_below=st.none() | _bound)
    def latest_snapshot(self, at: int, stream: str, at_or_below: int | None) -> None:
        """Get a snapshot."""
        stored = self.snapshots.get(stream, {})
        fitting = [version for version in stored if at_or_below is None or version <= at_or_below]
        found = self.at(at).latest_snapshot(stream, at_or_below=at_or_below)
        if fitting:
            assert found is not None
            assert (found.version, found.data) == (max(fitting), stored[max(fitting)])
        else:
            assert found is None

    @precondition(lambda self: self._lasting)
    @rule(at=_handle)
    def reopen_one(self, at: int) -> None:
        """Close a handle, and open another one."""
        self.at(at).close()
        self.handles[at % len(self.handles)] = self._open_store()

    @precondition(lambda self: self._lasting)
    @rule()
    def reopen_all(self) -> None:
        """Close all handles, then open as many."""
        for each in self.handles:
            each.close()
        self.open()

    @rule(at=_handle)
    def flush(self, at: int) -> None:
        """Flush."""
        self.at(at).flush()

    @rule(at=_handle, behind=st.integers(0, 3))
    def wait(self, at: int, behind: int) -> None:
        """Ask for the head by waiting."""
        assert self.at(at).wait(max(0, len(self.log) - behind), timeout=0) == len(self.log)

    @invariant()
    def every_handle_knows_head_versions_and_names(self) -> None:
        """What is asked for after every step."""
        names = Counter(event.name for event in self.log)
        stream = _STREAMS[len(self.log) % len(_STREAMS)]
        for each in self.handles:
            assert each.head == len(self.log)
            assert each.names() == names
            assert each.version(stream) == len(self._of(stream))

    def _of(self, stream: str) -> list[Committed[bytes]]:
        return [event for event in self.log if event.stream == stream]

    def _pairs(self, events: _Given) -> list[EventPair]:
        return [
            (name, _DATA[which], tags) if tags and self._tags else (name, _DATA[which]) for name, which, tags in events
        ]

    def _extend(
        self, handle: Store, parts: list[tuple[str, list[EventPair]]], meta: Meta | None, key: str | None = None
    ) -> None:
        """Add to the list what was appended; the time is the only thing that the store alone knows."""
        of_key = [] if key is None else [f"key={key}"]
        created = next(iter(handle.query(after=len(self.log), limit=1))).created
        assert not self.log or created >= self.log[-1].created
        for stream, events in parts:
            for name, data, *own in events:
                version, position = len(self._of(stream)) + 1, len(self.log) + 1
                tags = (*dict.fromkeys((*(own[0] if own else ()), *of_key)),)
                self.log.append(Committed(data, name, stream, version, position, created, meta or Meta(), tags))
                of_key = []
        assert handle.head == len(self.log)

    def _moment(self, which: int | None) -> datetime | None:
        return None if which is None or not self.log else self.log[which % len(self.log)].created

    def _info(self, stream: str) -> StreamInfo:
        first, *_ = events = self._of(stream)
        last = events[-1]
        return StreamInfo(stream, last.version, first.position, last.position, first.created, last.created, last.name)


def compare_with_list(make: Callable[[], StoreAndList], examples: int | None = None, steps: int = 40) -> None:
    """Try random sequences of steps.

    Args:
        make: makes a machine with a store of its own.
        examples: how many sequences; the environment variable ACT_FAST_EXAMPLES by default, else 10.
        steps: how many steps one has at most.
    """
    tried = int(os.environ.get("ACT_FAST_EXAMPLES", "10")) if examples is None else examples
    chosen = settings(
        max_examples=tried,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        print_blob=True,
    )
    machine: Any = make  # any callable will do
    run_state_machine_as_test(machine, settings=chosen)


def _expected(kind: str, actual: int) -> int | None:
    kinds = {"none": None, "right": actual, "one less": max(0, actual - 1), "one more": actual + 1, "new": 0}
    return kinds[kind]


def _accepts(
    event: Committed[bytes],
    stream: str | None,
    pattern: str | None,
    names: list[str] | None,
    after: int,
    before: int | None,
    created_after: datetime | None,
    created_before: datetime | None,
    correlation: str | None,
    tags: list[str] | None,
    matching: Query | None,
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
        and (not tags or {*tags} <= {*event.tags})
        and (matching is None or _matches(event, matching))
    )


def _matches(event: Committed[bytes], query: Query | None) -> bool:
    """Whether an event matches any of the items: one of its names, and all of its tags."""
    return query is not None and any(
        (not item.names or event.name in item.names) and {*item.tags} <= {*event.tags} for item in query.items
    )
