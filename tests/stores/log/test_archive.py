"""Archiving the older part of a log: everything reads it as before, whatever happens on the way."""

import json
import threading
from datetime import timedelta
from io import BytesIO
from itertools import count
from pathlib import Path

import duckdb
import obstore
import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from act_fast import (
    Act,
    ArchiveUnavailableError,
    AsyncAct,
    Committed,
    Condition,
    ConditionError,
    Event,
    LogStore,
    Query,
    State,
    StoreCorruptError,
    StoreError,
    StoreLockedError,
    ValidationError,
    reducer,
    restore_path,
)
from act_fast.stores.archive_away import archive_away
from act_fast.stores.log.readable import parquet_maker
from act_fast.stores.log.shelf import ObjectShelf
from act_fast.stores.ordered.address import parts_of
from act_fast.stores.ordered.objects import object_store
from act_fast.stores.values import Archived
from tests.stores.log.conftest import OnMachine
from tests.support.every_kind import EveryKind
from tests.support.log_files import SEGMENT_BYTES, append, filled, killed_at_random, read
from tests.support.moto import MotoServer
from tests.support.proxy import Proxy

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 3), st.integers(1, 30)),
        st.tuples(st.sampled_from(["archive", "seal", "unarchive", "reopen", "rebuild", "load", "query", "verify"])),
        st.tuples(st.just("keep"), st.integers(0, 60)),
    ),
    min_size=5,
    max_size=25,
)


def objects_at(where: str) -> list[str]:
    """The names of all objects below an address in a bucket."""
    parts = parts_of(where)
    prefix = f"{parts.path.strip('/')}/"
    pages = obstore.list(object_store(parts, retries=3), prefix)
    return sorted(str(each["path"]).removeprefix(prefix) for page in pages for each in page)


def objects(cold: Path, kind: str = "seg") -> list[Path]:
    return sorted(cold.glob(f"*/*.{kind}"))


def parquet_files(cold: Path) -> list[Path]:
    """The Parquet files of an archive, which are those that its manifest lists."""
    (manifest,) = cold.glob("*/manifest.json")
    listed = [file["parquet"] for file in json.loads(manifest.read_bytes())["files"] if file["parquet"]]
    assert objects(cold, "parquet") == sorted(cold / each["object"] for each in listed)
    assert [each["bytes"] for each in listed] == [(cold / each["object"]).stat().st_size for each in listed]
    return [cold / each["object"] for each in listed]


@given(STEPS)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_store_that_is_archived_and_not_by_turns_holds_what_a_plain_one_would(
    tmp_path_factory: pytest.TempPathFactory, steps
) -> None:
    path = tmp_path_factory.mktemp("archived")
    model: dict[str, list[bytes]] = {}
    store = LogStore(path / "s.act", durability="os", segment_bytes=SEGMENT_BYTES)
    for step in steps:
        match step:
            case ("append", stream, events):
                for number in range(events):
                    append(store, model, stream, number)
            case ("archive",):
                store.archive(path / "cold")
            case ("keep", events):
                store.archive(path / "cold", keep=events, parquet=False)
            case ("seal",):
                store.compress(seal=True)
            case ("unarchive",):
                store.unarchive(remove=True)
                assert (store.stats().archived, [*(path / "cold").glob("*/*")]) == (0, [])
            case ("reopen",):
                store.close()
                store = LogStore(path / "s.act", durability="os")
            case ("rebuild",):
                store._log.rebuild_index()
            case ("load",):
                for name in model:
                    assert [bytes(event.data) for event in store.load(name)] == model[name]
            case ("verify",):
                assert store.verify().healthy
            case _:
                assert read(store) == model
    assert read(store) == model
    assert store.verify().healthy
    store.close()


