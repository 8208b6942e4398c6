"""Views: what the events that carry a tag fold into, whatever their streams."""

from typing import Generic, TypeVar
from uuid import UUID

import msgspec

from act_fast._states.state import State
from act_fast.errors import ValidationError

__all__ = ["Seen", "View", "at"]

S = TypeVar("S", bound=State)
V = TypeVar("V", bound="View")


class Seen(msgspec.Struct, Generic[S], frozen=True):
    """Something that a decision is based on: a view of a tag (`Course.of("maths")`), or a state (`at(Account, "a-7")`).

    Attributes:
        kind: the view or state class.
        tag: the tag whose events are folded; empty for a state.
        stream: the stream whose state it is; for a view, the one that events go to unless the decision names another.
    """

    kind: type[S]
    tag: str
    stream: str


class View(State):
    """A state that is folded by tag: from all events that carry the tag and that the view has reducers for.

        class Course(View, name="course"):
            seats: int = 0

            @reducer
            def defined(self, event: CourseDefined) -> None:
                self.seats = event.seats

    The tag of `Course.of("maths")` is the view's name, a colon and the value: `course:maths`. Without `name=`, the name
    is that of the class, exactly as written. Any number of views may fold the same event. Pass views to `decide`, or
    read them with `app.load(Course.of("maths"))`. In SQL, an app has a table for each view that is one of its
    components.
    """

    @classmethod
    def of(cls: type[V], value: str | int | UUID) -> Seen[V]:
        """The view of one tag, for `decide`, `load` and `history`."""
        if isinstance(value, bool) or not isinstance(value, str | int | UUID):
            raise ValidationError(f"the value of a tag must be text, an int or a UUID, not {type(value).__name__}")
        name = cls.__definition__.name
        return Seen(cls, f"{name}:{value}", f"{name}-{value}")


def at(state: type[S], stream: str) -> Seen[S]:
    """The state of a stream, for `decide`."""
    return Seen(state, "", stream)
