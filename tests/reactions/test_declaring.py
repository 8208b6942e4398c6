"""What is wrong with a reaction is said when it is declared, and names the place where it is written."""

import re
import sqlite3
from collections.abc import Callable
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal

import msgspec
import pytest

from act_fast import (
    Act,
    AsyncAct,
    Backoff,
    Committed,
    DefinitionError,
    Event,
    Lane,
    LogStore,
    Projection,
    Slice,
    SqlProjection,
    State,
    ValidationError,
    upcast,
)
from act_fast import batch as projection_batch
from act_fast import on as projection_on
from tests.support.bank import Account, Deposited, Opened, Withdrawn
from tests.support.heard import Heard, deposit


class Order(Event):
    customer: str
    weight: float
    lines: int = 1
    note: str | None = None


class Address(msgspec.Struct):
    city: str


class Shipped(Event):
    to: Address


class Parcel(State, events=[Order, Shipped]):
    customer: str = ""


@pytest.fixture
def parcels() -> Act:
    return Act("memory:", Parcel)


def refused(app: Act, message: str, *events: type[Event], **options: Any) -> None:
    def handler(event: Committed[Any]) -> None: ...

    with pytest.raises(ValidationError, match=message):
        app.on(*(events or (Deposited,)), **options)(handler)


def test_the_handler_is_given_back_as_it_is(app: Act) -> None:
    def handler(event: Committed[Deposited]) -> None: ...

    assert app.on(Deposited)(handler) is handler


def test_a_reaction_needs_an_event(app: Act) -> None:
    with pytest.raises(ValidationError, match=r"test_declaring.*handler, line \d+: on\(\) names no event"):

        @app.on()  # type: ignore[call-overload]
        def handler(event: Committed[Any]) -> None: ...


@pytest.mark.parametrize("what", [Account, Event, "Deposited", Deposited(1)])
def test_only_event_classes_can_be_reacted_to(app: Act, what: Any) -> None:
    refused(app, "takes event classes, not", what)


def too_many(event: object, app: object, more: object) -> None: ...
def none_at_all() -> None: ...
def by_keyword(event: object, *, other: object) -> None: ...


@pytest.mark.parametrize("handler", [too_many, none_at_all, by_keyword])
def test_a_handler_takes_the_event_and_perhaps_the_app(app: Act, handler: Callable[..., object]) -> None:
    with pytest.raises(ValidationError, match=r"a handler takes the event, and optionally the app"):
        app.on(Deposited)(handler)


def test_a_handler_that_takes_the_bare_event_is_told_to_take_it_committed(app: Act) -> None:
    with pytest.raises(ValidationError, match=re.escape("write `event: Committed[Deposited]`")):

        @app.on(Deposited)
        def handler(event: Deposited) -> None: ...


def test_a_handler_of_another_event_is_refused(app: Act) -> None:
    with pytest.raises(ValidationError, match=r"takes Committed\[Opened\], but will be given Deposited"):

        @app.on(Deposited)
        def handler(event: Committed[Opened]) -> None: ...


def test_a_handler_may_take_a_union_or_a_base_of_its_events(app: Act) -> None:
    @app.on(Deposited, Withdrawn)
    def both(event: Committed[Deposited | Withdrawn]) -> None: ...

    @app.on(Deposited)
    def every(event: Committed[Event]) -> None: ...


def test_the_app_is_given_as_what_the_handler_can_use(app: Act) -> None:
    with pytest.raises(ValidationError, match="`async def` is given the app as AsyncAct"):

        @app.on(Deposited)
        async def waits(event: Committed[Deposited], app: Act) -> None: ...

    with pytest.raises(ValidationError, match="`def` is given the app as Act"):

        @app.on(Deposited)
        def calls(event: Committed[Deposited], app: AsyncAct) -> None: ...


def test_a_second_parameter_with_a_default_is_the_handlers_own(app: Act) -> None:
    seen: list[object] = []

    @app.on(Deposited)
    def handler(event: Committed[Deposited], suffix: str = "mine") -> None:
        seen.append(suffix)

    deposit(app, "a")
    app.settle()
    assert seen == ["mine"]


def test_a_lambda_needs_a_name(app: Act) -> None:
    with pytest.raises(ValidationError, match="needs a name to store its progress under"):
        app.on(Deposited)(lambda event: None)
    with pytest.raises(ValidationError, match="needs a name"):
        app.on(Deposited)(partial(too_many, app=1, more=2))
    app.on(Deposited, name="nothing")(lambda event: None)


