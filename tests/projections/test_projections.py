"""Projections: classes whose methods keep a read model."""

from typing import Any

import pytest

from act_fast import Act, AsyncAct, Committed, DefinitionError, Event, Lane, Projection, Slice, batch, on
from tests.support.bank import Account, Deposited, Opened, Withdrawn
from tests.support.heard import deposit


class Balances(Projection, name="balances", retries=1, backoff=0):
    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self.positions: list[int] = []

    @on(Deposited)
    def deposited(self, event: Committed[Deposited]) -> None:
        self._add(event, event.data.amount)

    @on(Withdrawn)
    def withdrawn(self, event: Committed[Withdrawn]) -> None:
        self._add(event, -event.data.amount)

    def _add(self, event: Committed[Any], amount: int) -> None:
        self.positions.append(event.position)
        self.rows[event.stream] = self.rows.get(event.stream, 0) + amount


class Lists(Projection):
    def __init__(self) -> None:
        self.lists: list[list[int]] = []

    @batch(Deposited)
    def many(self, events: list[Committed[Deposited]]) -> None:
        self.lists.append([event.position for event in events])


class Mixed(Lists):
    @on(Withdrawn)
    def one(self, event: Committed[Withdrawn]) -> None:
        self.lists.append([-event.position])


def fill(app: Act) -> None:
    app.do(Account.open, "a", owner="Ada")
    deposit(app, "a", "b", "a", amount=5)
    app.do(Account.withdraw, "a", amount=3)
    deposit(app, "a", amount=5)


def test_each_event_comes_to_its_method_in_order_under_one_target() -> None:
    balances = Balances()
    with Act("memory:", Account, balances) as app:
        fill(app)
        app.settle()
        assert balances.rows == {"a": 12, "b": 5}
        assert balances.positions == [2, 3, 4, 5, 6]
        assert [(target.name, target.watermark) for target in app.targets()] == [("balances", 6)]


def test_a_batch_method_is_given_what_was_fetched_together() -> None:
    lists = Lists()
    with Act("memory:", Account, lists, lanes=[Lane("default", events_max=3)]) as app:
        fill(app)
        app.settle()
        assert lists.lists == [[2, 3, 4], [6]]


def test_a_single_event_comes_to_a_batch_method_as_a_list_too() -> None:
    lists = Lists()
    with Act("memory:", Account, lists) as app:
        deposit(app, "a")
        app.settle()
        assert lists.lists == [[1]]


def test_single_and_batch_methods_together_keep_the_order() -> None:
    mixed = Mixed()
    with Act("memory:", Account, mixed) as app:
        fill(app)
        app.settle()
        assert mixed.lists == [[2, 3, 4], [-5], [6]]


def test_what_a_batch_has_handled_before_a_failure_is_not_handled_again() -> None:
    class Stumbling(Mixed, retries=1, backoff=0):
        @on(Withdrawn)
        def one(self, event: Committed[Withdrawn]) -> None:
            raise ValueError("not this one")

    stumbling = Stumbling()
    with Act("memory:", Account, stumbling) as app:
        fill(app)
        app.settle()
        assert stumbling.lists == [[2, 3, 4]]
        (blocked,) = app.blocked()
        assert (blocked.failing, blocked.attempts, blocked.watermark) == (5, 2, 4)


async def test_methods_may_be_async() -> None:
    class Awaited(Projection):
        seen: list[int] = []

        @on(Deposited)
        async def deposited(self, event: Committed[Deposited]) -> None:
            self.seen.append(event.position)

        @batch(Withdrawn)
        async def withdrawn(self, events: list[Committed[Withdrawn]]) -> None:
            self.seen.extend(-event.position for event in events)

    async with AsyncAct("memory:", Account, Awaited()) as app:
        await app.do(Account.open, "a", owner="Ada")
        await app.do(Account.deposit, "a", amount=5)
        await app.do(Account.withdraw, "a", amount=5)
        await app.settle()
        assert Awaited.seen == [2, -3]


