"""`decide` knows which views and states a decision takes, in which order, and its own arguments."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import assert_type

from act_fast import Act, AsyncAct, Decided, Event, Snapshot, Tag, View, at, decision, reducer

from .domain import Account


class Enrolled(Event):
    course: Tag[str]
    seats: Tag[int] | None = None


class Course(View, name="course"):
    taken: int = 0

    @reducer
    def enrolled(self, event: Enrolled) -> None:
        self.taken += 1


class Student(View, name="student"):
    courses: int = 0


@decision
def enrol(course: Course, student: Student, seats: int = 1) -> Enrolled:
    return Enrolled("maths", seats)


@decision(retries=5)
def close(course: Course) -> list[Enrolled]:
    return []


@decision
def pay(account: Account, course: Course, student: Student, amount: int) -> None:
    return None


@decision
def swap(one: Course, other: Course, ada: Student, bob: Student, seats: int) -> None:
    return None


@decision
def settle(one: Course, other: Course, ada: Student, bob: Student, account: Account, *, amount: int) -> None:
    return None


@decision
def move(ada: Student, one: Course, two: Course, three: Course, account: Account, other: Account, why: str) -> None:
    return None


async def right(app: Act, async_app: AsyncAct) -> None:
    assert_type(app.decide(enrol, Course.of("maths"), Student.of(7)), Decided)
    assert_type(app.decide(enrol, Course.of("maths"), Student.of("ada"), 5), Decided)
    assert_type(app.decide(enrol, Course.of("maths"), Student.of("ada"), seats=5), Decided)
    assert_type(app.decide(close, Course.of("maths")), Decided)
    assert_type(app.decide(close.retrying(9), Course.of("maths")), Decided)
    assert_type(app.decide(pay, at(Account, "a"), Course.of("maths"), Student.of("ada"), amount=1), Decided)
    assert_type(await async_app.decide(close, Course.of("maths")), Decided)
    maths, art, music = map(Course.of, ("maths", "art", "music"))
    ada, bob, rich, poor = Student.of("ada"), Student.of("bob"), at(Account, "a"), at(Account, "b")
    assert_type(app.decide(swap, maths, art, ada, bob, 1), Decided)
    assert_type(app.decide(settle, maths, art, ada, bob, rich, amount=1), Decided)
    assert_type(app.decide(move, ada, maths, art, music, rich, poor, why="asked"), Decided)
    assert_type(await async_app.decide(swap, maths, art, ada, bob, seats=1), Decided)
    assert_type(await async_app.decide(settle, maths, art, ada, bob, rich, amount=1), Decided)
    assert_type(await async_app.decide(move, ada, maths, art, music, rich, poor, "asked"), Decided)
    assert_type(app.load(Course.of("maths")), Snapshot[Course])
    assert_type(app.load(Course.of("maths"), at=3).state.taken, int)
    assert_type(app.load(at(Account, "a"), before=datetime.now(UTC)), Snapshot[Account])
    assert_type(app.history(Course.of("maths"), after=2), Iterator[Snapshot[Course]])
    assert_type(app.replay(Course), Iterator[tuple[str, Snapshot[Course]]])
    assert_type(await async_app.load(Course.of("maths")), Snapshot[Course])
    assert_type(async_app.history(Course.of("maths")), AsyncIterator[Snapshot[Course]])
    Act("memory:", Account, Course)
    assert_type(Enrolled("maths", 5).course, str)
    assert_type(Enrolled("maths").seats, int | None)


def wrong(app: Act) -> None:
    app.decide(enrol, Student.of("ada"), Course.of("maths"))  # type: ignore[call-overload]
    app.decide(enrol, Course.of("maths"))  # type: ignore[call-overload]
    app.decide(enrol, Course.of("maths"), Student.of("ada"), seat=1)  # type: ignore[arg-type]
    app.decide(enrol, Course.of("maths"), Student.of("ada"), seats="1")  # type: ignore[arg-type]
    maths, ada, account = Course.of("maths"), Student.of("ada"), at(Account, "a")
    app.decide(swap, maths, ada, maths, ada, 1)  # type: ignore[call-overload]
    app.decide(swap, maths, maths, ada, ada)  # type: ignore[call-overload]
    app.decide(settle, maths, maths, ada, ada, account, amount="1")  # type: ignore[arg-type]
    app.decide(settle, maths, maths, ada, account, ada, amount=1)  # type: ignore[arg-type]
    app.decide(move, ada, maths, maths, maths, account, ada, "asked")  # type: ignore[call-overload]
    app.decide(move, ada, maths, maths, maths, account, account)  # type: ignore[call-overload]
    app.decide(close, "maths")  # type: ignore[call-overload]
    app.decide(close, at(Account, "a"))  # type: ignore[call-overload]
    app.decide(close.function, Course.of("maths"))  # type: ignore[call-overload]
    app.load(Course.of("maths"), "maths")  # type: ignore[call-overload]
    app.load(Account)  # type: ignore[call-overload]
    app.history("maths")  # type: ignore[call-overload]
    Enrolled(course=5)  # type: ignore[arg-type]
