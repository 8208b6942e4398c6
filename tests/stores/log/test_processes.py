"""One store, many processes: writers that contend, followers that must miss nothing."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from act_fast import Append, Committed, Durability, LogStore
from act_fast.errors import ConcurrencyError, StoreLockedError
from tests.support.numbered import numbers, pair, pairs, positions, versions
from tests.support.processes import Tell, run, started

WRITERS = 4
DURABILITIES: list[Durability] = ["fsync", "interval", "os"]
each_durability = pytest.mark.parametrize("durability", DURABILITIES)


@pytest.fixture
def made(store_path: Path) -> Path:
    """A store that is there and empty, with small segments."""
    LogStore(store_path, segment_bytes=64 * 1024).close()
    return store_path


def commit(writer: int, turn: int) -> list[Append]:
    """A commit that says of each event which of how many it is."""
    count = (writer + turn) % 4 + 1
    parts = [b'{"writer":%d,"turn":%d,"index":%d,"count":%d}' % (writer, turn, index, count) for index in range(count)]
    streams = [f"own-{writer}", "shared"]
    return [Append(streams[index % 2], [("Part", part)]) for index, part in enumerate(parts)]


class Part(msgspec.Struct):
    writer: int
    turn: int
    index: int
    count: int


def check_commits(events: list[Committed[bytes]]) -> dict[int, int]:
    """Make sure that the events are whole commits, each writer's in order; how many there are of each writer."""
    turns: dict[int, int] = {}
    waiting: list[Part] = []
    for event in events:
        part = msgspec.json.decode(event.data, type=Part)
        if not waiting:
            assert part.turn == turns.get(part.writer, 0)
            waiting = [Part(part.writer, part.turn, index, part.count) for index in range(part.count)]
            turns[part.writer] = part.turn + 1
        assert part == waiting.pop(0)
    assert not waiting, "half a commit"
    return turns


def writer(path: Path, durability: Durability, number: int, turns: int) -> Callable[[Tell], None]:
    def body(tell: Tell) -> None:
        with LogStore(path, durability=durability) as store:
            for turn in range(turns):
                store.append_many(commit(number, turn))

    return body


@each_durability
def test_writers_on_the_same_and_on_different_streams_lose_nothing(made: Path, durability: Durability) -> None:
    run(*(writer(made, durability, number, 200) for number in range(WRITERS)))
    with LogStore(made) as store:
        events = list(store.query())
        assert positions(events) == list(range(1, len(events) + 1))
        assert check_commits(events) == dict.fromkeys(range(WRITERS), 200)
        for info in store.streams():
            assert versions(store.load(info.stream)) == list(range(1, info.version + 1))
        assert store.verify().healthy


@each_durability
def test_no_update_is_lost_when_processes_expect_versions_of_one_stream(made: Path, durability: Durability) -> None:
    def count(tell: Tell) -> None:
        with LogStore(made, durability=durability) as store:
            for _ in range(100):
                while True:
                    version = store.version("counter")
                    try:
                        store.append("counter", [pair(version + 1)], expected_version=version)
                        break
                    except ConcurrencyError:
                        pass

    run(*[count] * WRITERS)
    with LogStore(made) as store:
        assert numbers(store.load("counter")) == list(range(1, WRITERS * 100 + 1))


def test_exactly_one_of_several_creators_of_a_stream_wins(made: Path) -> None:
    def create(tell: Tell) -> None:
        with LogStore(made, durability="os") as store:
            for stream in range(300):
                try:
                    store.append(f"s-{stream}", pairs(1), expected_version=0)
                    tell(stream)
                except ConcurrencyError:
                    pass

    won = run(*[create] * WRITERS)
    assert sorted(int(stream) for streams in won for stream in streams) == list(range(300))


def test_exactly_one_store_is_made_by_many_that_open_it_at_once(store_path: Path) -> None:
    def use(tell: Tell) -> None:
        with LogStore(store_path) as store:
            store.append("a", pairs(1))
            tell(store.head)

    run(*[use] * 8)
    with LogStore(store_path) as store:
        assert versions(store.load("a")) == list(range(1, 9))
        assert store.verify().healthy


