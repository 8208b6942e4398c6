"""UmaDB: its own server on loopback, started here; its client over gRPC. It flushes every commit, and groups them.

A stream is a tag, and its version check the condition that no event with that tag came after the one last seen.
"""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.harness.duel import Body, Contender
from bench.harness.threads import in_threads
from bench.peers.absence import needs
from bench.workloads.events import Batch, Library, Single

if TYPE_CHECKING:
    from umadb import Client

__all__ = ["umadb_batched", "umadb_load", "umadb_single"]

SINGLE = "UmaDB, one event a commit"
BATCHED = "UmaDB, 1,000 events a commit"
LOAD = "UmaDB, by tag"
DURABILITY = "power cut: it knows no other"
SERVER = "from umadb.umadb_server_cli import main; main()"
START_SECONDS_MAX = 20.0


@needs("umadb", SINGLE)
def umadb_single(events: Sequence[Single], *, threads: int = 1) -> list[Contender]:
    """One event a commit, over a client for each thread."""
    from umadb import Event

    work = [(event.stream, [Event(event.name, event.data, [event.stream])]) for event in events]
    name = SINGLE if threads == 1 else f"{SINGLE}, {threads} threads"

    @contextmanager
    def prepare(path: Path) -> Iterator[Body]:
        with server(path) as url, ExitStack() as clients:
            shares = [(clients.enter_context(connected(url)), work[i::threads]) for i in range(threads)]
            if threads == 1:
                yield partial(append, *shares[0])
            else:
                yield in_threads([partial(append, *share) for share in shares])

    return [Contender(name, DURABILITY, len(work), prepare)]


@needs("umadb", BATCHED)
def umadb_batched(commits: Sequence[Batch]) -> list[Contender]:
    """1,000 events a commit, over one client."""
    from umadb import Event

    work = [(commit.stream, [Event(name, data, [commit.stream]) for name, data in commit.events]) for commit in commits]

    @contextmanager
    def prepare(path: Path) -> Iterator[Body]:
        with server(path) as url, connected(url) as client:
            yield partial(append, client, work)

    return [Contender(BATCHED, DURABILITY, sum(len(commit.events) for commit in commits), prepare)]


@needs("umadb", LOAD)
def umadb_load(library: Library, streams: Sequence[str]) -> list[Contender]:
    """Each stream by its tag, in the client's batches."""
    from umadb import Event, Query, QueryItem

    @contextmanager
    def prepare(path: Path) -> Iterator[Body]:
        with server(path) as url, connected(url) as client:
            for parts in library.commits():
                client.append([Event(name, data, [stream]) for stream, events in parts for name, data in events])

            def load() -> None:
                for stream in streams:
                    response = client.read(Query([QueryItem(tags=[stream])]))
                    while response.next_batch():
                        pass

            yield load

    return [Contender(LOAD, DURABILITY, len(streams) * library.events_a_stream, prepare)]


def append(client: "Client", work: Sequence[tuple[str, list]]) -> None:
    from umadb import AppendCondition, Query, QueryItem

    seen: dict[str, int] = {}
    for stream, events in work:
        newer = Query([QueryItem(tags=[stream])])
        seen[stream] = client.append(events, AppendCondition(newer, seen.get(stream)))


@contextmanager
def server(path: Path) -> Iterator[str]:
    """A server of its own with an empty database; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-c", SERVER, "--listen", address, "--db-path", str(path / "uma.db")]
    with (path / "server.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            wait_until_it_answers(f"http://{address}", process)
            yield f"http://{address}"
        finally:
            process.terminate()


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    from umadb import Client

    give_up = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            Client(url).head()
        except Exception:
            if process.poll() is not None or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            return


@contextmanager
def connected(url: str) -> "Iterator[Client]":
    from umadb import Client

    with Client(url) as client:
        yield client