def test_the_figures_are_those_of_the_files_and_the_manifest_lists_them(tmp_path: Path) -> None:
    filled(tmp_path / "s.act")

    def taken() -> int:
        return sum(file.stat().st_size for file in (tmp_path / "s.act/log").iterdir())

    with LogStore(tmp_path / "s.act") as store:
        before, size = taken(), store.stats().bytes
        foretold = store.archive(tmp_path / "cold", dry_run=True)
        assert (taken(), store.stats().archived, (tmp_path / "cold").exists()) == (before, 0, False)
        done = store.archive(tmp_path / "cold")
        assert done == foretold
        assert done.parquet == done.segments
        assert done.bytes_before - done.bytes_after == before - taken() == size - store.stats().bytes
        assert store.stats().archived == done.segments > 3
        assert store.archive(tmp_path / "cold") == Archived(str(tmp_path / "cold"), 0, 0, 0)
        manifest = json.loads(next((tmp_path / "cold").glob("*/manifest.json")).read_bytes())
        assert (manifest["format"], manifest["store"]) == (1, store._log.store_id)
        assert [file["number"] for file in manifest["files"]] == list(range(done.segments))
        assert manifest["files"][0]["first_position"] == 1
        assert [tmp_path / "cold" / file["object"] for file in manifest["files"]] == objects(tmp_path / "cold")
        assert [file["bytes"] for file in manifest["files"]] == [
            path.stat().st_size for path in objects(tmp_path / "cold")
        ]
        events = sum(file["events"] for file in manifest["files"])
        assert events == manifest["files"][-1]["last_position"]


def test_other_programs_read_the_events_that_are_archived(tmp_path: Path) -> None:
    filled(tmp_path / "s.act", 300)
    cold = tmp_path / "cold"
    with LogStore(tmp_path / "s.act", durability="os") as store:
        store.append("odd", [("Happened", b'{"a":"\\u00e4"}', ("course:maths", "b:c")), ("Other", b"[1,2.50]")])
        store.compress(seal=True)
        done = store.archive(cold)
        expected = list(store.query())
    assert done.parquet == done.segments == len(parquet_files(cold))
    rows = pyarrow.concat_tables([parquet.read_table(each) for each in parquet_files(cold)]).to_pylist()
    assert [row["position"] for row in rows] == list(range(1, 303))
    for row, event in zip(rows, expected, strict=True):
        assert (row["stream"], row["version"], row["name"]) == (event.stream, event.version, event.name)
        assert (row["data"].encode(), row["created"]) == (event.data, event.created)
        assert tuple(row["tags"]) == event.tags
    restore_path(tmp_path / "again.act", cold)
    with LogStore(tmp_path / "again.act") as again:
        assert list(again.query()) == expected


def test_parquet_files_are_left_out_added_later_and_removed_with_the_objects(tmp_path: Path) -> None:
    streams = filled(tmp_path / "s.act")
    cold = tmp_path / "cold"
    with LogStore(tmp_path / "s.act", durability="os") as store:
        some = store.archive(cold, keep=200, parquet=False)
        assert (some.parquet, parquet_files(cold)) == (0, [])
        more = store.archive(cold)
        assert more.parquet == more.segments == len(parquet_files(cold)) > 0
        assert store.archive(cold, parquet=True, dry_run=True).parquet == some.segments
        assert store.archive(cold, parquet=True) == Archived(str(cold), 0, 0, 0, some.segments)
        assert len(parquet_files(cold)) == some.segments + more.segments
        next(cold.glob("*/manifest.json")).write_bytes(b"gone")
        parquet_files_before = objects(cold, "parquet")
        assert store.archive(cold, parquet=True) == Archived(str(cold), 0, 0, 0)
        store.unarchive()
        assert objects(cold, "parquet") == parquet_files_before
        store.archive(cold, keep=200, parquet=False)
        assert len(parquet_files(cold)) >= some.segments
        store.unarchive()
        store.decompress()  # nothing here has the digest of an object any more
        assert objects(cold) != []
        store.unarchive(remove=True)
        assert [*cold.glob("*/*")] == []
        assert read(store) == streams


