"""What is known of streams and names without reading events."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from act_fast import Append, Committed, LogStore, StreamInfo
from act_fast.errors import ConcurrencyError
from tests.support.numbered import pairs


def streams(infos: Iterator[StreamInfo]) -> list[str]:
    return [info.stream for info in infos]


@pytest.fixture
def four(store: LogStore) -> LogStore:
    """Streams that came to be in the order d, a, c, b."""
    store.append_many([Append("d", pairs(2)), Append("a", pairs(1))])
    store.append("c", pairs(1))
    store.append("a", [("Renamed", b"1")])
    store.append("b", pairs(1))
    return store


def test_a_stream_is_described_by_its_first_and_last_event(store: LogStore) -> None:
    store.append("other", pairs(4))
    store.append("a", pairs(2))
    store.append("other", pairs(1))
    store.append("a", [("Renamed", b"1")])
    events = list(store.load("a"))
    assert list(store.streams(pattern="^a$")) == [
        StreamInfo(
            stream="a",
            version=3,
            first_position=5,
            last_position=8,
            first_created=events[0].created,
            last_created=events[-1].created,
            last_name="Renamed",
        )
    ]


def test_streams_come_in_the_order_they_came_to_be(four: LogStore) -> None:
    assert streams(four.streams()) == ["d", "a", "c", "b"]


def test_an_empty_store_has_no_streams_and_no_names(store: LogStore) -> None:
    assert list(store.streams()) == []
    assert store.names() == {}
    assert store.version("a") == 0
    assert store.head == 0


def test_after_goes_on_after_the_last_one_seen(four: LogStore) -> None:
    assert streams(four.streams(after="a")) == ["c", "b"]
    assert streams(four.streams(after="b")) == []


def test_limit_stops_early_and_0_gives_nothing(four: LogStore) -> None:
    assert streams(four.streams(limit=2)) == ["d", "a"]
    assert streams(four.streams(after="d", limit=2)) == ["a", "c"]
    assert streams(four.streams(limit=0)) == []
    assert streams(four.streams(limit=2**62)) == ["d", "a", "c", "b"]


def test_a_pattern_is_searched(four: LogStore) -> None:
    assert streams(four.streams(pattern="[ab]")) == ["a", "b"]
    assert streams(four.streams(pattern="[ab]", after="a")) == ["b"]
    assert streams(four.streams(pattern="[ab]", limit=1)) == ["a"]
    assert streams(four.streams(pattern="^x")) == []


def test_many_streams_come_without_gap_or_repetition(store: LogStore) -> None:
    expected = [f"s-{number}" for number in range(2500)]
    store.append_many([Append(stream, pairs(1)) for stream in expected])
    assert streams(store.streams()) == expected
    assert streams(store.streams(limit=1500)) == expected[:1500]
    assert streams(store.streams(after="s-998", limit=1001)) == expected[999:2000]
    assert streams(store.streams(pattern="7$")) == [stream for stream in expected if stream.endswith("7")]


def test_a_few_matches_among_many_streams_are_all_found(store: LogStore) -> None:
    store.append_many([Append(f"s-{number}", pairs(1)) for number in range(5000)])
    assert streams(store.streams(pattern="^s-(0|2499|4999)$")) == ["s-0", "s-2499", "s-4999"]
    assert streams(store.streams(pattern="^s-(0|2499|4999)$", limit=2)) == ["s-0", "s-2499"]


def test_streams_that_come_to_be_while_they_are_read_are_not_for_this_reader(
    open_store: Callable[..., LogStore],
) -> None:
    store = open_store(durability="os", segment_bytes=1024 * 1024)
    store.append_many([Append(f"s-{number}", pairs(1)) for number in range(2500)])
    for info in store.streams():
        store.append(f"copy-of-{info.stream}", pairs(1))
    assert store.stats().streams == 5000


def test_the_version_is_the_number_of_events_ever_appended(four: LogStore) -> None:
    assert [four.version(stream) for stream in "abcde"] == [2, 1, 1, 2, 0]


def test_names_are_counted(four: LogStore) -> None:
    assert four.names() == {"Counted": 5, "Renamed": 1}


def test_a_refused_append_counts_for_nothing(four: LogStore) -> None:
    with pytest.raises(ConcurrencyError):
        four.append("e", [("Never", b"1")], expected_version=3)
    assert four.names() == {"Counted": 5, "Renamed": 1}
    assert four.head == 6
    assert streams(four.streams()) == ["d", "a", "c", "b"]


def test_it_is_all_the_same_after_reopening_and_after_rebuilding_the_index(open_store: Callable[..., LogStore]) -> None:
    with open_store() as store:
        for number in range(600):
            store.append(f"s-{number % 70}", pairs(number % 3 + 1, name=f"N{number % 5}"))
        before = (list(store.streams()), store.names(), store.head)
        store.rebuild_index()
        assert (list(store.streams()), store.names(), store.head) == before
    with open_store() as store:
        assert (list(store.streams()), store.names(), store.head) == before


def test_stats_tell_how_much_there_is(four: LogStore) -> None:
    stats = four.stats()
    assert (stats.events, stats.streams) == (6, 4)
    assert stats.segments >= 1
    assert stats.bytes > 0


def flushed_since(store: LogStore, event: Committed[bytes]) -> bool:
    """Whether the log was flushed after an event, as far as milliseconds can tell."""
    flushed = store.stats().last_flush
    return flushed is not None and flushed > event.created - timedelta(milliseconds=1)


def test_stats_tell_when_the_log_was_last_flushed(open_store: Callable[..., LogStore]) -> None:
    store = open_store(durability="fsync")
    store.append("a", pairs(1))
    assert flushed_since(store, next(store.load("a")))


def test_flush_makes_everything_appended_so_far_durable(open_store: Callable[..., LogStore]) -> None:
    store = open_store(durability="os")
    store.append("a", pairs(1))
    store.flush()
    assert flushed_since(store, next(store.load("a")))


def test_an_interval_flushes_by_itself(open_store: Callable[..., LogStore]) -> None:
    store = open_store(durability="interval", flush_interval=0.005)
    for _ in range(3):
        before = store.stats().last_flush
        store.append("a", pairs(1))
        while store.stats().last_flush == before:
            store.wait(store.head, timeout=0.001)
