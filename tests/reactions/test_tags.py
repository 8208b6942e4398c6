"""Reactions, and projections, that follow only events carrying given tags."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from act_fast import (
    Act,
    AsyncAct,
    Committed,
    DefinitionError,
    Event,
    LogStore,
    Projection,
    SqlProjection,
    Tag,
    ValidationError,
    on,
)
from tests.support.heard import Heard


class Enrolled(Event):
    course: Tag[str]
    student: Tag[str]


class Left(Event):
    course: Tag[str]


MATHS, ADA = "course:maths", "student:ada"


@pytest.fixture
def app(app_with_reactions: Act) -> Act:
    """On every kind of store that has reactions."""
    return app_with_reactions


def fill(app: Act) -> None:
    for course in ("maths", "art"):
        for student in ("ada", "bob"):
            app.store.append(f"enrolment-{course}-{student}", [Enrolled(course, student)])
    app.store.append("course-maths", [Left("maths"), ("Left", b'{"course":"maths"}')])


def positions(heard: Heard) -> list[int]:
    return sorted(event.position for event in heard.events)


def test_a_reaction_hears_only_of_events_that_carry_all_of_its_tags(app: Act) -> None:
    maths, both, bob, none, every = (Heard() for _ in range(5))
    app.on(Enrolled, Left, to="maths", tags=[MATHS], name="maths")(maths)
    app.on(Enrolled, tags=[ADA, MATHS, ADA], name="both")(both)
    app.on(Enrolled, Left, to="{data.course}", tags=["student:bob"], source="art", name="bob")(bob)
    app.on(Enrolled, tags=["student:nobody"], name="none")(none)
    app.on(Enrolled, Left, to=lambda event: event.data.course, name="every")(every)
    fill(app)
    app.settle()
    assert [*map(positions, (maths, both, bob, none, every))] == [[1, 2, 5], [1], [], [], [1, 2, 3, 4, 5, 6]]
    app.store.append("late", [Enrolled("maths", "ada")])
    app.settle()
    assert (positions(maths)[-1], positions(both)[-1], positions(none)) == (7, 7, [])


def test_a_function_is_asked_only_about_events_that_carry_the_tags(app: Act) -> None:
    asked: list[int] = []

    def to(event: Committed[Enrolled]) -> str:
        asked.append(event.position)
        return event.data.student

    app.on(Enrolled, to=to, tags=[MATHS], name="r")(Heard())
    fill(app)
    app.settle()
    assert asked == [1, 2]


def test_a_reaction_that_follows_more_than_before_hears_of_what_it_has_not_heard_of(tmp_path: Path) -> None:
    with LogStore(tmp_path / "school.act") as store:
        heard: list[list[int]] = []
        for tags in ([MATHS, ADA], [MATHS], None, [ADA, MATHS]):
            app, each = Act(store), Heard()
            app.on(Enrolled, to="one", tags=tags, name="r")(each)
            if not heard:
                fill(app)
            app.settle()
            heard.append(positions(each))
    assert heard == [[1], [2], [3, 4], []]


def test_a_target_tells_the_tags_that_its_reactions_follow(app: Act) -> None:
    app.on(Enrolled, to="desk", tags=[MATHS, ADA], name="both")(Heard())
    app.on(Enrolled, to="desk", name="every")(Heard())
    app.on(Left, to="gate", tags=[MATHS], name="left")(Heard())
    fill(app)
    app.settle()
    desk, gate = app.targets()
    assert (desk.reactions, desk.tags) == (("both", "every"), {"both": (MATHS, ADA)})
    assert (gate.reactions, gate.tags) == (("left",), {"left": (MATHS,)})
    assert [each.tags for each in Act(app.store).targets()] == [desk.tags, gate.tags], "whoever asks"


def test_tags_are_told_as_the_code_has_them_now(tmp_path: Path) -> None:
    with LogStore(tmp_path / "school.act") as store:
        for tags in ([MATHS], [MATHS, ADA], None, [ADA]):
            app = Act(store)
            app.on(Enrolled, to="one", tags=tags, name="r")(Heard())
            if not store.head:
                fill(app)
            app.settle()
            (found,) = app.targets()
            assert found.tags == ({"r": tuple(tags)} if tags else {})
    with LogStore(tmp_path / "school.act") as store:
        assert next(Act(store).targets()).tags == {"r": (ADA,)}


def test_a_reaction_that_holds_tells_its_tags(app: Act) -> None:
    @app.on(Enrolled, to=lambda event: 1 / 0, tags=[MATHS], retries=0, name="r")  # type: ignore[arg-type, return-value]
    def never(event: Committed[Enrolled]) -> None: ...

    fill(app)
    app.settle()
    (held,) = app.targets()
    assert (held.blocked, held.tags) == (True, {"r": (MATHS,)})


async def test_it_can_be_awaited() -> None:
    async with AsyncAct("memory:") as app:
        heard: list[int] = []

        @app.on(Enrolled, tags=[MATHS])
        async def follow(event: Committed[Enrolled], app: AsyncAct) -> None:
            heard.append(event.position)

        fill(app.sync)
        await app.settle()
    assert sorted(heard) == [1, 2]


def test_a_projection_follows_tags_and_is_rebuilt_from_them(tmp_path: Path) -> None:
    class Students(Projection, tags=[MATHS]):
        def __init__(self) -> None:
            self.names: list[str] = []

        @on(Enrolled)
        def enrolled(self, event: Committed[Enrolled]) -> None:
            self.names.append(event.data.student)

        def fresh(self) -> "Students":
            return Students()

        def take_over(self, fresh: "Students") -> None:
            self.names = fresh.names

    with LogStore(tmp_path / "school.act") as store:
        projection = Students()
        app = Act(store, projection)
        fill(app)
        app.settle()
        assert projection.names == ["ada", "bob"]
        projection.names = []
        assert app.rebuild(projection) == 2
        assert projection.names == ["ada", "bob"]


def test_a_projection_in_a_database_is_built_anew_when_its_tags_change(tmp_path: Path) -> None:
    def built(*tags: str) -> list[str]:
        class Students(SqlProjection, tags=tags or None):
            tables = ("students",)

            def setup(self, db: sqlite3.Connection) -> None:
                db.execute(f"create table if not exists {self.table('students')} (name text)")

            @on(Enrolled)
            def enrolled(self, event: Committed[Enrolled], db: sqlite3.Connection) -> None:
                db.execute(f"insert into {self.table('students')} values (?)", (event.data.student,))

        database = tmp_path / "students.sqlite"
        with LogStore(tmp_path / "school.act") as store:
            projection = Students(lambda: sqlite3.connect(database, check_same_thread=False))
            app = Act(store, projection)
            if not store.head:
                fill(app)
            store.append("late", [Enrolled("maths", "ada")])
            app.settle()
        with closing(sqlite3.connect(database)) as db:
            return sorted(name for (name,) in db.execute("select name from students"))

    assert built(MATHS) == ["ada"] * 2 + ["bob"]
    assert built(MATHS, ADA) == ["ada"] * 3
    assert built() == ["ada"] * 5 + ["bob"] * 2


def test_tags_that_cannot_be_are_refused_where_they_are_written(app: Act) -> None:
    with pytest.raises(DefinitionError, match="tags= is empty"):
        app.on(Enrolled, tags=[], name="r")(Heard())
    with pytest.raises(ValidationError, match="must be a sequence"):
        app.on(Enrolled, tags=MATHS, name="r")(Heard())
    with pytest.raises(DefinitionError, match=r"tags=\['a\\nb'\].*line break"):
        app.on(Enrolled, tags=["a\nb"], name="r")(Heard())
