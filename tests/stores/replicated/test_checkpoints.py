"""A node begins with a checkpoint, and with what came after it; what a checkpoint has, the engine may drop."""

import os
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from act_fast import Act, Committed, StoreCorruptError, StoreError, ValidationError
from act_fast.cli import main
from act_fast.stores.ordered.memory import MemoryEngine
from act_fast.stores.replicated.checkpoint import list_checkpoints
from act_fast.stores.replicated.shelves import ObjectShelf, shelf_at
from act_fast.stores.replicated.store import ReplicatedStore
from tests.stores.replicated.nodes import facts
from tests.support.bank import Account, Deposited
from tests.support.moto import MotoServer
from tests.support.servers import free_port

BOOTSTRAP_EVENTS = int(os.environ.get("ACT_FAST_BOOTSTRAP_EVENTS", "20000"))
EVENT = [("Counted", b"{}")]


def test_a_new_node_begins_with_a_checkpoint_and_reads_the_rest(tmp_path: Path) -> None:
    engine, checkpoints = MemoryEngine(), tmp_path / "checkpoints"
    with ReplicatedStore(engine.open(), tmp_path / "one", checkpoints=checkpoints) as one:
        for _ in range(5):
            one.append("s", EVENT)
        one.save_snapshot("s", 3, b"{}")
        made = one.checkpoint()
        one.trim(made)
        one.append("s", EVENT, expected_version=5)
        assert engine.entries()[0].place > 1
        with ReplicatedStore(engine.open(), tmp_path / "two", checkpoints=checkpoints) as two:
            assert facts(two) == facts(one)
            assert two.latest_snapshot("s") is not None
            two.append("s", EVENT, expected_version=6)
            one.wait(6, timeout=60)
            assert facts(two) == facts(one)
            assert not two.verify().problems


