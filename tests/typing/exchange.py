"""Backup, export, restore and arrow say what they take and give."""

from datetime import UTC, datetime
from pathlib import Path
from typing import assert_type

from act_fast import Act, AsyncAct, Backup, Columns, Exported, LogStore, Moved, Restored, move, restore_path

from .domain import Account, Deposited


def right(app: Act, store: LogStore) -> None:
    assert_type(app.backup("copy.act"), Backup)
    assert_type(store.backup(Path("copy.act"), progress=print), Backup)
    assert_type(app.export("all.parquet", events=[Deposited], compression="gzip").rows, int)
    assert_type(app.export("x.csv", "select 1", params={"a": 1}, at=datetime.now(UTC)), Exported)
    assert_type(app.restore("all.csv", dry_run=True), Restored)
    assert_type(restore_path("x.act", Path("all.csv")), Restored)
    assert_type(move("x.act", "postgresql://host/bank", hand_over=False, patience=1.5, progress=print), Moved)
    assert_type(app.arrow(Deposited, after=3), Columns)
    assert_type(app.arrow(events=[Deposited]), Columns)


async def right_awaited(app: AsyncAct) -> None:
    assert_type(await app.backup("copy.act"), Backup)
    assert_type(await app.export("x.csv"), Exported)
    assert_type(await app.restore("x.csv"), Restored)
    assert_type(app.arrow(Deposited), Columns)


def wrong(app: Act) -> None:
    app.backup(7)  # type: ignore[arg-type]
    app.export("x.parquet", compression="best")  # type: ignore[arg-type]
    app.export("x.csv", events=[Account])  # type: ignore[list-item]
    app.arrow(Account)  # type: ignore[arg-type]
    app.restore()  # type: ignore[call-arg]
    move("x.act")  # type: ignore[call-arg]
