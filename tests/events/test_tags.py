"""Tags that events take from their fields."""

from typing import Annotated, Any
from uuid import UUID

import pytest

from act_fast import Act, DefinitionError, Event, LogStore, State, Tag, TagKey, action, reducer


class Enrolled(Event):
    course: Tag[str]
    student: Tag[int]
    seat: int = 0


class Moved(Event):
    source: Annotated[str, TagKey("account")]
    target: Annotated[str, TagKey("account")]
    amount: int


class Invited(Event):
    by: Tag[UUID] | None = None


class Plain(Event):
    course: str


class Enrolment(State):
    seats: int = 0

    @reducer
    def enrolled(self, event: Enrolled) -> None:
        self.seats += 1

    @action
    def enrol(self, course: str, student: int) -> Enrolled:
        return Enrolled(course, student)

    @action
    def enrol_two(self, course: str) -> list[Enrolled]:
        return [Enrolled(course, 1), Enrolled(course, 2)]


def test_a_field_that_is_a_tag_is_stored_as_one_and_in_the_data() -> None:
    with LogStore.memory() as store:
        store.append("a", [Enrolled("maths", 7), Plain("maths")])
        enrolled, plain = store.load("a")
        assert enrolled.tags == ("course:maths", "student:7")
        assert enrolled.data == b'{"course":"maths","student":7,"seat":0}'
        assert plain.tags == ()


def test_several_fields_may_have_one_key_and_none_is_no_tag() -> None:
    with LogStore.memory() as store:
        store.append("a", [Moved("1", "2", 5), Moved("1", "1", 5), Invited(), Invited(UUID(int=1))])
        assert [event.tags for event in store.load("a")] == [
            ("account:1", "account:2"),
            ("account:1",),
            (),
            (f"by:{UUID(int=1)}",),
        ]


def test_what_an_action_returns_is_tagged() -> None:
    app = Act("memory:", Enrolment)
    app.do(Enrolment.enrol, "e-1", course="maths", student=3)
    app.do(Enrolment.enrol_two, "e-1", course="physics")
    assert [event.position for event in app.store.query(tags=["course:physics"])] == [2, 3]
    assert [event.position for event in app.query(tags=["student:3"])] == [1]
    assert next(app.query(tags=["student:3"])).tags == ("course:maths", "student:3")
    assert app.load(Enrolment, "e-1").state.seats == 3


def test_a_handler_is_given_the_tags() -> None:
    app = Act("memory:", Enrolment)
    seen: list[Any] = []

    @app.on(Enrolled, to="audit")
    def audit(event: Any) -> None:
        seen.append(event.tags)

    app.do(Enrolment.enrol, "e-1", course="maths", student=3)
    app.settle()
    assert seen == [("course:maths", "student:3")]


def test_a_subclass_inherits_tags() -> None:
    class Waitlisted(Enrolled):
        place: int = 1

    with LogStore.memory() as store:
        store.append("a", [Waitlisted("maths", 7)])
        assert next(store.load("a")).tags == ("course:maths", "student:7")


@pytest.mark.parametrize("kind", [float, list[str], bool, str | float])
def test_what_cannot_be_a_tag_is_refused_with_the_class(kind: Any) -> None:
    with pytest.raises(DefinitionError, match="the field `what` is a tag"):
        type(Event)("Wrong", (Event,), {"__annotations__": {"what": Tag[kind]}, "__module__": __name__})


@pytest.mark.parametrize("key", ["", "a:b", "a\nb"])
def test_a_key_is_text_without_a_colon(key: str) -> None:
    with pytest.raises(DefinitionError, match="the key"):
        type(Event)(
            "Wrong", (Event,), {"__annotations__": {"what": Annotated[str, TagKey(key)]}, "__module__": __name__}
        )


@pytest.mark.parametrize("hint", [list[Tag[str]], dict[str, Tag[int]], tuple[Tag[str], ...] | None])
def test_a_tag_within_another_type_is_refused(hint: Any) -> None:
    with pytest.raises(DefinitionError, match="the field `people` holds tags within another type"):
        type(Event)("Met", (Event,), {"__module__": __name__, "__annotations__": {"people": hint}})
