"""Views read outside of decisions: loaded, at moments, from the cache, one by one, replayed, and in SQL."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from act_fast import (
    Act,
    Actor,
    AsyncAct,
    DefinitionError,
    Event,
    LogStore,
    State,
    Tag,
    ValidationError,
    View,
    action,
    at,
    decision,
    reducer,
)
from act_fast.stores.ordered.memory import MemoryEngine
from act_fast.stores.replicated.store import ReplicatedStore
from tests.support.apps import AnyStore


class CourseDefined(Event):
    course: Tag[str]
    seats: int


class Enrolled(Event):
    course: Tag[str]
    student: Tag[str]


class Course(View, name="course"):
    seats: int = 0
    students: list[str] = []

    @reducer
    def defined(self, event: CourseDefined) -> None:
        self.seats = event.seats

    @reducer
    def enrolled(self, event: Enrolled) -> None:
        self.students.append(event.student)


class Student(View, name="student"):
    courses: int = 0

    @reducer
    def enrolled(self, event: Enrolled) -> None:
        self.courses += 1


class Desk(State):
    seats: int = 0

    @action
    def define(self, course: str, seats: int) -> CourseDefined:
        return CourseDefined(course, seats)


@decision
def enrol(course: Course, student: Student, name: str, who: str) -> Enrolled:
    return Enrolled(name, who)


@pytest.fixture(params=[LogStore, AnyStore, "replicated"], ids=["the log", "any store", "replicated"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Act]:
    replicated = request.param == "replicated"
    with (
        ReplicatedStore(MemoryEngine().open(), tmp_path / "replica") if replicated else request.param.memory() as store
    ):
        app = Act(store, Desk, Course, Student)
        app.do(Desk.define, "desk", course="maths", seats=2)
        app.do(Desk.define, "desk", course="art", seats=9)
        for name, who in (("maths", "ada"), ("art", "ada"), ("maths", "bob")):
            app.acting(Actor(who)).decide(enrol, Course.of(name), Student.of(who), name, who)
        yield app


def test_a_view_is_what_the_events_of_its_tag_fold_into(app: Act) -> None:
    maths = app.load(Course.of("maths"))
    assert maths.state == Course(2, ["ada", "bob"])
    assert (maths.stream, maths.version, maths.position, maths.closed) == ("course:maths", 3, 5, False)
    assert maths.event is not None
    assert (maths.event.data, maths.event.stream) == (Enrolled("maths", "bob"), "course-maths")
    assert (maths.meta.actor, maths.events) == (Actor("bob"), ())
    nobody = app.load(Student.of("nobody"))
    assert (nobody.state, nobody.version, nobody.position, nobody.event) == (Student(), 0, 0, None)
    assert nobody.meta.actor is None
    assert app.load(Student.of(UUID(int=7))).stream == f"student:{UUID(int=7)}"
    assert app.load(at(Desk, "desk")).version == app.load(Desk, "desk").version == 2


def test_only_what_came_later_is_folded_again_and_what_was_handed_out_is_yours(app: Act) -> None:
    first = Act(app.store, Course)
    cold = first.load(Course.of("maths"))
    assert (cold.cached, cold.replayed) == (False, 3)
    cold.state.students.clear()
    app.decide(enrol, Course.of("maths"), Student.of("cyd"), "maths", "cyd")
    warm = first.load(Course.of("maths"))
    assert (warm.cached, warm.replayed, warm.state.students) == (True, 1, ["ada", "bob", "cyd"])
    assert first.load(Course.of("maths")).replayed == 0
    with pytest.raises(AttributeError):
        first.load(Course.of("maths")).version = 1  # type: ignore[misc]


def test_decisions_take_what_the_cache_has_and_leave_it_as_it_was(app: Act) -> None:
    @decision
    def spoil(course: Course) -> None:
        assert course.students == ["ada", "bob"]
        course.students.clear()

    app.load(Course.of("maths"))
    app.decide(spoil, Course.of("maths"))
    app.decide(spoil, Course.of("maths"))
    assert app.load(Course.of("maths")).state.students == ["ada", "bob"]


def test_a_view_can_be_had_as_of_a_moment(app: Act) -> None:
    times = [event.created for event in app.store.query()]
    later = max(times) + timedelta(seconds=1)

    def students(**moment: Any) -> list[str]:
        return app.load(Course.of("maths"), **moment).state.students

    for _ in range(2):  # with what the cache has, and without
        assert [students(before=version) for version in (0, 1, 3)] == [[], [], ["ada"]]
        assert students(before=4) == students(before=9) == ["ada", "bob"]
        assert [students(at=version) for version in (0, 1, 2, 3)] == [[], [], ["ada"], ["ada", "bob"]]
        assert [students(position=position) for position in (0, 2, 3, 4, 5)] == [[], [], *[["ada"]] * 2, ["ada", "bob"]]
        assert (students(before=times[0]), students(before=later), students(at=later)) == ([], *[["ada", "bob"]] * 2)
        assert app.load(Course.of("maths"), at=2).version == 2
        app = Act(app.store, Course)
    with pytest.raises(ValidationError, match="give one of them"):
        app.load(Course.of("maths"), before=1, at=1)
    with pytest.raises(ValidationError, match="must be a version"):
        students(at="now")


def test_a_view_after_each_of_its_events(app: Act) -> None:
    found = list(app.history(Course.of("maths")))
    assert [(each.version, each.position, each.state.students) for each in found] == [
        (1, 1, []),
        (2, 3, ["ada"]),
        (3, 5, ["ada", "bob"]),
    ]
    assert [each.version for each in app.history(Course.of("maths"), after=1, before=3)] == [2]
    assert [each.version for each in app.history(at(Desk, "desk"))] == [1, 2]


def test_all_views_of_a_class_are_replayed_in_one_pass(app: Act) -> None:
    found = [(tag, each.version, each.state.students) for tag, each in app.replay(Course)]
    assert found == [("course:maths", 3, ["ada", "bob"]), ("course:art", 2, ["ada"])]
    assert [tag for tag, _ in app.replay(Course, streams="art$")] == ["course:art"]
    assert [tag for tag, _ in app.replay(Course, after="course:maths")] == ["course:art"]
    assert [each.version for _, each in app.replay(Course, at=1)] == [1]
    told: list[tuple[int, int]] = []
    assert len(list(app.replay(Student, progress=lambda *each: told.append(each)))) == 2
    assert told[-1] == (3, 3)
    with pytest.raises(ValidationError, match="no tag 'course:no'"):
        list(app.replay(Course, after="course:no"))


def test_views_are_tables_in_sql() -> None:
    with Act("memory:", Desk, Course, Student) as app:
        app.do(Desk.define, "desk", course="maths", seats=2)
        for who in ("ada", "bob"):
            app.decide(enrol, Course.of("maths"), Student.of(who), "maths", who)
        assert app.sql("select tag, version, position, seats, students, error from course").fetchall() == [
            ("course:maths", 3, 3, 2, ["ada", "bob"], None)
        ]
        assert app.sql("select courses from student where tag = 'student:bob'").fetchall() == [(1,)]
        assert app.sql("select count(*) from student where tag in ('student:bob', 'x')").fetchall() == [(1,)]
        assert app.sql("select students from course_at(2)").fetchall() == [(["ada"],)]
        assert app.sql("select student from enrolled order by position").fetchall() == [("ada",), ("bob",)]
        assert [event.data.student for event in app.query(events=[Enrolled])] == ["ada", "bob"]
        assert app.states == (Desk,)


def test_a_view_that_does_not_fold_is_an_error_in_its_row_alone() -> None:
    class Odd(View, name="course"):
        seats: int = 0

        @reducer
        def defined(self, event: CourseDefined) -> None:
            if event.seats == 13:
                raise ZeroDivisionError("a secret")
            self.seats = event.seats

    with Act("memory:", Odd) as app:
        app.store.append("desk", [CourseDefined("maths", 13), CourseDefined("art", 7)])
        found = app.sql("select tag, seats, error from odd order by tag").fetchall()
        assert found == [("course:art", 7, None), ("course:maths", None, "the state does not fold: ZeroDivisionError")]
        with pytest.raises(ZeroDivisionError):
            list(app.replay(Odd))


async def test_they_can_be_awaited() -> None:
    async with AsyncAct("memory:", Desk) as app:
        await app.do(Desk.define, "desk", course="maths", seats=2)
        assert (await app.load(Course.of("maths"), at=1)).state.seats == 2
        assert [each.version async for each in app.history(Course.of("maths"))] == [1]
        assert [tag async for tag, _ in app.replay(Course)] == ["course:maths"]


def test_it_goes_on_with_a_log_that_was_restored(tmp_path: Path) -> None:
    with LogStore(tmp_path / "school.act") as store:
        app = Act(store, Desk)
        app.do(Desk.define, "desk", course="maths", seats=2)
        store.export(tmp_path / "school.jsonl")
        app.decide(enrol, Course.of("maths"), Student.of("ada"), "maths", "ada")
        assert app.load(Course.of("maths")).version == 2
        store.restore(tmp_path / "school.jsonl", replace=True)
        assert app.load(Course.of("maths")).version == 1
        decided = app.decide(enrol, Course.of("maths"), Student.of("bob"), "maths", "bob")
        assert decided.position == 2
        assert app.load(Course.of("maths")).state.students == ["bob"]


def test_what_a_view_cannot_be_is_an_error_that_says_so(app: Act) -> None:
    wrong: Any = app
    with pytest.raises(DefinitionError, match=r"Course is a view, which is folded by tag.*Course.of"):
        app.load(Course, "maths")
    with pytest.raises(ValidationError, match="no stream with a view"):
        wrong.load(Course.of("maths"), "maths")
    with pytest.raises(ValidationError, match="no stream with a view"):
        wrong.history(Course.of("maths"), "maths")
    with pytest.raises(ValidationError, match="stream must be text"):
        wrong.load(Desk)

    class Stored(View, name="course", snapshot_every=10):
        @reducer
        def defined(self, event: CourseDefined) -> None: ...

    class Acting(View, name="course"):
        @reducer
        def defined(self, event: CourseDefined) -> None: ...

        @action
        def define(self) -> CourseDefined:
            return CourseDefined("maths", 1)

    with pytest.raises(DefinitionError, match="Stored has snapshot_every="):
        Act(app.store, Stored)
    with pytest.raises(DefinitionError, match="Acting has actions"):
        app.load(Acting.of("maths"))