def test_a_projection_can_be_included_and_be_part_of_a_slice() -> None:
    first, second = Balances(), Lists()
    with Act("memory:", Slice(Account, first)) as app:
        deposit(app, "a")
        app.include(second)
        app.settle()
        assert (first.rows, second.lists) == ({"a": 1}, [[1]])


def test_its_events_need_no_state() -> None:
    balances = Balances()
    with Act("memory:", balances) as app:
        app.store.append("a", [Deposited(5)])
        app.settle()
        assert balances.rows == {"a": 5}


def test_what_was_just_written_can_be_waited_for() -> None:
    balances = Balances()
    with Act("memory:", Account, balances) as app:
        snapshot = app.do(Account.deposit, "a", amount=5)
        with pytest.raises(TimeoutError, match="balances"):
            app.wait_for(snapshot, balances, timeout=0.01)
        app.settle()
        assert app.wait_for(snapshot, balances, timeout=10).watermark == 1


def test_the_keywords_of_its_class_are_those_of_a_reaction() -> None:
    class Slow(Balances, lane="slow", priority=7, source="a"): ...

    slow = Slow()
    with Act("memory:", Account, slow, lanes=[Lane("slow")]) as app:
        deposit(app, "a", "aa")
        app.settle()
        (target,) = app.targets()
        assert (target.name, target.lane, target.priority) == ("Slow", "slow", 7)
        assert slow.rows == {"a": 1}
        assert slow.reactions[0].retries == 1, "inherited"


def test_braces_in_a_name_are_no_template() -> None:
    class Braced(Lists, name="{stream}"): ...

    with Act("memory:", Account, Braced()) as app:
        deposit(app, "a")
        app.settle()
        assert [target.name for target in app.targets()] == ["{stream}"]


def test_a_subclass_may_put_another_method_in_the_place_of_one() -> None:
    class Doubled(Balances):
        @on(Deposited)
        def deposited(self, event: Committed[Deposited]) -> None:
            self._add(event, 2 * event.data.amount)

    doubled = Doubled()
    with Act("memory:", Account, doubled) as app:
        deposit(app, "a")
        app.settle()
        assert doubled.rows == {"a": 2}


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(DefinitionError, match=r"two reactions are called 'balances'.*Balances"):
        Act("memory:", Account, Balances(), Balances())


class Nothing(Projection): ...


class Twice(Projection):
    @on(Deposited)
    def one(self, event: Committed[Deposited]) -> None: ...

    @batch(Deposited, Withdrawn)
    def other(self, events: list[Any]) -> None: ...


class TakesMore(Projection):
    @on(Deposited)
    def one(self, event: Committed[Deposited], app: Act) -> None: ...


class TakesTheEventItself(Projection):
    @on(Deposited)
    def one(self, event: Deposited) -> None: ...  # type: ignore[type-var]


class HalfAsync(Projection):
    @on(Deposited)
    async def one(self, event: Committed[Deposited]) -> None: ...

    @on(Opened)
    def other(self, event: Committed[Opened]) -> None: ...


class NoSuchLane(Lists, lane="fast"): ...


@pytest.mark.parametrize(
    ("projection", "said"),
    [
        (Nothing(), "handles no event"),
        (Twice(), "Deposited is handled by .*one.* and by .*other"),
        (TakesMore(), "takes the event, nothing else"),
        (TakesTheEventItself(), r"Committed\[Deposited\]"),
        (HalfAsync(), "make them alike"),
        (NoSuchLane(), "lane 'fast' is not declared"),
    ],
)
def test_what_cannot_be_is_said_when_it_is_included(projection: Projection, said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        Act("memory:", Account, projection)


@pytest.mark.parametrize("decorator", [on, batch])
def test_only_event_classes_can_be_named(decorator: Any) -> None:
    for wrong in ((), (Account,), (Event,), ("Deposited",)):
        with pytest.raises(DefinitionError, match=decorator.__name__):
            decorator(*wrong)


def test_a_class_instead_of_an_instance_is_no_component() -> None:
    with pytest.raises(DefinitionError, match=r"Balances is not a component .* instance of it: `Balances\(\.\.\.\)`"):
        Act("memory:", Account, Balances)  # type: ignore[arg-type]
