"""What is wrong is said in the words of the program: which field, which limit, which values there are."""

import enum
import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest

from act_fast import (
    Act,
    Actor,
    AsyncAct,
    Conditions,
    DecodeError,
    DefinitionError,
    Event,
    LogStore,
    Projection,
    State,
    ValidationError,
    action,
    invariant,
    reducer,
)
from act_fast.cli.input.app import find_app
from act_fast.testing import given


class Kind(enum.Enum):
    SINGLE = "single"
    DOUBLE = "double"


class Guest(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(max_length=5)] = ""
    kinds: list[Kind] = []


class Booked(Event):
    nights: Annotated[int, msgspec.Meta(le=30)]
    guest: Guest | None = None
    guests: dict[str, Guest] = {}
    kind: Kind | None = None
    rates: dict[Literal["high", "low"], int] = {}


class Hotel(State):
    nights: int = 0

    @reducer
    def booked(self, event: Booked) -> None:
        self.nights += event.nights

    @action
    def book(
        self,
        nights: int,
        guest: Guest | None = None,
        guests: dict[str, Guest] | None = None,
        kind: Kind | None = None,
        kinds: list[Kind] | None = None,
        day: Literal["mon", "tue"] = "mon",
        rates: dict[Literal["high", "low"], int] | None = None,
    ) -> Booked:
        return Booked(nights, guest, guests or {}, kind, rates or {})


@pytest.fixture
def hotel() -> Act:
    return Act("memory:", Hotel)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"guest": Guest("too long")}, r"argument 'guest\.name': expected `str` of length <= 5"),
        ({"guests": {"a": Guest("too long")}}, r"argument 'guests\[\.\.\.\]\.name': expected `str` of length <= 5"),
        ({"guest": {"name": "too long"}}, r"argument 'guest\.name': expected `str` of length <= 5"),
        ({"kind": "triple"}, r"argument 'kind': invalid enum value; it is one of 'single', 'double'"),
        (
            {"kinds": ["single", "triple"]},
            r"argument 'kinds\[1\]': invalid enum value; it is one of 'single', 'double'",
        ),
        ({"guest": {"kinds": ["x"]}}, r"argument 'guest\.kinds\[0\]': invalid enum value; it is one of 'single'"),
        ({"day": "sun"}, r"argument 'day': invalid enum value; it is one of 'mon', 'tue'"),
        ({"rates": {"middle": 1}}, r"invalid enum value; it is one of 'high', 'low'"),
        ({"nights": None}, r"argument 'nights': expected `int`, got `None`"),
        ({"guest": 5}, r"argument 'guest': expected `object \| None`, got `int`"),
    ],
)
def test_an_argument_that_does_not_fit_is_named_with_its_limit(
    hotel: Act, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        hotel.do(Hotel.book, "h", **({"nights": 1} | arguments))


def test_an_event_beyond_a_limit_is_named_with_its_field(hotel: Act) -> None:
    with pytest.raises(DefinitionError, match=r"Booked with a wrong value: field 'nights': expected `int` <= 30"):
        hotel.do(Hotel.book, "h", nights=31)
    with pytest.raises(ValidationError, match=r"field 'nights': expected `int` <= 30"):
        given(Hotel, Booked(31))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"nights":null}', "field 'nights': expected `int`, got `None`"),
        (b'{"nights":1,"kind":"x"}', "field 'kind': invalid enum value; it is one of 'single', 'double'"),
        (b'{"nights":1,"kind":5}', r"field 'kind': expected `str \| None`, got `int`"),
        (b'{"nights":1,"rates":{"x":1}}', "invalid enum value; it is one of 'high', 'low'"),
    ],
)
def test_an_event_that_does_not_decode_says_which_values_there_are_and_none_of_its_own(
    hotel: Act, data: bytes, message: str
) -> None:
    hotel.store.append("h", [("Booked", data)])
    with pytest.raises(DecodeError, match=message):
        hotel.load(Hotel, "h")


def test_no_message_says_null(hotel: Act) -> None:
    nothing: Any = None
    with pytest.raises(ValidationError, match="expected `str`, got `None`"):
        hotel.acting(Actor("a", nothing))
    with pytest.raises(DefinitionError, match="expected `int`, got `None`"):
        type(Event)("Odd", (Event,), {"__annotations__": {"x": int}, "x": None})


@pytest.mark.parametrize(
    ("base", "keyword", "hint"),
    [
        (State, "snapshot_evry", "did you mean snapshot_every=?"),
        (State, "colour", "there is name=, events=, snapshot_every="),
        (Event, "nmae", "did you mean name=?"),
        (Event, "frozn", "did you mean frozen=?"),
        (Projection, "retry", "did you mean retries=?"),
        (Projection, "start", "there is name=, source=, tags=, lane="),
    ],
)
def test_a_class_keyword_that_means_nothing_is_refused_with_those_that_there_are(
    base: Any, keyword: str, hint: str
) -> None:
    with pytest.raises(DefinitionError) as refused:
        type(base)("Odd", (base,), {}, **{keyword: 1})
    assert f"class Odd has no keyword {keyword}=; {hint}" in str(refused.value)


