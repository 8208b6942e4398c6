"""The log as Arrow columns, as anything reads them that speaks Arrow's C interface; here it is DuckDB."""

import json
import random
from datetime import timedelta
from typing import Any

import duckdb
import pytest

from act_fast import ActionCause, Actor, Append, Causation, Columns, LogStore, Meta
from act_fast.errors import StoreClosedError, ValidationError

RAW = ("position", "stream", "version", "name", "created", "data")
AMOUNT = json.dumps(
    {
        "kind": "struct",
        "fields": [
            {"name": "amount", "key": "amount", "of": {"kind": "int"}},
            {"name": "note", "key": "note", "of": {"kind": "text", "nullable": True}, "default": "null"},
        ],
    }
)


def read(columns: Columns, query: str = "from found") -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.register("found", columns)
        return connection.execute(query).fetchall()


def raw(store: LogStore, *names: str, **conditions: Any) -> Columns:
    return store._log.columns([(name, name) for name in names or RAW], filter=conditions or None)


def fill(store: LogStore, dice: random.Random, events: int) -> None:
    done = 0
    while done < events:
        size = dice.choice((1, 1, 3, 50, 2000))
        streams = [f"account-{dice.randrange(50)}" for _ in range(dice.randint(1, 3))]
        store.append_many(
            [
                Append(stream, [(dice.choice(("Opened", "Closed")), b'{"n":%d}' % n) for n in range(size)])
                for stream in dict.fromkeys(streams)
            ],
            meta=Meta(correlation=f"request-{done}"),
        )
        done = store.head


def test_every_event_is_there_as_it_was_appended(store: LogStore, dice: random.Random) -> None:
    fill(store, dice, 100_000)
    expected = [(e.position, e.stream, e.version, e.name, e.created, e.data.decode()) for e in store.query()]
    assert read(raw(store)) == expected


@pytest.mark.parametrize("names", [["Opened"], ["Opened", "Closed"], [], ["Nothing"]])
def test_only_the_events_that_were_asked_for_are_read(store: LogStore, dice: random.Random, names: list[str]) -> None:
    fill(store, dice, 10_000)
    created = [event.created for event in store.query()]
    halves = {
        "names": names,
        "after": 1000,
        "before": store.head - 1000,
        "created_after": created[500] - timedelta(microseconds=1),
        "created_before": created[-500],
        "pattern": "[1-5]$",
    }
    expected = [(event.position, event.stream) for event in store.query(**halves)]
    us = {f"{key}_us": round(halves.pop(key).timestamp() * 1_000_000) for key in ("created_after", "created_before")}
    assert read(raw(store, "position", "stream", **halves, **us)) == expected


def test_a_meta_says_who_and_why(store: LogStore) -> None:
    cause = Causation(action=ActionCause("Account.open", "account-1", Actor("ada")))
    store.append("account-1", [("Opened", b"{}"), ("Deposited", b"{}")], meta=Meta("request-1", cause))
    store.append("account-1", [("Deposited", b"{}")])
    causation = '{"action":{"name":"Account.open","stream":"account-1","actor":{"id":"ada"}}}'
    assert read(raw(store, "correlation", "causation", "actor")) == [
        ("request-1", causation, "ada"),
        ("request-1", causation, "ada"),
        (None, None, None),
    ]


def test_an_empty_store_has_columns_and_no_rows(store: LogStore) -> None:
    found = read(raw(store), "select column_name, column_type from (describe from found)")
    assert found == [
        ("position", "BIGINT"),
        ("stream", "VARCHAR"),
        ("version", "BIGINT"),
        ("name", "VARCHAR"),
        ("created", "TIMESTAMP WITH TIME ZONE"),
        ("data", "JSON"),
    ]
    assert read(raw(store)) == []


class ClassDecoder:
    """Reads numbers that are written as text; all others cannot be read."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes]] = []
        self.failed = 0

    def decode(self, events: list[tuple[str, bytes]], /) -> list[bytes | str]:
        self.seen += events
        return [self._one(json.loads(data)) for _, data in events]

    def ended(self, failed: int, /) -> None:
        self.failed += failed

    def _one(self, data: dict[str, Any]) -> bytes | str:
        return json.dumps({"amount": int(data["amount"])}).encode() if "amount" in data else "it has no amount"


def test_what_does_not_have_the_shape_is_mended_or_says_why_it_cannot_be(store: LogStore) -> None:
    store.append("a", [("Deposited", b'{"amount":1}'), ("Paid", b'{"amount":2}'), ("Deposited", b'{"amount":"3"}')])
    store.append("a", [("Deposited", b'{"note":"x"}'), ("Deposited", b' { "note" : "y" , "amount" : 5 } ')])
    store.append("a", [("Deposited", b'{"amount":"99999999999999999999"}')])
    decoder = ClassDecoder()
    outputs: list[tuple[str, str | int]] = [("version", "version"), ("amount", 0), ("note", 1), ("error", "error")]
    found = read(store._log.columns(outputs, AMOUNT, {"Deposited"}, decoder), "from found order by version")
    assert found == [
        (1, 1, None, None),
        (2, 2, None, None),
        (3, 3, None, None),
        (4, None, None, "it has no amount"),
        (5, 5, "y", None),
        (6, None, None, "field 'amount': it is a whole number of more than 64 bits".replace("'", '"')),
    ]
    assert ("Deposited", b'{"amount":1}') not in decoder.seen
    assert decoder.failed > 0


def test_a_value_does_not_depend_on_which_columns_are_asked_for(store: LogStore) -> None:
    store.append("a", [("Deposited", b'{"amount":1,"note":7}')])
    assert read(store._log.columns([("amount", 0)], AMOUNT, {"Deposited"}, None)) == [(None,)]


def test_what_nobody_asked_for_is_not_mended(store: LogStore) -> None:
    store.append("a", [("Paid", b'{"amount":1}')])
    decoder = ClassDecoder()
    assert read(store._log.columns([("v", "version")], AMOUNT, {"Deposited"}, decoder)) == [(1,)]
    assert decoder.seen == []


def test_a_store_that_was_closed_says_so(store: LogStore) -> None:
    store.append("a", [("Opened", b"{}")])
    columns = raw(store)
    store.close()
    with pytest.raises(StoreClosedError):
        columns.__arrow_c_stream__()


def test_columns_that_are_none_are_refused(store: LogStore) -> None:
    with pytest.raises(ValidationError, match="has no column"):
        store._log.columns([("amount", "amount")])
    with pytest.raises(ValidationError, match="no shape"):
        store._log.columns([("amount", 0)], "{}")
