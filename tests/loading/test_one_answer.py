"""Loading, loading at a moment, replay and SQL give one state for a stream, or one error, whatever its payloads are."""

import os
import re
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, NamedTuple
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from act_fast import (
    Act,
    DecodeError,
    Event,
    FoldError,
    LogStore,
    State,
    ValidationError,
    count,
    distinct,
    last,
    maximum,
    minimum,
    total,
)


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Part(msgspec.Struct, frozen=True):
    price: int
    made: date | None = None
    sizes: list[float] = []


class Measured(Event):
    amount: int
    weight: float = 0.5
    at: datetime | None = None
    kind: Literal["sale", "gift"] = "sale"
    note: str = ""
    part: Part | None = None
    parts: list[Part] = []
    color: Color | None = None
    code: UUID | None = None
    cost: Decimal | None = None
    took: timedelta | None = None
    counts: dict[str, int] = {}
    either: int | str | None = None
    anything: Any = None


class Asked(State):
    """Asks for much: what it takes goes through every kind of leaf."""

    net: int = total(Measured.amount)
    heaviest: float | None = maximum(Measured.weight)
    lightest: float | None = minimum(Measured.weight)
    weights: list[float] = distinct(Measured.weight, most=3)
    first: datetime | None = minimum(Measured.at)
    kind: Literal["sale", "gift"] | None = last(Measured.kind)
    note: str | None = last(Measured.note)
    price: int | None = last(Measured, lambda e: e.part.price)
    light: int = count(Measured, where=lambda e: e.weight < 1)


class Quiet(State):
    """Asks for one field: whether the others are as they should be is nobody's question."""

    net: int = total(Measured.amount)
    weight: float | None = last(Measured.weight)


NUMBERS = [
    "0",
    "-0",
    "-0.0",
    "-0e0",
    "0.0",
    "1",
    "-7",
    "1.0",
    "1e0",
    "1E+2",
    "0.1",
    "1e308",
    "-1e308",
    "1e-400",
    "5e-324",
    "9223372036854775807",
    "-9223372036854775808",
    "9007199254740993",
    "9223372036854775807.0",
    "3.5",
    "2e1",
    "0.1000000000000000055511151231257827021181583404541015625",
    "123456789012345678901234567890.5",
]
TEXTS = [
    '"a"',
    '""',
    '"\\u0000"',
    '"\\ud83d\\ude00"',
    '"é\\n\\/"',
    '"sale"',
    '"gift"',
    '"\\u0067ift"',
    '"red"',
    '"\uffff"',
]
TIMES = [
    '"2026-01-31T12:00:00Z"',
    '"2026-01-31T12:00:00.5Z"',
    '"2026-01-31T12:00:00"',
    '"2026-01-31T12:00:00+02:00"',
    '"2026-01-31 12:00:00z"',
    '"2026-02-30T12:00:00Z"',
    '"9999-12-31T23:59:59.999999Z"',
    '"0001-01-01T00:00:00Z"',
    '"2026-01-31T24:00:00Z"',
    '"2026-01-31"',
    '"2026-01-31T12:00:00.1234567Z"',
    '"1969-12-31T23:59:59.999999Z"',
]
OTHERS = [
    "null",
    "true",
    "false",
    "[]",
    "{}",
    "[1]",
    '["a"]',
    '{"price":1}',
    '{"price":1.5}',
    '{"price":"1"}',
    '{"pric\\u0065":2}',
    '{"price":1,"made":"2024-02-29"}',
    '{"price":1,"made":"2025-02-29"}',
    '{"price":1,"sizes":[1,-0,2.5]}',
    '{"price":1,"sizes":[null]}',
    '[{"price":1},{"price":2,"more":[{}]}]',
    '[{"price":1},{}]',
    '{"a":1,"b":2}',
    '{"a":1.5}',
    '"00000000-0000-0000-0000-00000000000a"',
    '"0000000000000000000000000000000a"',
    '"no uuid"',
    '"1.50"',
    '"1e5"',
    '"NaN"',
    '"no number"',
    '"P1DT2.5S"',
    '"-P1D"',
    '"P1Y"',
    '"PT"',
    "[" * 90 + "]" * 90,
]
LIKELY = {
    "amount": NUMBERS,
    "weight": NUMBERS,
    "at": TIMES,
    "kind": ['"sale"', '"gift"', '"\\u0067ift"'],
    "note": TEXTS,
}
KEYS = [*Measured.__struct_fields__, "unknown", "am\\u006funt", ""]


