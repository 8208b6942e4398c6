"""`act-fast serve` as a process: events as they happen, resumption, rude clients, and its end."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from act_fast import Act
from act_fast.cli.commands.serve import _listening
from tests.serving.bank import Account, Purse
from tests.support.processes import until

PATIENCE_SECONDS = 90
COMMAND = Path(sys.executable).with_name("act-fast")


class Served:
    """A service at work."""

    def __init__(self, folder: Path, *options: str, **environment: str) -> None:
        shutil.copy(Path(__file__).with_name("bank.py"), folder / "till.py")
        self.process = subprocess.Popen(
            [COMMAND, "serve", "till:app", "--port", "0", *options],
            cwd=folder,
            env={**os.environ, **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if found := re.search(r"http://\S+:(\d+)", line):
                self.port = int(found[1])
                break
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=PATIENCE_SECONDS)
        self.following: list[httpx.Response] = []

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """What it answers to a request."""
        return self.client.request(method, path, json=body, headers=headers)

    def follow(self, path: str = "/events", **headers: str) -> Iterator[dict[str, str]]:
        """The server-sent events that come, until it ends."""
        request = self.client.build_request("GET", path, headers={"Accept": "text/event-stream", **headers})
        answer = self.client.send(request, stream=True)
        self.following.append(answer)
        assert answer.headers["content-type"].startswith("text/event-stream")
        return messages(answer)

    def close(self) -> None:
        """End it at once."""
        for each in self.following:
            each.close()
        self.client.close()
        with self.process as process:
            process.kill()

    def end(self, sign: int = signal.SIGTERM) -> int:
        self.process.send_signal(sign)
        return self.process.wait(PATIENCE_SECONDS)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    served: list[Served] = []

    def start(*options: str, **environment: str) -> Served:
        served.append(Served(tmp_path, *options, **environment))
        return served[-1]

    yield start
    for each in served:
        each.close()


def messages(answer: httpx.Response) -> Iterator[dict[str, str]]:
    """Server-sent events, as a browser reads them."""
    found: dict[str, str] = {}
    for line in answer.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            found[name] = value
        else:
            yield found
            found = {}


def test_events_arrive_as_they_happen_and_a_client_goes_on_where_it_was(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    served = serve()
    assert served.ask("POST", "/states/Account/account-7/open", {"owner": "Ada"}).status_code == 200
    coming = served.follow()
    assert next(coming) == {"retry": "1000"}
    first = next(coming)
    assert (first["id"], first["event"]) == ("1", "Opened")
    with Act(tmp_path / "bank.act", Account, Purse) as other:  # another process's append is seen as well
        other.do(Account.deposit, "account-7", cents=5)
    second = next(coming)
    assert json.loads(second["data"])["data"] == {"cents": 5, "tags": []}
    again = served.follow("/events?after=0", **{"Last-Event-ID": "1"})
    assert [next(again).get("id"), next(again)["id"]] == [None, "2"]
    only = served.follow("/events?name=Deposited")
    assert [next(only).get("id"), next(only)["id"]] == [None, "2"]


def test_data_with_line_breaks_stays_one_event(serve: Callable[..., Served], tmp_path: Path) -> None:
    with Act(tmp_path / "bank.act", Account, Purse) as app:
        app.store.append("account-7", [("Opened", b'{\n"owner":\r\n"Ada"}')])
    coming = serve().follow()
    next(coming)
    assert json.loads(next(coming)["data"])["data"] == {"owner": "Ada"}


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_though_somebody_follows(serve: Callable[..., Served], sign: int) -> None:
    served = serve("--grace", "600")
    coming = served.follow()
    next(coming)
    assert served.end(sign) == 0
    assert list(coming) == []


def test_rude_clients_leave_others_alone(serve: Callable[..., Served]) -> None:
    served = serve("--body-max", "1000")
    slow = socket.create_connection(("127.0.0.1", served.port))
    slow.sendall(b"POST /states/Account/a/open HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
    slow.sendall(b"Content-Length: 20\r\n\r\n{")  # and nothing more
    for rude in (b"\x16\x03\x01\x00", b"GET / HTTP/9\r\n\r\n", b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", served.port)) as other:
            other.sendall(rude)
    with socket.create_connection(("127.0.0.1", served.port)) as gone:
        gone.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
    big = served.ask("POST", "/states/Account/a/open", {"owner": "A" * 2000})
    assert big.status_code == 413
    assert served.ask("POST", "/states/Account/a/open", {"owner": "Ada"}).status_code == 200
    slow.close()


def test_a_page_of_a_stranger_cannot_ask(serve: Callable[..., Served]) -> None:
    served = serve()
    assert served.ask("GET", "/health", Host="evil.example").status_code == 421
    assert served.ask("GET", "/health", Host=f"localhost:{served.port}").status_code == 200


def test_a_token_is_asked_for_where_others_can_come_in(serve: Callable[..., Served], tmp_path: Path) -> None:
    done = subprocess.run(
        [COMMAND, "serve", "till:app", "--host", "0.0.0.0"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "ACT_FAST_TOKEN" in done.stderr) == (2, True)
    served = serve("--host", "0.0.0.0", ACT_FAST_TOKEN="t" * 20)
    assert served.ask("GET", "/health").status_code == 401
    assert served.ask("GET", "/health", Authorization="Bearer " + "t" * 20).status_code == 200


def test_a_function_of_ones_own_lets_in(serve: Callable[..., Served]) -> None:
    assert serve("--authorize", "till:who", "--host", "0.0.0.0").ask("GET", "/health").status_code == 200


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--authorize", "till:purse"], "not a function"),
        (["--authorize", "till"], "does not name an app"),
        (["--port", "70000"], "is not a port"),
    ],
)
def test_wrong_options_are_told(tmp_path: Path, options: list[str], told: str) -> None:
    shutil.copy(Path(__file__).with_name("bank.py"), tmp_path / "till.py")
    command = [COMMAND, "serve", "till:app", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, told in done.stderr) == (2, True), done.stderr


def test_a_port_that_is_taken_is_told(serve: Callable[..., Served], tmp_path: Path) -> None:
    served = serve()
    command = [COMMAND, "serve", "till:app", "--port", str(served.port)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, f"port {served.port} is in use; pass another --port" in done.stderr) == (2, True), (
        done.stderr
    )


def test_answers_are_sent_at_once() -> None:
    with _listening("127.0.0.1", 0) as listening:
        connecting = socket.create_connection(listening.getsockname())
        accepted, _ = listening.accept()
        with connecting, accepted:
            assert accepted.proto == socket.IPPROTO_TCP  # what asyncio goes by to turn Nagle's algorithm off


def test_many_followers_cost_no_polling(serve: Callable[..., Served]) -> None:
    served = serve()
    following = [served.follow() for _ in range(20)]
    for each in following:
        next(each)
    status = Path(f"/proc/{served.process.pid}/stat")
    if not status.exists():
        pytest.skip("looks into /proc")

    def spent() -> int:
        return sum(map(int, status.read_text().rpartition(")")[2].split()[11:13]))

    def calm() -> bool:
        """Whether it does next to nothing for two seconds."""
        before = spent()
        time.sleep(2)
        return spent() - before < 0.5 * os.sysconf("SC_CLK_TCK")

    until(calm)  # what the followers' arrival takes may take longer
    served.ask("POST", "/states/Account/a/open", {"owner": "Ada"})
    assert [next(each)["id"] for each in following] == ["1"] * 20
