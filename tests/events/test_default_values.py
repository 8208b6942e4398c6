"""A default that is computed in the class is a constant: asking for the time or for chance there is refused, too."""

import datetime as times
import importlib
import os
import random
import secrets
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import msgspec
import pytest

from act_fast import Act, DefinitionError, Event, State, reducer

IMPORTS = """
import itertools, os, platform, random, secrets, socket, sys, tempfile, time, uuid
import datetime as times
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, UTC
from decimal import Decimal
from enum import Enum
from os import environ, getenv, getpid
from random import randint
from time import time as clock
from typing import Any, NamedTuple
from uuid import UUID, uuid4
import msgspec
from act_fast import Event, State

counted = itertools.count()
now = datetime.now
TENANT = UUID("6f9619ff-8b86-4d01-b42d-00cf4fc964ff")
CURRENCY = "EUR"
FROM_AROUND = os.environ.get("CURRENCY", "EUR")
TOKEN = secrets.token_hex()
CHOSEN = FROM_AROUND.lower()

def new_id():
    return uuid4().hex

def indirectly():
    return new_id()

class Kind(Enum):
    SMALL = "small"
"""
ASKS = [
    ("UUID", "uuid4()", "uuid.uuid4"),
    ("UUID", "uuid.uuid1()", "uuid.uuid1"),
    ("str", "str(uuid4())", "uuid.uuid4"),
    ("str", "uuid.uuid4().hex[:8]", "uuid.uuid4"),
    ("float", "time.time()", "time.time"),
    ("float", "clock()", "time.time"),
    ("int", "int(time.time() * 1000)", "time.time"),
    ("int", "time.monotonic_ns() // 2", "time.monotonic_ns"),
    ("str", "time.strftime('%Y')", "time.strftime"),
    ("float", "random.random()", "random.random"),
    ("int", "randint(1, 6)", "random.randint"),
    ("int", "random.SystemRandom().getrandbits(8)", "random.SystemRandom"),
    ("tuple[int, ...]", "tuple(random.randint(1, 6) for _ in range(3))", "random.randint"),
    ("str", "secrets.token_hex()", "secrets.token_hex"),
    ("int", "secrets.randbelow(6)", "secrets.randbelow"),
    ("datetime", "datetime.now()", "datetime.now"),
    ("datetime", "now()", "datetime.now"),
    ("datetime", "times.datetime.now(times.UTC)", "now"),
    ("datetime", "datetime.now().replace(microsecond=0)", "datetime.now"),
    ("datetime", "datetime.utcnow()", "datetime.utcnow"),
    ("datetime", "datetime.now(UTC) - timedelta(days=100)", "datetime.now"),
    ("date", "date.today()", "date.today"),
    ("int", "datetime.now().year", "datetime.now"),
    ("bytes", "os.urandom(8)", "os.urandom"),
    ("int", "os.getpid()", "os.getpid"),
    ("int", "getpid()", "os.getpid"),
    ("str", "os.environ['HOME']", "os.environ"),
    ("str", "os.environ.get('CURRENCY') or 'EUR'", "os.environ"),
    ("str", "environ.get('CURRENCY', 'EUR')", "os.environ"),
    ("str", "os.getenv('CURRENCY', 'EUR')", "os.getenv"),
    ("str", "getenv('CURRENCY', 'EUR')", "os.getenv"),
    ("str", "'EUR' if 'CURRENCY' not in os.environ else 'USD'", "os.environ"),
    ("str", "socket.gethostname()", "socket.gethostname"),
    ("str", "platform.node()", "platform.node"),
    ("str", "tempfile.mkdtemp()", "tempfile.mkdtemp"),
    ("int", "next(counted)", "next"),
    ("int", "id(object())", "id"),
    ("str", "sys.argv[0]", "sys.argv"),
    ("str", "new_id()", "uuid.uuid4"),
    ("str", "indirectly()", "uuid.uuid4"),
    ("str", "FROM_AROUND", "os.environ"),
    ("str", "CHOSEN", "os.environ"),
    ("str", "TOKEN[:4]", "secrets.token_hex"),
    ("float", "(lambda: time.time())()", "time.time"),
    ("str", "msgspec.field(default=secrets.token_hex())", "secrets.token_hex"),
]
CONSTANT = [
    ("UUID", "UUID('6f9619ff-8b86-4d01-b42d-00cf4fc964ff')"),
    ("UUID", "uuid.UUID(int=0)"),
    ("UUID", "uuid.uuid5(uuid.NAMESPACE_URL, 'a')"),
    ("UUID", "TENANT"),
    ("str", "str(TENANT)"),
    ("str", "CURRENCY"),
    ("str", "CURRENCY.lower()"),
    ("float", "1.5e-3"),
    ("float", "2**0.5"),
    ("int", "10**18"),
    ("datetime", "datetime(2020, 1, 1, 12, 30, 0, 5, tzinfo=UTC)"),
    ("datetime", "datetime.fromisoformat('2020-01-01T00:00:00+00:00')"),
    ("date", "date(2020, 1, 1) + timedelta(days=1)"),
    ("Decimal", "Decimal('1.5')"),
    ("Kind", "Kind.SMALL"),
    ("tuple[int, ...]", "tuple(2 * each for each in range(3))"),
    ("str", "os.path.join('a', 'b')"),
    ("list[str]", "[]"),
]