def test_a_new_node_begins_with_a_checkpoint_of_many_events(tmp_path: Path) -> None:
    engine, each = MemoryEngine(), 1_000
    with ReplicatedStore(engine.open(), tmp_path / "one", checkpoints=tmp_path / "checkpoints") as one:
        for number in range(BOOTSTRAP_EVENTS // each):
            one.append(f"stream-{number % 10_000}", [("Counted", b'{"number":%d,"text":"some"}' % number)] * each)
        one.trim(one.checkpoint())
        one.append("last", EVENT)
        begun = time.monotonic()
        with ReplicatedStore(engine.open(), tmp_path / "two", checkpoints=tmp_path / "checkpoints") as two:
            print(f"{BOOTSTRAP_EVENTS:,} events after {time.monotonic() - begun:.1f} s")
            assert two.head == one.head
            assert two.version("last") == 1


def test_a_new_node_without_a_checkpoint_says_that_it_needs_one(tmp_path: Path) -> None:
    engine = MemoryEngine()
    with ReplicatedStore(engine.open(), tmp_path / "one") as one:
        one.append("s", EVENT)
        one.trim(one.checkpoint(tmp_path / "checkpoints"))
        one.append("s", EVENT)
    with pytest.raises(StoreError, match="checkpoint"):
        ReplicatedStore(engine.open(), tmp_path / "two")
    assert not (tmp_path / "two" / "log").exists()


def test_a_replica_that_is_too_old_is_made_again(tmp_path: Path) -> None:
    engine, checkpoints = MemoryEngine(), tmp_path / "checkpoints"
    ReplicatedStore(engine.open(), tmp_path / "old").close()
    with ReplicatedStore(engine.open(), tmp_path / "one") as one:
        one.append("s", EVENT * 3)
        one.append("s", EVENT)
        one.trim(one.checkpoint(checkpoints))
        one.append("s", EVENT)
        with pytest.raises(StoreError, match="checkpoint"):
            ReplicatedStore(engine.open(), tmp_path / "old")
        with ReplicatedStore(engine.open(), tmp_path / "old", checkpoints=checkpoints) as again:
            assert facts(again) == facts(one)
    assert list(tmp_path.glob("old.old-*"))


def test_reactions_go_on_where_they_were_on_a_node_that_began_with_a_checkpoint(tmp_path: Path) -> None:
    engine, checkpoints = MemoryEngine(), tmp_path / "checkpoints"

    def app_on(store: ReplicatedStore) -> tuple[Act, list[int]]:
        app = Act(store, Account)
        handled: list[int] = []

        @app.on(Deposited)
        def note(event: Committed[Deposited]) -> None:
            handled.append(event.data.amount)

        return app, handled

    with ReplicatedStore(engine.open(), tmp_path / "one") as one:
        app, handled = app_on(one)
        for amount in (1, 2, 3):
            app.do(Account.deposit, "a", amount=amount)
        app.settle()
        assert handled == [1, 2, 3]
        one.trim(one.checkpoint(checkpoints))
        app.do(Account.deposit, "a", amount=4)
    with ReplicatedStore(engine.open(), tmp_path / "two", checkpoints=checkpoints) as two:
        app, handled = app_on(two)
        app.settle()
        assert handled == [4]


def test_a_checkpoint_that_is_damaged_is_not_loaded(tmp_path: Path) -> None:
    engine, checkpoints = MemoryEngine(), tmp_path / "checkpoints"
    with ReplicatedStore(engine.open(), tmp_path / "one") as one:
        one.append("s", EVENT)
        made = one.checkpoint(checkpoints)
    (log,) = (Path(made.path) / "log").iterdir()
    content = bytearray(log.read_bytes())
    content[100] ^= 1
    log.write_bytes(content)
    with pytest.raises(StoreCorruptError, match="manifest"):
        ReplicatedStore(engine.open(), tmp_path / "two", checkpoints=checkpoints)
    assert not (tmp_path / "two").exists()


def test_of_many_checkpoints_the_newest_are_kept(tmp_path: Path) -> None:
    with ReplicatedStore(MemoryEngine().open(), tmp_path / "one") as one:
        for head in range(1, 5):
            one.append("s", EVENT)
            one.checkpoint(tmp_path / "checkpoints", keep=2)
            kept = [each.head for each in list_checkpoints(tmp_path / "checkpoints")]
            assert kept == [head - 1, head][-min(head, 2) :]


def test_a_log_is_not_trimmed_by_the_checkpoint_of_another_store(tmp_path: Path) -> None:
    with ReplicatedStore(MemoryEngine().open(), tmp_path / "one") as one:
        one.append("s", EVENT)
        made = one.checkpoint(tmp_path / "checkpoints")
    engine = MemoryEngine()
    with ReplicatedStore(engine.open(), tmp_path / "two") as two:
        two.append("s", EVENT)
        with pytest.raises(ValidationError, match="another store"):
            two.trim(made)
        assert engine.entries()[0].place == 1


def test_a_checkpoint_that_is_removed_while_others_are_listed_is_passed_over(tmp_path: Path) -> None:
    with ReplicatedStore(MemoryEngine().open(), tmp_path / "replica") as store:
        store.append("s", EVENT)
        made = store.checkpoint(tmp_path / "checkpoints")
    gone = tmp_path / "checkpoints" / "gone"
    gone.mkdir()
    (gone / "checkpoint.json").symlink_to(tmp_path / "removed")
    assert [each.place for each in list_checkpoints(tmp_path / "checkpoints")] == [made.place]


class TestInObjectStorage:
    """The same in a bucket: it is filled, checked, thinned out, and never believed without its manifest."""

    @pytest.fixture
    def where(self, moto: MotoServer) -> str:
        return moto.new_place()

    def test_a_new_node_begins_with_it(self, tmp_path: Path, where: str) -> None:
        engine = MemoryEngine()
        with ReplicatedStore(engine.open(), tmp_path / "one", checkpoints=where) as one:
            for _ in range(5):
                one.append("s", EVENT)
            made = one.checkpoint()
            assert "secret" not in made.path
            one.trim(made)
            one.append("s", EVENT, expected_version=5)
            with ReplicatedStore(engine.open(), tmp_path / "two", checkpoints=where) as two:
                assert facts(two) == facts(one)
                assert not two.verify().problems
        assert not list(tmp_path.glob(".*checkpoint*"))

    def test_the_newest_are_kept(self, tmp_path: Path, where: str) -> None:
        with ReplicatedStore(MemoryEngine().open(), tmp_path / "one", checkpoints=where) as one:
            for head in range(1, 4):
                one.append("s", EVENT)
                one.checkpoint(keep=2)
                kept = [each.head for each in list_checkpoints(where)]
                assert kept == [head - 1, head][-min(head, 2) :]

    def test_one_that_is_damaged_or_incomplete_is_not_loaded(self, tmp_path: Path, where: str) -> None:
        engine = MemoryEngine()
        with ReplicatedStore(engine.open(), tmp_path / "one", checkpoints=where) as one:
            one.append("s", EVENT)
            made = one.checkpoint()
        shelf = shelf_at(where)
        assert isinstance(shelf, ObjectShelf)
        (path,) = [each for each in shelf._paths("bank/") if each.endswith(".seg")]
        whole = b"".join(shelf.read(made.path.rsplit("/", 1)[-1], path.split("/", 2)[-1]))
        shelf._objects.obstore.put(shelf._store, path, whole[:-1] + b"?")
        with pytest.raises(StoreCorruptError, match="manifest"):
            ReplicatedStore(engine.open(), tmp_path / "two", checkpoints=where)
        shelf._objects.obstore.delete(shelf._store, path)
        with pytest.raises(StoreCorruptError, match="missing"):
            ReplicatedStore(engine.open(), tmp_path / "two", checkpoints=where)
        assert not (tmp_path / "two").exists()
        shelf._objects.obstore.delete(shelf._store, f"bank/{made.path.rsplit('/', 1)[-1]}/checkpoint.json")
        assert not list_checkpoints(where)

    def test_the_command_takes_it(self, tmp_path: Path, where: str, capsys: pytest.CaptureFixture[str]) -> None:
        address = f"dir://{tmp_path}/log?replica={tmp_path}/replica"
        with ReplicatedStore(address) as store:
            store.append("s", EVENT)
        assert main(["checkpoint", address, "--to", where, "--trim", "--keep", "1"]) == 0
        assert "1 event, up to place" in capsys.readouterr().out
        quoted = quote(where, safe="")
        with ReplicatedStore(f"dir://{tmp_path}/log?replica={tmp_path}/new&checkpoints={quoted}") as store:
            assert store.head == 1
        assert main(["checkpoint", address, "here", "--to", where]) == 2

    def test_storage_that_is_away_is_said_without_the_secret(self, tmp_path: Path) -> None:
        where = f"s3://key:secret@bucket/bank?endpoint=http://127.0.0.1:{free_port()}&region=us-east-1"
        with ReplicatedStore(MemoryEngine().open(), tmp_path / "one") as one:
            one.append("s", EVENT)
            with pytest.raises(StoreError, match="s3://bucket/bank does not answer") as raised:
                one.checkpoint(where)
            assert "secret" not in str(raised.value)
        assert not list(tmp_path.glob(".*checkpoint*"))
