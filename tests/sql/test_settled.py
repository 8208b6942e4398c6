"""What has settled is written down once more: believed only after a look, made anew when it cannot be, and shared."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from act_fast import Act, Event, LogStore, State, connect, upcast
from act_fast._sql.log_scan import LogScan
from act_fast._sql.parts import background, builder
from act_fast._sql.parts.background import builds
from act_fast._sql.parts.manifest import FOLDER, Manifest, checksum
from tests.support.bank import Account

STEP = 200


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "PART_EVENTS", STEP)


@pytest.fixture
def app(store_path: Path) -> Iterator[Act]:
    with Act(LogStore(store_path, durability="os"), Account) as opened:
        yield opened
    opened.store.close()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int | None]]:
    """The stretches of the log that were read: after, before."""
    found: list[tuple[int, int | None]] = []
    read = LogScan.read

    def watched(scan: LogScan, *arguments: Any) -> Any:
        found.append((scan.bounds.after, scan.bounds.before))
        return read(scan, *arguments)

    monkeypatch.setattr(LogScan, "read", watched)
    return found


def deposit(app: Act, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        events = [("Deposited", b'{"amount":%d}' % number), ("Withdrawn", b'{"amount":1}')]
        app.store.append(f"account-{number % 7}", events)


def total(app: Act) -> tuple[int, int, int]:
    """Asked of the app; what has settled then is written down when this comes back."""
    [found] = app.sql("select count(*), sum(amount)::bigint, max(position) from deposited").fetchall()
    assert builds.wait()
    return found


def expected(app: Act) -> tuple[int, int, int]:
    found = [event for event in app.query() if event.name == "Deposited"]
    return len(found), sum(event.data.amount for event in found), max(event.position for event in found)  # type: ignore[attr-defined]


def files(path: Path, kind: str = "*.duckdb") -> list[Path]:
    return sorted((path / FOLDER).glob(f"*/{kind}"))


def test_what_has_settled_is_not_read_from_the_log_again(
    app: Act, store_path: Path, asked: list[tuple[int, int | None]]
) -> None:
    deposit(app, STEP)
    assert total(app) == expected(app)
    assert len(files(store_path)) == 1
    asked.clear()
    deposit(app, 3, STEP)
    assert total(app) == expected(app)
    assert asked == [(2 * STEP, 2 * STEP + 7)]


def test_few_events_are_not_written_down(app: Act, store_path: Path) -> None:
    deposit(app, STEP // 4)
    assert total(app) == expected(app)
    assert files(store_path) == []


def test_a_store_in_memory_has_nothing_to_write_down() -> None:
    with Act("memory:", Account) as app:
        deposit(app, STEP)
        assert total(app) == expected(app)


def test_files_are_only_ever_few(app: Act, store_path: Path) -> None:
    for step in range(30):
        deposit(app, STEP, step * STEP)
        assert total(app) == expected(app)
    assert len(files(store_path)) <= 8
    assert len(files(store_path, "manifest-*.json")) <= 2


def test_the_past_is_told_also_from_what_has_settled(app: Act) -> None:
    deposit(app, STEP)
    total(app)
    [(count, last)] = app.sql("select count(*), max(position) from deposited", at=101).fetchall()
    assert (count, last) == (51, 101)
    assert app.sql("select count(*) from events", at=7).fetchall() == [(7,)]
    assert app.sql("select count(*) from deposited", at=0).fetchall() == [(0,)]


def test_all_types_are_the_same_from_files_and_from_the_log(app: Act) -> None:
    from tests.sql.test_typed_columns import Everything, Holder

    app.include(Holder)
    before = app.sql("describe everything").fetchall()
    from hypothesis import Phase, find, settings

    from tests.sql.test_typed_columns import EVENTS

    event = find(EVENTS, lambda each: each.maybe is not None, settings=settings(database=None, phases=[Phase.generate]))
    app.store.append("holder", [event] * STEP)
    columns = ", ".join(f'"{name}"' for name in Everything.__struct_fields__)
    [first] = app.sql(f"select {columns} from everything order by position limit 1").fetchall()
    assert builds.wait()
    [second] = app.sql(f"select {columns} from everything order by position limit 1").fetchall()
    app.store.append("holder", [event])
    [third] = app.sql(f"select {columns} from everything order by position desc limit 1").fetchall()
    assert first == second == third
    assert app.sql("describe everything").fetchall() == before


def release(cents: Callable[[float], int]) -> type[State]:
    """A program that knows of payments, which were in euros once."""

    class Paid(Event, name="Paid_v2"):
        cents: int

        @upcast(from_="Paid")
        @staticmethod
        def from_euros(old: dict[str, Any]) -> dict[str, Any]:
            return {"cents": cents(old["euros"])}

    class Bill(State, events=[Paid], name="Bill"): ...

    return Bill


def test_what_other_code_has_made_of_events_is_not_used(store_path: Path) -> None:
    def wrong(euros: float) -> int:
        return round(euros)

    def right(euros: float) -> int:
        return round(euros * 100)

    with LogStore(store_path, durability="os") as store:
        store.append("bill", [("Paid", b'{"euros":2}')] * STEP)
        for cents, paid in [(wrong, 2), (right, 200)]:
            with Act(store, release(cents)) as app:
                for _ in "ab":
                    assert app.sql("select distinct cents from paid").fetchall() == [(paid,)]
                    assert builds.wait()
                    assert files(store_path)


def said(path: Path) -> tuple[Any, ...]:
    """What the only manifest says, but for its files."""
    [file] = files(path, "manifest-*.json")
    manifest = msgspec.json.decode(file.read_bytes(), type=Manifest)
    return manifest.format, manifest.store, manifest.mark, manifest.fingerprint, manifest.upto


def spoil(path: Path) -> dict[str, Callable[[], object]]:
    """Ways to damage what is written down."""

    def flip() -> None:
        [file, *_] = files(path)
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)

    def truncate() -> None:
        os.truncate(files(path)[0], 100)

    def rewrite(**changes: Any) -> None:
        [file, *_] = files(path, "manifest-*.json")
        manifest = msgspec.json.decode(file.read_bytes(), type=Manifest)
        file.write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, **changes)))

    return {
        "a file is gone": lambda: files(path)[0].unlink(),
        "a bit has flipped": flip,
        "a file is cut short": truncate,
        "a file is empty": lambda: files(path)[0].write_bytes(b""),
        "the manifest is no JSON": lambda: files(path, "manifest-*.json")[0].write_bytes(b"{"),
        "the manifest is of another store": lambda: rewrite(store="0" * 32),
        "the manifest is of another log": lambda: rewrite(fingerprint="0" * 32),
        "the manifest is of other columns": lambda: rewrite(mark="0" * 32),
        "the manifest is of another format": lambda: rewrite(format=99),
        "the files are of another DuckDB": lambda: rewrite(storage="v9.9.9"),
        "the manifest is beyond the log": lambda: rewrite(upto=10**9),
        "the folder is gone": lambda: shutil.rmtree(path / FOLDER),
        "the series is gone": lambda: shutil.rmtree(files(path)[0].parent),
    }


@pytest.mark.parametrize("damage", spoil(Path()))
def test_what_is_damaged_is_made_anew(app: Act, store_path: Path, damage: str) -> None:
    deposit(app, STEP)
    right = total(app)
    before = said(store_path)
    spoil(store_path)[damage]()
    assert total(app) == right == expected(app)
    assert total(app) == right
    assert len(files(store_path)) == 1
    assert said(store_path) == before


def test_what_duckdb_cannot_read_is_answered_from_the_log_and_made_anew(app: Act, store_path: Path) -> None:
    deposit(app, STEP)
    right = total(app)
    [file], [manifest] = files(store_path), files(store_path, "manifest-*.json")
    file.write_bytes(b"no file of DuckDB's" * 1000)
    said = msgspec.json.decode(manifest.read_bytes(), type=Manifest)
    size, crc = checksum(file)
    parts = (msgspec.structs.replace(said.parts[0], bytes=size, crc=crc),)
    manifest.write_bytes(msgspec.json.encode(msgspec.structs.replace(said, parts=parts)))
    app = Act(app.store, Account)  # another database, which has not read the file yet
    assert [total(app) for _ in range(3)] == [right] * 3
    [made] = files(store_path)
    assert made != file


@pytest.mark.parametrize("step", range(6))
def test_a_builder_that_dies_on_its_way_leaves_nothing_that_is_believed(
    app: Act, store_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    class Died(Exception): ...

    monkeypatch.setattr(background, "_RETRY_S", 0.0)
    deposit(app, STEP)
    total(app)
    deposit(app, STEP, STEP)
    steps = iter(range(step + 1))

    def dying(function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any) -> Any:
            if next(steps) == step:
                raise Died
            return function(*arguments)

        return called

    with monkeypatch.context() as patched:
        patched.setattr(builder, "flush", dying(builder.flush))
        patched.setattr(builder.os, "rename", dying(os.rename))
        patched.setattr(builder, "_clear", dying(builder._clear))
        assert total(app) == expected(app)
    assert total(app) == expected(app)
    deposit(app, STEP, 2 * STEP)
    assert total(app) == expected(app)
    assert len(files(store_path)) <= 2
    assert files(store_path, "new-*") == []


def test_damage_is_noticed_by_other_processes_and_does_no_harm_to_the_store(app: Act, store_path: Path) -> None:
    deposit(app, STEP)
    total(app)
    spoil(store_path)["a bit has flipped"]()
    assert app.store.verify().problems == []
    app.store.close()
    with Act(store_path, Account) as again:
        assert total(again) == expected(again)


def test_files_stay_as_long_as_somebody_may_read_them(app: Act, store_path: Path) -> None:
    deposit(app, STEP)
    total(app)
    old = app.sql("select count(*), sum(amount)::bigint, max(position) from deposited")
    right = expected(app)
    [held] = files(store_path)
    for step in (1, 2, 3):
        deposit(app, STEP, step * STEP)
        total(app)
    assert held.exists()
    assert old.fetchall() == [right]
    del old
    deposit(app, 8 * STEP, 4 * STEP)
    assert total(app) == expected(app)
    assert not held.exists()


def test_only_one_builds_and_the_others_answer_from_the_log(app: Act, store_path: Path) -> None:
    deposit(app, STEP)
    (store_path / FOLDER).mkdir()
    with open(store_path / FOLDER / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert total(app) == expected(app)
        assert files(store_path) == []
    assert total(app) == expected(app)
    assert len(files(store_path)) == 1


BUILDER = """
import sys
from act_fast import Act, LogStore
from act_fast._sql.parts import background, builder
from act_fast._sql.parts.background import builds
from tests.support.bank import Account
builder.PART_EVENTS = 50
with LogStore(sys.argv[1], durability="os") as store, Act(store, Account) as app:
    for turn in range(15):
        cut = store.head
        [(count, total)] = app.sql("select count(*), sum(amount)::bigint from deposited", at=cut).fetchall()
        found = [event.data.amount for event in app.query(before=cut + 1) if event.name == "Deposited"]
        assert (count, total) == (len(found), sum(found)), (count, len(found))
        assert builds.wait()
        for number in range(60):
            store.append(f"account-{number % 7}", [("Deposited", b'{"amount":%d}' % number)])
