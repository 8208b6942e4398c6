"""The log: appending, loading, scanning, opening, and what an event takes on disk."""

from bench.harness.row import Budget, Row
from bench.rows.peers import LMDB_BATCHED, LMDB_CURSOR, LMDB_RANGE, LMDB_SINGLE, MEMCPY, PREAD, RAW_FLUSH, UNTAGGED

APPEND_SINGLE = Row(
    "append-single",
    "append, one event a commit, version checked",
    "events/s",
    (Budget(LMDB_SINGLE, 1.2),),
    note="LMDB is at its fastest here: writable mapping, nothing synced, sequential eight-byte keys, no index, no"
    " checksum, no version check. One transaction for each put is comparable to a commit; puts inside one long"
    " transaction, which no one else could see until its end, stand beside it.",
    why_lost="LMDB puts one key and its value; a commit here checks the stream's version and that the data is JSON,"
    " and leaves a checksummed record and the index of its position, stream and name. What can be looked up once is,"
    " and a small commit does not release the interpreter lock.",
)
APPEND_BATCH = Row(
    "append-batch",
    "append, commits of 1,000 events",
    "events/s",
    (Budget(LMDB_BATCHED, 3.0),),
    note="LMDB's batched put is one Python call for each put; its `putmulti`, one call for all, stands beside.",
    why_lost="Nearly half of what an event costs is making sure that its data is JSON, which LMDB does not check. Keys"
    " that a commit touches often are indexed once, at its end.",
    physical=MEMCPY,
)
APPEND_WIDE = Row(
    "append-wide",
    "append, commits of 1,000 events to 1,000 streams that are new",
    "events/s",
    (Budget(LMDB_BATCHED, 1.0),),
    note="`append_many`: each event has a stream of its own. LMDB puts sequential keys, 1,000 of them a transaction.",
    why_lost="Each event brings a stream into being: its key, its bucket in the hash table and its text in the log,"
    " where LMDB adds to a page that it has at hand.",
)
APPEND_TAGGED = Row(
    "append-tagged",
    "append, one event with a tag a commit, beside none",
    "events/s",
    (Budget(UNTAGGED, 1 / 1.15),),
    note="One of 1,000 tags on each event. The same events, streams and expected versions without it stand beside.",
    why_lost="A tag is a third key for the index beside the stream and the name: it is looked up, its line of positions"
    " is written, and its number goes into the record.",
)
CONDITION = Row(
    "append-condition",
    "a condition over 10 M tagged events, added to an append",
    "µs",
    (Budget(limit=20.0),),
    note="The condition is that of a decision on two views: a tag with two names, or another tag; simpler ones stand"
    " beside. It looks back to the head as it was before the append.",
)
APPEND_FSYNC_1 = Row(
    "append-fsync-1",
    "append, one event a commit, 1 thread",
    "commits/s",
    (Budget(RAW_FLUSH, 0.9),),
    note="The disk's own rate: 150 bytes by pwrite into a zero-filled file, then fdatasync, one after another.",
    why_lost="An append adds 7 to 11 µs to the flush itself, felt the more the faster the disk flushes.",
    physical=RAW_FLUSH,
)
APPEND_FSYNC_16 = Row(
    "append-fsync-16",
    "append, one event a commit, 16 threads",
    "commits/s",
    (Budget(RAW_FLUSH, 8.0),),
    why_lost="Threads released by one flush write while the next is in progress, and are covered by the one after"
    " that: so a flush covers at most eight of 16 threads. It covers seven; the rest goes to falling asleep and being"
    " woken.",
)
APPEND_FSYNC_64 = Row(
    "append-fsync-64",
    "append, one event a commit, 64 threads",
    "commits/s",
    (Budget(RAW_FLUSH, 14.0),),
    why_lost="A commit takes 12 to 14 µs of processor time, most of it for waking a thread and for its turn at the"
    " interpreter: a bound on the faster disks.",
)
APPEND_FSYNC_BATCH = Row(
    "append-fsync-batch",
    "append, commits of 1,000 events, each flushed",
    "events/s",
    (Budget(RAW_FLUSH, 0.6),),
    why_lost="Building 1,000 events takes about as long as flushing them, one after the other; and every byte is"
    " written twice, as zeros ahead of the log and as a record.",
    note="The disk's own rate: 150,000 bytes by pwrite into a zero-filled file, then fdatasync.",
    physical=RAW_FLUSH,
)
LOAD_RAW = Row(
    "load-raw",
    "load streams of 1,000 events, as stored",
    "events/s",
    (Budget(LMDB_RANGE, 1.0),),
    why_lost="An event is an object with eight parts; a step of the peer's cursor gives two `bytes`.",
)
SCAN = Row(
    "scan",
    "query over all events, in order",
    "events/s",
    (Budget(LMDB_CURSOR, 1.0),),
    why_lost="An event is an object with eight parts; a step of the peer's cursor gives two `bytes`.",
    physical=PREAD,
)
SCAN_COLUMNS = Row(
    "scan-columns",
    "all events, in order, as Arrow columns: no object for each",
    "events/s",
    (Budget(LMDB_CURSOR, 3.0),),
    physical=PREAD,
)
OPEN_CLEAN = Row("open-clean", "open the large store after a clean close", "ms", (Budget(limit=20.0),))
OPEN_KILLED_FIRST = Row(
    "open-killed-first",
    "open the large store after kill -9 of the process that wrote all of it",
    "ms",
    (Budget(limit=1_000.0),),
)
OPEN_KILLED = Row(
    "open-killed",
    "open the large store after kill -9 of a process that was appending",
    "ms",
    (Budget(limit=1_000.0),),
)
GROWTH = Row(
    "growth",
    "growth: speed in the largest store, of that in the smallest",
    "times",
    (Budget(floor=0.95),),
    note="Stores of 100 events a stream, one target a stream. Each round appends, loads, claims and opens in every"
    " store, one after the other, on 10,000 streams that lie all over it; 1 is the speed in the smallest store in the"
    " same round. The first line is the slowest verb's.",
    why_lost="Counted in instructions, nothing grows: an append takes 13,900 beside 1,000 streams and 14,000 beside"
    " 50,000, a cycle of claims 7.9 and 8.0 million. What is lost goes to cache misses: ten times the streams lie in"
    " ten times the pages.",
    axis="events in the store",
)
GROWTH_SPREAD = Row(
    "growth-spread",
    "growth: the same on any stream of the store",
    "times",
    note="The larger the store, the more memory its streams lie in: what is lost here is lost to misses of the"
    " processor's caches and of its page tables.",
    axis="events in the store",
)
OPEN_COPIED = Row(
    "open-copied",
    "open a store that was copied here: the whole log checked, its index rebuilt",
    "events/s",
    note="This is also what opening after a crash of the machine costs: nothing but the log is trusted.",
)
DISK_SINGLE = Row(
    "disk-single",
    "disk beyond the events' own bytes, one event a commit",
    "bytes/event",
    (Budget(limit=64.0),),
    "Own bytes are the payloads; names, versions, times, checksums and indexes are not. The log is"
    " preallocated: the zeros that its files end in are room for events to come, counted in the line beside. LMDB keeps"
    " a number and the payload of an event, and no index of streams.",
)
DISK_BATCH = Row(
    "disk-batch",
    "disk beyond the events' own bytes, commits of 1,000",
    "bytes/event",
    (Budget(limit=64.0),),
)
