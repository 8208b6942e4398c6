"""What readers would not agree on is refused when it is appended, with its place and without a word of it."""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from act_fast import (
    Act,
    Actor,
    Append,
    Event,
    LogStore,
    Meta,
    RestoreError,
    State,
    ValidationError,
    action,
    last,
    restore_path,
)


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


REFUSED = {
    "half a surrogate pair": (rb'{"note":"ab\ud800"}', 11, "surrogate"),
    "the other half": (rb'{"note":"\udc00"}', 9, "surrogate"),
    "two first halves": (rb'{"note":"\ud800\ud800"}', 9, "surrogate"),
    "half a pair in a key": (rb'{"\ud800":1}', 2, "surrogate"),
    "half a pair deep inside": (rb'{"a":[{"b":["\uDBFF"]}]}', 13, "surrogate"),
    "beyond a double": (b'{"value":1e400}', 9, "larger than a float"),
    "beyond a double below": (b'{"value":-1E+999999999}', 9, "larger than a float"),
    "beyond a double in digits": (b"[" + b"9" * 400 + b".0]", 1, "larger than a float"),
    "64 bits without a sign": (b'{"value":18446744073709551615}', 9, "64 bits"),
    "one beyond 64 bits": (b'{"value":9223372036854775808}', 9, "64 bits"),
    "one below 64 bits": (b'{"value":-9223372036854775809}', 9, "64 bits"),
    "a key twice": (b'{"value":1,"value":2}', 11, "key"),
    "a key twice, the same value": (b'{"value":1,"value":1}', 11, "key"),
    "a key twice, escaped": (rb'{"value":1,"v\u0061lue":2}', 11, "key"),
    "a key twice inside": (b'{"more":[0,{"a":1,"b":2,"a":3}]}', 24, "key"),
    "an empty key twice": (b'{"":1,"":2}', 6, "key"),
    "101 lists": (nested(101), 100, "more than 100"),
    "101 objects": (b'{"a":' * 101 + b"1" + b"}" * 101, 500, "more than 100"),
    "100,000 lists": (nested(100_000), 100, "more than 100"),
}
TAKEN = {
    "the largest whole number": b'{"value":9223372036854775807}',
    "the smallest whole number": b'{"value":-9223372036854775808}',
    "the largest float": b'{"value":1.7976931348623157e308}',
    "next to nothing": b'{"value":1e-400}',
    "nothing, many times over": b'{"value":0e99999999999}',
    "more digits than a float has": b'{"value":123456789012345678901234567890.123456789}',
    "a whole zero with a sign": b'{"value":-0}',
    "a zero with a sign": b'{"value":-0.0}',
    "a surrogate pair": rb'{"value":1,"note":"\ud83d\ude00"}',
    "NUL": rb'{"value":1,"note":"a\u0000b"}',
    "a key with NUL": rb'{"value":1,"a\u0000b":2}',
    "code points that are no characters": '{"value":1,"note":"\ufffe\uffff\u2028\x7f"}'.encode(),
    "an empty key": b'{"value":1,"":2}',
    "the same key in several objects": b'{"value":1,"more":[{"value":1},{"value":1}]}',
    "keys that differ in case": b'{"value":1,"Value":2}',
    "100 lists": b'{"value":1,"more":' + nested(99) + b"}",
    "many keys": b'{"value":1,%s}' % b",".join(b'"key %d":0' % number for number in range(2000)),
    "spaces everywhere": b' \t\r\n{ "value" :\n1 } ',
}


class Sized(Event):
    value: float
    note: str = ""
    more: Any = None


class Size(State):
    value: float | None = last(Sized.value)
    note: str | None = last(Sized.note)


class Anything(Event):
    value: Any


def refusal(do: Callable[[], object]) -> str:
    with pytest.raises(ValidationError) as caught:
        do()
    return str(caught.value)


@pytest.mark.parametrize(("data", "at", "why"), REFUSED.values(), ids=REFUSED)
def test_what_readers_would_not_agree_on_is_refused(store: LogStore, data: bytes, at: int, why: str) -> None:
    good = ("Sized", b'{"value":1}')
    for do in (
        lambda: store.append("one", [("Sized", data)]),
        lambda: store.append("one", [good, Sized(1), ("Sized", data)]),
        lambda: store.append_many([Append("two", [good]), Append("one", [("Sized", data)])]),
    ):
        error = refusal(do)
        assert why in error
        assert re.search(rf"byte {at}\b", error)
        assert "'Sized'" in error.replace('"', "'")
        assert "'one'" in error.replace('"', "'")
        assert "note" not in error
        assert "value" not in error
    assert why in refusal(lambda: store.append("one", [Anything([msgspec.Raw(data)])]))
    assert store.head == 0
    assert store.append("one", [good]).last_position == 1


@pytest.mark.parametrize(("data", "at", "why"), REFUSED.values(), ids=REFUSED)
def test_what_an_append_refuses_is_not_restored_either(tmp_path: Path, data: bytes, at: int, why: str) -> None:
    line = b'{"stream":"s","name":"Sized","data":%s}\n'
    good = line % b'{"value":1}'
    (tmp_path / "some.jsonl").write_bytes(good + line % data)
    quoted = data.decode().replace('"', '""')
    (tmp_path / "some.csv").write_text(f'stream,name,data\ns,Sized,1\ns,Sized,"{quoted}"\n')
    for name in ("some.jsonl", "some.csv"):
        with pytest.raises(RestoreError) as caught:
            restore_path(tmp_path / f"{name}.act", tmp_path / name)
        error = str(caught.value)
        assert "`data` is JSON that readers" in error
        assert why in error
        assert re.search(rf"byte {at}\b", error)
        assert not (tmp_path / f"{name}.act").exists()