"""


def test_processes_build_read_and_append_at_the_same_time(app: Act, store_path: Path) -> None:
    deposit(app, STEP)
    command = [sys.executable, "-c", BUILDER, str(store_path)]
    children = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for child in children:
        _, said = child.communicate(timeout=120)
        assert (child.returncode, said) == (0, "")
    assert total(app) == expected(app)


def test_other_definitions_have_files_of_their_own(app: Act, store_path: Path) -> None:
    from act_fast import Event, State

    deposit(app, STEP)
    right = total(app)

    class Deposited(Event):
        amount: int
        note: str = "none"

    class Other(State, events=[Deposited]):
        amount: int = 0

    with Act(app.store, Other, unknown="skip") as other:
        assert total(other) == right
        assert other.sql("select distinct note from deposited").fetchall() == [("none",)]
        assert builds.wait()
    assert len(files(store_path)) == 2
    assert total(app) == right


def test_failures_are_counted_from_files_too(app: Act, store_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    deposit(app, STEP)
    app.store.append("account-1", [("Deposited", b'{"amount":"x"}')])
    for _ in range(2):
        assert app.sql("select count(*) from deposited where error is not null").fetchall() == [(1,)]
        assert builds.wait()
    assert len(files(store_path)) == 1
    assert [record.getMessage()[:32] for record in caplog.records] == ["1 events of Deposited do not dec"] * 2


def test_a_store_opened_for_reading_uses_what_is_there_and_writes_nothing(app: Act, store_path: Path) -> None:
    deposit(app, STEP)
    with LogStore(store_path, read_only=True, create=False) as reader, Act(reader, Account) as other:
        assert total(other) == expected(app)
        assert not (store_path / FOLDER).exists()
        total(app)
        assert total(other) == expected(app)


def test_what_cannot_be_written_down_is_answered_all_the_same(
    app: Act, store_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    deposit(app, STEP)
    (store_path / FOLDER).write_text("in the way")
    assert total(app) == expected(app)


def test_a_connection_settles_what_it_is_asked_about(app: Act, store_path: Path) -> None:
    deposit(app, STEP)
    with connect(app) as connection:
        assert connection.sql("select count(*) from deposited").fetchall() == [(STEP,)]
        assert builds.wait()
        deposit(app, STEP, STEP)
        assert connection.refresh() == 4 * STEP
        assert connection.sql("select count(*) from deposited").fetchall() == [(2 * STEP,)]
    assert {path.parent.name.partition("-")[0] for path in files(store_path)} >= {"deposited"}


def test_files_of_the_log_that_was_are_not_read_after_a_restore(app: Act, store_path: Path, tmp_path: Path) -> None:
    deposit(app, STEP)
    assert total(app) == expected(app)
    app.export(tmp_path / "log.jsonl")
    shutil.copytree(store_path / FOLDER, tmp_path / "kept")
    restored = (tmp_path / "log.jsonl").read_text().replace('"amount":7}', '"amount":7000}')
    (tmp_path / "changed.jsonl").write_text(restored)
    app.restore(tmp_path / "changed.jsonl", replace=True)
    assert files(store_path) == []
    shutil.copytree(tmp_path / "kept", store_path / FOLDER)
    assert len(files(store_path)) == 1
    found = total(app)
    assert found == expected(app)
    assert found[1] == sum(range(STEP)) + 6993


@pytest.mark.parametrize("more", [STEP - 1, STEP, 2 * STEP])
def test_files_of_a_log_that_went_another_way_are_not_read(
    app: Act, store_path: Path, tmp_path: Path, more: int
) -> None:
    """A backup has the id of its store; what the store has written down since is not of the backup's events."""
    deposit(app, 1)
    app.backup(tmp_path / "backup.act")
    deposit(app, STEP - 1, 1)
    assert total(app) == expected(app)
    with Act(LogStore(tmp_path / "backup.act", durability="os"), Account) as other:
        deposit(other, more, 1000)
        shutil.copytree(store_path / FOLDER, tmp_path / "backup.act" / FOLDER)
        assert total(other) == expected(other)
        other.store.close()