def test_events_that_are_not_all_there_are_not_put_there(tmp_path: Path) -> None:
    filled(tmp_path / "s.act", 10)
    with LogStore(tmp_path / "s.act") as store:
        maker = parquet_maker(store._log, True)
        assert maker is not None
        assert parquet.read_table(BytesIO(maker(3, 9))).num_rows == 7
        with pytest.raises(StoreError, match="from position 3 to 11 was read back"):
            maker(3, 11)


def test_an_object_copied_back_under_the_name_of_its_stub_is_the_file(tmp_path: Path) -> None:
    streams = filled(tmp_path / "s.act")
    with LogStore(tmp_path / "s.act") as store:
        archived = store.archive(tmp_path / "cold").segments
    for number, path in enumerate(objects(tmp_path / "cold")):
        path.replace(tmp_path / f"s.act/log/{number:08}.seg")
    with LogStore(tmp_path / "s.act") as store:
        assert (store.stats().archived, store.stats().compressed) == (0, archived)
        assert read(store) == streams


def test_only_what_is_old_enough_and_not_to_be_kept_is_archived(tmp_path: Path) -> None:
    filled(tmp_path / "s.act")
    with LogStore(tmp_path / "s.act") as store:
        assert store.archive(tmp_path / "cold", older_than=timedelta(hours=1)).segments == 0
        assert store.archive(tmp_path / "cold", keep=store.head).segments == 0
        some = store.archive(tmp_path / "cold", keep=200).segments
        assert 0 < some < store.stats().segments - 1
        assert store._log.archived()[1][-1][5] <= store.head - 200
        assert store.archive(tmp_path / "cold", older_than=timedelta(0)).segments > 0
        with pytest.raises(ValidationError, match="older_than must be a timedelta"):
            store.archive(tmp_path / "cold", older_than=3)  # type: ignore[arg-type]
        with pytest.raises(ValidationError, match="keep must not be negative"):
            store.archive(tmp_path / "cold", keep=-1)
        with pytest.raises(ValidationError, match="within the store itself"):
            store.archive(tmp_path / "s.act" / "cold")


def test_without_its_archive_a_store_is_written_to_and_what_is_here_is_read(tmp_path: Path) -> None:
    streams = filled(tmp_path / "s.act")
    with LogStore(tmp_path / "s.act", durability="os") as store:
        store.archive(tmp_path / "cold", keep=100)
        last = store._log.archived()[1][-1][5]
    (tmp_path / "cold").rename(tmp_path / "away")
    (tmp_path / "s.act/control").unlink()  # as after a power cut: all is recovered from the log
    with LogStore(tmp_path / "s.act", durability="os") as store:
        assert store.head == 400
        assert len(list(store.query(after=last))) == 400 - last
        append(store, streams, 7, 7)
        assert len(list(store.load("s-7"))) == 1
        found = {each.stream: each for each in store.streams()}
        assert {name: each.version for name, each in found.items()} == {
            name: len(data) for name, data in streams.items()
        }
        assert len(list(store.query(created_after=found["s-7"].last_created - timedelta(microseconds=1)))) >= 1
        with pytest.raises(ConditionError):
            store.append("s-8", [("A", b"1")], condition=Condition(Query.of(names=["Happened"]), after=0))
        for reading in (lambda: list(store.load("s-1")), lambda: list(store.query()), store.verify):
            with pytest.raises(ArchiveUnavailableError, match="archive the store to its new address") as raised:
                reading()
            assert raised.value.file == "log/00000000.seg"
            assert raised.value.address == str(tmp_path / "cold")
        with pytest.raises(ArchiveUnavailableError):
            store.unarchive()
        (tmp_path / "away").rename(tmp_path / "cold")
        assert read(store) == streams
    (tmp_path / "cold").rename(tmp_path / "away")
    with LogStore(tmp_path / "s.act", durability="os", archive=tmp_path / "away") as store:
        assert read(store) == streams
        with pytest.raises(ValidationError, match="was opened with its archive at"):
            store.archive(tmp_path / "other")
    with LogStore(tmp_path / "s.act", durability="os") as store:
        with pytest.raises(ValidationError, match="archive to the same place"):
            store.archive(tmp_path / "other")
        store.archive(tmp_path / "away", keep=400)
        assert read(store) == streams