@pytest.mark.parametrize("name", ["", "x" * 513, "a\nb", "a\0b"])
def test_a_name_that_cannot_be_stored_is_refused(app: Act, name: str) -> None:
    refused(app, "cannot be a reaction's name", name=name)


def test_two_handlers_of_one_name_are_refused_and_both_places_named(app: Act) -> None:
    @app.on(Deposited)
    def handler(event: Committed[Deposited]) -> None: ...

    first = handler.__code__.co_firstlineno
    with pytest.raises(ValidationError, match=rf"two reactions are called 'handler': .*line {first}.* and .*line \d+"):

        @app.on(Withdrawn)
        def handler(event: Committed[Withdrawn]) -> None: ...  # type: ignore[no-redef]

    assert [each.reaction for each in app.cursors()] == ["handler"], "what did not fit is not there"


def test_one_handler_of_several_events_is_one_reaction(app: Act) -> None:
    heard = Heard()
    app.on(Deposited, Opened, Deposited, to="both", name="both")(heard)
    app.do(Account.open, "a", owner="Ada")
    deposit(app, "a")
    app.settle()
    assert heard.places == [("a", 1), ("a", 2)]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("", "returned a target's name of 0 bytes"),
        ("x" * 513, "of 513 bytes"),
        ("a\nb", "NUL or a line break"),
        ("{version}", "names {version}"),
        ("{stream", "a { without its partner"),
        ("stream}", "a } without its partner"),
        ("{data}", "names {data}"),
        ("{data.owner}", r"names {data.owner}, but Deposited has amount"),
        ("{data.amount.more}", r"but Deposited.amount has no fields"),
    ],
)
def test_a_template_that_makes_no_sense_is_refused(app: Act, template: str, message: str) -> None:
    refused(app, message, to=template)


def test_a_template_must_fit_each_of_the_events(app: Act) -> None:
    refused(app, "names {data.amount}, but Opened has owner", Deposited, Opened, to="{data.amount}")


def test_a_number_with_a_fraction_names_no_target(parcels: Act) -> None:
    refused(parcels, "of a type that cannot name a target", Order, to="{data.weight}")
    refused(parcels, "of a type that cannot name a target", Shipped, to="{data.to}")
    parcels.on(Shipped, to="{data.to.city}", name="by-city")(Heard())


async def finds(event: Committed[Any]) -> str:
    return "a"


@pytest.mark.parametrize("to", [5, finds, ["a"]])
def test_a_target_is_a_name_a_template_or_a_plain_function(app: Act, to: Any) -> None:
    refused(app, "must be a name, a template or a plain function", to=to)


def test_a_function_that_takes_something_else_finds_no_target(app: Act) -> None:
    refused(app, "to= must take the event and nothing else", to=lambda: "a")


@pytest.mark.parametrize("source", ["(", "(?=a)", "x" * 513])
def test_a_source_that_cannot_be_searched_for_is_refused(app: Act, source: str) -> None:
    refused(app, "source=", source=source)
    refused(app, "source= is empty", source="")


def test_a_lane_must_be_declared(app: Act) -> None:
    refused(app, "lane 'mail' is not declared .there is 'default'.; .*lanes=", lane="mail")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"retries": -1}, "retries= must not be negative"),
        ({"retries": 1.5}, "retries= must be a whole number"),
        ({"retries": True}, "retries= must be a whole number"),
        ({"priority": 2**31}, "priority= must be a whole number of 32 bits"),
        ({"priority": "high"}, "priority= must be a whole number"),
        ({"backoff": "1s"}, "backoff= must be seconds or a Backoff"),
        ({"backoff": -1}, "cannot be a backoff"),
        ({"block": 1}, "block= must be True or False"),
        ({"defer": timedelta(seconds=-1)}, "defer= must not be negative"),
        ({"defer": 5}, "defer= must be a timedelta or a plain function"),
        ({"start": "today"}, 'start= must be "beginning" or "now"'),
        ({"lane": 5}, "lane= must be text"),
    ],
)
def test_an_option_that_cannot_be_right_is_refused(app: Act, options: dict[str, Any], message: str) -> None:
    refused(app, message, **options)


