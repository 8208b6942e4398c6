"""A page that was asked for: its moment, its parameters, links that keep the moment, and how it is written."""

import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from act_fast.errors import ValidationError
from act_fast.inspector.guard import local
from act_fast.inspector.masking import Payload
from act_fast.inspector.rendering import templates
from act_fast.inspector.subject import Subject
from act_fast.stores.time_travel import cut_at

__all__ = ["ROWS", "Page"]

ROWS: Final = 50
"""How many rows a page of a listing has."""

NAVIGATION: Final = (
    ("/", "Overview"),
    ("/log", "Log"),
    ("/streams", "Streams"),
    ("/targets", "Targets"),
    ("/blocked", "Blocked"),
    ("/timers", "Timers"),
    ("/sql", "SQL"),
    ("/model", "Model"),
    ("/storage", "Storage"),
)


_SECTIONS: Final = {
    "/event": "/log",
    "/correlation": "/log",
    "/stream": "/streams",
    "/target": "/targets",
    "/do": "/blocked",
    "/cancel": "/timers",
}
_LIVE: Final = frozenset({"/", "/log", "/streams", "/stream", "/targets", "/target", "/blocked", "/timers", "/storage"})


class Page:
    """A page, while it is answered.

    Attributes:
        request: what was asked for.
        subject: what is inspected.
        write: whether targets may be changed.
        payload: how much of events and states is shown.
    """

    def __init__(self, request: Request, subject: Subject, write: bool, payload: Payload) -> None:
        self.request = request
        self.subject = subject
        self.write = write
        self.payload: Payload = payload

    @cached_property
    def at(self) -> int | datetime | None:
        """The moment that is asked about; None: now."""
        text = self.given("at")
        if not text:
            return None
        if text.isascii() and text.isdigit() and len(text) < 19:
            return int(text)
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            raise ValidationError(f"at={text} is neither a position nor a time such as 2026-01-31T12:00:00Z") from None
        return found if found.tzinfo else found.replace(tzinfo=UTC)

    @cached_property
    def head(self) -> int:
        """The position of the last event."""
        return self.subject.store.head

    @cached_property
    def position(self) -> int:
        """The position that the page is about: the head, or that of its moment."""
        return self.head if self.at is None else cut_at(self.subject.store, self.at)

    @property
    def pinned(self) -> bool:
        """Whether it is about another moment than now."""
        return bool(self.given("at"))

    @property
    def who(self) -> str:
        """Who asks."""
        found: str = self.request.state.who
        return found

    def given(self, name: str) -> str:
        """A parameter of the address, empty where there is none."""
        return self.request.query_params.get(name, "").strip()

    def needed(self, name: str) -> str:
        """A parameter that must be there."""
        found = self.request.query_params.get(name, "")
        if not found:
            raise ValidationError(f"the address lacks {name}=")
        return found

    def number(self, name: str) -> int | None:
        """A parameter that is a whole number."""
        text = self.given(name)
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise ValidationError(f"{name}={text} is not a whole number of 0 or more")
        return int(text)

    def link(self, path: str, /, **parameters: object) -> str:
        """The address of another page, at the same moment."""
        kept = {"at": self.given("at"), **parameters}
        query = urlencode({name: value for name, value in kept.items() if value not in (None, "", False)})
        return f"{self.request.scope.get('root_path', '')}{path}{f'?{query}' if query else ''}"

    def here(self, **changes: object) -> str:
        """The address of this page with other parameters."""
        there = {name: value for name, value in self.request.query_params.items() if name != "token"}
        return self.link(self.path, **{**there, **changes})

    def static(self, name: str) -> str:
        """The address of a file of the inspector's own."""
        return f"{self.request.scope.get('root_path', '')}/static/{name}"

    @property
    def self(self) -> str:
        """The address of this page without parameters."""
        return f"{self.request.scope.get('root_path', '')}{self.path}"

    def kept(self) -> list[tuple[str, str]]:
        """The parameters that stay when the moment changes."""
        return [(name, value) for name, value in self.request.query_params.multi_items() if name != "at"]

    @property
    def section(self) -> str:
        """The view that it belongs to."""
        return _SECTIONS.get(self.path, self.path)

    @property
    def refreshes(self) -> bool:
        """Whether it shows what is going on now, so that news are worth a look."""
        given = self.request.query_params
        paged = any(given.get(name) for name in ("after", "before", "q", "version"))
        return self.path in _LIVE and not self.pinned and not paged

    def command(self, verb: str, *words: str) -> str:
        """A command about this store."""
        return shlex.join(["act-fast", verb, self.subject.address, *words])

    @property
    def path(self) -> str:
        """The path of this page, below where the inspector is mounted."""
        path: str = self.request.scope["path"]
        return local(path.removeprefix(self.request.scope.get("root_path", "")))

    def render(self, template: str, /, status: int = 200, **context: Any) -> Response:
        """The page as HTML."""
        shared: Mapping[str, Any] = {
            "page": self,
            "subject": self.subject,
            "navigation": NAVIGATION,
            "now": datetime.now(UTC),
            "svg": Markup,
        }
        return HTMLResponse(templates().get_template(template).render({**shared, **context}), status)
