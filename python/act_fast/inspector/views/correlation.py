"""A correlation: all that came of one request, as a waterfall and as a graph of causes."""

from starlette.responses import Response

from act_fast.inspector.drawing.causes import causes
from act_fast.inspector.drawing.waterfall import waterfall
from act_fast.inspector.page import Page
from act_fast.inspector.searching import Wanted, newer, older

__all__ = ["show"]

_EVENTS_MAX = 150


def show(page: Page) -> Response:
    """The events of a correlation, from the first on, looked for around an event that is known."""
    store, correlation = page.subject.store, page.needed("id")
    wanted = Wanted(correlation=correlation)
    near = page.number("near") or 0
    end = page.position + 1
    earlier = older(store, wanted, min(near, end), _EVENTS_MAX) if near else None
    start = near - 1 if near else page.number("after") or 0
    later = newer(store, wanted, max(0, start), _EVENTS_MAX, end)
    events = [*reversed(earlier.events if earlier else []), *later.events][:_EVENTS_MAX]
    return page.render(
        "correlation.html",
        correlation=correlation,
        events=events,
        near=near,
        searched_from=earlier.reached if earlier else None,
        searched_to=later.reached,
        more=later.more and later.reached is None,
        waterfall=waterfall(events, lambda event: page.link("/event", position=event.position)),
        graph=causes(events, lambda event: page.link("/event", position=event.position)),
        took=(events[-1].created - events[0].created) if events else None,
    )
