"""Every view equals what plain Python reads: values of every kind of field, through `app.query` and through SQL."""

import base64
import enum
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal, NotRequired, TypedDict
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from act_fast import Act, Event, State, upcast
from act_fast._sql.column_shape import shape_of

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
AWARE = st.datetimes(
    datetime(1, 1, 3),
    datetime(9999, 12, 29),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5, minutes=-30))]),
)
NAIVE = st.datetimes()
DURATIONS = st.timedeltas(timedelta(days=-100_000_000), timedelta(days=100_000_000))
DECIMALS = st.decimals(-(10**28), 10**28, places=9)


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


class Point(msgspec.Struct):
    x: int
    label: str | None = None


@dataclass
class Pair:
    left: float
    right: list[int]


class Options(TypedDict):
    loud: bool
    volume: NotRequired[int]


class Circle(msgspec.Struct, tag=True):
    radius: float


class Square(msgspec.Struct, tag=True):
    side: float


class Everything(Event):
    number: int
    real: float
    flag: bool
    text: str
    maybe: int | None
    when: Annotated[datetime, msgspec.Meta(tz=True)]
    local: Annotated[datetime, msgspec.Meta(tz=False)]
    day: date
    clock: Annotated[time, msgspec.Meta(tz=False)]
    span: timedelta
    price: Decimal
    key: UUID
    blob: bytes
    colour: Colour
    size: Size
    word: Literal["a", "b", None]
    numbers: list[int]
    unique: set[int]
    nested: list[list[str | None]]
    by_name: dict[str, float]
    by_number: dict[int, str]
    point: Point
    points: list[Point]
    pair: Pair
    options: Options
    mixed: int | str | None
    shape: Circle | Square
    anything: Any
    bounded: Annotated[int, msgspec.Meta(ge=0, lt=10)] = 3
    renamed: int = msgspec.field(default=4, name="re-named")


class Node(msgspec.Struct):
    children: "list[Node]" = []


class Holder(State, events=[Everything]):
    number: int = 0
    text: str = ""
    when: datetime | None = None
    points: list[Point] = []


POINTS = st.builds(Point, INT64, st.none() | TEXT)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | INT64 | FLOATS | TEXT,
    lambda of: st.lists(of, max_size=3) | st.dictionaries(TEXT, of, max_size=3),
    max_leaves=5,
)
EVENTS = st.builds(
    Everything,
    number=INT64,
    real=FLOATS,
    flag=st.booleans(),
    text=TEXT,
    maybe=st.none() | INT64,
    when=AWARE,
    local=NAIVE,
    day=st.dates(),
    clock=st.times(),
    span=DURATIONS,
    price=DECIMALS,
    key=st.uuids(),
    blob=st.binary(max_size=20),
    colour=st.sampled_from(Colour),
    size=st.sampled_from(Size),
    word=st.sampled_from(["a", "b", None]),
    numbers=st.lists(INT64, max_size=5),
    unique=st.sets(INT64, max_size=20),
    nested=st.lists(st.lists(st.none() | TEXT, max_size=3), max_size=3),
    by_name=st.dictionaries(TEXT, FLOATS, max_size=3),
    by_number=st.dictionaries(INT64, TEXT, max_size=3),
    point=POINTS,
    points=st.lists(POINTS, max_size=3),
    pair=st.builds(Pair, FLOATS, st.lists(INT64, max_size=3)),
    options=st.builds(Options, loud=st.booleans()) | st.builds(Options, loud=st.booleans(), volume=INT64),
    mixed=st.none() | INT64 | TEXT,
    shape=st.builds(Circle, FLOATS) | st.builds(Square, FLOATS),
    anything=JSON,
    bounded=st.integers(0, 9),
    renamed=INT64,
)


def as_sql(value: Any, kind: str | None = None) -> Any:
    """A value as DuckDB hands it to Python."""
    match value:
        case enum.Enum():
            return value.value
        case set():
            return sorted(value)
        case Point():
            return {"x": value.x, "label": value.label}
        case Pair():
            return {"left": value.left, "right": value.right}
        case list():
            return [as_sql(each) for each in value]
        case _:
            return value


def expected(event: Everything) -> list[Any]:
    found = {name: as_sql(getattr(event, name)) for name in event.__struct_fields__}
    found["options"] = {"loud": event.options["loud"], "volume": event.options.get("volume")}
    return list(found.values())


