"""Who may only read a store's folder is answered from the log where the files beside it are damaged."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest

from act_fast import Act, LogStore
from act_fast._sql.continuous import keeper
from act_fast._sql.parts import background
from act_fast._sql.parts.background import builds
from act_fast._sql.parts.manifest import Manifest, checksum
from tests.support.bank import Account
from tests.support.processes import Tell, as_nobody, run

EVENTS = 200
QUESTIONS = [
    "select count(*) from events",
    "select count(*), sum(amount)::bigint from deposited",
    "select count(*), sum(balance)::bigint from account",
    "select n from counted",
]


def answers(store: LogStore) -> list[object]:
    with Act(store, Account) as app:
        app.view("counted", "select count(*) as n from deposited")
        found: list[object] = [app.sql(question).fetchall() for question in QUESTIONS]
        assert builds.wait()
        return found


def damage(folder: Path) -> None:
    """Files of DuckDB's that it cannot read, though they are those that were written; a view that is cut off."""
    for path in folder.glob("*/manifest-*.json"):
        said = msgspec.json.decode(path.read_bytes(), type=Manifest)
        [part] = said.parts
        (path.parent / part.file).write_bytes(b"no file of DuckDB's" * 1000)
        size, crc = checksum(path.parent / part.file)
        changed = msgspec.structs.replace(said, parts=(msgspec.structs.replace(part, bytes=size, crc=crc),))
        path.write_bytes(msgspec.json.encode(changed))
    for path in folder.glob("views/*.view"):
        path.write_bytes(path.read_bytes()[:-1])


def test_damaged_files_that_cannot_be_removed_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid():
        pytest.skip("needs to be root, so as to become nobody")
    monkeypatch.setattr(background, "PART_EVENTS", EVENTS)
    monkeypatch.setattr(keeper, "_WRITE_EVENTS", EVENTS)
    with TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        path = Path(place) / "store.act"
        with LogStore(path, durability="os") as store:
            for number in range(EVENTS):
                store.append(f"account-{number % 7}", [("Deposited", b'{"amount":%d}' % number)])
            right = answers(store)
        assert len([*path.glob("analytics/*/*.duckdb")]) == 3
        assert len([*path.glob("analytics/views/*.view")]) == 1
        damage(path / "analytics")

        def ask(tell: Tell) -> None:
            as_nobody()
            for _ in range(2):
                with LogStore(path, read_only=True) as store:
                    assert answers(store) == right

        run(ask)