@each_durability
@pytest.mark.parametrize("read_only", [False, True], ids=["writing handle", "reading handle"])
def test_followers_see_no_gap_no_reversal_and_no_half_commit(
    made: Path, durability: Durability, read_only: bool
) -> None:
    turns = 150
    total = sum(len(commit(number, turn)) for number in range(WRITERS) for turn in range(turns))

    def follow(tell: Tell) -> None:
        with LogStore(made, durability=durability, read_only=read_only) as store:
            seen: list[Committed[bytes]] = []
            while len(seen) < total:
                head = store.wait(len(seen), timeout=30)
                assert head > len(seen)
                events = list(store.query(after=len(seen)))
                assert positions(events) == list(range(len(seen) + 1, len(seen) + len(events) + 1))
                assert len(events) >= head - len(seen)
                check_commits_end(events)
                seen += events
            assert check_commits(seen) == dict.fromkeys(range(WRITERS), turns)

    def follow_stream(tell: Tell) -> None:
        with LogStore(made, durability=durability, read_only=read_only) as store:
            version = head = 0
            while head < total:
                head = store.wait(head, timeout=30)
                found = versions(store.load("shared", after=version))
                assert found == list(range(version + 1, version + len(found) + 1))
                version += len(found)
            assert version == store.version("shared")

    writers = [writer(made, durability, number, turns) for number in range(WRITERS)]
    run(follow, follow_stream, *writers)


def check_commits_end(events: list[Committed[bytes]]) -> None:
    """Make sure that the last event is the last one of its commit."""
    part = msgspec.json.decode(events[-1].data, type=Part)
    assert part.index == part.count - 1


@pytest.mark.parametrize("read_only", [False, True], ids=["writing handle", "reading handle"])
def test_readers_are_never_told_of_damage_while_writers_are_busy(made: Path, read_only: bool) -> None:
    def write(tell: Tell) -> None:
        with LogStore(made, durability="os") as store:
            for _ in range(15_000):
                store.append("a", pairs(1))

    def read(tell: Tell) -> None:
        with LogStore(made, durability="os", read_only=read_only) as store:
            while (version := store.version("a")) < 45_000:
                assert len(versions(store.load("a", after=max(0, version - 2)))) >= min(2, version)
                assert len(list(store.streams())) == len(store.names()) <= 1

    run(write, write, write, read, read, read)


