"""Decisions on views and states: folded, decided, appended if nothing that was seen has changed."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, ClassVar

import pytest

from act_fast import (
    Act,
    Actor,
    Append,
    AsyncAct,
    ConcurrencyError,
    ConditionError,
    ConflictError,
    DefinitionError,
    Event,
    LogStore,
    State,
    StreamClosedError,
    Tag,
    TagKey,
    ValidationError,
    View,
    action,
    at,
    decision,
    reducer,
    total,
)


class CourseDefined(Event):
    course: Tag[str]
    seats: int


class Enrolled(Event):
    course: Tag[str]
    student: Tag[str]


class Course(View, name="course"):
    seats: int = 0
    taken: int = 0

    @reducer
    def defined(self, event: CourseDefined) -> None:
        self.seats = event.seats

    @reducer
    def enrolled(self, event: Enrolled) -> None:
        self.taken += 1


class Busy(View, name="student"):
    """What a decision looks at, any number of them."""

    courses: list[str] = []

    @reducer
    def enrolled(self, event: Enrolled) -> None:
        self.courses.append(event.course)


@decision
def enrol_together(course: Course, *students: Busy, who: list[str]) -> list[Enrolled]:
    if any("maths" in each.courses for each in students):
        raise RuntimeError("one of them is in it")
    return [Enrolled("maths", each) for each in who]


class Student(View, name="student"):
    courses: int = 0

    @reducer
    def enrolled(self, event: Enrolled) -> None:
        self.courses += 1


class FullError(Exception):
    pass


@decision(retries=50)
def enrol(course: Course, student: Student, name: str, who: str, most: int = 3) -> Enrolled:
    if course.taken >= course.seats:
        raise FullError(name)
    if student.courses >= most:
        raise FullError(who)
    return Enrolled(name, who)


@decision
def define(course: Course, name: str, seats: int) -> CourseDefined | None:
    return None if course.seats == seats else CourseDefined(name, seats)


class Opened(Event):
    limit: int


class Paid(Event):
    account: Tag[str]
    amount: int


class Received(Event):
    account: Tag[str]
    amount: int


class Account(State):
    limit: int = 0
    balance: int = total(Received.amount) - total(Paid.amount)

    @action
    def open(self, limit: int) -> Opened:
        return Opened(limit)

    @action
    def receive(self, account: str, amount: int) -> Received:
        return Received(account, amount)

    @action
    def pay(self, account: str, amount: int) -> Paid:
        return Paid(account, amount)


@decision
def transfer(source: Account, target: Account, amount: int) -> list[Append]:
    if source.balance < amount:
        raise FullError("money")
    return [Append("account-1", [Paid("1", amount)]), Append("account-2", [Received("2", amount)])]


@pytest.fixture
def app() -> Iterator[Act]:
    with Act("memory:", Account) as app:
        app.decide(define, Course.of("maths"), "maths", seats=2)
        yield app


def test_what_the_decision_returns_is_appended_to_the_stream_of_what_was_given_first(app: Act) -> None:
    decided = app.acting(Actor("u1")).decide(enrol, Course.of("maths"), Student.of("ada"), "maths", who="ada")
    assert decided.events == [Enrolled("maths", "ada")]
    assert (decided.position, [each.last_version for each in decided.appended]) == (2, [2])
    event = next(app.store.query(tags=["student:ada"]))
    assert (event.stream, event.tags) == ("course-maths", ("course:maths", "student:ada"))
    assert event.meta.action is not None
    assert (event.meta.action.name, event.meta.actor) == ("enrol", Actor("u1"))


def test_a_rule_over_several_views_holds(app: Act) -> None:
    for who in ("ada", "bob"):
        app.decide(enrol, Course.of("maths"), Student.of(who), "maths", who)
    with pytest.raises(FullError, match="maths"):
        app.decide(enrol, Course.of("maths"), Student.of("cyd"), "maths", "cyd")
    app.decide(define, Course.of("art"), "art", 30)
    with pytest.raises(FullError, match="ada"):
        app.decide(enrol, Course.of("art"), Student.of("ada"), "art", "ada", most=1)
    assert app.store.head == 4


def test_a_decision_for_nothing_appends_nothing(app: Act) -> None:
    decided = app.decide(define, Course.of("maths"), "maths", 2)
    assert (decided.events, decided.appended, decided.position) == ((), (), 1)
    assert app.store.head == 1


def test_it_decides_again_on_what_came_meanwhile(app: Act) -> None:
    seen: list[int] = []

    @decision(retries=1)
    def late(course: Course) -> Enrolled:
        seen.append(course.taken)
        if len(seen) == 1:
            app.store.append("elsewhere", [Enrolled("maths", "bob")])
        return Enrolled("maths", "ada")

    app.decide(late, Course.of("maths"))
    assert seen == [0, 1]


def test_without_retries_left_the_conflict_is_raised_and_what_does_not_matter_is_none(app: Act) -> None:
    def between(event: Event) -> Any:
        @decision(retries=0)
        def decider(course: Course) -> Enrolled:
            app.store.append("elsewhere", [event])
            return Enrolled("maths", "ada")

        return decider

    with pytest.raises(ConditionError):
        app.decide(between(Enrolled("maths", "bob")), Course.of("maths"))
    app.decide(between(Enrolled("art", "bob")), Course.of("maths"))
    app.decide(between(Received("maths", 1)), Course.of("maths"))


def test_a_decision_can_be_given_more_retries() -> None:
    tries: list[int] = []

    @decision(retries=0)
    def pay(account: Account, app: Any) -> Paid:
        tries.append(account.balance)
        if len(tries) < 3:
            app.store.append("account-1", [Received("1", 1)])
        return Paid("1", 1)

    with Act("memory:", Account) as app:
        with pytest.raises(ConcurrencyError):
            app.decide(pay, at(Account, "account-1"), app)
        app.decide(pay.retrying(1), at(Account, "account-1"), app)
    assert tries == [0, 1, 2]
    assert (pay.retries, pay.retrying(5).retries) == (0, 5)


def test_states_and_views_mix_and_each_is_guarded(app: Act) -> None:
    app.do(Account.receive, "account-1", account="1", amount=100)
    decided = app.decide(transfer, at(Account, "account-1"), at(Account, "account-2"), 60)
    assert [each.last_version for each in decided.appended] == [2, 1]
    with pytest.raises(FullError):
        app.decide(transfer, at(Account, "account-1"), at(Account, "account-2"), 60)
    assert app.load(Account, "account-2").state.balance == 60

    @decision(retries=0)
    def late(account: Account, course: Course) -> Append:
        app.store.append("account-1", [Paid("1", 1)])
        return Append("elsewhere", [Enrolled("maths", "ada")])

    with pytest.raises(ConcurrencyError):
        app.decide(late, at(Account, "account-1"), Course.of("maths"))
    assert app.store.version("elsewhere") == 0
    app.close_stream(Account, "account-1")
    with pytest.raises(StreamClosedError):
        app.decide(transfer, at(Account, "account-1"), at(Account, "account-2"), 1)


def test_one_event_may_be_of_one_view_under_several_tags() -> None:
    class Moved(Event):
        source: Annotated[str, TagKey("shelf")]
        target: Annotated[str, TagKey("shelf")]

    class Shelf(View, name="shelf"):
        moves: int = 0

        @reducer
        def moved(self, event: Moved) -> None:
            self.moves += 1

    seen: list[tuple[int, int]] = []

    @decision
    def move(source: Shelf, target: Shelf) -> Moved:
        seen.append((source.moves, target.moves))
        return Moved("a", "b")

    with Act("memory:") as app:
        app.decide(move, Shelf.of("a"), Shelf.of("b"))
        app.decide(move, Shelf.of("a"), Shelf.of("b"))
        assert [event.tags for event in app.store.query()] == [("shelf:a", "shelf:b")] * 2
    assert seen == [(0, 0), (1, 1)]


def test_the_last_seat_of_sixteen_threads_goes_to_one() -> None:
    with LogStore.memory() as store:
        app = Act(store)
        app.decide(define, Course.of("maths"), "maths", 3)
        barrier = threading.Barrier(16)

        def one(number: int) -> str:
            barrier.wait(60)
            try:
                app.decide(enrol, Course.of("maths"), Student.of(number), "maths", str(number))
            except FullError:
                return "full"
            except ConflictError:
                return "others were faster"
            return "enrolled"

        with ThreadPoolExecutor(16) as pool:
            outcomes = list(pool.map(one, range(16)))
        assert outcomes.count("enrolled") == len(list(store.query(names=["Enrolled"]))) == 3
        assert set(outcomes) == {"enrolled", "full"}


async def test_it_can_be_awaited() -> None:
    async with AsyncAct("memory:") as app:
        await app.decide(define, Course.of("maths"), "maths", 2)
        decided = await app.decide(enrol, Course.of("maths"), Student.of("ada"), "maths", "ada")
        assert decided.position == 2


def test_what_cannot_be_decided_on_is_an_error_that_says_so(app: Act) -> None:
    wrong: Any = app
    with pytest.raises(DefinitionError, match="@decision"):
        wrong.decide(lambda course: None, Course.of("maths"))
    with pytest.raises(DefinitionError, match="based on first"):
        wrong.decide(define, "maths", Course.of("maths"), 2)
    seven: Any = lambda course: 7  # noqa: E731
    with pytest.raises(DefinitionError, match="returned int"):
        wrong.decide(decision(seven), Course.of("maths"))
    with pytest.raises(ValidationError, match="expecting"):
        wrong.expecting(1).decide(define, Course.of("maths"), "maths", 2)
    with pytest.raises(ValidationError):
        Course.of(1.5)  # type: ignore[arg-type]

    @decision
    def nested(course: Course) -> None:
        app.decide(define, Course.of("maths"), "maths", 9)

    with pytest.raises(DefinitionError, match="decide was called by"):
        app.decide(nested, Course.of("maths"))
    assert app.store.head == 1


@decision
def announce(view: Any, name: str) -> CourseDefined:
    return CourseDefined(name, 1)


class Seats(View):
    @reducer
    def defined(self, event: CourseDefined) -> None: ...


class Empty(View, name="course"):
    seats: int = 0


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (Seats, r"Seats folds CourseDefined, which has no tag 'Seats': a view's name is the key of its tag"),
        (Empty, r"Empty has no reducers, so a decision about it would be guarded by nothing"),
    ],
)
def test_a_view_that_would_guard_nothing_is_refused(app: Act, view: type[View], message: str) -> None:
    before = app.store.head
    with pytest.raises(DefinitionError, match=message):
        app.decide(announce, view.of("maths"), "maths")
    assert app.store.head == before


def test_an_event_about_something_that_was_not_looked_at_is_refused(app: Act) -> None:
    before = app.store.head
    with pytest.raises(
        DefinitionError, match=r"about course:art, but looked at course:maths; give it Course.of\('art'\)"
    ):
        app.decide(announce, Course.of("maths"), "art")
    assert app.store.head == before


class Moved(Event):
    amount: int


class Purse(State):
    coins: int = 0
    meanwhile: ClassVar[list[Callable[[], object]]] = []

    @reducer
    def moved(self, event: Moved) -> None:
        self.coins += event.amount
        while self.meanwhile:
            self.meanwhile.pop()()


def test_states_are_seen_as_they_were_together() -> None:
    app = Act("memory:", Purse)
    app.store.append_many([Append("ann", [Moved(10)]), Append("bob", [Moved(0)])])

    def pay() -> None:
        app.store.append_many([Append("ann", [Moved(-1)]), Append("bob", [Moved(1)])])

    sums = []

    @decision
    def note(ann: Purse, bob: Purse) -> Moved:
        sums.append(ann.coins + bob.coins)
        return Moved(0)

    Purse.meanwhile.append(pay)  # after ann was read, and before bob is
    app.decide(note, at(Purse, "ann"), at(Purse, "bob"))
    assert sums == [10, 10]
    assert app.load(Purse, "bob").state.coins == 1


def test_a_decision_may_be_based_on_any_number_of_views() -> None:
    with Act("memory:") as app:
        decided = app.decide(enrol_together, Course.of("maths"), *map(Busy.of, ["ada", "bob"]), who=["ada", "bob"])
        assert decided.position == 2
        with pytest.raises(RuntimeError, match="one of them"):
            app.decide(enrol_together, Course.of("maths"), *map(Busy.of, ["cyd", "bob"]), who=["cyd", "bob"])


@pytest.mark.parametrize("given", [{"who": [Busy.of("ada")]}, {"who": Busy.of("ada")}])
def test_what_is_not_given_first_is_never_handed_on_unfolded(given: dict[str, Any]) -> None:
    with Act("memory:") as app, pytest.raises(DefinitionError, match=r"given first, each by itself; .*\*map\("):
        app.decide(enrol_together, Course.of("maths"), **given)


def test_a_decision_is_no_coroutine_and_no_action() -> None:
    async def later(course: Course) -> None: ...

    with pytest.raises(DefinitionError, match="later is async def; a decision is a plain def"):
        decision(later)  # type: ignore[arg-type]
    with Act("memory:") as app, pytest.raises(DefinitionError, match=r"enrol_together is a decision, .* decide\("):
        app.do(enrol_together, "s")  # type: ignore[arg-type]