@st.composite
def payloads(draw: st.DrawFn) -> bytes:
    """An object with members that mostly fit, in any order, and anything else now and then."""
    if draw(st.integers(0, 19)) == 7:
        return draw(st.sampled_from(NUMBERS + TEXTS + OTHERS)).encode()
    names = ["amount", *draw(st.lists(st.sampled_from(KEYS), max_size=4, unique=True))]
    if draw(st.integers(0, 9)) == 7:
        names.remove("amount")
    members = []
    for name in draw(st.permutations(list(dict.fromkeys(names)))):
        likely = LIKELY.get(name, OTHERS)
        fits = draw(st.integers(0, 7)) > 0
        value = draw(st.sampled_from(likely if fits else NUMBERS + TEXTS + TIMES + OTHERS))
        members.append(f'"{name}":{value}')
    space = draw(st.sampled_from(["", "", " ", "\n\t"]))
    return f"{space}{{{space}{f'{space},{space}'.join(members)}{space}}}{space}".encode()


class Answer(NamedTuple):
    """The fields of a state, or what is wrong."""

    fields: tuple[Any, ...] = ()
    error: str = ""


def plain(value: Any) -> Any:
    """A value to compare: floats to the bit, moments in UTC, also those that do not say so."""
    if isinstance(value, float):
        return ("float", struct.pack(">d", value))
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value


def answer(ask: Callable[[], State]) -> Answer:
    try:
        found = ask()
    except (DecodeError, FoldError) as error:
        return Answer(error=str(error))
    return fields_of(found)


def fields_of(state: State) -> Answer:
    return Answer(tuple(plain(getattr(state, name)) for name in state.__struct_fields__))


def row(app: Act, state: type[State], stream: str, at: int | None = None) -> Answer:
    fields = ", ".join(state.__struct_fields__)
    query = f"select {fields}, error from {state.__name__.lower()} where stream = $stream"
    *values, error = app.sql(query, stream=stream, at=at).fetchall()[0]
    return Answer(error=error) if error else Answer(tuple(map(plain, values)))


def one_answer(store: LogStore, state: type[State], streams: list[str]) -> dict[str, Answer]:
    """What each stream gives, once it is sure that this is the same wherever it is asked for."""
    found = {}
    app = Act(store, state)
    for stream in streams:
        pattern = f"^{re.escape(stream)}$"
        found[stream] = answer(lambda stream=stream: app.load(state, stream).state)
        assert answer(lambda stream=stream: app.load(state, stream, at=store.head).state) == found[stream]
        assert answer(lambda pattern=pattern: next(app.replay(state, streams=pattern))[1].state) == found[stream]
        assert row(app, state, stream) == found[stream]
        assert row(app, state, stream, at=store.head) == found[stream]
    errors = {each.error for each in found.values() if each.error}
    if not errors:
        assert {name: fields_of(each.state) for name, each in app.replay(state)} == found
    else:
        with pytest.raises((DecodeError, FoldError)) as caught:
            list(app.replay(state))
        assert str(caught.value) in errors
    return found


def appended(store: LogStore, events: list[tuple[str, bytes]]) -> list[str]:
    """The streams of those events that are taken."""
    streams = set()
    for stream, data in events:
        try:
            store.append(stream, [("Measured", data)])
            streams.add(stream)
        except ValidationError as error:
            note(f"refused: {data!r}: {error}")
    return sorted(streams)


