"""`act-fast serve MODULE:APP`: an app over HTTP."""

import asyncio
import os
import signal
import socket
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, cast

from act_fast import AsyncAct
from act_fast._checks.extras import need
from act_fast.cli.input.app import find_app, find_object
from act_fast.cli.input.arguments import Commands, add_command, count, port
from act_fast.cli.input.ports import telling_busy_ports
from act_fast.cli.output.logs import FORMATS, LEVELS, log_to_stderr
from act_fast.errors import ValidationError
from act_fast.serving import Api, Authorize, api, bearer

__all__ = ["add"]

DESCRIPTION = """\
Serve an app over HTTP: its actions, states and histories, its events as they
happen, an OpenAPI document, health and metrics.

  POST /states/STATE/STREAM/ACTION   run an action; the body is its arguments
  GET  /states/STATE/STREAM          a state, with its version as ETag; ?at=
  GET  /states/STATE/STREAM/history  after each event; ?after= ?limit=
  GET  /events                       a page, or server-sent events
  GET  /openapi.json /health /metrics

It listens on 127.0.0.1 unless you say otherwise, and then it wants to know who
may come in: either everybody who sends the token in ACT_FAST_TOKEN (as
Authorization: Bearer ...), or whom a function of yours lets in, --authorize
MODULE:FUNCTION. Behind a proxy, let the proxy speak TLS.

It runs no reactions: act-fast run does. It serves in one process; to serve in
several, run several behind a proxy, or mount act_fast.serving.api(app) and let
a server of processes run that."""

EXAMPLES = """\
bank:app
bank:app --port 9000
bank:app --host 0.0.0.0 --authorize bank:who --allow-host bank.example.org"""

_NEAR: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_NEAR_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "serve", _run, summary="serve an app over HTTP", description=DESCRIPTION, examples=EXAMPLES
    )
    parser.add_argument("app", metavar="MODULE:APP", help="the app, or a function that makes one")
    parser.add_argument("--host", metavar="ADDRESS", default="127.0.0.1", help="where to listen (127.0.0.1)")
    parser.add_argument("--port", metavar="N", type=port, default=8000, help="0 is any that is free (8000)")
    parser.add_argument("--authorize", metavar="MODULE:FUNCTION", help="who may do what")
    parser.add_argument(
        "--allow-host",
        metavar="NAME",
        action="append",
        help="a name that the service is reached by; may be repeated (on 127.0.0.1 that and localhost, else any)",
    )
    parser.add_argument("--body-max", metavar="BYTES", type=count, default=1 << 20, help="of a request (1048576)")
    parser.add_argument("--grace", metavar="S", type=count, default=10, help="seconds for requests on shutdown (10)")
    parser.add_argument(
        "--log-level", metavar="LEVEL", choices=LEVELS, default="info", help=f"{', '.join(LEVELS)} (info)"
    )
    parser.add_argument("--log-format", choices=FORMATS, default="text", help="text, or one JSON object a line (text)")


def _run(arguments: Namespace) -> int:
    need("act-fast serve", "starlette", "uvicorn")
    authorize = _authorize(arguments)
    log_to_stderr(arguments.log_level, arguments.log_format)
    return asyncio.run(_serve(arguments, authorize))


def _authorize(arguments: Namespace) -> Authorize | None:
    token = os.environ.get("ACT_FAST_TOKEN")
    if arguments.authorize:
        found = find_object(arguments.authorize)
        if not callable(found):
            raise ValidationError(f"{arguments.authorize} is not a function")
        return cast(Authorize, found)
    if token:
        return bearer(token)
    if arguments.host not in _NEAR:
        raise ValidationError(
            f"on {arguments.host} other machines can connect; say who may: set ACT_FAST_TOKEN, or pass --authorize"
        )
    return None


async def _serve(arguments: Namespace, authorize: Authorize | None) -> int:
    import uvicorn

    found = find_app(arguments.app)
    async with found if isinstance(found, AsyncAct) else AsyncAct(found) as app:
        service = api(
            app,
            authorize=authorize,
            hosts=_hosts(arguments),
            body_max=arguments.body_max,
            title=arguments.app,
        )
        config = uvicorn.Config(
            service,
            ws="none",
            server_header=False,
            proxy_headers=False,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=arguments.grace,
        )
        with _listening(arguments.host, arguments.port) as listening:
            told = f"act-fast: {arguments.app} is served at {_url(listening)}"
            await _server(uvicorn, config, service, told).serve([listening])
    return 0


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens, so that a port that is taken is an error of ours.

    It says that it is TCP, which `socket.create_server` leaves out: only then does asyncio send at once what is
    written, where it would otherwise wait 40 ms for a client that has nothing to say.
    """
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, proto=socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with telling_busy_ports(port):
            listening.bind((host, port))
            listening.listen(2048)
    except BaseException:
        listening.close()
        raise
    return listening


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _hosts(arguments: Namespace) -> list[str] | None:
    if arguments.allow_host:
        return list(arguments.allow_host)
    return list(_NEAR_HOSTS) if arguments.host in _NEAR else None


def _server(uvicorn: Any, config: Any, service: Api, told: str) -> Any:
    """A server that, told to end, first ends what would never end by itself; and then returns."""
    loop = asyncio.get_running_loop()

    class Server(uvicorn.Server):  # type: ignore[misc]
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            before = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)}
            try:
                yield
            finally:
                for each, handler in before.items():
                    signal.signal(each, handler)

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            print(told, file=sys.stderr, flush=True)

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(service.stop)
            super().handle_exit(sig, frame)

    return Server(config)
