"""Replay: every stream's state, from one pass over the log."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import datetime
from itertools import repeat
from typing import Any, TypeAlias, TypeVar

from act_fast._checks import arguments
from act_fast._core import Pattern
from act_fast._loading.by_tag import EventAt, fold_tags
from act_fast._loading.progress_bar import replay_bar
from act_fast._loading.replay_groups import Folding
from act_fast._model.model import Model
from act_fast._rows import Progress
from act_fast._states.snapshot import ReadsBack, Snapshot
from act_fast._states.state import State
from act_fast.errors import ValidationError
from act_fast.stores.port import Store
from act_fast.stores.time_travel import cut_at

__all__ = ["StateRow", "replay", "replay_pages", "replay_views"]

S = TypeVar("S", bound=State)

StateRow: TypeAlias = tuple[str, int, int, bytes]
"""stream, version, position of the last event, the state as JSON"""


def replay(
    store: Store,
    log: ReadsBack,
    model: Model[S],
    streams: str | None,
    at: int | datetime | None,
    after: str | None,
    progress: Progress | bool,
) -> Iterator[tuple[str, Snapshot[S]]]:
    """See `Act.replay`; the arguments are checked at once, the work is done as the iterator is asked."""
    pattern = None if streams is None else arguments.text("streams", streams)
    after = None if after is None else arguments.text("after", after)
    return _replay(store, log, model, pattern, cut_at(store, at), after, progress)


def replay_views(
    store: Store,
    model: Model[S],
    tags: str | None,
    at: int | datetime | None,
    after: str | None,
    progress: Progress | bool,
) -> Iterator[tuple[str, Snapshot[S]]]:
    """The same of a view: each tag's, in the order of their first events."""
    pattern = None if tags is None else Pattern(arguments.text("streams", tags))
    after = None if after is None else arguments.text("after", after)
    return _replay_views(store, model, pattern, cut_at(store, at), after, progress)


def _replay_views(
    store: Store, model: Model[S], pattern: Pattern | None, cut: int, after: str | None, progress: Progress | bool
) -> Iterator[tuple[str, Snapshot[S]]]:
    bar = replay_bar(f"replaying {model.definition.name}") if progress is True else nullcontext(progress or None)
    with bar as report:
        whole = sum(count for name, count in store.names().items() if name in model.steps) if report else 0
        told = (lambda events: report(events, max(events, whole))) if report else None
        left_out = after is not None
        for tag, version, position, state in fold_tags(
            store, model, cut, None if pattern is None else pattern.found_in, told
        ):
            if not left_out:
                if isinstance(state, Exception):
                    raise state
                log = EventAt(store, model.codec, position)
                yield tag, Snapshot(tag, version, position, version, False, state, None, log)
            left_out = left_out and tag != after
        if left_out:
            raise ValidationError(f"there is no tag {after!r} to resume after")


def replay_pages(
    store: Store,
    model: Model[Any],
    *,
    cut: int,
    pattern: str | None = None,
    after: str | None = None,
    told: Callable[[int], object] | None = None,
) -> Iterator[list[StateRow]]:
    """The states of all streams that have an event of the model's, as JSON, page by page; no page is empty.

    The streams come in the order they came to be. This is what tables of states are made of; it works for every
    state class and every store, and is done in the core where the state is declared through and through.

    Args:
        store: where the streams are.
        model: the state class as an app runs it, `app._engine.registry.model_of(state)`.
        cut: the log as it was when this position was its last; `cut_at` finds that of a time.
        pattern: only streams whose name this regular expression is found in.
        after: only streams that came to be after this one.
        told: called now and then with the number of events folded so far.

    Raises:
        DecodeError: an event does not decode.
    """
    for streams, versions, positions, _, states in Folding(store, model, cut, pattern, after, told).encoded_pages():
        yield list(zip(streams, versions, positions, states, strict=True))


def _replay(
    store: Store,
    log: ReadsBack,
    model: Model[S],
    pattern: str | None,
    cut: int,
    after: str | None,
    progress: Progress | bool,
) -> Iterator[tuple[str, Snapshot[S]]]:
    bar = replay_bar(f"replaying {model.definition.name}") if progress is True else nullcontext(progress or None)
    with bar as report:
        events = 0
        whole = sum(count for name, count in store.names().items() if name in model.steps) if report else 0

        def told(folded: int) -> None:
            nonlocal events
            events = folded
            if report:
                report(folded, max(folded, whole))

        for streams, versions, positions, closed, states in Folding(store, model, cut, pattern, after, told).pages():
            # Without a step of the interpreter for each: there are as many as streams.
            rest = (repeat(False), states, repeat(None), repeat(log), repeat(0), closed)
            yield from zip(streams, map(Snapshot, streams, versions, positions, versions, *rest), strict=True)
        if report:
            report(events, events)