def test_a_lost_object_and_a_damaged_one_are_told_apart(tmp_path: Path) -> None:
    filled(tmp_path / "s.act")
    with LogStore(tmp_path / "s.act", durability="os") as store:
        store.archive(tmp_path / "cold")
    lost, damaged = objects(tmp_path / "cold")[1:3]
    lost.unlink()
    content = bytearray(damaged.read_bytes())
    content[-100] ^= 1
    damaged.write_bytes(content)
    with LogStore(tmp_path / "s.act", durability="os") as store:
        files = store._log.archived()[1]
        with pytest.raises(ArchiveUnavailableError, match=lost.name):
            list(store.query(after=files[1][4] - 1, before=files[1][5] + 1))
        with pytest.raises(StoreCorruptError, match=damaged.name):
            list(store.query(after=files[2][4] - 1, before=files[2][5] + 1))
        with pytest.raises(StoreCorruptError, match=damaged.name):
            store.unarchive()
        damaged.write_bytes(content[:500])
        with pytest.raises(StoreCorruptError, match="shorter than what was put there"):
            store.unarchive()


def test_data_of_every_kind_is_archived_and_is_there_after_a_power_cut(tmp_path: Path) -> None:
    kinds = EveryKind()
    with LogStore(tmp_path / "s.act", durability="os", segment_bytes=SEGMENT_BYTES) as store:
        kinds.fill(store)
        store.compress(seal=True)
        assert store.archive(tmp_path / "cold").segments > 0
    (tmp_path / "s.act/control").unlink()
    with LogStore(tmp_path / "s.act", durability="os") as store:
        kinds.check(store)


def test_two_programs_do_not_archive_at_once(tmp_path: Path) -> None:
    filled(tmp_path / "s.act")
    with LogStore(tmp_path / "s.act", durability="os") as one, LogStore(tmp_path / "s.act", durability="os") as other:

        def progress(done: int, total: int) -> None:
            if done == 0:
                with pytest.raises(StoreLockedError, match="wait until that is done"):
                    other.archive(tmp_path / "cold")

        assert one.archive(tmp_path / "cold", progress=progress).segments > 3
        assert other.unarchive().segments > 3


def test_an_error_of_the_progress_ends_the_work_which_the_next_call_goes_on_with(tmp_path: Path) -> None:
    streams = filled(tmp_path / "s.act")
    with LogStore(tmp_path / "s.act", durability="os") as store:

        def progress(done: int, total: int) -> None:
            if done >= 2 * SEGMENT_BYTES:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            store.archive(tmp_path / "cold", progress=progress)
        assert store.stats().archived == 2
        assert store.archive(tmp_path / "cold").segments == store.stats().archived - 2
        assert read(store) == streams


def test_a_program_that_is_killed_leaves_a_whole_store(tmp_path: Path) -> None:
    streams = filled(tmp_path / "s.act", 1500)
    for store in killed_at_random(
        tmp_path / "s.act", "store.archive(sys.argv[2]), store.unarchive(remove=True)", tmp_path / "cold"
    ):
        assert read(store) == streams
        assert store.verify().healthy


def test_what_would_leave_what_it_removes_in_the_archive_is_refused(tmp_path: Path) -> None:
    filled(tmp_path / "s.act")
    path, cold = tmp_path / "s.act", tmp_path / "cold"
    with LogStore(path, durability="os") as store:
        store.append("s-1", [("$closed", b'{"state":{}}')])
        store.archive(cold)
        for what, refused in (
            ("redact", lambda: store.redact([5], drop=True, reason="a mistake")),
            ("prune", lambda: store.prune()),
        ):
            with pytest.raises(ValidationError) as raised:
                refused()
            steps = f"`act-fast unarchive {path} --remove`, {what}, and archive it again with `act-fast archive {path}"
            assert steps in str(raised.value)
        store.unarchive()
        with pytest.raises(
            ValidationError, match=f"the archive at {cold} may still hold .* `act-fast unarchive {path}"
        ):
            store.redact([5], drop=True, reason="a mistake")
        store.unarchive(remove=True)
        store.redact([5], drop=True, reason="a mistake")
        assert store.verify().healthy


