"""A receiver on a socket of its own, which answers as it is told and keeps what it was sent."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

__all__ = ["Answer", "Message", "Receiver"]

PATIENCE_SECONDS = 60

Answer = Callable[[BaseHTTPRequestHandler], None]


class Message(NamedTuple):
    """What a receiver was sent."""

    headers: dict[str, str]
    body: bytes
    path: str


class Receiver:
    """Answers each request with the next of `answers`, and all others as the last of them; 204 without any."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.answers: list[Answer] = []
        self.got = threading.Condition()
        self.released = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver._take(self)

            do_GET = do_POST

            def log_message(self, *arguments: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *arguments: Any) -> None:  # a sender that has gone
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook/a-secret-path"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait(self, count: int) -> list[Message]:
        """What it was sent, once that is so many."""
        with self.got:
            assert self.got.wait_for(lambda: len(self.messages) >= count, PATIENCE_SECONDS)
            return list(self.messages)

    def _take(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("content-length", "0")))
        headers = {name.lower(): value for name, value in request.headers.items()}
        with self.got:
            self.messages.append(Message(headers, body, request.path))
            number = len(self.messages)
            self.got.notify_all()
        answers = self.answers or [status(204)]
        answers[min(number, len(answers)) - 1](request)

    def hangs(self, request: BaseHTTPRequestHandler) -> None:
        """Answer when the test is over."""
        self.released.wait(PATIENCE_SECONDS)

    def drips(self, request: BaseHTTPRequestHandler) -> None:
        """Answer with a header that goes on and on."""
        with contextlib.suppress(OSError):
            request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not self.released.wait(0.05):
                request.wfile.write(b"x")

    def never_ends(self, request: BaseHTTPRequestHandler) -> None:
        """Answer well, with a body that goes on and on."""
        with contextlib.suppress(OSError):
            request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
            while not self.released.is_set():
                request.wfile.write(b"x" * 65536)

    @staticmethod
    def resets(request: BaseHTTPRequestHandler) -> None:
        """Drop the connection."""
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.connection.close()
        request.close_connection = True

    @staticmethod
    def babbles(request: BaseHTTPRequestHandler) -> None:
        """Answer what is no HTTP."""
        request.wfile.write(b"\x00\x01\x02 hello\r\n\r\n")


def status(code: int, **headers: str) -> Answer:
    """An answer with a status."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer
