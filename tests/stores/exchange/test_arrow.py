"""Events as Arrow columns, as the libraries read them that speak Arrow."""

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import polars
import pyarrow
import pytest

from act_fast import Act, AsyncAct, DefinitionError, Event, LogStore, StoreClosedError, ValidationError
from tests.stores.exchange.bank import Account, Deposited, Opened, fill

RAW = ["position", "stream", "version", "name", "data", "created", "correlation", "causation", "actor", "tags"]


class Rated(Event):
    stars: int


def table(source: object) -> list[dict[str, object]]:
    return pyarrow.table(source).to_pylist()


def test_all_readers_read_the_same_events(tmp_path: Path) -> None:
    with Act(tmp_path / "bank.act", Account) as app:
        fill(app, accounts=3, deposits=4)
        found = app.arrow()
        rows = table(found)
        assert list(rows[0]) == RAW
        events = list(app.store.query())
        assert [(row["position"], row["stream"], row["version"], row["name"]) for row in rows] == [
            (event.position, event.stream, event.version, event.name) for event in events
        ]
        assert [row["created"] for row in rows] == [event.created for event in events]
        assert [json.loads(str(row["data"])) for row in rows] == [json.loads(event.data) for event in events]
        assert [row["correlation"] for row in rows] == [event.meta.correlation for event in events]
        frame = polars.DataFrame(found)
        assert frame.columns == RAW
        assert frame["position"].to_list() == [row["position"] for row in rows]
        assert isinstance(frame["created"][0], datetime)


def test_one_class_has_a_column_for_each_of_its_fields(tmp_path: Path) -> None:
    with Act(tmp_path / "bank.act", Account) as app:
        fill(app, accounts=3, deposits=4)
        frame = polars.DataFrame(app.arrow(Deposited))
        assert frame["amount"].dtype == polars.Int64
        assert frame["amount"].sum() == 3 * (1 + 2 + 3 + 4)
        assert frame["error"].null_count() == len(frame) == 12
        assert polars.DataFrame(app.arrow(Opened))["owner"].to_list() == ["Ada 0", "Ada 1", "Ada 2"]
        with pytest.raises(DefinitionError, match="not an event of this app"):
            app.arrow(Rated)
        with pytest.raises(ValidationError, match="not both"):
            app.arrow(Deposited, events=[Opened])


def test_what_is_read_twice_is_the_same_however_the_log_grows(tmp_path: Path) -> None:
    with Act(tmp_path / "bank.act", Account) as app:
        fill(app, accounts=2, deposits=2)
        for found in (app.arrow(), app.arrow(Deposited)):
            before = table(found)
            app.do(Account.deposit, "account-0", amount=99)
            assert table(found) == before
        assert len(table(app.arrow())) == app.store.head
        assert [field.name for field in pyarrow.schema(found)][-2:] == ["amount", "error"]


def test_conditions_hold(tmp_path: Path) -> None:
    with Act(tmp_path / "bank.act", Account) as app:
        fill(app, accounts=3, deposits=4)
        assert {row["stream"] for row in table(app.arrow(stream="account-1"))} == {"account-1"}
        assert {row["stream"] for row in table(app.arrow(Deposited, pattern="[02]$"))} == {"account-0", "account-2"}
        assert [row["position"] for row in table(app.arrow(after=2, before=5))] == [3, 4]
        assert {row["name"] for row in table(app.arrow(events=[Opened]))} == {"Opened"}
        assert table(app.arrow(events=[])) == []
        last = list(app.store.query())[-1]
        assert len(table(app.arrow(correlation=last.meta.correlation))) == 1
        assert len(table(app.arrow(Deposited, created_before=last.created))) == 11
        assert isinstance(app.store, LogStore)
        assert len(table(app.store.arrow(names=["Opened"]))) == 3
        with pytest.raises(ValidationError):
            app.arrow(after=-1)


async def test_the_async_app_gives_the_same(tmp_path: Path) -> None:
    async with AsyncAct(tmp_path / "bank.act", Account) as app:
        await app.do(Account.deposit, "account-1", amount=3)
        assert table(app.arrow(Deposited))[0]["amount"] == 3
        made = await app.export(tmp_path / "all.jsonl")
        assert made.rows == 1
        assert (await app.backup(tmp_path / "copy.act")).position == 1
        assert (await app.restore(made.path, replace=True)).events == 1


def test_a_closed_store_cannot_be_read_any_more(tmp_path: Path) -> None:
    app = Act(tmp_path / "bank.act", Account)
    fill(app, accounts=1, deposits=1)
    found = app.arrow()
    app.close()
    with pytest.raises(StoreClosedError):
        table(found)
    with pytest.raises(StoreClosedError):
        app.arrow()


def test_a_restored_log_is_another_one(tmp_path: Path) -> None:
    with Act(tmp_path / "bank.act", Account) as app:
        fill(app, accounts=1, deposits=1)
        app.export(tmp_path / "all.csv")
        found = app.arrow()
        assert app.sql("select count(*) from deposited").fetchall() == [(1,)]
        app.do(Account.deposit, "account-0", amount=5)
        assert app.sql("select count(*), sum(amount) from deposited").fetchall() == [(2, 6)]
        app.restore(tmp_path / "all.csv", replace=True)
        with pytest.raises(StoreClosedError, match="replaced"):
            table(found)
        assert len(table(app.arrow())) == 2
        assert app.sql("select count(*), sum(amount) from deposited").fetchall() == [(1, 1)]
        assert app.sql("select balance from account").fetchall() == [(1,)]


def test_neither_pyarrow_nor_polars_is_needed(tmp_path: Path) -> None:
    program = f"""
import sys
sys.modules.update(pyarrow=None, polars=None, pandas=None, numpy=None)
from act_fast import LogStore, restore_path
import duckdb
with LogStore("{tmp_path}/x.act") as store:
    store.append("s", [("N", b"1"), ("N", b"2")])
    found = store.arrow()
    with duckdb.connect() as connection:
        connection.register("found", found)
        print(connection.execute("select sum(position) from found").fetchall())
    print(store.export("{tmp_path}/x.parquet").rows)
print(restore_path("{tmp_path}/y.act", "{tmp_path}/x.parquet").events)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["[(3,)]", "2", "2"]