@pytest.mark.parametrize("state", [Asked, Quiet])
@settings(max_examples=int(os.environ.get("ACT_FAST_EXAMPLES", "60")), deadline=None)
@given(events=st.lists(st.tuples(st.sampled_from(["one", "two"]), payloads()), min_size=1, max_size=6))
def test_any_payload_gives_one_answer(state: type[State], events: list[tuple[str, bytes]]) -> None:
    with LogStore.memory(segment_bytes=64 * 1024) as store:
        one_answer(store, state, appended(store, events))


WRONG_BESIDE = {
    "a time": b'{"amount":1,"at":"garbage"}',
    "a day that is none": b'{"amount":1,"part":{"price":1,"made":"2025-02-29"}}',
    "a fraction for a whole number": b'{"amount":1,"part":{"price":1.5}}',
    "a list of another kind": b'{"amount":1,"parts":[{"price":1},{"price":null}]}',
    "a missing field inside": b'{"amount":1,"parts":[{}]}',
    "a word that is not one of those": b'{"amount":1,"kind":"loan"}',
    "a color": b'{"amount":1,"color":"green"}',
    "a UUID": b'{"amount":1,"code":"1234"}',
    "a decimal number": b'{"amount":1,"cost":"1.2.3"}',
    "a duration": b'{"amount":1,"took":"2 days"}',
    "a value in a mapping": b'{"amount":1,"counts":{"a":1,"b":2.5}}',
    "neither of two kinds": b'{"amount":1,"either":1.5}',
}


@pytest.mark.parametrize("data", WRONG_BESIDE.values(), ids=WRONG_BESIDE)
def test_an_event_that_does_not_decode_is_an_error_also_where_nobody_asks_for_the_field(data: bytes) -> None:
    good = ("Measured", b'{"amount":1}')
    with LogStore.memory() as store:
        store.append("sound", [good])
        store.append("spoilt", [good, ("Measured", data), good])
        found = one_answer(store, Quiet, ["sound", "spoilt"])
        assert found["sound"] == Answer((1, plain(0.5)))
        assert "does not decode" in found["spoilt"].error
        assert "version 2 of stream 'spoilt'" in found["spoilt"].error


def test_fields_that_nobody_asks_for_do_not_keep_a_state_out_of_the_core() -> None:
    with LogStore.memory() as store:
        app = Act(store, Quiet)
        assert app._engine.registry.model_of(Quiet).declaration is not None
        store.append(
            "one", [("Measured", b'{"amount":1,"cost":"1.5","parts":[{"price":1,"sizes":[2]}],"counts":{"a":1}}')]
        )
        assert [found.state for _, found in app.replay(Quiet)] == [Quiet(1, 0.5)]


TWO_ERRORS = {
    "too large, then not decoded": [b'{"amount":9223372036854775807}', b'{"amount":1}', b'{"amount":"x"}'],
    "not decoded, then too large": [b'{"amount":"x"}', b'{"amount":9223372036854775807}', b'{"amount":1}'],
    "not decoded twice": [b'{"amount":1,"note":5}', b'{"amount":"x"}'],
    "too many, then not decoded": [*(b'{"amount":1,"weight":%d}' % each for each in range(4)), b'{"amount":null}'],
    "not decoded, then too many": [b'{"amount":null}', *(b'{"amount":1,"weight":%d}' % each for each in range(4))],
}


@pytest.mark.parametrize("events", TWO_ERRORS.values(), ids=TWO_ERRORS)
def test_of_two_errors_in_a_stream_the_first_one_is_told(events: list[bytes]) -> None:
    with LogStore.memory() as store:
        for data in events:
            store.append("other", [("Measured", b'{"amount":1}')])
            store.append("one", [("Measured", data)])
        one_answer(store, Asked, ["one", "other"])


