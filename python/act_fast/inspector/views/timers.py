"""Timers: what is to be done later, and when; one that waits can be cancelled."""

import shlex

from starlette.responses import RedirectResponse, Response

from act_fast._timers.timer import find_timer, timers_before
from act_fast.errors import ActError, ValidationError
from act_fast.inspector.page import ROWS, Page

__all__ = ["ask", "do", "show"]


def show(page: Page) -> Response:
    """A page of timers, those scheduled last first."""
    store, every = page.subject.store, page.given("state") == "all"
    before = page.number("before")
    end = page.head + 1 if before is None else before
    found, more = timers_before(store, end, ROWS, waiting=not every)
    return page.render("timers.html", timers=found, more=more, before=before, every=every)


def ask(page: Page) -> Response:
    """What is about to be cancelled, and a form that confirms it."""
    key = page.needed("key")
    timer = find_timer(page.subject.store, key)
    if timer is None:
        raise ValidationError(f"no timer was ever scheduled under the key {key!r}")
    return page.render("cancel_timer.html", timer=timer, command=_command(page, key))


def do(page: Page) -> Response:
    """Cancel it, record it, and go back to the list."""
    key, by = str(page.request.state.form.get("key", "")), page.who
    told = _command(page, key)
    page.subject.audit.check()
    timer = find_timer(page.subject.store, key) if key else None
    target = timer.target if timer is not None else key
    try:
        timer = page.subject.cancel_timer(key, by)
    except ActError as error:
        page.subject.audit.add(by, "cancel", target, told, f"refused: {error}")
        raise
    outcome = "cancelled" if timer.status == "cancelled" else "it was done already"
    page.subject.audit.add(by, "cancel", target, told, outcome)
    page.subject.tallies.forget()
    return RedirectResponse(page.link("/timers", state="all"), 303)


def _command(page: Page, key: str) -> str:
    return shlex.join(["act-fast", "cancel", page.subject.address, key])
