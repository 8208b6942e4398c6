"""What can be done to a target by hand: asked first, with the command that does the same, and recorded."""

import shlex
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from starlette.responses import RedirectResponse, Response

from act_fast._checks import arguments
from act_fast._reactions.skipped import skip
from act_fast._reactions.targets import targets
from act_fast.errors import ActError, ValidationError
from act_fast.inspector.page import Page
from act_fast.inspector.searching import event_at

__all__ = ["ask", "do"]


class Verb(msgspec.Struct, frozen=True):
    """Something that can be done: what it is called, and what to know before."""

    name: str
    title: str
    explained: str


VERBS: Final = {
    each.name: each
    for each in (
        Verb("unblock", "Unblock", "The target tries the failed event again, with a fresh budget of retries."),
        Verb(
            "skip",
            "Skip the event",
            "The target steps over its next event for good and continues with the one after it. The event stays in the"
            " log, and the skip is recorded with your name and the reason.",
        ),
        Verb(
            "reset",
            "Reset",
            "The target does all its work again, from the first event or after a position. Its handlers receive again"
            " what they have received before, so mail is sent again, unless they ask app.replaying.",
        ),
        Verb("defer", "Defer", "The target pauses until a time, and then continues by itself."),
    )
}


def ask(page: Page) -> Response:
    """What is about to happen, and a form that confirms it."""
    verb = _verb(page.needed("verb"))
    name = page.needed("target")
    port = page.subject.reactions()
    target = next(targets(port, name))
    heads = [each for each in port.heads(name) if each[1] is not None]
    failing = [each for each in heads if each[2]]
    at = target.failing if target.failing is not None else min((each[1] or 0 for each in heads), default=0)
    return page.render(
        "confirm.html",
        verb=verb,
        target=target,
        heads=failing or heads,
        event=event_at(page.subject.store, at or 0),
        until=(datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0, second=0),
        command=command(page.subject.address, verb.name, name, {}),
    )


def do(page: Page) -> Response:
    """Do it, record it, and go back to the target."""
    form: dict[str, str] = page.request.state.form
    verb, name = _verb(form.get("verb", "")), form.get("target", "")
    by = page.who
    told = command(page.subject.address, verb.name, name, form)
    page.subject.audit.check()
    try:
        outcome = _DOING[verb.name](page, name, form)
    except ActError as error:
        page.subject.audit.add(by, verb.name, name, told, f"refused: {error}")
        raise
    page.subject.audit.add(by, verb.name, name, told, outcome)
    page.subject.tallies.forget()
    return RedirectResponse(page.link("/target", name=name), 303)


def command(address: str, verb: str, target: str, form: dict[str, str]) -> str:
    """The command that does the same in a shell."""
    parts = ["act-fast", verb, address, target]
    if verb == "skip":
        for option in ("reaction", "position"):
            if form.get(option):
                parts += [f"--{option}", form[option]]
        parts += ["--reason", form.get("reason") or "..."]
    elif verb == "reset" and form.get("to", "0") not in ("", "0"):
        parts += ["--to", form["to"]]
    elif verb == "defer":
        parts += ["--until", form.get("until") or "..."]
    return shlex.join(parts)


def _unblock(page: Page, name: str, form: dict[str, str]) -> str:
    changed = page.subject.reactions().unblock([name])
    return "unblocked" if changed else "it was not blocked"


def _skip(page: Page, name: str, form: dict[str, str]) -> str:
    position = form.get("position", "")
    done = skip(
        page.subject.reactions(),
        page.subject.store,
        name,
        int(position) if position.isascii() and position.isdigit() else None,
        form.get("reaction") or None,
        form.get("reason", ""),
        page.who,
    )
    return f"event at position {done.position:,} skipped for reaction {done.reaction!r}"


def _reset(page: Page, name: str, form: dict[str, str]) -> str:
    to = form.get("to", "") or "0"
    if not (to.isascii() and to.isdigit()):
        raise ValidationError(f"to={to} is not a position")
    page.subject.reactions().reset([name], to=int(to))
    return f"reset to position {int(to):,}"


def _defer(page: Page, name: str, form: dict[str, str]) -> str:
    try:
        until = datetime.fromisoformat(form.get("until", ""))
    except ValueError:
        raise ValidationError(f"{form.get('until')!r} is not a time such as 2026-01-31T12:00:00Z") from None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    page.subject.reactions().defer(arguments.due_milliseconds("until", until), [name])
    return f"deferred until {until.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


_DOING: Final[dict[str, Callable[[Page, str, dict[str, str]], str]]] = {
    "unblock": _unblock,
    "skip": _skip,
    "reset": _reset,
    "defer": _defer,
}


def _verb(name: str) -> Verb:
    if name not in VERBS:
        raise ValidationError(f"{name!r} cannot be done here; there is {', '.join(VERBS)}")
    return VERBS[name]
