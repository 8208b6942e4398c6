"""Targets: both frontiers as a picture, and for each target what it is doing and why."""

from collections.abc import Sequence

from starlette.responses import Response

from act_fast._reactions.targets import cursors, state_of, targets
from act_fast.errors import ValidationError
from act_fast.inspector.drawing.frontiers import frontiers
from act_fast.inspector.masking import HIDDEN, Payload, shown_error
from act_fast.inspector.page import ROWS, Page
from act_fast.inspector.searching import event_at
from act_fast.monitoring.why import why

__all__ = ["show", "show_target"]


def show(page: Page) -> Response:
    """The frontiers, and a page of targets."""
    port = page.subject.port()
    if port is None:
        return page.render("no_targets.html", heading="Targets")
    after = page.request.query_params.get("after") or None
    chosen = {
        "pattern": page.given("pattern") or None,
        "lane": page.given("lane") or None,
        "blocked": True if page.given("state") == "blocked" else None,
    }
    found = [*targets(port, after=after, limit=ROWS + 1, **chosen)]  # type: ignore[arg-type]
    tally = page.subject.tallies.look(port, page.head)
    return page.render(
        "targets.html",
        targets=found[:ROWS],
        more=len(found) > ROWS,
        after=after,
        chosen=chosen,
        tally=tally,
        picture=frontiers(tally, page.position if page.pinned else None),
        cursors=cursors(port),
        state_of=state_of,
    )


def show_target(page: Page) -> Response:
    """One target."""
    port, name = page.subject.reactions(), page.needed("name")
    answer = why(page.subject.store, port, name, page.subject.address)
    try:
        found = next(targets(port, name), None)
    except ValidationError:
        found = None
    error = shown_error(None if found is None else found.error, page.payload)
    reasons = [_reason(each, answer.errors, page.payload) for each in answer.reasons]
    at = found.failing if found is not None and found.failing is not None else None
    heads = port.heads(name) if found is not None else []
    nexts = [position for _, position, *_ in heads if position is not None]
    event = event_at(page.subject.store, at or min(nexts, default=0))
    return page.render(
        "target.html",
        name=name,
        target=found,
        state=answer.state,
        reasons=reasons,
        heads=heads,
        event=event,
        error=error,
        audit=[each for each in page.subject.audit.recent() if each.target == name],
    )


def _reason(reason: str, errors: Sequence[str], payload: Payload) -> tuple[str, str]:
    """A sentence, and the command that it ends in, if it does. What stands in an error is no command."""
    for error in errors:
        if error in reason:
            return reason.replace(error, shown_error(error, payload) or HIDDEN), ""
    said, found, command = reason.partition("act-fast ")
    return (said.rstrip(), f"act-fast {command}") if found else (reason, "")
