"""What is blocked, what was skipped, and what was done by hand."""

from itertools import islice

from starlette.responses import Response

from act_fast._reactions.skipped import skipped
from act_fast._reactions.targets import targets
from act_fast.inspector.page import Page
from act_fast.inspector.searching import event_at

__all__ = ["show"]

_ROWS = 25
_SKIPPED = 100


def show(page: Page) -> Response:
    """A page of blocked targets, each with its event; below, what was skipped, and what was done here."""
    port = page.subject.port()
    if port is None:
        return page.render("no_targets.html", heading="Blocked and skipped")
    after = page.request.query_params.get("after") or None
    found = [*targets(port, blocked=True, after=after, limit=_ROWS + 1)]
    store = page.subject.store
    rows = [(each, event_at(store, each.failing or 0)) for each in found[:_ROWS]]
    notes = port.skipped()[-_SKIPPED:]
    past = [*islice(_skips(page), _SKIPPED)] if notes else []
    return page.render(
        "blocked.html",
        rows=rows,
        more=len(found) > _ROWS,
        after=after,
        skipped=past,
        audit=page.subject.audit.recent()[:50],
        tally=page.subject.tallies.look(port, page.head),
    )


def _skips(page: Page):  # type: ignore[no-untyped-def]
    return reversed([*skipped(page.subject.reactions(), page.subject.store)])
