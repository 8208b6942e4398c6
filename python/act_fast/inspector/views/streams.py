"""Streams, and one of them: its events with the state beside each, at any version."""

from itertools import islice

from starlette.responses import Response

from act_fast.errors import ActError, ValidationError
from act_fast.inspector.history import Step, model_for_stream, replay_distance, steps
from act_fast.inspector.page import ROWS, Page
from act_fast.stores.time_travel import version_before

__all__ = ["show", "show_stream"]

_STEPS = 20
_REPLAYED_MAX = 20_000
"""So many events are folded for a page without asking; with more it takes noticeably long."""


def show(page: Page) -> Response:
    """The streams in the order of their first events; a page of them, or those that match."""
    store = page.subject.store
    exact = page.given("name")
    if exact and store.version(exact):
        return page.render("streams.html", streams=[], exact=exact, version=store.version(exact), more=False, after="")
    after = page.request.query_params.get("after") or None
    pattern = page.given("pattern") or None
    found = [*islice(store.streams(pattern=pattern, after=after, limit=ROWS + 1), ROWS + 1)]
    shown = [each for each in found[:ROWS] if each.first_position <= page.position]
    more = len(found) > ROWS and len(shown) == ROWS
    return page.render("streams.html", streams=shown, exact=exact, version=0, more=more, after=after)


def show_stream(page: Page) -> Response:
    """One stream, at a version."""
    store, stream = page.subject.store, page.needed("name")
    last = store.version(stream)
    if not last:
        raise ValidationError(f"there is no stream {stream!r}")
    if page.pinned:
        last = (version_before(store, stream, None, None, page.position) or 1) - 1
    version = min(page.number("version") or last, last)
    first = max(0, version - _STEPS)
    events = [*store.load(stream, after=first, before=version + 1)]
    model = model_for_stream(page.subject.app, events)
    folded: list[Step] = []
    problem, distance = "", 0
    if model is not None and page.subject.app is not None and version:
        distance = replay_distance(store, stream, first)
        if distance <= _REPLAYED_MAX or page.given("fold"):
            try:
                folded = steps(page.subject.app, model, stream, events, first)
            except ActError as error:
                problem = str(error)
    snapshot = store.latest_snapshot(stream, at_or_below=version) if version else None
    return page.render(
        "stream.html",
        stream=stream,
        last=last,
        version=version,
        events=[*reversed(events)],
        first=first,
        model=model,
        steps={step.version: step for step in folded},
        problem=problem,
        distance=distance if not folded and not problem else 0,
        snapshot=snapshot,
        step=_STEPS,
    )