@pytest.mark.parametrize("broken", [b'{"amount":"x"}', b'{"amount":9223372036854775807}'])
def test_an_unknown_event_before_one_that_does_not_fold_is_what_is_told(broken: bytes) -> None:
    with LogStore.memory() as store:
        store.append("one", [("Measured", b'{"amount":1}'), ("Unknown", b"1"), ("Measured", broken)])
        store.append("two", [("Measured", b'{"amount":1}'), ("Measured", broken), ("Unknown", b"1")])
        app = Act(store, Asked, unknown="raise")
        for stream, error in (("one", "stored as 'Unknown'"), ("two", "version 2 of stream 'two'")):
            with pytest.raises((DecodeError, FoldError), match=error) as loaded:
                app.load(Asked, stream)
            with pytest.raises(type(loaded.value), match=re.escape(str(loaded.value))):
                list(app.replay(Asked, streams=stream))


ZEROS = {"-0": 0.0, "-0.0": -0.0, "-0e0": -0.0, "0": 0.0}


@pytest.mark.parametrize("text", ZEROS)
def test_a_whole_zero_has_no_sign_wherever_it_is_read(text: str) -> None:
    with LogStore.memory() as store:
        store.append("one", [("Measured", b'{"amount":1,"weight":%s}' % text.encode())])
        for state in (Asked, Quiet):
            fields = one_answer(store, state, ["one"])["one"].fields
            assert plain(ZEROS[text]) in fields
            assert plain(-ZEROS[text]) not in fields
        found = Act(store, Quiet).sql("select weight from measured").fetchall()
        assert [plain(weight) for (weight,) in found] == [plain(ZEROS[text])]


class Kept(Event):
    at: datetime
    until: datetime | None = None
    cost: Decimal = Decimal(0)
    hour: time | None = None


class Earliest(State):
    first: datetime | None = minimum(Kept.at)


class Latest(State):
    last: datetime | None = maximum(Kept, lambda e: e.at)


class Late(State):
    late: int = count(Kept, where=lambda e: e.at > e.until)


class Hours(State):
    first: time | None = minimum(Kept.hour)


class Dearest(State):
    most: Decimal | None = maximum(Kept.cost)


class Costs(State):
    sum: Decimal = total(Kept.cost)


NAIVE, AWARE = '"2026-01-31T12:00:00"', '"2026-01-31T12:00:00Z"'
NO_ORDER = {
    "the least time": (Earliest, [f'{{"at":{NAIVE}}}', f'{{"at":{AWARE}}}']),
    "the greatest time": (Latest, [f'{{"at":{AWARE}}}', f'{{"at":{NAIVE}}}']),
    "a condition": (Late, [f'{{"at":{AWARE},"until":{AWARE}}}', f'{{"at":{AWARE},"until":{NAIVE}}}']),
    "the least time of day": (Hours, [f'{{"at":{AWARE},"hour":"12:00:00"}}', f'{{"at":{AWARE},"hour":"12:00:00Z"}}']),
    "a decimal number that is none": (Dearest, [f'{{"at":{AWARE},"cost":"1"}}', f'{{"at":{AWARE},"cost":"NaN"}}']),
    "a sum beyond all numbers": (Costs, [f'{{"at":{AWARE},"cost":"1"}}', f'{{"at":{AWARE},"cost":"Infinity"}}']),
    "a sum that is too large": (Costs, [f'{{"at":{AWARE},"cost":"9e999999"}}'] * 2),
}


@pytest.mark.parametrize(("state", "events"), NO_ORDER.values(), ids=NO_ORDER)
def test_values_that_do_not_compare_do_not_fold(state: type[State], events: list[str]) -> None:
    with LogStore.memory() as store:
        for data in events:
            store.append("one", [("Kept", data.encode())])
        error = one_answer(store, state, ["one"])["one"].error
        assert error.startswith(f"{state.__name__}.")
        assert "version 2 of stream 'one'" in error