def test_a_slice_brings_its_reactions_and_lanes_along() -> None:
    banking = Slice(Account, lanes=[Lane("mail")])
    heard = Heard()
    banking.on(Deposited, lane="mail", name="mail")(heard)
    with Act("memory:", Slice(banking)) as app:
        deposit(app, "a")
        app.settle()
        assert heard.places == [("a", 1)]
        assert [target.lane for target in app.targets()] == ["mail"]


def test_what_is_wrong_with_a_slices_reaction_is_said_when_it_is_included() -> None:
    banking = Slice(Account)
    banking.on(Deposited, lane="mail", name="mail")(Heard())
    with pytest.raises(ValidationError, match="lane 'mail' is not declared"):
        Act("memory:", banking)
    with Act("memory:") as app:
        with pytest.raises(ValidationError, match="lane 'mail' is not declared"):
            app.include(banking)
        assert app.states == (), "nothing was added"


def test_a_reaction_added_to_a_slice_late_is_not_forgotten() -> None:
    banking = Slice(Account)
    heard = Heard()
    with Act("memory:", banking) as app:
        deposit(app, "a")
        app.settle()
        banking.on(Deposited, name="late")(heard)
        app.settle()
    assert heard.places == [("a", 1)]


@pytest.mark.parametrize(
    ("lanes", "message"),
    [
        ([Lane("mail"), Lane("mail", lease=5)], "lane 'mail' is declared twice"),
        (["mail"], "is not a lane; write Lane"),
        ("mail", "lanes= must be a list of Lane"),
    ],
)
def test_lanes_that_make_no_sense_are_refused(lanes: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Act("memory:", Account, lanes=lanes)


@pytest.mark.parametrize(
    "options",
    [{"name": ""}, {"name": "a", "targets_max": 0}, {"name": "a", "events_max": -1}, {"name": "a", "lease": 0}],
)
def test_a_lane_has_a_name_some_room_and_a_lease_that_lasts(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="lane"):
        Lane(**{"name": "mail", **options})


def test_a_store_that_keeps_no_targets_is_named() -> None:
    class Plain:
        def __init__(self, store: LogStore) -> None:
            self.append, self.load, self.version = store.append, store.load, store.version

    store: Any = Plain(LogStore.memory())
    app = Act(store, Account)
    app.on(Deposited, name="any")(Heard())
    with pytest.raises(ValidationError, match="Plain keeps no targets"):
        app.settle()


def test_a_backoff_may_be_given_as_seconds_or_in_full(app: Act) -> None:
    app.on(Deposited, backoff=1.5, name="seconds")(Heard())
    app.on(Deposited, backoff=Backoff(first=1, longest=2), name="full")(Heard())


def test_events_of_no_state_of_the_app_can_be_reacted_to(app: Act) -> None:
    heard = Heard()
    app.on(Order, Deposited, to="all", name="strangers")(heard)
    app.store.append("p", [Order("ada", 1.5)])
    deposit(app, "a")
    app.settle()
    assert [event.data for event in heard.events] == [Order("ada", 1.5), Deposited(1)]


class Noted(Event, name="Noted_v2"):
    text: str
    author: str

    @upcast(from_="Noted")
    @staticmethod
    def from_first(old: dict[str, Any]) -> dict[str, Any]:
        return {"text": old["text"], "author": "nobody"}


class Notes(State, events=[Noted]):
    text: str = ""


def test_events_stored_under_an_older_name_are_handled_and_find_the_target_of_today() -> None:
    heard = Heard()
    with Act("memory:", Notes) as app:
        app.on(Noted, to="{data.author}", name="noted")(heard)
        app.store.append("n", [("Noted", b'{"text":"old"}'), ("Noted_v2", b'{"text":"new","author":"ada"}')])
        app.settle()
        by_position = sorted(heard.events, key=lambda event: event.position)
        assert [event.data for event in by_position] == [Noted("old", "nobody"), Noted("new", "ada")]
        assert {target.name for target in app.targets()} == {"nobody", "ada"}


def test_a_field_that_the_log_may_leave_out_names_the_target_by_its_default(parcels: Act) -> None:
    heard = Heard()
    parcels.on(Order, to="lines-{data.lines}", name="lines")(heard)
    parcels.store.append("p", [("Order", b'{"customer":"ada","weight":1.5}')])
    parcels.settle()
    assert [target.name for target in parcels.targets()] == ["lines-1"]


class Flagged(Event):
    urgent: bool
    day: datetime
    kind: Literal["a", "b"]


class Flags(State, events=[Flagged]):
    urgent: bool = False


@pytest.mark.parametrize("upcasted", [False, True])
def test_values_name_a_target_as_they_are_stored_whoever_fills_in_the_template(upcasted: bool) -> None:
    class FlaggedNow(Event, name="Flagged_now"):
        urgent: bool
        day: datetime
        kind: Literal["a", "b"]

        if upcasted:

            @upcast(from_="Flagged")
            @staticmethod
            def same(old: dict[str, Any]) -> dict[str, Any]:
                return old

    class Flagging(State, events=[FlaggedNow]):
        urgent: bool = False

    with Act("memory:", Flagging) as app:
        app.on(FlaggedNow, to="{data.urgent}/{data.day}/{data.kind}{{}}", name="flags")(Heard())
        app.store.append("f", [FlaggedNow(True, datetime(2026, 1, 2, tzinfo=UTC), "a")])
        app.settle()
        assert [target.name for target in app.targets()] == ["true/2026-01-02T00:00:00Z/a{}"]


def test_a_decorator_without_brackets_is_an_error_and_swallows_nothing(app: Act) -> None:
    def handler(event: Committed[Deposited]) -> None: ...

    on: Any = app.on
    for what in (handler, partial(handler), Heard().__call__):
        with pytest.raises(DefinitionError, match=r"it needs brackets .* write @app\.on\(Deposited\)"):
            on(what)
    on = Slice(Account).on
    with pytest.raises(DefinitionError, match="it needs brackets"):
        on(handler)
    for decorator in (projection_on, projection_batch):
        bare: Any = decorator
        with pytest.raises(DefinitionError, match="it needs brackets"):
            bare(handler)


@pytest.mark.parametrize("what", ["Deposited", Account, Event, 5, None])
def test_what_is_no_event_class_is_refused_before_anything_is_decorated(app: Act, what: Any) -> None:
    for decorator in (app.on, projection_on, projection_batch):
        with pytest.raises(DefinitionError, match="takes event classes, not"):
            decorator(what)


def yields(event: Committed[Any]) -> Any:
    yield event


async def yields_too(event: Committed[Any]) -> Any:
    yield event


class Yields:
    def __call__(self, event: Committed[Any]) -> Any:
        yield event


@pytest.mark.parametrize("handler", [yields, yields_too, Yields(), partial(yields), partial(yields_too)])
def test_a_handler_with_a_yield_in_it_would_never_run(app: Act, handler: Any) -> None:
    with pytest.raises(DefinitionError, match="has a `yield` in it, so that calling it runs nothing"):
        app.on(Deposited, name="yields")(handler)


@pytest.mark.parametrize("decorator", [projection_on, projection_batch])
@pytest.mark.parametrize("base", [Projection, SqlProjection])
def test_a_method_of_a_projection_with_a_yield_in_it_would_never_run(decorator: Any, base: Any) -> None:
    def deposited(self: Any, event: Any, db: Any = None) -> Any:
        yield event

    async def deposited_too(self: Any, event: Any, db: Any = None) -> Any:
        yield event

    for method in (deposited, deposited_too):
        made = type("Balances", (base,), {"deposited": decorator(Deposited)(method)})
        with pytest.raises(DefinitionError, match=r"deposited.* has a `yield` in it"):
            Act("memory:", Account, made() if base is Projection else made(lambda: sqlite3.connect(":memory:")))


async def waits(event: Committed[Any]) -> None: ...


@pytest.mark.parametrize(
    ("handler", "what"),
    [
        (lambda event: waits(event), "a coroutine"),
        (partial(lambda event: waits(event)), "a coroutine"),
        (lambda event: yields(event), "a generator"),
        (lambda event: yields_too(event), "a generator"),
        (lambda event: contextmanager(yields)(event), "a generator"),
        (lambda event: asynccontextmanager(yields_too)(event), "a generator"),
        (lambda event: map(print, [event]), "returned map; nothing of it has run"),
    ],
)
def test_a_handler_that_gives_back_its_own_call_unrun_is_blocked(app: Act, handler: Any, what: str) -> None:
    app.on(Deposited, to="all", name="all")(handler)
    deposit(app, "a")
    app.settle()
    (target,) = app.blocked()
    assert what in target.error
    assert target.watermark == 0


async def gives(event: Committed[Any]) -> Any:
    return waits(event)


def test_an_async_handler_that_gives_a_coroutine_is_blocked(app: Act) -> None:
    app.on(Deposited, to="all")(gives)
    deposit(app, "a")
    app.settle()
    (target,) = app.blocked()
    assert "returned a coroutine; await it" in target.error


@pytest.mark.parametrize("decorator", [projection_on, projection_batch])
def test_a_method_of_a_projection_that_gives_a_coroutine_is_blocked(decorator: Any) -> None:
    class Balances(Projection):
        @decorator(Deposited)
        def deposited(self, events: Any) -> Any:
            return waits(events)

    class Waiting(Projection):
        @decorator(Deposited)
        async def deposited(self, events: Any) -> Any:
            return waits(events)

    with Act("memory:", Account, Balances(), Waiting()) as app:
        deposit(app, "a", "b")
        app.settle()
        assert ["a coroutine" in target.error for target in app.blocked()] == [True, True]


def app_first(app: Act, event: Committed[Deposited]) -> None: ...
def app_first_by_name(app, event): ...  # type: ignore[no-untyped-def]
def event_second(store: Any, event: Committed[Deposited]) -> None: ...
def a_method(self, event): ...  # type: ignore[no-untyped-def]
async def async_app_first(app: AsyncAct, event: Committed[Deposited]) -> None: ...


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (app_first, "takes the app first"),
        (app_first_by_name, "takes the app first"),
        (event_second, "takes the event second"),
        (a_method, "takes `self`"),
        (async_app_first, "takes the app first"),
    ],
)
def test_parameters_in_the_wrong_order_are_refused(app: Act, handler: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        app.on(Deposited)(handler)


class Paid(Event):
    amount: int


class PaidByCard(Paid):
    card: str = ""


class PaidOnline(PaidByCard):
    site: str = ""


class Payments(State, events=[Paid, PaidByCard, PaidOnline]):
    amount: int = 0


def test_a_base_class_needs_the_events_that_derive_from_it_named_too() -> None:
    heard = Heard()
    with Act("memory:", Payments) as app:
        refused(app, r"is for Paid, but would receive nothing of PaidByCard, PaidOnline.*name all of them", Paid)
        refused(app, "would receive nothing of PaidOnline", Paid, PaidByCard)
        app.on(PaidOnline, name="online")(heard)
        app.on(Paid, PaidByCard, PaidOnline, to="all", name="all")(heard)

    class Wrong(Projection):
        @projection_on(Paid)
        def paid(self, event: Committed[Paid]) -> None: ...

    class Right(Projection):
        @projection_on(Paid)
        def paid(self, event: Committed[Paid]) -> None: ...

        @projection_on(PaidByCard, PaidOnline)
        def by_card(self, event: Committed[PaidByCard]) -> None: ...

    with pytest.raises(DefinitionError, match="receive nothing of PaidByCard, PaidOnline"):
        Act("memory:", Payments, Wrong())
    Act("memory:", Payments, Right()).close()


def test_an_event_that_comes_to_derive_later_is_missed_when_the_app_is_made() -> None:
    class Sent(Event):
        to: str = ""

    posted = Slice()
    posted.on(Sent)(lambda_named("sent"))

    class SentAgain(Sent):
        times: int = 0

    with pytest.raises(DefinitionError, match=r"receive nothing of .*SentAgain"):
        Act("memory:", posted)
    assert SentAgain.__stored_name__ == "SentAgain"


def lambda_named(name: str) -> Callable[..., Any]:
    def handler(event: Committed[Any]) -> None: ...

    handler.__name__ = name
    return handler


def test_a_class_that_was_defined_again_counts_once() -> None:
    class Base(Event):
        pass

    class Again(Base):
        pass

    first = Again

    class Again(Base):  # type: ignore[no-redef]
        pass

    with Act("memory:") as app:
        app.on(Base, Again, name="both")(Heard())
    assert first is not Again


def test_a_projections_decorator_on_a_state_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"Wrong\.deposited .*belongs to a Projection"):

        class Wrong(State):
            @projection_on(Deposited)
            def deposited(self, event: Any) -> None: ...


@pytest.mark.parametrize("events", ["", "Deposited", b""])
def test_events_are_classes_and_not_text(app: Act, events: Any) -> None:
    with pytest.raises(DefinitionError, match="events= must be a list of event classes"):
        type(State)("Named", (State,), {}, events=events)
    with pytest.raises(ValidationError, match="events must be a sequence of event classes"):
        app.query(events=events)