def compared(row: tuple[Any, ...]) -> list[Any]:
    found = dict(zip(Everything.__struct_fields__, row, strict=True))
    found["unique"] = sorted(found["unique"])
    for name in ("mixed", "anything", "shape"):
        found[name] = None if found[name] is None else json.loads(found[name])
    return list(found.values())


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(EVENTS, min_size=1, max_size=5))
def test_typed_columns_are_what_python_reads(events: list[Everything]) -> None:
    with Act("memory:", Holder) as app:
        app.store.append("holder", events)
        columns = ", ".join(f'"{name}"' for name in Everything.__struct_fields__)
        rows = app.sql(f"select {columns} from everything order by position").fetchall()
        read = [committed.data for committed in app.query()]
        assert all(isinstance(each, Everything) for each in read)
        for row, event in zip(rows, read, strict=True):
            wanted = expected(event)
            wanted[Everything.__struct_fields__.index("shape")] = msgspec.to_builtins(event.shape)
            assert compared(row) == wanted
        assert app.sql("select count(error) from everything").fetchall() == [(0,)]
        [(number, text)] = app.sql("select number, text from holder").fetchall()
        assert (number, text) == (events[-1].number, events[-1].text)


def test_each_kind_of_field_has_its_type() -> None:
    with Act("memory:", Holder) as app:
        types = dict(app.sql("select column_name, column_type from (describe everything)").fetchall())
    assert {name: types[name] for name in Everything.__struct_fields__} == {
        "number": "BIGINT",
        "real": "DOUBLE",
        "flag": "BOOLEAN",
        "text": "VARCHAR",
        "maybe": "BIGINT",
        "when": "TIMESTAMP WITH TIME ZONE",
        "local": "TIMESTAMP",
        "day": "DATE",
        "clock": "TIME",
        "span": "INTERVAL",
        "price": "DECIMAL(38,9)",
        "key": "UUID",
        "blob": "BLOB",
        "colour": "VARCHAR",
        "size": "BIGINT",
        "word": "VARCHAR",
        "numbers": "BIGINT[]",
        "unique": "BIGINT[]",
        "nested": "VARCHAR[][]",
        "by_name": "MAP(VARCHAR, DOUBLE)",
        "by_number": "MAP(BIGINT, VARCHAR)",
        "point": 'STRUCT(x BIGINT, "label" VARCHAR)',
        "points": 'STRUCT(x BIGINT, "label" VARCHAR)[]',
        "pair": 'STRUCT("left" DOUBLE, "right" BIGINT[])',
        "options": "STRUCT(loud BOOLEAN, volume BIGINT)",
        "mixed": "JSON",
        "shape": "JSON",
        "anything": "JSON",
        "bounded": "BIGINT",
        "renamed": "BIGINT",
    }
    assert shape_of(Everything).exact


class Paid(Event, name="Paid_v2"):
    cents: int
    note: str = "none"
    tags: list[str] = []
    position: int = 0
    Cents: int = 1

    @upcast(from_="Paid")
    @staticmethod
    def from_euros(old: dict[str, Any]) -> dict[str, Any]:
        return {"cents": round(old["euros"] * 100)}


class Bill(State, events=[Paid]):
    cents: int = 0


RAW: list[tuple[str, bytes]] = [
    ("Paid_v2", b'{"cents":1}'),
    ("Paid", b'{"euros":2.5}'),
    ("Paid_v2", b' { "note" : "x\\u00e9\\n" , "cents" : 3 } '),
    ("Paid_v2", b'{"cents":4.0}'),
    ("Paid_v2", b'{"cents":"five"}'),
    ("Paid_v2", b"{}"),
    ("Paid_v2", b"[]"),
    ("Paid", b'{"dollars":1}'),
    ("Paid_v2", b'{"cents":9,"unknown":{"a":[1,{"b":"]"}]},"tags":["a"]}'),
    ("Paid_v2", b'{"cents":10.0,"tags":["b"]}'),
    ("Paid_v2", b'{"cents":12,"note":null}'),
    ("Paid_v2", b'{"cents":14,"position":15}'),
]