@pytest.mark.parametrize("address", [":memory:", "mem:", ":MEMORY:", "memory://"])
def test_other_names_for_a_store_in_memory_are_no_directories(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for make in (Act, LogStore):
        with pytest.raises(ValidationError, match="memory"):
            make(address)
    assert list(tmp_path.iterdir()) == []
    LogStore(f"./{address.rstrip('/')}").close()
    assert len(list(tmp_path.iterdir())) == 1


class Began(Event):
    pass


APPS: list[Act] = []


class Meddles(State):
    began: bool = False

    @reducer
    def begun(self, event: Began) -> None:
        if self.began:
            APPS[-1].do(Meddles.begin, "another")
        self.began = True

    @action
    def begin(self) -> Began:
        return Began()

    @action
    def do(self) -> None:
        helper(lambda app: app.do(Meddles.begin, "another"))

    @action
    def close(self) -> None:
        helper(lambda app: app.close_stream(Meddles, "other"))

    @action
    def store(self) -> None:
        helper(lambda app: app.snapshot(Meddles, "other"))

    @invariant("does what it must not")
    def rule(self) -> bool:
        APPS[-1].do(Meddles.begin, "another")
        return True

    @action(requires=[rule])
    def ruled(self) -> Began:
        return Began()


def helper(work: Any) -> None:
    work(APPS[-1])


@pytest.fixture
def meddling() -> Act:
    APPS.append(Act("memory:", Meddles))
    return APPS[-1]


@pytest.mark.parametrize("name", ["do", "close", "store", "ruled"])
def test_with_debug_a_decision_does_nothing_to_the_store(meddling: Act, name: str) -> None:
    APPS.append(Act(meddling.store, Meddles, debug=True))
    APPS[-1].do(Meddles.begin, "other")
    who = "the invariant 'rule'" if name == "ruled" else rf"Meddles\.{name}"
    with pytest.raises(DefinitionError, match=rf"was called by {who}, which may only fold or decide: .*a reaction"):
        APPS[-1].do(getattr(Meddles, name), "s")
    assert meddling.store.head == 1
    APPS[-1].do(Meddles.begin, "s")


def test_a_rule_does_nothing_to_the_store_without_debug_either(meddling: Act) -> None:
    with pytest.raises(DefinitionError, match=r"Meddles\.begin was called by the invariant 'rule'"):
        meddling.do(Meddles.ruled, "s")
    assert meddling.store.head == 0


def test_a_reducer_does_nothing_to_the_store_whoever_folds(meddling: Act) -> None:
    meddling.store.append("s", [Began()] * 2)
    for fold in (
        lambda: meddling.load(Meddles, "s"),
        lambda: list(meddling.history(Meddles, "s")),
        lambda: list(meddling.replay(Meddles)),
        lambda: meddling.do(Meddles.begin, "s"),
    ):
        with pytest.raises(DefinitionError, match="was called by a reducer of Meddles, which may only fold"):
            fold()
    meddling.do(Meddles.begin, "fresh")
    with pytest.raises(DefinitionError, match="was called by a reducer of Meddles"):
        meddling.do(Meddles.begin, "fresh")
    assert meddling.store.head == 3


FACTORY = """\
from act_fast import Act


def helper():
    raise KeyError("DATABASE")  # the line to see


def make_app():
    return helper()
"""


def test_a_factory_that_raises_shows_its_own_lines_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "made_up_factory.py").write_text(FACTORY)
    (tmp_path / "made_up_module.py").write_text("import made_up_factory\n\nmade_up_factory.helper()\n")
    monkeypatch.chdir(tmp_path)
    for address, lines in (("made_up_factory:make_app", [9, 5]), ("made_up_module:app", [3, 5])):
        with pytest.raises(ValidationError) as failed:
            find_app(address)
        message = str(failed.value)
        assert "KeyError: 'DATABASE'" in message
        assert "the line to see" in message
        assert "act_fast" not in message.replace("from act_fast", "")
        assert "importlib" not in message
        assert message.count("File ") == len(lines)
        assert all(f"line {line}, in" in message for line in lines)


VERBS_WITH_CONDITIONS = [
    LogStore.query,
    LogStore.arrow,
    LogStore.export,
    Act.query,
    Act.arrow,
    Act.export,
    AsyncAct.query,
]


@pytest.mark.parametrize("verb", VERBS_WITH_CONDITIONS, ids=lambda verb: verb.__qualname__)
def test_help_shows_each_condition(verb: Callable[..., object]) -> None:
    shown = inspect.signature(verb).parameters
    assert set(Conditions.__annotations__) <= set(shown)
    assert all(shown[name].kind is inspect.Parameter.KEYWORD_ONLY for name in Conditions.__annotations__)
    assert not any(each.kind is inspect.Parameter.VAR_KEYWORD for each in shown.values())


def test_a_condition_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path) -> None:
    with Act("memory:") as app:
        for ask in (app.query, app.arrow, app.store.query, partial(app.export, tmp_path / "all.csv")):
            with pytest.raises(TypeError, match="no condition 'steam'; there are stream, pattern, after"):
                ask(steam="a")  # type: ignore[call-overload, operator]
    assert not list(tmp_path.iterdir())