def test_streams_and_names_are_found_while_the_index_grows(made: Path) -> None:
    streams = 8000

    def write(tell: Tell) -> None:
        with LogStore(made, durability="os") as store:
            for first in range(0, streams, 50):
                store.append_many(
                    [Append(f"s-{number}", pairs(1, first=number)) for number in range(first, first + 50)]
                )

    def read(tell: Tell) -> None:
        with LogStore(made, durability="os") as store:
            known = 0
            while known < streams:
                known = store.wait(known, timeout=30)
                for number in {0, known // 3, known // 2, known - 1}:
                    assert numbers(store.load(f"s-{number}")) == [number]
                assert store.version(f"s-{streams}") == 0

    run(write, read, read)
    with LogStore(made) as store:
        assert [info.stream for info in store.streams()] == [f"s-{number}" for number in range(streams)]
        assert store.verify().healthy


def test_what_a_follower_has_seen_never_changes(made: Path) -> None:
    def follow(tell: Tell) -> None:
        with LogStore(made, durability="os", read_only=True) as store:
            first: list[Committed[bytes]] = []
            while len(first) < 1000:
                store.wait(len(first), timeout=30)
                again = list(store.query())
                assert again[: len(first)] == first
                first = again

    run(follow, *(writer(made, "os", number, 120) for number in range(WRITERS)))


def test_streams_names_and_versions_agree_with_the_events_at_any_moment(made: Path) -> None:
    def look(tell: Tell) -> None:
        with LogStore(made, durability="os") as store:
            while store.head < 1000:
                for info in store.streams():
                    assert store.version(info.stream) >= info.version
                    (last,) = store.load(info.stream, after=info.version - 1, before=info.version + 1)
                    assert (last.position, last.created, last.name) == (
                        info.last_position, info.last_created, info.last_name,
                    )  # fmt: skip
                before, names, after = store.head, store.names(), store.head
                assert before <= sum(names.values()) <= after

    run(look, *(writer(made, "os", number, 120) for number in range(WRITERS)))


def test_snapshots_of_one_process_are_seen_by_the_others(made: Path) -> None:
    def save(tell: Tell) -> None:
        with LogStore(made, durability="os") as store:
            for version in range(1, 201):
                store.append("a", pairs(1, first=version))
                store.save_snapshot("a", version, b"%d" % version)

    def look(tell: Tell) -> None:
        with LogStore(made, durability="os") as store:
            latest = 0
            while latest < 200:
                snapshot = store.latest_snapshot("a")
                if snapshot is not None:
                    assert snapshot.data == b"%d" % snapshot.version
                    assert latest <= snapshot.version <= store.version("a")
                    latest = snapshot.version

    run(save, look, look)


def test_the_index_can_be_rebuilt_by_one_process_while_others_work(made: Path) -> None:
    def rebuild(tell: Tell) -> None:
        with LogStore(made, durability="os") as store:
            for _ in range(100):
                store.rebuild_index()

    run(rebuild, *(writer(made, "os", number, 120) for number in range(WRITERS)))
    with LogStore(made) as store:
        assert check_commits(list(store.query())) == dict.fromkeys(range(WRITERS), 120)
        assert store.verify().healthy


def test_a_store_can_be_opened_while_its_index_grows_or_is_made_anew(made: Path) -> None:
    streams = 3000

    def grow(tell: Tell) -> None:
        with LogStore(made, durability="os") as store:
            for number in range(streams):
                store.append(f"s-{number}", pairs(1))

    def rebuild(tell: Tell) -> None:
        with LogStore(made, durability="os") as store:
            for _ in range(100):
                store.rebuild_index()

    def look(read_only: bool) -> Callable[[Tell], None]:
        def body(tell: Tell) -> None:
            head = 0
            while head < streams:
                with LogStore(made, durability="os", read_only=read_only) as store:
                    head = store.head
                    assert store.version("s-0") == min(head, 1)
                    assert versions(store.load(f"s-{head - 1}")) == [1] * min(head, 1)

        return body

    run(grow, rebuild, look(read_only=False), look(read_only=True))


def test_a_store_may_be_verified_while_others_write(made: Path) -> None:
    def verify(tell: Tell) -> None:
        with LogStore(made, durability="os") as store:
            while store.head < 1000:
                report = store.verify()
                assert report.healthy, report.problems

    run(verify, *(writer(made, "os", number, 120) for number in range(WRITERS)))


def test_processes_that_come_and_go_disturb_nobody(made: Path) -> None:
    def come_and_go(tell: Tell) -> None:
        for _ in range(30):
            with LogStore(made, durability="os") as store:
                store.append("visitors", pairs(1))

    run(come_and_go, come_and_go, *(writer(made, "os", number, 150) for number in range(2)))
    with LogStore(made) as store:
        assert store.version("visitors") == 60
        assert check_commits(list(store.query(pattern="^(own-.*|shared)$"))) == {0: 150, 1: 150}
        assert store.verify().healthy


def test_programs_that_were_not_forked_share_a_store_as_well(made: Path) -> None:
    program = (
        "import sys; from act_fast import LogStore\n"
        "with LogStore(sys.argv[1]) as store:\n"
        "    print(store.wait(0), flush=True)\n"
        "    store.append('answer', [('Answered', b'1')])\n"
    )
    command = [sys.executable, "-c", program, str(made)]
    listeners = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    with LogStore(made) as store:
        store.append("question", pairs(1))
        while (head := store.head) < 3:
            assert store.wait(head, timeout=30) > head
        for listener in listeners:
            out, _ = listener.communicate(timeout=30)
            assert (listener.returncode, out.strip() in {"1", "2"}) == (0, True)
        assert versions(store.load("answer")) == [1, 2]


def test_the_death_of_the_other_writers_holds_nobody_up(made: Path) -> None:
    writers = [writer(made, "os", number, 10**6) for number in range(3)]
    with started(*writers) as processes, LogStore(made, durability="os") as store:
        for process in processes:
            for _ in range(50):
                store.append("survivor", pairs(1))
            process.kill()
        for _ in range(50):
            store.append("survivor", pairs(1))
        assert store.version("survivor") == 200
        assert store.verify().healthy


def test_a_handle_without_a_durability_takes_that_of_the_others(store_path: Path) -> None:
    with LogStore(store_path, durability="os"):
        with pytest.raises(StoreLockedError, match="os"):
            LogStore(store_path, durability="fsync")
        with LogStore(store_path, durability=None) as joined:
            assert joined.durability == "os"
    with LogStore(store_path, durability=None) as alone:
        assert alone.durability == "fsync"
