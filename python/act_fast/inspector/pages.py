"""The pages of the inspector, and what they are made of."""

from collections.abc import Callable
from importlib.resources import files
from typing import Final, TypeAlias
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from act_fast.errors import ActError, ValidationError
from act_fast.inspector.live import live
from act_fast.inspector.masking import Payload
from act_fast.inspector.page import Page
from act_fast.inspector.subject import Subject
from act_fast.inspector.views import (
    blocked,
    correlation,
    handling,
    log,
    model,
    overview,
    sql,
    storage,
    streams,
    targets,
    timers,
)

__all__ = ["application"]

View: TypeAlias = Callable[[Page], Response]

_FORM_BYTES_MAX: Final = 16 * 1024
_KINDS: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def application(subject: Subject, write: bool, payload: Payload) -> Starlette:
    """All pages over one store, without a guard."""

    def page(path: str, view: View) -> Route:
        return Route(path, _answering(view, subject, write, payload))

    def form(path: str, view: View) -> Route:
        answer = _answering(view, subject, write, payload)

        async def answer_form(request: Request) -> Response:
            request.state.form = await _fields(request)
            return await run_in_threadpool(answer, request)

        return Route(path, answer_form, methods=["POST"])

    routes = [
        page("/", overview.show),
        page("/log", log.show),
        page("/event", log.show_event),
        page("/streams", streams.show),
        page("/stream", streams.show_stream),
        page("/correlation", correlation.show),
        page("/targets", targets.show),
        page("/target", targets.show_target),
        page("/blocked", blocked.show),
        page("/timers", timers.show),
        page("/sql", sql.show),
        page("/sql.csv", sql.csv),
        page("/sql.parquet", sql.parquet),
        page("/model", model.show),
        page("/model.svg", model.diagram),
        page("/storage", storage.show),
        Route("/live", live(subject)),
        Route("/static/{name}", _static),
    ]
    if write:
        routes += [page("/do", handling.ask), form("/done", handling.do)]
        routes += [page("/cancel", timers.ask), form("/cancelled", timers.do)]
    return Starlette(routes=routes, exception_handlers={404: _not_there(subject, write, payload)})


def _answering(view: View, subject: Subject, write: bool, payload: Payload) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        page = Page(request, subject, write, payload)
        try:
            return view(page)
        except ActError as error:
            status = 400 if isinstance(error, ValidationError) else 503
            return page.render("problem.html", status, title="That did not work", sentence=str(error))

    return answer


async def _fields(request: Request) -> dict[str, str]:
    """The fields of a form, of which there are few."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _FORM_BYTES_MAX:
            return {}
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def _not_there(subject: Subject, write: bool, payload: Payload) -> Callable[[Request, Exception], Response]:
    def answer(request: Request, _: Exception) -> Response:
        page = Page(request, subject, write, payload)
        return page.render("problem.html", 404, title="There is no such page", sentence=request.url.path)

    return answer


def _static(request: Request) -> Response:
    name: str = request.path_params["name"]
    found = files("act_fast.inspector") / "static" / name
    kind = _KINDS.get(name.rpartition(".")[2])
    if kind is None or "/" in name or not found.is_file():
        return Response(status_code=404)
    return Response(found.read_bytes(), media_type=kind, headers={"cache-control": "max-age=3600"})
