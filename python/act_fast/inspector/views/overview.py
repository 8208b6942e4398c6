"""The overview: how far the log has come, how fast, what it takes up, and how the reactions are doing."""

from datetime import UTC, datetime

from starlette.responses import Response

from act_fast.inspector.disk import disk_of
from act_fast.inspector.drawing.rate import rate_chart
from act_fast.inspector.page import Page
from act_fast.inspector.rates import SPANS, rates
from act_fast.inspector.searching import Wanted, event_at, older

__all__ = ["show"]

_LATEST = 8


def show(page: Page) -> Response:
    """The page."""
    store, position = page.subject.store, page.position
    port = page.subject.port()
    last = event_at(store, position)
    until = datetime.now(UTC) if not page.pinned else last.created if last else datetime.now(UTC)
    span = page.given("span") if page.given("span") in SPANS else "5 min"
    found = rates(store, until, SPANS[span], position)
    return page.render(
        "overview.html",
        last=last,
        stats=store.stats(),
        disk=disk_of(page.subject.folder),
        durability=getattr(store, "durability", None),
        rates=found,
        span=span,
        spans=SPANS,
        chart=rate_chart(found),
        tally=None if port is None else page.subject.tallies.look(port, page.head),
        latest=older(store, Wanted(), position + 1, _LATEST).events,
    )
