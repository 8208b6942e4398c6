"""The ASGI app: takes a request apart, awaits one verb of the app, and answers."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from act_fast._app.act import Act
from act_fast._app.async_act import AsyncAct
from act_fast._checks import arguments
from act_fast._checks.extras import need
from act_fast._events.meta import Actor
from act_fast._events.sealing import outside
from act_fast._states.action import Action
from act_fast._states.snapshot import Snapshot
from act_fast._states.state import State
from act_fast.errors import ConcurrencyError, ValidationError
from act_fast.monitoring import monitor
from act_fast.serving import asked
from act_fast.serving.access import LOOPBACK_HOSTS, Access, Authorize, authorized, check_host
from act_fast.serving.events import as_written, conditions_of, follow, page_of
from act_fast.serving.openapi import document
from act_fast.serving.problems import PROBLEM_JSON, Refusal, misfit_of, refusal_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["Api", "api"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

LIMIT: Final = 100
LIMIT_MAX: Final = 1000
FOLLOWERS_MAX: Final = 1000
_CORRELATION_MAX: Final = 200
_KEY_MAX: Final = 200
_REPEATED: Final = {"Idempotent-Replayed": "true"}
_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-cache"}

log: Final = logging.getLogger("act_fast")


def api(
    app: Act | AsyncAct,
    /,
    *,
    authorize: Authorize | None = None,
    errors: Mapping[type[Exception], int] | None = None,
    hosts: Collection[str] | None = None,
    body_max: int = 1 << 20,
    title: str = "act-fast",
) -> "Api":
    """An ASGI app that serves an app over HTTP; any ASGI server runs it, and any framework mounts it.

        service.mount("/bank", api(app, authorize=who))

    It has `POST /states/{State}/{stream}/{action}`, `GET /states/{State}/{stream}` and its `/history`, `GET /events`,
    `/openapi.json`, `/health` and `/metrics`.

    Args:
        app: what is served. It stays open when the service ends.
        authorize: a function of the request and of the `Access` it asks for, plain or `async def`, which decides. If
            there is none, only clients on this machine are served.
        errors: the statuses of errors that your actions raise, such as `{OverdrawnError: 409}`. Any other is answered
            with 500, and logged.
        hosts: the names that the service is reached by, such as `{"localhost"}`; a request for another is refused.
            None: any, or without `authorize` those of loopback.
        body_max: how many bytes a body may have.
        title: what the OpenAPI document is called.

    Raises:
        MissingExtraError: Starlette is not installed.
        ValidationError: an option is not valid.
    """
    need("api()", "starlette")
    if not isinstance(app, Act | AsyncAct):
        raise ValidationError(f"api() serves an Act or an AsyncAct, not {type(app).__name__}")
    if authorize is not None and not callable(authorize):
        raise ValidationError("authorize= must be a function of the request and the Access it asks for")
    own = dict(errors or {})
    for kind, status in own.items():
        if not isinstance(kind, type) or not issubclass(kind, Exception) or status not in range(400, 600):
            raise ValidationError("errors= must name exception classes, each with a status from 400 to 599")
    return Api(
        app if isinstance(app, AsyncAct) else AsyncAct(app),
        authorize,
        own,
        _named(hosts, authorize),
        arguments.count("body_max", body_max),
        arguments.text("title", title),
    )


def _named(hosts: Collection[str] | None, authorize: Authorize | None) -> frozenset[str] | None:
    """The names that are answered to: a page elsewhere may have a name that leads here."""
    if hosts is None:
        return None if authorize is not None else LOOPBACK_HOSTS
    return frozenset(each.lower() for each in hosts)


class Api:
    """An app over HTTP, as `api` makes it."""

    def __init__(
        self,
        app: AsyncAct,
        authorize: Authorize | None,
        errors: Mapping[type[Exception], int],
        hosts: frozenset[str] | None,
        body_max: int,
        title: str,
    ) -> None:
        self._app = app
        self._authorize = authorize
        self._errors = errors
        self._hosts = hosts
        self._body_max = body_max
        self._title = title
        self._monitor = monitor(app)
        self._stopping = asyncio.Event()
        self._followers = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request as ASGI servers ask."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:  # a websocket is refused
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    def stop(self) -> None:
        """End all requests that follow events, so that a server can stop without waiting. Call it on the event loop."""
        self._stopping.set()

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            kind = (await receive())["type"]
            if kind == "lifespan.shutdown":
                self.stop()
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        from starlette.requests import ClientDisconnect, Request

        request = Request(scope, receive)
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            answer = await self._answered(request)
            await answer(scope, receive, sending)
        except ClientDisconnect:
            return
        except Refusal as refusal:
            await _problem(refusal)(scope, receive, send)
        except Exception as error:
            if begun:
                raise
            await _problem(self._refusal(request, error))(scope, receive, send)

    def _refusal(self, request: "Request", error: Exception) -> Refusal:
        pinned = "if-match" in request.headers or "if-none-match" in request.headers
        refusal = refusal_of(error, pinned, self._errors)
        if refusal is None or refusal.status >= 500:
            log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return refusal or Refusal(500, "an unexpected error occurred; the service has logged it")

    async def _answered(self, request: "Request") -> Any:
        """The response, itself an ASGI app."""
        check_host(self._hosts, request)
        match asked.segments(request):
            case ["states", name, stream]:
                await self._enter(request, ["GET"], Access("read", name, stream))
                return await self._state(request, self._known(name), stream)
            case ["states", name, stream, "history"] if request.method in ("GET", "HEAD"):
                await self._enter(request, ["GET"], Access("read", name, stream))
                return await self._history(request, self._known(name), stream)
            case ["states", name, stream, verb]:
                actor = await self._enter(request, ["POST"], Access("act", name, stream, verb))
                return await self._act(request, self._known(name), stream, verb, actor)
            case ["events"]:
                await self._enter(request, ["GET"], Access("events", None, request.query_params.get("stream")))
                return await self._events(request)
            case ["openapi.json"]:
                await self._enter(request, ["GET"], Access("describe"))
                return _json(document(self._app.sync, self._title, request.scope.get("root_path", "")))
            case ["health" | "metrics" as page]:
                await self._enter(request, ["GET"], Access(_page(page)))
                return _Below(self._monitor, f"/{page}")
        raise Refusal(404, "there is /states/{State}/{stream}, /events, /openapi.json, /health and /metrics")

    async def _enter(self, request: "Request", methods: list[str], access: Access) -> Actor | None:
        """Who asks, once it is clear that they may."""
        allowed = [*methods, "HEAD"] if "GET" in methods else methods
        if request.method not in allowed:
            raise Refusal(405, f"only {' and '.join(allowed)}", {"Allow": ", ".join(allowed)})
        return await authorized(self._authorize, request, access)

    def _known(self, name: str) -> type[State]:
        states = {each.__definition__.name: each for each in self._app.sync.states}
        if name not in states:
            raise Refusal(404, f"there is no state {name!r}; there is {', '.join(map(repr, states)) or 'none'}")
        return states[name]

    async def _act(
        self, request: "Request", state: type[State], stream: str, name: str, actor: Actor | None
    ) -> "Response":
        action: Action[Any, Any, Any] | None = state.__definition__.actions.get(name)
        if action is None:
            known = ", ".join(map(repr, state.__definition__.actions)) or "none"
            raise Refusal(404, f"{state.__definition__.name} has no action {name!r}; there is {known}")
        body = await asked.body_of(request, self._body_max)
        given = _arguments(action, body)
        app = await self._pinned(asked.pinned_to(request), state, stream)
        if (key := _key(request, actor)) is not None:
            app = app.once(key)
        with app.context(actor=actor, correlation=_correlation(request)):
            done = await app.do(action, stream, **given)
        return _answer(done, {"appended": done.appended}, _REPEATED if done.repeated else {})

    async def _pinned(self, pinned: asked.Pinned, state: type[State], stream: str) -> AsyncAct:
        """The app, expecting what the request rests on."""
        if pinned is None:
            return self._app
        if isinstance(pinned, int):
            return self._app.expecting(pinned)
        there = (await self._app.load(state, stream)).version
        if not pinned:  # whatever it is, as long as it is there
            if not there:
                raise ConcurrencyError(stream, 1, 0)
            return self._app
        return self._app.expecting(there if there in pinned else max(pinned))

    async def _state(self, request: "Request", state: type[State], stream: str) -> "Response":
        found = await self._app.load(state, stream, **asked.moment_of(request))
        if not found.version:
            raise Refusal(404, f"stream {stream!r} has no events", error="NotFound")
        if asked.matches(request, found.version):
            return _empty(304, {"ETag": f'"{found.version}"'})
        return _answer(found)

    async def _history(self, request: "Request", state: type[State], stream: str) -> "Response":
        after, limit = asked.count_of(request, "after", 0), _limit(request)
        store = self._app.sync.store
        last = await asyncio.to_thread(store.version, stream)
        if not last:
            raise Refusal(404, f"stream {stream!r} has no events", error="NotFound")
        end = min(after + limit, last)

        def read() -> list[dict[str, Any]]:
            if after >= end:
                return []
            states = self._app.sync.history(state, stream, after=after, before=end + 1)
            events = store.load(stream, after=after, before=end + 1)
            return [
                {**msgspec.structs.asdict(as_written(self._app.sync, event)), "state": outside(then.state)}
                for event, then in zip(events, states, strict=True)
            ]

        steps = await asyncio.to_thread(read)
        following = end if end < last else None
        headers = {"ETag": f'"{last}"'}
        if following is not None:
            headers["Link"] = f'<?after={following}&limit={limit}>; rel="next"'
        return _json(
            msgspec.json.encode({"stream": stream, "version": last, "next": following, "history": steps}), headers
        )

    async def _events(self, request: "Request") -> Any:
        app = self._app.sync
        conditions = conditions_of(app, request)
        after = asked.count_of(request, "after", 0)
        if request.method == "HEAD" or "text/event-stream" not in request.headers.get("accept", ""):
            page = await asyncio.to_thread(page_of, app, conditions, after, _limit(request))
            return _json(msgspec.json.encode(page))
        if "last-event-id" in request.headers:
            after = asked.number("Last-Event-ID", request.headers["last-event-id"])
        if self._followers >= FOLLOWERS_MAX:
            raise Refusal(503, "too many clients follow the events", {"Retry-After": "5"})
        await asyncio.to_thread(page_of, app, conditions, after, 0)
        return self._following(follow(app, conditions, after, self._stopping))

    def _following(self, lines: Any) -> Any:
        from starlette.responses import StreamingResponse

        stream = StreamingResponse(
            lines, headers={**_HEADERS, "Cache-Control": "no-store"}, media_type="text/event-stream"
        )

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            self._followers += 1
            try:
                await stream(scope, receive, send)
            finally:
                self._followers -= 1
                await lines.aclose()

        return counted


class _Below:
    """An ASGI app asked for one of its pages."""

    def __init__(self, inside: Any, path: str) -> None:
        self._inside = inside
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._inside({**scope, "path": self._path, "root_path": ""}, receive, send)


def _arguments(action: Action[Any, Any, Any], body: bytes) -> dict[str, Any]:
    """The arguments of an action, by name, decoded as strictly as their types say."""
    shape = action.parameters.shape
    try:
        given = msgspec.json.decode(body or b"{}", type=shape)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise misfit_of(error, shape, action.place) from None
    return msgspec.structs.asdict(given)


def _correlation(request: "Request") -> str | None:
    given = request.headers.get("x-request-id", "")
    if len(given) > _CORRELATION_MAX or not given.isprintable():
        raise Refusal(400, f"X-Request-ID must be at most {_CORRELATION_MAX} printable characters")
    return given or None


def _key(request: "Request", actor: Actor | None) -> str | None:
    """The key of a request, which is the actor's own: no actor gets another actor's answer."""
    given = request.headers.get("idempotency-key")
    if given is None:
        return None
    if not given or len(given) > _KEY_MAX or not given.isprintable():
        raise Refusal(400, f"Idempotency-Key must be 1 to {_KEY_MAX} printable characters")
    return f"{actor.id}:{given}" if actor else given


def _limit(request: "Request") -> int:
    return min(asked.count_of(request, "limit", LIMIT), LIMIT_MAX)


def _page(name: str) -> Literal["health", "metrics"]:
    return "health" if name == "health" else "metrics"


def _answer(
    found: Snapshot[Any], more: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
) -> "Response":
    body = {
        "stream": found.stream,
        "version": found.version,
        "position": found.position,
        "closed": found.closed,
        **(more or {}),
        "state": outside(found.state),
    }
    return _json(msgspec.json.encode(body), {"ETag": f'"{found.version}"', **(headers or {})})


def _json(body: bytes, headers: Mapping[str, str] | None = None) -> "Response":
    from starlette.responses import Response

    return Response(body, headers={**_HEADERS, **(headers or {})}, media_type="application/json")


def _empty(status: int, headers: Mapping[str, str]) -> "Response":
    from starlette.responses import Response

    return Response(status_code=status, headers={**_HEADERS, **headers})


def _problem(refusal: Refusal) -> "Response":
    from starlette.responses import Response

    headers = {**_HEADERS, "Cache-Control": "no-store", **refusal.headers}
    return Response(refusal.body, refusal.status, headers, PROBLEM_JSON)