@pytest.mark.parametrize("data", TAKEN.values(), ids=TAKEN)
def test_what_is_taken_is_read_alike_by_all(tmp_path: Path, data: bytes) -> None:
    meant = json.loads(data)
    with Act(tmp_path / "store.act", Size) as app:
        app.store.append("one", [("Sized", b'{"value":7,"note":"before"}'), ("Sized", data)])
        assert next(app.store.query(after=1)).data == data
        expected = Size(float(meant["value"]), meant.get("note", ""))
        assert app.load(Size, "one").state == app.load(Size, "one", at=2).state == expected
        assert [found.state for _, found in app.replay(Size)] == [expected]
        assert app.sql("select value, note, error from size").fetchall() == [(expected.value, expected.note, None)]
        (row,) = app.sql("select value, note, error from sized where version = 2").fetchall()
        assert row == (expected.value, expected.note, None)
        (raw,) = app.sql("select data->>'$.value' as value, json_valid(data) from events where version = 2").fetchall()
        assert (float(raw[0]), raw[1]) == (expected.value, True)
        for suffix in ("jsonl", "csv", "parquet"):
            app.export(tmp_path / f"all.{suffix}")
    for suffix in ("jsonl", "csv", "parquet"):
        restore_path(tmp_path / suffix, tmp_path / f"all.{suffix}")
        with LogStore(tmp_path / suffix, create=False) as again:
            assert json.loads(list(again.query())[1].data) == meant
            assert again.verify().healthy


class Loose(Event):
    value: float | None = None
    values: list[float | None] = []
    cost: Decimal | None = None
    anything: Any = None
    mapping: dict[str, Any] = {}


class Sure(Event):
    value: float


class Box(State, events=[Loose, Sure]):
    filled: int = 0

    @action
    def fill(self, anything: Any = None) -> Loose:
        return Loose(anything=anything)

    @action
    def weigh(self, value: float) -> Sure:
        return Sure(value)


NAN, INF = float("nan"), float("inf")
NOT_FINITE = {
    "a field": (Loose(NAN), "value"),
    "a field that must have a value": (Sure(-INF), "value"),
    "in a list": (Loose(values=[1.0, None, INF]), "values"),
    "a decimal": (Loose(cost=Decimal("NaN")), "cost"),
    "an infinite decimal": (Loose(cost=Decimal("-Infinity")), "cost"),
    "in anything": (Loose(anything={"a": [1, (2, NAN)]}), "anything"),
    "in a mapping": (Loose(mapping={"a": None, "b": INF}), "mapping"),
    "inside of another struct": (Loose(anything=Sure(NAN)), "anything.value"),
}


@pytest.mark.parametrize(("event", "field"), NOT_FINITE.values(), ids=NOT_FINITE)
def test_a_number_that_json_does_not_have_is_refused(store: LogStore, event: Event, field: str) -> None:
    for do in (
        lambda: store.append("one", [event]),
        lambda: store.append("one", [Loose(1.0), ("Loose", b"{}"), event]),
        lambda: store.append_many([Append("one", [event])]),
    ):
        error = refusal(do)
        assert f"event {type(event).__qualname__}: field '{field}" in error
        assert "finite" in error
    assert store.head == 0


class Stay(Event):
    nights: Annotated[int, msgspec.Meta(le=30)]
    guest: str = ""
    with_whom: "Stay | None" = None


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (Stay(40), "field 'nights': expected `int` <= 30"),
        (Stay("two"), "field 'nights': expected `int`, got `str`"),  # type: ignore[arg-type]
        (Stay(1, guest=None), "field 'guest': expected `str`, got `None`"),  # type: ignore[arg-type]
        (Stay(1, with_whom=Stay(31)), "field 'with_whom.nights': expected `int` <= 30"),
        (Sized(None), "field 'value'"),  # type: ignore[arg-type]
    ],
)
def test_an_event_that_its_class_would_not_give_back_is_refused(store: LogStore, event: Event, why: str) -> None:
    for do in (
        lambda: store.append("one", [event]),
        lambda: store.append("one", [Stay(1), event]),
        lambda: store.append_many([Append("one", [Stay(1)]), Append("two", [event])]),
    ):
        assert f"event {type(event).__qualname__}: {why}" in refusal(do)
    assert store.head == 0
    store.append("one", [Stay(30, with_whom=Stay(1))])
    assert store.head == 1


def test_an_action_whose_event_holds_no_number_is_refused() -> None:
    with Act("memory:", Box) as app:
        for value in (NAN, INF, [1.0, NAN], {"a": {"b": -INF}}):
            with pytest.raises(ValidationError, match="anything"):
                app.do(Box.fill, "one", value)
        with pytest.raises(ValidationError, match="value"):
            app.do(Box.weigh, "one", NAN)
        assert app.store.head == 0
        app.do(Box.fill, "one", [None, "NaN", 'Infinity"', -0.0, 1e308])
        assert app.store.head == 1


def test_no_meta_and_no_actor_holds_a_number_that_json_does_not_have(store: LogStore) -> None:
    with pytest.raises(ValidationError, match=r"extra.*finite"):
        store.append("one", [("Sized", b"1")], meta=Meta(extra={"cost": NAN}))
    with pytest.raises(ValidationError, match=r"extra.*finite"):
        Act(store, Box).acting(Actor("a", extra={"limit": INF}))
    assert store.head == 0