def test_only_a_log_that_may_be_written_to_is_archived(tmp_path: Path) -> None:
    filled(tmp_path / "s.act", 10)
    with (
        LogStore(tmp_path / "s.act", read_only=True) as store,
        pytest.raises(ValidationError, match="reading only"),
    ):
        store.archive(tmp_path / "cold")


class Added(Event):
    amount: int


class Sum(State):
    value: int = 0

    @reducer
    def added(self, event: Added) -> None:
        self.value += event.amount


def test_apps_fold_replay_ask_and_react_over_archived_files(tmp_path: Path) -> None:
    with (
        LogStore(tmp_path / "s.act", durability="os", segment_bytes=SEGMENT_BYTES) as store,
        Act(store, Sum) as app,
    ):
        for number in range(600):
            store.append(f"sum-{number % 7}", [Added(number)])
        before = app.load(Sum, "sum-3").state.value
        assert app.archive(tmp_path / "cold").segments > 1
        seen: list[int] = []

        @app.on(Added)
        def see(event: Committed[Added]) -> None:
            seen.append(event.data.amount)

        app.settle()
        assert len(seen) == 600
        assert app.load(Sum, "sum-3", at=store.head).state.value == before
        assert app.sql("SELECT sum(amount) FROM added").fetchall() == [(sum(range(600)),)]
        assert app.export(tmp_path / "all.jsonl").rows == 600
        assert sum(found.state.value for _, found in app.replay(Sum)) == sum(range(600))
        app.backup(tmp_path / "copy.act")
        assert app.unarchive().segments > 1
    with LogStore(tmp_path / "copy.act", durability="os") as copy:
        assert copy.stats().archived > 1
        assert len(list(copy.query())) == 600


DYING = """
import itertools, shutil, signal
import duckdb, fsspec.implementations.memory

cold = path + ".cold"
data = [b'{"number":%d,"pad":"%s"}' % (number, b"pad" * 60) for number in range(120)]

def in_child(work):
    child = os.fork()
    if not child:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def archive(store):
    return store.archive(cold).segments

def unarchive(store):
    return store.unarchive(remove=True).segments

def make():
    with LogStore(path, durability=durability, segment_bytes=16384) as store:
        for number, each in enumerate(data):
            store.append("s-%d" % (number % 5), [("Happened", each)])
        assert store.archive(path + ".other", dry_run=True).segments == 1

def work(done, count):
    with LogStore(path, durability=durability) as store:
        ctypes.CDLL(None).die_before(ctypes.c_long(count))
        done(store)

def look(done):
    with LogStore(path, durability=durability) as store:
        for _, name, size, *_ in store._log.archived()[1]:
            assert os.path.getsize(os.path.join(cold, name)) == size
            assert os.path.exists(os.path.join(cold, name.replace(".seg", ".parquet")))
        left = 1 - store.stats().archived if done is archive else store.stats().archived
        assert [event.data for event in store.query()] == data
        assert healthy(store)
        assert done(store) == left
        assert [event.data for event in store.query()] == data
        assert healthy(store)
    left = [name for _, _, names in os.walk(cold) for name in names]
    assert len(left) == (3 if done is archive else 0), left
    assert not [name for name in os.listdir(path + "/log") if name.endswith(".tmp")]

assert in_child(make) == 0
for done in (archive, unarchive):
    for each in (path, cold):
        shutil.copytree(each, each + ".kept") if os.path.exists(each) else None
    for count in itertools.count(1):
        status = in_child(lambda: work(done, count))
        assert status in (0, -signal.SIGKILL), status
        assert in_child(lambda: look(done)) == 0, (done, count)
        if status == 0:
            break
        for each in (path, cold):
            shutil.rmtree(each, ignore_errors=True)
            shutil.copytree(each + ".kept", each) if os.path.exists(each + ".kept") else None
    for each in (path, cold):
        shutil.rmtree(each + ".kept", ignore_errors=True)
    print(done.__name__, flush=True)
"""
"""Archives a log file and brings it back, and dies before each call that would change the disk, one after the other."""