def test_what_an_event_means_is_for_its_class_to_say(caplog: pytest.LogCaptureFixture) -> None:
    with Act("memory:", Bill) as app:
        app.store.append("bill", RAW)
        wanted = []
        for committed in app.store.query():
            try:
                data = app._codec.decode(committed.name, committed.data)
                assert isinstance(data, Paid)
                wanted.append((data.cents, data.note, data.tags, data.position))
            except Exception:
                wanted.append(None)
        found = app.sql("select cents, note, tags, position_, error, version from paid order by version").fetchall()
        assert [row[:4] if row[4] is None else None for row in found] == wanted
        assert [row[5] for row in found] == list(range(1, len(RAW) + 1))
        assert all(row[:4] == (None, None, None, None) for row in found if row[4] is not None)
        assert not any("five" in (row[4] or "") or "dollars" in (row[4] or "") for row in found)
        warned = [record.getMessage() for record in caplog.records]
        assert warned == [
            f"{wanted.count(None)} events of Paid do not decode" + warned[0].partition("do not decode")[2]
        ]


def test_names_that_are_taken_are_told_apart() -> None:
    with Act("memory:", Bill) as app:
        app.store.append("bill", [("Paid_v2", b'{"cents":1,"position":7,"Cents":8}')])
        assert app.sql("select position, position_, cents, Cents_ from paid").fetchall() == [(1, 7, 1, 8)]


def test_classes_whose_names_are_taken_are_told_apart() -> None:
    class Events(Event):
        number: int

    class Targets(State, events=[Events]):
        number: int = 0

    with Act("memory:", Targets) as app:
        app.store.append("one", [Events(5)])
        assert app.sql("select number from events_event").fetchall() == [(5,)]
        assert app.sql("select number from targets_state").fetchall() == [(5,)]
        assert app.sql("select name from events").fetchall() == [("Events",)]


def test_a_shape_that_is_not_exact_leaves_it_to_the_class() -> None:
    class Odd(Event):
        even: Annotated[int, msgspec.Meta(multiple_of=2)]
        name: Annotated[str, msgspec.Meta(max_length=3)] = ""
        place: tuple[int, str] = (1, "a")

    class Oddity(State, events=[Odd]):
        even: int = 0

    assert not shape_of(Odd).exact
    assert not shape_of(Node).exact
    with Act("memory:", Oddity) as app:
        app.store.append("one", [("Odd", b'{"even":2,"place":[3,"b"]}'), ("Odd", b'{"even":3}')])
        app.store.append("one", [("Odd", b'{"even":4,"name":"long"}')])
        found = app.sql("select even, place::varchar, error is null from odd order by version").fetchall()
        assert found == [(2, '[3,"b"]', True), (None, None, False), (None, None, False)]


def test_what_a_time_without_a_zone_means_is_said() -> None:
    class Met(Event):
        when: datetime

    class Meeting(State, events=[Met]):
        when: datetime | None = None

    with Act("memory:", Meeting) as app:
        app.store.append(
            "one", [Met(datetime(2026, 1, 1, 12)), Met(datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=1))))]
        )
        assert app.sql('select "when" from met order by version').fetchall() == [
            (datetime(2026, 1, 1, 12, tzinfo=UTC),),
            (datetime(2026, 1, 1, 11, tzinfo=UTC),),
        ]


def test_bytes_are_bytes_however_they_were_written() -> None:
    class Sent(Event):
        body: bytes

    class Mail(State, events=[Sent]):
        body: bytes = b""

    with Act("memory:", Mail) as app:
        app.store.append("one", [Sent(b"\0\xff")])
        app.store.append("one", [("Sent", json.dumps({"body": base64.b64encode(b"x").decode()}).encode())])
        assert app.sql("select body from sent order by version").fetchall() == [(b"\0\xff",), (b"x",)]


def test_a_stream_that_does_not_fold_says_why_and_leaves_the_others_alone() -> None:
    with Act("memory:", Bill) as app:
        app.store.append("good", [("Paid_v2", b'{"cents":1}')])
        app.store.append("bad", [("Paid_v2", b'{"cents":1}'), ("Paid_v2", b'{"cents":"secret"}')])
        app.store.append("other", [("Paid_v2", b'{"cents":2}')])
        found = app.sql("select stream, version, position, cents, error from bill order by position").fetchall()
        assert [row[:4] for row in found] == [("good", 1, 1, 1), ("bad", 2, 3, None), ("other", 1, 4, 2)]
        reasons = [row[4] for row in found]
        assert reasons == [None, reasons[1], None]
        assert "does not decode" in reasons[1]
        assert "secret" not in reasons[1]
