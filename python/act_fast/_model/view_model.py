"""Views as an app folds them."""

from typing import Any

from act_fast._events.codec import Codec
from act_fast._events.event import known_tagging
from act_fast._events.sealing import Sealer
from act_fast._model.model import Model
from act_fast._model.personal_checks import check_kept, check_sealable
from act_fast._states.view import View
from act_fast.errors import DefinitionError

__all__ = ["view_model"]


def view_model(view: type[Any], sealer: Sealer | None) -> Model[Any]:
    """A view as an app folds it, which opens personal values with `sealer`.

    Raises:
        DefinitionError: the view would guard nothing, or cannot be what it says.
    """
    definition = view.__definition__
    _check_folds(view)
    check_sealable((*definition.reducers, view), sealer)
    check_kept(definition)
    return Model(definition, Codec(definition.reducers, sealer), "skip")


def _check_folds(view: type[View]) -> None:
    """Refuse a view that would guard nothing: without reducers, or of events that never carry its tag."""
    key, events = view.__definition__.name, view.__definition__.reducers
    if view.__definition__.snapshots:
        raise DefinitionError(
            f"{view.__qualname__} has snapshot_every= or snapshot_when=, but views are never stored as snapshots: an"
            " app keeps them in memory, and folds only what came later; leave it out"
        )
    if view.__definition__.actions:
        raise DefinitionError(
            f"{view.__qualname__} has actions, which belong to a State; a view is decided on by functions that are"
            " decorated with @decision"
        )
    if not events:
        raise DefinitionError(
            f"{view.__qualname__} has no reducers, so a decision about it would be guarded by nothing; write one for"
            " each event that it depends on"
        )
    for event in events:
        if all(key != each for _, each in known_tagging(event)):
            raise DefinitionError(
                f"{view.__qualname__} folds {event.__qualname__}, which has no tag {key!r}: a view's name is the key of"
                f" its tag. Name the view as that, with class {view.__qualname__}(View, name=...), or give the event a"
                f" field {key}: Tag[str]"
            )