def test_a_program_that_is_killed_before_any_change_of_the_disk_leaves_a_whole_store(on_machine: OnMachine) -> None:
    steps = on_machine("os", DYING)
    archiving = steps[: steps.index("archive")]
    unarchiving = steps[steps.index("archive") + 1 : steps.index("unarchive")]
    print(*steps, sep="\n")
    for name in ("changing.tmp", "archive.json.tmp", "manifest.json.tmp"):
        assert {f"create:{name}", f"write:{name}", f"flush:{name}"} <= {*archiving}
    for kind in ("seg", "parquet"):
        assert any(each.startswith("create:00000000-") and f".{kind}" in each for each in archiving)
        assert any(each.startswith("rename:00000000-") and each.endswith(f".{kind}") for each in archiving)
        assert any(each.startswith("remove:00000000-") and each.endswith(f".{kind}") for each in unarchiving)
    assert "rename:00000000.seg" in archiving
    assert {"rename:00000000.seg", "remove:manifest.json", "remove:archive.json"} <= {*unarchiving}


def test_sql_names_the_archive_that_is_away(tmp_path: Path) -> None:
    with LogStore(tmp_path / "s.act", durability="os", segment_bytes=SEGMENT_BYTES) as store:
        for number in range(600):
            store.append(f"sum-{number % 7}", [Added(number)])
        store.archive(tmp_path / "cold")
    (tmp_path / "cold").rename(tmp_path / "away")
    with Act(tmp_path / "s.act", Sum) as app:
        with pytest.raises(ArchiveUnavailableError, match="archive the store to its new address") as raised:
            app.export(tmp_path / "sums.csv", query="select stream, sum(amount) from added group by stream")
        assert (raised.value.file, raised.value.address) == ("log/00000000.seg", str(tmp_path / "cold"))
        with pytest.raises(ArchiveUnavailableError):
            app.export(tmp_path / "all.parquet")
        with pytest.raises(ArchiveUnavailableError):
            app.sql("pivot added on stream using sum(amount)")
        with pytest.raises(duckdb.Error) as told:
            app.sql("select sum(amount) from added").fetchall()
        away = archive_away(told.value)
        assert away is not None
        assert str(away) == str(raised.value)
        assert not (tmp_path / "sums.csv").exists()


async def test_async_apps_archive_as_well(tmp_path: Path) -> None:
    filled(tmp_path / "s.act")
    async with AsyncAct(tmp_path / "s.act", Sum) as app:
        done = await app.archive(tmp_path / "cold", keep=10)
        assert done.segments == (await app.unarchive()).segments > 3


