"""How fast events become history: one by one, by the thousand, and safe from a power cut."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec

from act_fast import Append, Condition, Event, LogStore, Query
from act_fast._core import Log
from bench.harness.duel import Body, Contender, Duel
from bench.harness.row import Row
from bench.harness.sizes import Sizes
from bench.harness.threads import in_threads
from bench.peers.disk import raw_flush
from bench.peers.key_value import lmdb_batched, lmdb_single
from bench.peers.machine import payloads_copied
from bench.peers.sqlite import sqlite_batched, sqlite_single
from bench.peers.umadb import umadb_batched, umadb_single
from bench.rows.log import (
    APPEND_BATCH,
    APPEND_FSYNC_1,
    APPEND_FSYNC_16,
    APPEND_FSYNC_64,
    APPEND_FSYNC_BATCH,
    APPEND_SINGLE,
    APPEND_TAGGED,
    APPEND_WIDE,
)
from bench.rows.peers import UNTAGGED
from bench.stores.subject import DURABILITY, SUBJECT, core_writer, memory_writer, writer
from bench.workloads.events import BATCH_EVENTS, Single, batches, singles

DISK_ROUNDS_TIMES = 4
COMMIT_BYTES = BATCH_EVENTS * 150


class Booked(Event):
    """The payload as a class, to see what encoding costs."""

    amount: int
    currency: str
    reference: str
    booked: str


def bench_single_commits(duel: Duel, sizes: Sizes) -> None:
    events = singles(sizes.scaled(50_000), streams=sizes.scaled(1_000))
    pairs = [(event.stream, [(event.name, event.data)], event.expected_version) for event in events]
    decode = msgspec.json.Decoder(Booked).decode
    typed = [(event.stream, [decode(event.data)], event.expected_version) for event in events]

    def append(store: LogStore) -> None:
        for stream, pair, version in pairs:
            store.append(stream, pair, expected_version=version)

    keyed = [(*each, f"8e03978e-{number:x}") for number, each in enumerate(pairs)]

    def append_keyed(store: LogStore) -> None:
        for stream, pair, version, key in keyed:
            store.append(stream, pair, expected_version=version, key=key)

    def append_guarded(store: LogStore) -> None:
        query, after = Query.of(tags=["customer:none"]), 0
        for stream, pair, version in pairs:
            condition = Condition(query, after)
            after = store.append(stream, pair, expected_version=version, condition=condition).last_position

    def append_typed(store: LogStore) -> None:
        for stream, event, version in typed:
            store.append(stream, event, expected_version=version)

    def append_to_core(log: Log) -> None:
        for stream, pair, version in pairs:
            log.append(stream, pair, version)

    duel.fight(
        APPEND_SINGLE,
        writer(len(events), append),
        writer(len(events), append_typed, name="act-fast, Event instances, encoded on the way"),
        writer(len(events), append_keyed, name="act-fast, each append under a key of its own"),
        writer(len(events), append_guarded, name="act-fast, each append with a condition on a tag"),
        core_writer(len(events), append_to_core),
        memory_writer(len(events), append),
        *lmdb_single(events),
        sqlite_single(events[: sizes.scaled(5_000)], "OFF"),
    )


def bench_tagged_commits(duel: Duel, sizes: Sizes) -> None:
    events = singles(sizes.scaled(50_000), streams=sizes.scaled(1_000))
    plain = [(event.stream, [(event.name, event.data)], event.expected_version) for event in events]
    tagged = [
        (event.stream, [(event.name, event.data, [f"customer:{number % 1000}"])], event.expected_version)
        for number, event in enumerate(events)
    ]

    def append(store: LogStore) -> None:
        for stream, given, version in plain:
            store.append(stream, given, expected_version=version)

    def append_tagged(store: LogStore) -> None:
        for stream, given, version in tagged:
            store.append(stream, given, expected_version=version)

    duel.fight(
        APPEND_TAGGED, writer(len(events), append_tagged), writer(len(events), append, name=UNTAGGED), rounds_times=2
    )


def bench_batched_commits(duel: Duel, sizes: Sizes) -> None:
    commits = batches(sizes.scaled(200))

    def append(store: LogStore) -> None:
        for commit in commits:
            store.append(commit.stream, commit.events, expected_version=commit.expected_version)

    def append_to_core(log: Log) -> None:
        for commit in commits:
            log.append(commit.stream, commit.events, commit.expected_version)

    count = len(commits) * BATCH_EVENTS
    duel.fight(
        APPEND_BATCH,
        writer(count, append),
        core_writer(count, append_to_core),
        memory_writer(count, append),
        *lmdb_batched(commits),
        sqlite_batched(commits[: sizes.scaled(50)], "OFF"),
        payloads_copied(commits),
    )


def bench_wide_commits(duel: Duel, sizes: Sizes) -> None:
    commits = batches(sizes.scaled(50))
    wide = [[Append(f"{commit.stream}-{i}", [pair]) for i, pair in enumerate(commit.events)] for commit in commits]

    def append_many(store: LogStore) -> None:
        for appends in wide:
            store.append_many(appends)

    duel.fight(APPEND_WIDE, writer(len(wide) * BATCH_EVENTS, append_many), *lmdb_batched(commits), rounds_times=2)


def bench_flushed_commits_of_one_thread(duel: Duel, sizes: Sizes) -> None:
    events = singles(sizes.scaled(250), streams=sizes.scaled(25))
    duel.fight(
        APPEND_FSYNC_1,
        flushed(events, threads=1),
        raw_flush(len(events)),
        sqlite_single(events[: sizes.scaled(100)], "FULL"),
        *umadb_single(events[: sizes.scaled(100)]),
        rounds_times=DISK_ROUNDS_TIMES,
    )


def bench_flushed_commits_of_16_threads(duel: Duel, sizes: Sizes) -> None:
    fight_flushed(duel, sizes, APPEND_FSYNC_16, threads=16)


def bench_flushed_commits_of_64_threads(duel: Duel, sizes: Sizes) -> None:
    fight_flushed(duel, sizes, APPEND_FSYNC_64, threads=64)


def fight_flushed(duel: Duel, sizes: Sizes, row: Row, *, threads: int) -> None:
    events = singles(sizes.scaled(150) * threads, streams=threads)
    duel.fight(
        row,
        flushed(events, threads=threads),
        raw_flush(sizes.scaled(250)),
        raw_flush(sizes.scaled(50) * threads, threads=threads),
        sqlite_single(events[: sizes.scaled(10) * threads], "FULL", threads=threads),
        *umadb_single(events[: sizes.scaled(50) * threads], threads=threads),
        rounds_times=DISK_ROUNDS_TIMES,
    )


def bench_flushed_batches(duel: Duel, sizes: Sizes) -> None:
    commits = batches(sizes.scaled(50))

    def append(store: LogStore) -> None:
        for commit in commits:
            store.append(commit.stream, commit.events, expected_version=commit.expected_version)

    duel.fight(
        APPEND_FSYNC_BATCH,
        writer(len(commits) * BATCH_EVENTS, append, durability="fsync"),
        raw_flush(len(commits), write_bytes=COMMIT_BYTES, events_a_write=BATCH_EVENTS),
        sqlite_batched(commits[: sizes.scaled(20)], "FULL"),
        *umadb_batched(commits[: sizes.scaled(20)]),
    )


def flushed(events: Sequence[Single], threads: int) -> Contender:
    """Threads append to streams of their own, so that none waits for a version that another is about to make."""

    def append(store: LogStore, share: Sequence[Single]) -> None:
        for event in share:
            store.append(event.stream, [(event.name, event.data)], expected_version=event.expected_version)

    @contextmanager
    def prepare(path: Path) -> Iterator[Body]:
        with LogStore(path / "store", durability="fsync") as store:
            if threads == 1:
                yield partial(append, store, events)
            else:
                yield in_threads([partial(append, store, events[i::threads]) for i in range(threads)])

    return Contender(SUBJECT, DURABILITY["fsync"], len(events), prepare)
