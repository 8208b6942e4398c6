"""What a state may be written down with: nothing in clear that is sealed in the events it was folded from."""

from typing import TypeVar

from act_fast._events.event import Event
from act_fast._events.gone import GONE
from act_fast._loading.books import held_above
from act_fast._model.model import Model
from act_fast._model.personal_checks import kept_in_clear, moved_in_clear
from act_fast._rows import Row
from act_fast._states.state import State
from act_fast.errors import DefinitionError
from act_fast.stores.capabilities import Rows
from act_fast.stores.port import Store
from act_fast.stores.rows import pages_of

__all__ = ["check_sealed"]

S = TypeVar("S", bound=State)


def check_sealed(store: Store, port: Rows, model: Model[S], stream: str, version: int, state: S) -> None:
    """Refuse to write down a state that holds something in clear that is sealed where it comes from.

    The events are read again that were folded since the state was last written down, which was checked then. It is
    about what they hold, not about what their classes could hold.

    Args:
        store: where the stream is.
        port: the same, as rows.
        model: the state's class.
        stream: its name.
        version: of the state.
        state: what is to be written down.

    Raises:
        DefinitionError: it does, and where it comes from.
    """
    saved = port.latest_snapshot(stream, version, model.stored.beginning)
    after, found = 0 if saved is None else saved[0], moved_in_clear(state)
    while found is None:
        found = _given_away(port, model, stream, after, version, state)
        if found is None:
            return
        books = [each.version for each in held_above(store, stream, after) if each.version <= version]
        if books:  # the state begins with what they hold
            after, found = books[-1], None
    raise DefinitionError(f"no snapshots of {model.definition.name} are stored: {found}")


def _given_away(port: Rows, model: Model[S], stream: str, after: int, version: int, state: S) -> str | None:
    for page in pages_of(port, stream, after, version + 1):
        events: list[Event] = []
        for row in page:
            if row[3] in model.telling and row[5] not in GONE:
                event = model.steps[row[3]][0](row[5])
                if model.codec.gives_away(row[3], row[5], event):
                    return _upcast(row, type(event))
                events.append(event)
        found = kept_in_clear(state, events)
        if found is not None:
            return found
    return None


def _upcast(row: Row, event: type[Event]) -> str:
    return (
        f"an upcaster of {event.__qualname__} puts something of what is sealed in events stored as {row[3]!r} into a"
        " field that is not personal, or cannot do without it; write `Personal[...]` there, too, beside a Subject, and"
        " let it take FORGOTTEN"
    )
