"""`act-fast inspect`: a store or an app in the browser."""

import os
import sys
from argparse import Namespace

from act_fast._app.act import Act
from act_fast._app.async_act import AsyncAct
from act_fast._checks.extras import need
from act_fast.cli.input.app import find_app
from act_fast.cli.input.arguments import Commands, add_command, port
from act_fast.cli.input.ports import telling_busy_ports
from act_fast.errors import ValidationError

__all__ = ["add"]

DESCRIPTION = """\
Show a store, its reactions and its app in a browser: the log as it grows, any
stream at any version, what resulted from a request, which targets are blocked and
why, SQL, the model as a diagram, and what is on the disk.

It prints an address with a token that can be used once. Only this machine can
reach it, and nothing can be changed, unless you say otherwise: --write lets
targets be unblocked, skipped, reset and deferred; --host lets other machines
in, which takes a --token of your own. Serve it through a proxy with TLS then.

--payload masked shows the fields of events and states without their values,
--payload none not even these; both turn SQL off."""

EXAMPLES = """\
bank.act
bank:app --write
postgresql://bank@db/bank --payload masked --port 9000"""

PORT = 8765


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "inspect", _run, summary="look at it in a browser", description=DESCRIPTION, examples=EXAMPLES
    )
    parser.add_argument(
        "source", metavar="PATH|APP", help="the store's directory, its address, or an app as module:name"
    )
    parser.add_argument("--port", metavar="N", type=port, default=PORT, help=f"the port ({PORT}); 0 takes a free one")
    parser.add_argument("--host", metavar="HOST", default="127.0.0.1", help="the address to listen at (127.0.0.1)")
    parser.add_argument("--write", action="store_true", help="allow changes to targets")
    parser.add_argument("--payload", choices=("none", "masked", "full"), default="full", help="what to show (full)")
    parser.add_argument("--token", metavar="TOKEN", help="a token of your own, which can be used again")
    parser.add_argument(
        "--hostname",
        metavar="NAME",
        action="append",
        default=[],
        help="a name that browsers may use; may be repeated",
    )


def _run(arguments: Namespace) -> int:
    need("act-fast inspect", "starlette", "jinja2", "uvicorn", extra="inspect")
    from act_fast.inspector.guard import is_loopback
    from act_fast.inspector.server import serve

    if not is_loopback(arguments.host) and not arguments.token:
        raise ValidationError(
            f"--host {arguments.host} lets other machines in, so it needs a token of your own: --token, of 16 letters"
            " or more"
        )
    source = _source(arguments.source)
    try:
        with telling_busy_ports(arguments.port):
            return serve(
                source,
                host=arguments.host,
                port=arguments.port,
                write=arguments.write,
                payload=arguments.payload,
                token=arguments.token,
                hosts=arguments.hostname,
                say=lambda line: print(line, file=sys.stderr, flush=True),
            )
    finally:
        if isinstance(source, Act):
            source.close()


def _source(address: str) -> str | Act:
    # A directory may have a colon in its name, and a module's name is never that of a directory with one.
    if ":" not in address or "://" in address or os.path.exists(address):
        return address
    app = find_app(address)
    return app.sync if isinstance(app, AsyncAct) else app
