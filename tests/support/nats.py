"""NATS servers with JetStream for tests: one, or three that are a cluster."""

import importlib.util
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.proxy import Proxy
from tests.support.servers import START_SECONDS, Unavailable, die_with_parent, free_port

USER, PASSWORD = "app", "p@ss/word"


class NatsServers:
    """Servers of our own, which know each other.

    Attributes:
        ports: where each listens for clients, on 127.0.0.1.
        links: the networks between each two of them, by which of them calls which.
    """

    def __init__(self, folder: Path, program: Path, count: int, *, flushing: bool, payload_max: int) -> None:
        self.ports = [free_port() for _ in range(count)]
        self._folder = folder
        self._program = program
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        routes = [free_port() for _ in range(count)]
        self.links = {
            (one, other): Proxy(routes[other]) for one in range(count) for other in range(count) if one != other
        }
        users = [
            {"user": USER, "password": PASSWORD},
            {"user": "reader", "password": PASSWORD, "permissions": {"publish": {"deny": ["act_fast.>"]}}},
        ]
        for number, port in enumerate(self.ports):
            config: dict[str, object] = {
                "server_name": f"n{number}", "listen": f"127.0.0.1:{port}", "max_payload": payload_max,
                "authorization": {"users": users},
                "jetstream": {
                    "store_dir": str(folder / f"n{number}"), "max_mem": 64 << 20, "max_file": 4 << 30,
                    "sync_interval": "always" if flushing else "2m",
                },
            }  # fmt: skip
            if count > 1:
                config["cluster"] = {
                    "name": "c",
                    "listen": f"127.0.0.1:{routes[number]}",
                    "no_advertise": True,  # clients and servers call each other where they are told to
                    "routes": [
                        f"nats://127.0.0.1:{link.port}" for (one, _), link in self.links.items() if one == number
                    ],
                }
            (folder / f"n{number}.conf").write_text(json.dumps(config))

    def url(self, name: str, *, user: str = USER, password: str = PASSWORD, ports: list[int] | None = None) -> str:
        """The address of a log."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports or self.ports)
        return f"nats://{user}:{password.replace('@', '%40').replace('/', '%2F')}@{hosts}/{name}"

    def start(self, number: int) -> None:
        """Start one of them."""
        with open(self._folder / f"n{number}.log", "ab") as log:
            self._processes[number] = subprocess.Popen(
                [self._program, "-c", str(self._folder / f"n{number}.conf")],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                preexec_fn=die_with_parent,
            )

    def stop(self, number: int, how: signal.Signals = signal.SIGKILL) -> None:
        """End one of them."""
        process = self._processes.pop(number, None)
        if process is not None:
            process.send_signal(how)
            process.wait(START_SECONDS)

    def part(self, number: int) -> None:
        """Cut one of them off from the others."""
        for pair, link in self.links.items():
            if number in pair:
                link.hold("asked", "answered")

    def join(self) -> None:
        """Let them all reach each other again."""
        for link in self.links.values():
            link.let_through()

    def start_all(self) -> None:
        """Start all, and return once they have a leader."""
        for number in range(len(self.ports)):
            self.start(number)
        end = time.monotonic() + START_SECONDS
        while not self._ready():
            if time.monotonic() > end or any(each.poll() is not None for each in self._processes.values()):
                raise Unavailable(f"NATS does not start: {self.log()[-2000:]}")
            time.sleep(0.05)

    def log(self) -> str:
        """What they have said."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self._folder.glob("*.log")))

    def _ready(self) -> bool:
        import asyncio

        import nats

        async def ask() -> bool:
            client = await nats.connect(
                f"nats://127.0.0.1:{self.ports[0]}", user=USER, password=PASSWORD, allow_reconnect=False
            )
            try:
                await client.jetstream().account_info()
                return True
            finally:
                await client.close()

        try:
            return asyncio.run(ask())
        except Exception:
            return False


@contextmanager
def nats_servers(count: int, *, flushing: bool = False, payload_max: int = 1 << 20) -> Iterator[NatsServers]:
    """Servers that keep nothing yet, for as long as the block lasts.

    Args:
        count: one, or three.
        flushing: whether what is acknowledged would survive a power cut of all, which no test can tell.
        payload_max: how many bytes a message may have.

    Raises:
        Unavailable: there are none to be had, and why.
    """
    program = _program()
    folder = Path(tempfile.mkdtemp(prefix="act-fast-nats-"))
    servers = NatsServers(folder, program, count, flushing=flushing, payload_max=payload_max)
    try:
        servers.start_all()
        yield servers
    finally:
        for number in range(count):
            servers.stop(number)
        for link in servers.links.values():
            link.close()
        shutil.rmtree(folder, ignore_errors=True)


def _program() -> Path:
    """The server: from PyPI, else from the system."""
    if importlib.util.find_spec("nats") is None:
        raise Unavailable("nats-py is not installed; pip install --group dev brings it")
    for place in (Path(sys.executable).parent / "nats-server", shutil.which("nats-server")):
        if place is not None and Path(place).exists():
            return Path(place)
    raise Unavailable("there is no NATS server; pip install --group dev brings one")
