"""The log: events as they come, filtered, and each of them with why it happened and what it led to."""

from datetime import UTC, datetime

from starlette.responses import Response

from act_fast.errors import ValidationError
from act_fast.inspector.page import ROWS, Page
from act_fast.inspector.searching import Wanted, event_at, newer, older

__all__ = ["show", "show_event"]

_CAUSED_MAX = 50
_COMMIT_MAX = 20


def show(page: Page) -> Response:
    """A page of events, the newest first."""
    store = page.subject.store
    wanted = _wanted(page)
    after, before = page.number("after"), page.number("before")
    end = page.position + 1
    if after is not None:
        found = newer(store, wanted, after, ROWS, end)
        events = [*reversed(found.events)]
        has_newer, has_older = found.more, after > 0
        top, bottom = found.reached, None
    else:
        found = older(store, wanted, min(end, before or end), ROWS)
        events = found.events
        has_newer, has_older = before is not None and before < end, found.more
        top, bottom = None, found.reached
    return page.render(
        "log.html",
        wanted=wanted,
        events=events,
        names=store.names(),
        has_newer=has_newer,
        has_older=has_older,
        newer_than=top or (events[0].position if events else (before or 1) - 1),
        older_than=bottom or (events[-1].position if events else (after or 0) + 1),
        reached=found.reached,
        live=after is None and before is None and not page.pinned,
    )


def show_event(page: Page) -> Response:
    """One event."""
    store = page.subject.store
    position = page.number("position") or 0
    event = event_at(store, position)
    if event is None:
        raise ValidationError(f"there is no event at position {position:,}; the log ends at {store.head:,}")
    cause = event.meta.event
    correlation = event.meta.correlation
    caused = []
    reached = None
    if correlation is not None:
        found = newer(store, Wanted(correlation=correlation), position, 1000, page.position + 1)
        caused = [each for each in found.events if each.meta.event and each.meta.event.position == position]
        reached = found.reached
    around = store.query(after=max(0, position - _COMMIT_MAX), before=position + _COMMIT_MAX, limit=2 * _COMMIT_MAX)
    siblings = [each for each in around if each.created == event.created and each.position != position]
    return page.render(
        "event.html",
        event=event,
        cause=None if cause is None else event_at(store, cause.position),
        caused=caused[:_CAUSED_MAX],
        more_caused=len(caused) > _CAUSED_MAX,
        reached=reached,
        siblings=siblings,
        last_version=store.version(event.stream),
    )


def _wanted(page: Page) -> Wanted:
    return Wanted(
        stream=page.given("stream") or None,
        pattern=page.given("pattern") or None,
        names=page.request.query_params.getlist("name") or None,
        correlation=page.given("correlation") or None,
        created_after=_moment(page, "since"),
        created_before=_moment(page, "until"),
    )


def _moment(page: Page, name: str) -> datetime | None:
    text = page.given(name)
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValidationError(f"{name}={text} is not a time such as 2026-01-31T12:00:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
