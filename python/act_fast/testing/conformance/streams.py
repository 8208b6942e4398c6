"""What is known of streams and names without reading events."""

from collections.abc import Iterable

import pytest

from act_fast.errors import ConcurrencyError
from act_fast.stores.port import Store
from act_fast.stores.values import Append, StreamInfo
from act_fast.testing.conformance.cases import Cases, pairs

__all__ = ["Streams"]


def _names(infos: Iterable[StreamInfo]) -> list[str]:
    return [info.stream for info in infos]


class Streams(Cases):
    """What `streams`, `version`, `names`, `head` and `stats` promise."""

    @pytest.fixture
    def four(self, store: Store) -> Store:
        """Streams that came to be in the order d, a, c, b."""
        store.append_many([Append("d", pairs(2)), Append("a", pairs(1))])
        store.append("c", pairs(1))
        store.append("a", [("Renamed", b"1")])
        store.append("b", pairs(1))
        return store

    def test_a_stream_is_described_by_its_first_and_last_event(self, store: Store) -> None:
        store.append("other", pairs(4))
        store.append("a", pairs(2))
        store.append("other", pairs(1))
        store.append("a", [("Renamed", b"1")])
        events = list(store.load("a"))
        described = StreamInfo(
            stream="a",
            version=3,
            first_position=5,
            last_position=8,
            first_created=events[0].created,
            last_created=events[-1].created,
            last_name="Renamed",
        )
        assert list(store.streams(pattern="^a$")) == [described]

    def test_an_empty_store_has_no_streams_and_no_names(self, store: Store) -> None:
        assert (list(store.streams()), store.names(), store.version("a"), store.head) == ([], {}, 0, 0)
        assert (store.stats().events, store.stats().streams) == (0, 0)

    def test_streams_come_in_the_order_they_came_to_be(self, four: Store) -> None:
        assert _names(four.streams()) == ["d", "a", "c", "b"]

    def test_after_goes_on_after_the_last_one_seen(self, four: Store) -> None:
        assert _names(four.streams(after="a")) == ["c", "b"]
        assert _names(four.streams(after="b")) == []

    def test_streams_stop_early_at_a_limit_and_0_gives_none(self, four: Store) -> None:
        assert _names(four.streams(limit=2)) == ["d", "a"]
        assert _names(four.streams(after="d", limit=2)) == ["a", "c"]
        assert _names(four.streams(limit=0)) == []
        assert _names(four.streams(limit=2**62)) == ["d", "a", "c", "b"]

    def test_a_pattern_is_searched(self, four: Store) -> None:
        assert _names(four.streams(pattern="[ab]")) == ["a", "b"]
        assert _names(four.streams(pattern="[ab]", after="a")) == ["b"]
        assert _names(four.streams(pattern="[ab]", limit=1)) == ["a"]
        assert _names(four.streams(pattern="^x")) == []

    def test_many_streams_come_without_gap_or_repetition(self, store: Store) -> None:
        expected = [f"s-{number}" for number in range(2500)]
        store.append_many([Append(stream, pairs(1)) for stream in expected])
        assert _names(store.streams()) == expected
        assert _names(store.streams(limit=1500)) == expected[:1500]
        assert _names(store.streams(after="s-998", limit=1001)) == expected[999:2000]
        assert _names(store.streams(pattern="7$")) == [stream for stream in expected if stream.endswith("7")]
        assert _names(store.streams(pattern="^s-(0|1249|2499)$")) == ["s-0", "s-1249", "s-2499"]
        assert _names(store.streams(pattern="^s-(0|1249|2499)$", limit=2)) == ["s-0", "s-1249"]

    def test_streams_that_come_to_be_while_they_are_read_are_not_for_this_reader(self, store: Store) -> None:
        store.append_many([Append(f"s-{number}", pairs(1)) for number in range(1100)])
        found = 0
        for info in store.streams():
            found += 1
            if found % 100 == 0:
                store.append(f"copy-of-{info.stream}", pairs(1))
        assert (found, store.stats().streams) == (1100, 1111)

    def test_the_version_is_the_number_of_events_ever_appended(self, four: Store) -> None:
        assert [four.version(stream) for stream in "abcde"] == [2, 1, 1, 2, 0]

    def test_names_are_counted(self, four: Store) -> None:
        assert four.names() == {"Counted": 5, "Renamed": 1}

    def test_a_refused_append_counts_for_nothing(self, four: Store) -> None:
        with pytest.raises(ConcurrencyError):
            four.append("e", [("Never", b"1")], expected_version=3)
        with pytest.raises(ConcurrencyError):
            four.append_many([Append("a", [("Never", b"1")], 2), Append("e", [("Never", b"1")], 3)])
        assert four.names() == {"Counted": 5, "Renamed": 1}
        assert (four.head, _names(four.streams()), four.version("a")) == (6, ["d", "a", "c", "b"], 2)

    def test_stats_tell_how_much_there_is(self, four: Store) -> None:
        stats = four.stats()
        assert (stats.events, stats.streams) == (6, 4)
        assert stats.segments >= 1
        assert stats.bytes > 0

    def test_verify_reads_everything_and_finds_nothing_wrong(self, four: Store) -> None:
        four.save_snapshot("a", 1, b"x")
        report = four.verify()
        assert report.healthy, report.problems
        assert (report.events, report.streams, report.commits, report.snapshots) == (6, 4, 4, 1)
