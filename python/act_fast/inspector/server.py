"""The inspector run by itself: uvicorn on one port, and the address to open."""

import socket
from collections.abc import Callable, Sequence

import uvicorn

from act_fast._app.act import Act
from act_fast.inspector.guard import Access, Guard, is_loopback, new_token
from act_fast.inspector.masking import Payload
from act_fast.inspector.pages import application
from act_fast.inspector.subject import open_subject

__all__ = ["serve"]


def serve(
    source: str | Act,
    *,
    host: str,
    port: int,
    write: bool,
    payload: Payload,
    token: str | None,
    hosts: Sequence[str],
    say: Callable[[str], None],
) -> int:
    """Serve until Ctrl-C; the exit code."""
    subject = open_subject(source, write=write, audit=None)
    subject.port()  # with a million targets this takes a while, which no page should
    known = token or new_token()
    names = [*hosts, host] if is_loopback(host) else [*hosts, host, "*"]
    guard = Guard(application(subject, write, payload), Access(known, token is None, None, names))
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(2048)  # a port that is taken is told before anything else is
        config = uvicorn.Config(
            guard, log_level="warning", access_log=False, server_header=False, proxy_headers=False, lifespan="off",
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listening.getsockname()[1]}/"
        say(
            f"{subject.address}: open {address}?token={known}"
            if token is None
            else f"{subject.address}: open {address}"
        )
        if token is not None:
            say("add ?token= and your token to it the first time")
        uvicorn.Server(config).run(sockets=[listening])
    return 0