class TestInObjectStorage:
    """The same in a bucket, which Python reaches."""

    @pytest.fixture
    def where(self, moto: MotoServer) -> str:
        return moto.new_place()

    def test_everything_reads_as_before(self, tmp_path: Path, where: str) -> None:
        streams = filled(tmp_path / "s.act")
        with LogStore(tmp_path / "s.act", durability="os") as store:
            archived = store.archive(where)
            assert archived.parquet == archived.segments > 3
            assert "secret" not in archived.to
            assert "secret" not in (tmp_path / "s.act/archive.json").read_text()
        with LogStore(tmp_path / "s.act", durability="os", archive=where) as store:
            assert read(store) == streams
            assert store.verify().healthy
            files = dict(store.archived_parquet())
            assert len(files) == archived.segments
            rows = sum(parquet.read_table(BytesIO(data)).num_rows for data in files.values())
            assert rows == store._log.archived()[1][-1][5]
        with LogStore(tmp_path / "s.act", durability="os") as store:
            assert store.unarchive(remove=True).segments == archived.segments
            assert read(store) == streams
            assert list(store.archived_parquet()) == []

    def test_threads_read_and_write_while_blocks_are_fetched(self, tmp_path: Path, where: str) -> None:
        streams = filled(tmp_path / "s.act")
        expected = {name: list(data) for name, data in streams.items()}
        with LogStore(tmp_path / "s.act", durability="os") as store:
            store.append("once", [("A", b"1")], key="k")
            store.archive(where)
        with LogStore(tmp_path / "s.act", durability="os", archive=where) as store:
            wrong: list[object] = []

            def work(number: int) -> None:
                try:
                    for name, data in expected.items():
                        assert [bytes(event.data) for event in store.load(name)] == data
                        store.append(f"new-{number}", [("A", b"1")])
                        store.append("once", [("A", b"1")], key="k")
                except BaseException as error:
                    wrong.append(error)

            threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert wrong == []

    def test_storage_that_is_not_there_is_an_error_that_says_where(self, tmp_path: Path, where: str) -> None:
        filled(tmp_path / "s.act")
        with LogStore(tmp_path / "s.act", durability="os") as store:
            nowhere = where.replace("://key:secret@bucket", "://key:secret@nowhere")
            with pytest.raises(ArchiveUnavailableError, match="bucket that does not exist"):
                store.archive(nowhere)
            with pytest.raises(ValidationError, match="give the path of a folder"):
                store.archive("ftp://host/bank")
            assert store.stats().archived == 0

    def test_a_program_that_is_killed_leaves_a_whole_store(
        self, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        streams = filled(tmp_path / "s.act", 600)
        work = "store.archive(sys.argv[2]), store.unarchive(remove=True)"
        for store in killed_at_random(tmp_path / "s.act", work, where, within=2):
            assert read(store) == streams
            report = store.verify()
            assert report.healthy, report.problems
        with LogStore(tmp_path / "s.act", durability="os") as store:
            store.archive(where)
            store.unarchive(remove=True)
            assert read(store) == streams
        assert objects_at(where) == []

    def test_what_other_programs_would_miss_is_a_problem_until_it_is_written_again(
        self, tmp_path: Path, where: str
    ) -> None:
        streams = filled(tmp_path / "s.act")
        with LogStore(tmp_path / "s.act", durability="os") as store:
            store.archive(where)
            names = objects_at(where)
            shelf, wanted = ObjectShelf(parts_of(where)), [name for name in names if name.endswith(".parquet")]
            data = shelf.read(wanted[1], 0, 1 << 20)
            shelf.remove(wanted[0])
            shelf.put(wanted[1], data[:-1] + b"!")
            found = store.verify().problems
            assert [problem.file for problem in found] == wanted[:2]
            assert [
                said
                for problem in found
                for said in ("is missing", "is not what was put there")
                if said in problem.message
            ] == ["is missing", "is not what was put there"]
            shelf.remove(wanted[1])
            shelf.put(next(name for name in names if name.endswith("manifest.json")), b"[]")
            assert len(store.verify().problems) == 1
            assert store.archive(where, parquet=True).parquet == 2
            assert objects_at(where) == names
            assert store.verify().healthy
            assert read(store) == streams

    def test_storage_that_goes_away_on_the_way_leaves_a_whole_store(self, tmp_path: Path, moto: MotoServer) -> None:
        streams = filled(tmp_path / "s.act", 250)
        with Proxy(moto.port) as proxy:
            where = moto.new_place().replace(f":{moto.port}", f":{proxy.port}")
            for requests in (1, 4, 9, 16):
                left = count(requests, -1)
                proxy.asked = lambda data, left=left: data[:4] in (b"PUT ", b"GET ", b"HEAD") and next(left) < 0
                with LogStore(tmp_path / "s.act", durability="os") as store:
                    with pytest.raises(ArchiveUnavailableError, match="s3://bucket"):
                        store.archive(where)
                    proxy.asked = lambda data: False
                    assert read(store) == streams
            with LogStore(tmp_path / "s.act", durability="os") as store:
                assert store.archive(where).segments > 0
                assert read(store) == streams
                assert store.verify().healthy
