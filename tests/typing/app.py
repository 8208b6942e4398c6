"""`do`, `load` and `history` know the action's arguments and the state, and let no `Any` out."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import assert_type

from act_fast import Act, Actor, CacheInfo, Call, Committed, Event, EventCause, LogStore, Slice, Snapshot

from .domain import Account, Deposited, Opened, Savings


def right(app: Act) -> None:
    assert_type(app.do(Account.open, "a", owner="Ada"), Snapshot[Account])
    assert_type(app.do(Account.open, "a", "Ada"), Snapshot[Account])
    assert_type(app.do(Account.deposit, "a", 5, note="why"), Snapshot[Account])
    assert_type(app.do(Account.deposit_each, "a", amounts=[1]), Snapshot[Account])
    assert_type(app.do(Account.maybe, "a"), Snapshot[Account])
    assert_type(app.do(Savings.deposit, "a", 5), Snapshot[Savings])
    assert_type(app.do(Savings.deposit, "a", 5).state.interest, float)
    assert_type(app.do(Account.deposit, "a", amount=5).state.balance, int)
    assert_type(app.load(Account, "a"), Snapshot[Account])
    assert_type(app.load(Account, "a", before=2).state, Account)
    assert_type(app.load(Account, "a", at=datetime.now(UTC)).version, int)
    assert_type(app.load(Account, "a", position=7).event, Committed[Event] | None)
    assert_type(app.load(Account, "a").meta.actor, Actor | None)
    assert_type(app.load(Account, "a").meta.event, EventCause | None)
    assert_type(app.load(Account, "a").closed, bool)
    assert_type(app.history(Account, "a"), Iterator[Snapshot[Account]])
    assert_type(app.snapshot(Account, "a"), Snapshot[Account])
    assert_type(app.query(), Iterator[Committed[Event]])
    assert_type(app.query(stream="a", after=3, limit=1), Iterator[Committed[Event]])
    assert_type(app.query(events=[Deposited], pattern="^a"), Iterator[Committed[Deposited]])
    assert_type(next(app.query(events=[Deposited])).data.amount, int)
    for event in app.query(events=[Deposited, Opened]):
        assert_type(event.stream, str)
        if isinstance(event.data, Opened):
            assert_type(event.data.owner, str)
    assert_type(app.do_many(Account.deposit.at("a", 5)), tuple[Snapshot[Account]])
    assert_type(
        app.do_many(Account.open.at("a", owner="Ada"), Savings.deposit.at("b", 5)),
        tuple[Snapshot[Account], Snapshot[Savings]],
    )
    several = [Account.deposit.at(each, 5, note="why") for each in "abc"]
    assert_type(several[0], Call[Account])
    assert_type(app.do_many(*several)[0].state.balance, int)
    assert_type(app.acting(Actor("u1")).expecting(3), Act)
    assert_type(app.cache_info(), CacheInfo)
    Act("bank.act", Account)
    Act(LogStore.memory(), Slice(Account), Savings, debug=True, unknown="raise")


def classes_held_in_variables(app: Act, some: list[type[Event]], maybe: list[type[Event]] | None) -> None:
    assert_type(app.query(events=some), Iterator[Committed[Event]])
    assert_type(app.query(events=maybe), Iterator[Committed[Event]])


def wrong_arguments(app: Act) -> None:
    app.do(Account.deposit, "a", amount="5")  # type: ignore[arg-type]
    app.do(Account.deposit, "a", "5")  # type: ignore[arg-type]
    app.do(Account.deposit, "a", sum=5)  # type: ignore[call-arg]
    app.do(Account.deposit, "a")  # type: ignore[call-arg]
    app.do(Account.deposit, "a", 5, "why")  # type: ignore[call-arg]
    app.do(Account.deposit_each, "a", amounts=["1"])  # type: ignore[list-item]
    app.do(Account.deposit, 7, amount=5)  # type: ignore[arg-type]
    Account.deposit.at("a", amount="5")  # type: ignore[arg-type]
    Account.deposit.at("a")  # type: ignore[call-arg]
    Account.deposit.at(7, amount=5)  # type: ignore[arg-type]
    app.do_many(Account.deposit)  # type: ignore[call-overload]
    app.do_many(Account.deposit, Account.deposit.at("a", 5))  # type: ignore[call-overload]


def wrong_names(app: Act) -> None:
    app.do(Account.withdraw, "a", amount=5)  # type: ignore[attr-defined]
    app.do("deposit", "a", amount=5)  # type: ignore[arg-type]
    print(app.load(Account, "a").state.blance)  # type: ignore[attr-defined]
    app.load(Account, "a", befor=2)  # type: ignore[call-overload]


def wrong_kinds(app: Act) -> None:
    app.do(Account.deposited, "a", Deposited(5))  # type: ignore[arg-type]
    app.load(Deposited, "a")  # type: ignore[type-var]
    app.load(Account(), "a")  # type: ignore[call-overload]
    app.query(events=[Account])  # type: ignore[type-var]
    app.query(streams="a")  # type: ignore[call-overload]
    print(next(app.query(events=[Deposited])).data.owner)  # type: ignore[attr-defined]
    app.acting("Ada")  # type: ignore[arg-type]
    app.expecting("1")  # type: ignore[arg-type]
    app.observe("commited", print)  # type: ignore[call-overload]
    app.load(Account, "a").version = 2  # type: ignore[misc]
    Act("bank.act", Deposited)  # type: ignore[arg-type]
    Act("bank.act", Account, unknown="ignore")  # type: ignore[arg-type]


def members_of_an_instance(account: Account) -> None:
    assert_type(account.deposit(5), Deposited)
    assert_type(account.is_open(), bool)
    account.opened(Opened("Ada"))
    account.opened(Deposited(5))  # type: ignore[arg-type]
    account.deposit("5")  # type: ignore[arg-type]
