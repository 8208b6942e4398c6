"""A network between a client and a server that breaks at a chosen moment."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

_CHUNK = 65536


class Proxy:
    """Passes bytes on between clients and a server on loopback.

    Attributes:
        port: where clients connect; one that is free unless it is given.
        asked: called with what a client sends; when it answers True, it is kept back and the connection is cut.
        answered: the same for what the server sends.

    While a direction is held, nothing that is sent in it arrives, as when packets are dropped; the connections stay.
    """

    def __init__(self, server_port: int, port: int = 0) -> None:
        self._server_port = server_port
        self._listening = socket.create_server(("127.0.0.1", port))
        self.port = self._listening.getsockname()[1]
        self.asked: Callable[[bytes], bool] = lambda data: False
        self.answered: Callable[[bytes], bool] = lambda data: False
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closed = False
        self._flows = {"asked": threading.Event(), "answered": threading.Event()}
        self.let_through()
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self, *directions: str) -> None:
        """Let nothing through in these directions: `asked`, `answered`."""
        for each in directions:
            self._flows[each].clear()

    def let_through(self) -> None:
        """Let everything through again, also what was held."""
        for each in self._flows.values():
            each.set()

    def cut(self) -> None:
        """Cut every connection now."""
        with self._lock:
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Cut every connection, and take no more."""
        self._closed = True
        self.let_through()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._server_port))
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open |= {client, server}
            for one, other, cuts, flow in (
                (client, server, lambda data: self.asked(data), self._flows["asked"]),
                (server, client, lambda data: self.answered(data), self._flows["answered"]),
            ):
                threading.Thread(target=self._pass_on, args=(one, other, cuts, flow), daemon=True).start()

    def _pass_on(
        self, one: socket.socket, other: socket.socket, cuts: Callable[[bytes], bool], flow: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := one.recv(_CHUNK):
                flow.wait()
                if cuts(data):
                    break
                other.sendall(data)
        for each in (one, other):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open.discard(one)
        one.close()