def made(base: str, kind: str, default: str) -> Any:
    names: dict[str, Any] = {"__name__": "somewhere"}
    exec(f"{IMPORTS}\nclass Odd({base}):\n    first: int = 1\n    x: {kind} = {default}\n    last: str = ''", names)
    return names["Odd"]


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
@pytest.mark.parametrize("base", ["Event", "State"])
@pytest.mark.parametrize(("kind", "default", "asked"), ASKS)
def test_a_default_that_asked_when_the_class_was_made_is_refused(
    base: str, kind: str, default: str, asked: str
) -> None:
    with pytest.raises(DefinitionError, match=rf"Odd\.x has a default that asks .*{asked}, so each start"):
        made(base, kind, default)


@pytest.mark.parametrize("base", ["Event", "State"])
@pytest.mark.parametrize(("kind", "default"), CONSTANT)
def test_a_default_that_is_a_constant_is_fine(base: str, kind: str, default: str) -> None:
    odd = made(base, kind, default)
    if base == "State":
        Act("memory:", odd).close()
    assert odd().x is not None


def test_methods_and_other_members_of_a_class_may_ask() -> None:
    class Noted(Event):
        text: str = ""

        def age(self) -> float:
            return time.time()

    class Notes(State):
        text: str = ""

        @reducer
        def noted(self, event: Noted) -> None:
            self.text = event.text

        def drawn(self) -> float:
            return random.random()

    with Act("memory:", Notes) as app:
        assert app.load(Notes, "a").state.text == ""


def test_what_was_computed_in_the_body_before_is_looked_at_too() -> None:
    with pytest.raises(DefinitionError, match=r"Odd\.x has a default that asks secrets\.token_hex"):

        class Odd(Event):
            drawn = secrets.token_hex()
            x: str = drawn + "-"


def test_a_variable_of_the_function_around_is_looked_at_too() -> None:
    drawn = secrets.token_hex()
    with pytest.raises(DefinitionError, match=r"Odd\.x has a default that asks secrets\.token_hex"):

        class Odd(Event):
            x: str = drawn


VALUES: list[tuple[Any, Callable[[], Any]]] = [
    (UUID, lambda: uuid4()),
    (UUID, lambda: uuid.uuid1()),
    (UUID | None, lambda: uuid4()),
    (str, lambda: str(uuid4())),
    (str, lambda: uuid4().hex),
    (datetime, lambda: datetime.now()),
    (datetime, lambda: datetime.now(UTC)),
    (datetime, lambda: datetime.now(UTC).replace(microsecond=0)),
    (str, lambda: datetime.now(UTC).isoformat()),
    (date, lambda: date.today()),
    (times.time, lambda: datetime.now().time()),
    (float, lambda: time.time()),
    (float, lambda: time.monotonic()),
    (int, lambda: time.time_ns()),
    (int, lambda: int(time.time())),
    (int, lambda: int(time.time() * 1000)),
    (int, lambda: time.monotonic_ns()),
]


@pytest.mark.parametrize("base", [Event, State])
@pytest.mark.parametrize(("kind", "draw"), VALUES)
def test_a_value_that_was_made_when_the_program_started_is_refused(
    base: Any, kind: Any, draw: Callable[[], Any]
) -> None:
    value = draw()  # now, and not when the tests were collected

    def make() -> None:
        odd = type(base)("Odd", (base,), {"__annotations__": {"x": kind}, "x": value})
        Act("memory:", odd if base is State else type(State)("Odds", (State,), {}, events=[odd]))

    with pytest.raises(DefinitionError, match=r"Odd\.x has .* as its default, which differs each time"):
        make()


