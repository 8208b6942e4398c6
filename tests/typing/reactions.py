"""`on` knows the events: what a handler, a resolver and a deferral are given is checked against them."""

from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import assert_type

from act_fast import (
    Acked,
    Act,
    AsyncAct,
    Backoff,
    Blocked,
    Claimed,
    Committed,
    Correlation,
    Cursor,
    Drained,
    Event,
    Lane,
    Ran,
    Settled,
    Slice,
    Target,
)
from act_fast.webhooks import Webhook, verify_webhook

from .domain import Account, Deposited, Opened

app = Act("memory:", Account, lanes=[Lane("mail", lease=5.0)])
bank = AsyncAct("memory:", Account, lanes=[Lane("mail")])
banking = Slice(Account, lanes=[Lane("mail", targets_max=4, events_max=10)])


@app.on(Deposited)
def of_one(event: Committed[Deposited]) -> int:
    return event.data.amount


@app.on(Deposited, Opened, to="audit-{stream}", name="two")
def of_two(event: Committed[Deposited | Opened]) -> None: ...


@app.on(
    Deposited,
    source="^account-",
    tags=["a:1"],
    lane="mail",
    priority=5,
    retries=0,
    backoff=Backoff(first=1),
    block=False,
)
def with_app(event: Committed[Deposited], app: Act) -> None:
    assert_type(event.data.amount, int)


@bank.on(Opened, defer=timedelta(days=1), start="now")
async def awaited(event: Committed[Opened], app: AsyncAct) -> None:
    await app.do(Account.deposit, event.stream, amount=5)


@banking.on(Opened, to=lambda event: event.data.owner, defer=lambda event: event.created)
def of_a_slice(event: Committed[Event]) -> None: ...


@app.on(Opened, to=lambda event: [event.data.owner, "all"] if event.data.owner else None, name="several")
def several(event: Committed[Opened]) -> None: ...


def a_handler_stays_what_it_is(event: Committed[Deposited]) -> None:
    assert_type(of_one(event), int)


@app.on(Deposited)  # type: ignore[arg-type]
def of_another(event: Committed[Opened]) -> None: ...


@app.on(Deposited, Opened)  # type: ignore[arg-type]
def of_too_few(event: Committed[Deposited]) -> None: ...


@app.on(Deposited)  # type: ignore[arg-type]
def of_the_bare_event(event: Deposited) -> None: ...


@app.on(Deposited)  # type: ignore[arg-type]
def of_nothing() -> None: ...


@app.on(Opened, to=lambda event: event.data.amount)  # type: ignore[attr-defined]
def of_a_wrong_field(event: Committed[Opened]) -> None: ...


def wrong_options() -> None:
    app.on(Account)  # type: ignore[type-var]
    app.on(Deposited, retries="3")  # type: ignore[call-overload]
    app.on(Deposited, to=5)  # type: ignore[call-overload]
    app.on(Deposited, start="later")  # type: ignore[call-overload]
    app.on(Deposited, defer=5)  # type: ignore[call-overload]
    Act("memory:", Account, lanes=["mail"])  # type: ignore[list-item]
    Lane(5)  # type: ignore[arg-type]


def the_verbs() -> None:
    assert_type(app.correlate(limit=10), Correlation)
    assert_type(app.drain(5, lanes=["mail"], concurrency=2), Drained)
    assert_type(app.settle(passes=3), Settled)
    assert_type(app.settle().drained.handled, int)
    assert_type(app.run(lanes=["mail"], grace=5), Ran)
    assert_type(app.targets(pattern="a"), Iterator[Target])
    assert_type(app.blocked(), Iterator[Target])
    assert_type(app.cursors(), list[Cursor])
    assert_type(app.lanes, Mapping[str, Lane])
    assert_type(app.reset("a"), int)
    assert_type(app.unblock(["a", "b"]), int)
    assert_type(app.block(lane="mail", error="why"), int)
    assert_type(app.defer("a", until=datetime.now(UTC)), int)
    assert_type(app.prioritize("a", 5), int)
    assert_type(app.wait_for(app.do(Account.deposit, "a", 5), "audit-a", timeout=1), Target)
    app.defer("a")  # type: ignore[call-arg]
    app.wait_for("a", 5)  # type: ignore[arg-type]
    app.targets(blocked="yes")  # type: ignore[arg-type]


def the_observers() -> None:
    def claimed(what: Claimed) -> None: ...
    def acked(what: Acked) -> None: ...
    def blocked(what: Blocked) -> None: ...
    def settled(what: Settled) -> None: ...

    app.observe("claimed", claimed)
    app.observe("acked", acked)
    app.observe("blocked", blocked)
    bank.observe("settled", settled)
    app.observe("claimed", acked)  # type: ignore[call-overload]


async def the_verbs_awaited() -> None:
    assert_type(await bank.correlate(), Correlation)
    assert_type(await bank.drain(), Drained)
    assert_type(await bank.settle(), Settled)
    assert_type(await bank.run(), Ran)
    assert_type(bank.targets(), AsyncIterator[Target])
    assert_type(await bank.wait_for(5, "a"), Target)
    assert_type(await bank.reset(pattern=""), int)


def what_is_sent_and_received() -> None:
    app.on(Deposited, name="hook")(Webhook("https://shop.example/", secret=b"x" * 24))
    bank.on(Deposited, Opened, name="hook")(Webhook("https://shop.example/", secret=["x", b"y"], timeout=5))
    assert_type(verify_webhook({"webhook-id": "a"}, b"", "secret").id, str)
    Webhook("https://shop.example/")  # type: ignore[call-arg]
    verify_webhook({}, "text", "secret")  # type: ignore[arg-type]
