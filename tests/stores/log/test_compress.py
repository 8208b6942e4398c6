"""Compressing the older part of a log: everything reads it as before, whatever happens on the way."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from act_fast import (
    Act,
    Append,
    Committed,
    Durability,
    Event,
    LogStore,
    State,
    StoreCorruptError,
    StoreLockedError,
    ValidationError,
    reducer,
)
from act_fast.stores.values import Compressed
from tests.support.log_files import SEGMENT_BYTES, append, filled, killed_at_random, read
from tests.support.processes import Tell, needs_proc, open_below, started, until

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 3), st.integers(1, 30)),
        st.tuples(st.sampled_from(["compress", "seal", "decompress", "reopen", "rebuild", "load", "query"])),
    ),
    min_size=5,
    max_size=25,
)


@given(STEPS)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_store_that_is_compressed_and_not_by_turns_holds_what_a_plain_one_would(steps) -> None:
    model: dict[str, list[bytes]] = {}
    store = LogStore.memory(segment_bytes=SEGMENT_BYTES)
    for step in steps:
        match step:
            case ("append", stream, count):
                for number in range(count):
                    append(store, model, stream, number)
            case ("compress",):
                store.compress()
            case ("seal",):
                store.compress(seal=True)
                stats = store.stats()
                assert stats.compressed == stats.segments - 1
            case ("decompress",):
                store.decompress()
                assert store.stats().compressed == 0
            case ("rebuild",):
                store._log.rebuild_index()
            case ("load",):
                for name in model:
                    assert [bytes(event.data) for event in store.load(name)] == model[name]
            case _:
                assert read(store) == model
    assert read(store) == model
    assert store.verify().healthy


def test_the_figures_are_those_of_the_files(tmp_path: Path) -> None:
    filled(tmp_path / "s.act")

    def taken() -> int:
        return sum(file.stat().st_size for file in (tmp_path / "s.act/log").iterdir())

    with LogStore(tmp_path / "s.act", segment_bytes=SEGMENT_BYTES) as store:
        before, size = taken(), store.stats().bytes
        foretold = store.compress(dry_run=True)
        assert (taken(), store.stats().compressed) == (before, 0)
        done = store.compress()
        assert done == foretold
        assert done.bytes_before - done.bytes_after == before - taken() == size - store.stats().bytes
        assert store.stats().compressed == done.segments > 3
        assert store.compress() == Compressed(0, 0, 0)


def test_who_has_the_plain_files_open_goes_on_and_lets_go_of_them(tmp_path: Path) -> None:
    streams = filled(tmp_path / "s.act")
    with (
        LogStore(tmp_path / "s.act", durability="os") as reader,
        LogStore(tmp_path / "s.act", durability="os") as other,
    ):
        pages = reader.query()
        first = next(iter(pages))
        assert read(reader) == streams
        other.compress()
        assert [first, *pages] == list(other.query())
        assert read(reader) == streams
        maps = Path("/proc/self/maps")
        if maps.exists():
            assert read(other) == streams
            assert not [line for line in maps.read_text().splitlines() if "s.act/log" in line and "(deleted)" in line]


def test_two_programs_do_not_compress_at_once(tmp_path: Path) -> None:
    filled(tmp_path / "s.act")
    with LogStore(tmp_path / "s.act", durability="os") as one, LogStore(tmp_path / "s.act", durability="os") as other:

        def progress(done: int, total: int) -> None:
            if done == 0:
                with pytest.raises(StoreLockedError, match="wait until that is done"):
                    other.compress()

        assert one.compress(progress=progress).segments > 3
        assert other.decompress().segments > 3


def test_an_error_of_the_progress_ends_the_work_which_the_next_call_goes_on_with(tmp_path: Path) -> None:
    streams = filled(tmp_path / "s.act")
    with LogStore(tmp_path / "s.act", durability="os") as store:

        def progress(done: int, total: int) -> None:
            if done >= 2 * SEGMENT_BYTES:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            store.compress(progress=progress)
        assert store.stats().compressed == 2
        assert store.compress().segments == store.stats().compressed - 2
        assert read(store) == streams


def test_damage_is_an_error_that_names_the_file_also_for_those_who_verify(tmp_path: Path) -> None:
    filled(tmp_path / "s.act")
    with LogStore(tmp_path / "s.act", durability="os") as store:
        store.compress()
    damaged = tmp_path / "s.act/log/00000001.seg"
    content = bytearray(damaged.read_bytes())
    content[-100] ^= 1
    damaged.write_bytes(content)
    with LogStore(tmp_path / "s.act", durability="os") as store:
        with pytest.raises(StoreCorruptError, match=r"00000001\.seg"):
            list(store.query())
        problems = store.verify().problems
        assert [problem.file for problem in problems] == ["log/00000001.seg"] * len(problems)
        assert problems
        with pytest.raises(StoreCorruptError, match=r"00000001\.seg"):
            store.decompress()


def test_a_program_that_is_killed_leaves_a_whole_store(tmp_path: Path) -> None:
    streams = filled(tmp_path / "s.act", 1500)
    for store in killed_at_random(tmp_path / "s.act", "store.compress(), store.decompress()"):
        assert read(store) == streams
        assert store.verify().healthy


def test_only_a_log_that_may_be_written_to_is_compressed(tmp_path: Path) -> None:
    filled(tmp_path / "s.act", 10)
    with (
        LogStore(tmp_path / "s.act", read_only=True) as store,
        pytest.raises(ValidationError, match="reading only"),
    ):
        store.compress()


class Added(Event):
    amount: int


class Sum(State):
    value: int = 0

    @reducer
    def added(self, event: Added) -> None:
        self.value += event.amount


def test_apps_fold_replay_ask_and_react_over_compressed_files(tmp_path: Path) -> None:
    with LogStore(tmp_path / "s.act", durability="os", segment_bytes=SEGMENT_BYTES) as store, Act(store, Sum) as app:
        for number in range(600):
            store.append(f"sum-{number % 7}", [Added(number)])
        before = app.load(Sum, "sum-3").state.value
        assert app.compress(seal=True).segments > 2
        seen: list[int] = []

        @app.on(Added)
        def see(event: Committed[Added]) -> None:
            seen.append(event.data.amount)

        app.settle()
        assert len(seen) == 600
        assert app.load(Sum, "sum-3", at=store.head).state.value == before
        assert app.sql("SELECT sum(amount) FROM added").fetchall() == [(sum(range(600)),)]
        assert app.decompress().segments > 2


def held(log: Path) -> str:
    """How many log files that were replaced this process maps or has open, and whether it maps the first of now."""
    files = [line.split(maxsplit=5) for line in Path("/proc/self/maps").read_text().splitlines() if str(log) in line]
    first = str((log / "00000000.seg").stat().st_ino)
    replaced = sum(file[5].endswith("(deleted)") for file in files) + open_below(log, replaced=True)
    return f"{replaced} {first in [file[4] for file in files]}"


def add_up(path: Path, tell: Tell) -> None:
    """A worker that says the number of each event it handles, and what it holds then."""
    with LogStore(path, durability="os") as store, Act(store, Sum) as app:

        @app.on(Added, to="sums")
        def see(event: Committed[Added]) -> None:
            tell(f"{event.data.amount} {held(path / 'log')}")

        app.run()


@needs_proc
def test_a_worker_lets_go_of_files_that_were_replaced_and_reads_those_in_their_place(tmp_path: Path) -> None:
    path, events = tmp_path / "s.act", 900
    with LogStore(path, durability="os", segment_bytes=SEGMENT_BYTES) as store:
        for number in range(events):
            store.append(f"sum-{number % 7}", [Added(number)])
    with (
        started(lambda tell: add_up(path, tell)) as (worker,),
        LogStore(path, durability="os") as store,
        Act(store) as app,
    ):
        assert [worker.next_line() for _ in range(events)] == [f"{number} 0 True" for number in range(events)]
        for change in (store.compress, store.decompress):
            assert change().segments > 2
            until(lambda: [target.lag for target in app.targets("sums")] == [0])
            assert app.reset("sums") == 1
            assert [worker.next_line() for _ in range(events)] == [f"{number} 0 True" for number in range(events)]


@pytest.mark.parametrize("durability", ["os", "interval", "fsync"])
def test_a_log_without_room_behind_its_end_is_sealed(tmp_path: Path, durability: Durability) -> None:
    for events in (1, 5, 40, 50, 60):
        path = tmp_path / str(events)
        with LogStore(path, durability=durability, segment_bytes=SEGMENT_BYTES) as store:
            streams: dict[str, list[bytes]] = {}
            for number in range(events):
                append(store, streams, 0, number)
            store.redact([1], drop=True, reason="r")  # writes the log once more, and no byte more than it holds
            assert store.compress(seal=True).segments
            append(store, streams, 0, events)
            assert store.head == events + 2
            assert store.verify().healthy
        with LogStore(path, durability=durability) as store:
            assert len(list(store.query())) == events + 2


@pytest.mark.parametrize("durability", ["os", "fsync"])
def test_a_log_without_room_behind_its_end_goes_on_in_the_next_file(tmp_path: Path, durability: Durability) -> None:
    for events in range(44, 60):
        path = tmp_path / str(events)
        with LogStore(path, durability=durability, segment_bytes=SEGMENT_BYTES) as store:
            store.append_many([Append("s-0", [("Happened", b'"%s"' % (b"x" * 250))])] * 2)
            for _ in range(events):
                store.append("s-0", [("Happened", b'"%s"' % (b"x" * 250))])
            store.redact([1], drop=True, reason="r")
            store.append("s-0", [("Happened", b'"%s"' % (b"x" * 8000))])
            assert store.verify().healthy
        with LogStore(path, durability=durability) as store:
            assert len(list(store.query())) == events + 4