def test_a_uuid_from_another_module_is_not_known_to_be_a_constant(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "drawn_ids.py").write_text("from uuid import uuid4\nDRAWN = uuid4()\n")
    monkeypatch.syspath_prepend(tmp_path)
    module: Any = importlib.import_module("drawn_ids")
    DRAWN = module.DRAWN
    with pytest.raises(DefinitionError, match=r"Odd\.x has a random UUID as its default"):

        class Odd(Event):
            x: UUID = DRAWN

    with pytest.raises(DefinitionError, match=r"Other\.x has a random UUID as its default"):

        class Other(Event):
            x: UUID = module.DRAWN


VALUES_OF_PEOPLE: list[tuple[Any, Any]] = [
    (UUID, UUID(int=0)),
    (UUID, uuid.uuid5(uuid.NAMESPACE_URL, "a")),
    (datetime, datetime(2020, 1, 1, tzinfo=UTC)),
    (date, date.today() - timedelta(days=100)),
    (float, 0.1),
    (float, 3600.0),
    (int, 2**40),
    (str, "2020-01-01"),
    (str, ""),
]


@pytest.mark.parametrize(("kind", "value"), VALUES_OF_PEOPLE)
def test_a_value_as_people_write_them_down_is_fine(kind: Any, value: Any) -> None:
    assert type(Event)("Fine", (Event,), {"__annotations__": {"x": kind}, "x": value})().x == value


NESTED = f"""{IMPORTS}
class Line(msgspec.Struct, frozen=True):
    token: str = secrets.token_hex()

class Written(msgspec.Struct, frozen=True):
    id: UUID = UUID("6f9619ff-8b86-4d01-b42d-00cf4fc964ff")

@dataclass(frozen=True)
class Drawn:
    value: float = random.random()

@dataclass(frozen=True)
class Made:
    value: UUID = msgspec.field(default_factory=uuid4)

class Named(NamedTuple):
    pid: int = os.getpid()
"""


@pytest.fixture
def nested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "nested_defaults.py").write_text(NESTED)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("nested_defaults")
    del sys.modules["nested_defaults"]


def test_defaults_of_classes_within_an_event_are_looked_at(nested: Any) -> None:
    for cls, field, asked in (
        (nested.Line, "token", "secrets.token_hex"),
        (nested.Drawn, "value", "random.random"),
        (nested.Named, "pid", "os.getpid"),
    ):
        for kind in (cls, list[cls], cls | None):
            with pytest.raises(DefinitionError, match=rf"{cls.__name__}\.{field} has a default that asks {asked}"):
                type(Event)("Odd", (Event,), {"__annotations__": {"x": kind}})
    type(Event)("Fine", (Event,), {"__annotations__": {"x": nested.Written}})


class Stamped(NamedTuple):
    at: float = 0.0


def test_a_named_tuple_with_constants_is_fine() -> None:
    class Fine(Event):
        x: Stamped = Stamped(1.5)

    assert Fine().x == Stamped(1.5)


current = 0
SIZES = [1]
LIMIT = 3
ENVIRON = os.environ


def remade() -> list[int]:
    made = [LIMIT]
    return made


def imports() -> int:
    import os

    return os.getpid()


def holding(value: Any) -> Any:
    return lambda: str(value)


FACTORIES: list[tuple[Any, Any]] = [
    (int, lambda: current),
    (str, lambda: ENVIRON["HOME"]),
    (int, lambda: len(SIZES)),
    (list[int], lambda: list(SIZES)),
    (str, lambda: __file__),
    (int, imports),
    (str, holding([1])),
    (str, holding(os.environ)),
    (str, holding(iter("abc"))),
]


@pytest.mark.parametrize(("kind", "factory"), FACTORIES)
def test_a_factory_that_reads_what_may_change_is_refused(kind: Any, factory: Any) -> None:
    with pytest.raises(DefinitionError, match=r"default_factory that asks .*; let the action fill it in"):
        type(Event)("Odd", (Event,), {"__annotations__": {"x": kind}, "x": msgspec.field(default_factory=factory)})


@pytest.mark.parametrize(("kind", "factory"), [(list[int], remade), (str, holding("a")), (str, holding((1, "a")))])
def test_a_factory_that_uses_constants_is_fine(kind: Any, factory: Any) -> None:
    type(Event)("Fine", (Event,), {"__annotations__": {"x": kind}, "x": msgspec.field(default_factory=factory)})
