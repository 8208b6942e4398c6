"""An ordered log in NATS JetStream: a stream with one subject, a record a message, places are its sequence numbers.

A record is published with a message id, and again with the same one when no answer comes: within the stream's window of
duplicates that lands once, so an outcome stays unknown only when the servers stay away. Pages are fetched by direct
gets, which any replica answers. The stream tells of each record it has stored on a second subject, headers only, and
that ends the waits; a look at the head now and then makes up for news that were lost.
"""

import asyncio
import json
import re
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar
from uuid import uuid4

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from act_fast._runtime.event_loop import LoopThread
from act_fast.errors import (
    EngineAwayError,
    EngineError,
    EngineRefusedError,
    NotDurableError,
    OutcomeUnknownError,
    RecordTooLargeError,
    StoreClosedError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    ValidationError,
)
from act_fast.stores.ordered.address import Parts, parts_of
from act_fast.stores.ordered.handle import Handle
from act_fast.stores.ordered.port import Entry

__all__ = ["NatsOrderedLog"]

_PORT: Final = 4222
_AWAY_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 4.0
_AGAIN_SECONDS: Final = 3.0
_SWEEP_SECONDS: Final = 0.1
_LOOK_SECONDS: Final = 1.0
_CLOSE_SECONDS: Final = 5.0
_WINDOW_SECONDS: Final = 120
_LAG_SECONDS: Final = 0.005
_IN_FLIGHT_MAX: Final = 1024
_PAGE_RECORDS: Final = 1024
_HEADER_BYTES: Final = 128
_OWN_SECONDS: Final = 0.02
_PAGE_SECONDS: Final = 3.0
_REPLICAS: Final = 3
_NAME_FITS: Final = re.compile(r"[A-Za-z0-9_-]{1,128}").fullmatch

_TOO_MANY_REPLICAS: Final = (10005, 10074)
_NO_STREAM: Final = 10059
_TAKEN: Final = 10058
_AWAY: Final = (10008, 10009, 10013, 10118, 10201, 10158)  # no quorum, no leader, busy, the same id is at work
_FULL: Final = (10023, 10028, 10047, 10077, 10122)
_TOO_LARGE: Final = (10054,)

_T = TypeVar("_T")


@dataclass(eq=False)
class _Submitted:
    """A record on its way.

    Attributes:
        id: what the stream knows it by.
        began: when it was submitted.
        first_sent: when it was sent for the first time; 0 for not yet.
        open: how many times it was sent without an answer so far.
        again: when to send it once more.
    """

    record: bytes
    future: Future[int]
    id: str
    began: float
    first_sent: float = 0.0
    open: int = 0
    again: float = 0.0


class NatsOrderedLog(Handle):
    """A log in a JetStream stream, made when it is not there: three replicas on disk, without limits.

    Args:
        address: `nats://user:password@host:4222,host:4222/name`. Options: `durability=engine` accepts a stream with
            fewer replicas, `replicas=` is how many a new one gets, `creds=` a credentials file, `token=`, and for TLS
            `tls_ca=`, `tls_cert=` and `tls_key=`.

    Raises:
        EngineAwayError: no server answers.
        EngineRefusedError: the credentials are wrong, or lack a permission.
        NotDurableError: the stream is in memory, or has fewer than three replicas.
    """

    def __init__(self, address: str) -> None:
        parts = parts_of(address)
        super().__init__(str(parts), 0)
        self._stream = _stream_name(parts)
        self._subject = f"act_fast.{self._stream}"
        self._link = _Link(parts, self.name, self._listen, self._lost)
        self._inbox = f"_INBOX.{uuid4().hex}"
        self._window_seconds = 0.0
        self._thread = LoopThread()
        self._loop = self._thread.loop()
        self._queue: deque[_Submitted] = deque()
        self._in_flight: dict[str, _Submitted] = {}
        self._landed: dict[str, None] = {}  # the last of ours that were acknowledged
        self._pages: dict[str, asyncio.Queue[Msg | None]] = {}
        self._work = asyncio.Event()
        self._news = asyncio.Event()
        self._known_head = 0
        self._caught_up = False  # whether a page has ended at the end, and what came since is heard of
        self._heard = time.monotonic()
        self._tasks: list[asyncio.Task[None]] = []
        try:
            self._call(self._open(parts))
        except BaseException:
            self.close()
            raise

    # Opening and closing

    async def _open(self, parts: Parts) -> None:
        await self._link.client()
        config = await self._stream_of(parts)
        self._check_durable(parts, config)
        if not config.get("allow_direct"):
            raise EngineError(f"the stream of {self.name} does not allow direct gets; set allow_direct on it")
        self._window_seconds = config.get("duplicate_window", 0) / 1e9
        limit = config.get("max_msg_size", -1)
        payload = (await self._link.client()).max_payload
        self._max_record = (payload if limit < 0 else min(limit, payload)) - _HEADER_BYTES
        self._tasks = [asyncio.ensure_future(self._send_all()), asyncio.ensure_future(self._sweep())]

    async def _stream_of(self, parts: Parts) -> dict[str, Any]:
        """The configuration of the stream, which is made when it is not there."""
        with suppress(_NotThere):
            return await self._config()
        fallback = parts.choice("durability", ("replicated", "engine")) == "engine" and "replicas" not in parts.options
        replicas = parts.count("replicas", _REPLICAS)
        try:
            await self._make(replicas)
        except NotDurableError:
            if not fallback:
                raise
            await self._make(1)
        return await self._config()

    async def _make(self, replicas: int) -> None:
        config = {
            "name": self._stream, "subjects": [self._subject], "storage": "file", "num_replicas": replicas,
            "retention": "limits", "discard": "new", "max_msgs": -1, "max_bytes": -1, "max_age": 0, "max_consumers": -1,
            "max_msgs_per_subject": -1, "max_msg_size": -1, "duplicate_window": int(_WINDOW_SECONDS * 1e9),
            "allow_direct": True, "deny_delete": True,
            "republish": {"src": self._subject, "dest": self._news_subject, "headers_only": True},
        }  # fmt: skip
        with suppress(_Taken):  # another program was faster
            await self._ask(f"STREAM.CREATE.{self._stream}", config)

    async def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = (await self._ask(f"STREAM.INFO.{self._stream}"))["config"]
        return config

    def _check_durable(self, parts: Parts, config: dict[str, Any]) -> None:
        if parts.choice("durability", ("replicated", "engine")) == "engine":
            return
        storage, replicas = config.get("storage"), config.get("num_replicas", 1)
        if storage != "file" or replicas < _REPLICAS:
            raise NotDurableError(
                f"the stream of {self.name} is kept in {storage} storage with {replicas} replica(s), so losing one"
                f" machine may lose what it acknowledged; give it file storage and {_REPLICAS} replicas, or accept it"
                " with ?durability=engine"
            )

    @property
    def _news_subject(self) -> str:
        return f"act_fast_news.{self._stream}"

    async def _listen(self, client: Client) -> None:
        """What each new connection begins with."""
        await client.subscribe(f"{self._inbox}.*.*", cb=self._received)
        await client.subscribe(self._news_subject, cb=self._told)
        await client.flush(timeout=2)
        for each in self._in_flight.values():
            each.again = 0.0
        self._work.set()

    def _lost(self) -> None:
        self._caught_up = False
        for page in self._pages.values():
            page.put_nowait(None)
        self._work.set()

    def _close(self) -> None:
        with suppress(EngineError, StoreClosedError, CancelledError):
            self._call(self._end())
        self._thread.close()
        for each in [*self._in_flight.values(), *self._queue]:
            self._give_up(each)

    async def _end(self) -> None:
        end = time.monotonic() + _CLOSE_SECONDS
        while (self._queue or self._in_flight) and self._tasks and time.monotonic() < end:
            await asyncio.sleep(0.01)
        for task in self._tasks:
            task.cancel()
        await self._link.drop()
        self._lost()
        self._news.set()

    def _call(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Have the loop's thread do something, and wait for it."""
        try:
            asked = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            self._check_open()
            raise
        try:
            return asked.result()
        except CancelledError:
            self._check_open()
            raise
        except KeyboardInterrupt:
            asked.cancel()
            raise

    # Appending

    @property
    def dense(self) -> bool:
        """Whether each place is one more than that before it: it is."""
        return True

    def _submit(self, record: bytes) -> Future[int]:
        submitted = _Submitted(record, Future(), uuid4().hex, time.monotonic())
        self._queue.append(submitted)
        try:
            self._loop.call_soon_threadsafe(self._work.set)
        except RuntimeError:
            self._give_up(submitted)
        return submitted.future

    async def _send_all(self) -> None:
        """Send what waits, and what is to be sent again."""
        while True:
            await self._work.wait()
            self._work.clear()
            try:
                await self._send(await self._link.client())
            except (EngineError, NatsError, OSError):
                await asyncio.sleep(_SWEEP_SECONDS)

    async def _send(self, client: Client) -> None:
        now = time.monotonic()
        for each in list(self._in_flight.values()):
            if each.again <= now and now - each.first_sent < self._window_seconds - _AWAY_SECONDS:
                await self._publish(client, each)
        while self._queue and len(self._in_flight) < _IN_FLIGHT_MAX:
            submitted = self._queue.popleft()
            submitted.first_sent = time.monotonic()
            self._in_flight[submitted.id] = submitted
            await self._publish(client, submitted)

    async def _publish(self, client: Client, submitted: _Submitted) -> None:
        submitted.open += 1
        submitted.again = time.monotonic() + _AGAIN_SECONDS
        headers = {"Nats-Msg-Id": submitted.id}
        await client.publish(self._subject, submitted.record, f"{self._inbox}.a.{submitted.id}", headers)

    def _acknowledged(self, submitted: _Submitted, message: Msg) -> None:
        submitted.open -= 1
        try:
            answer = _answer(message, self.name)
        except EngineAwayError:
            submitted.again = time.monotonic() + _SWEEP_SECONDS
        except StoreError as error:
            self._finish(submitted, self._unknown() if submitted.open else error)
        else:
            self._heard = time.monotonic()
            self._finish(submitted, int(answer["seq"]))

    def _finish(self, submitted: _Submitted, outcome: int | Exception) -> None:
        self._in_flight.pop(submitted.id, None)
        if isinstance(outcome, int):
            self._landed[submitted.id] = None
            if len(self._landed) > _IN_FLIGHT_MAX:
                del self._landed[next(iter(self._landed))]
            self._loop.call_later(_OWN_SECONDS, self._hear, outcome)
        if self._queue:
            self._work.set()
        if isinstance(outcome, Exception):
            submitted.future.set_exception(outcome)
        else:
            submitted.future.set_result(outcome)

    async def _sweep(self) -> None:
        """Give up what has waited too long, and have sent again what was not answered."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = time.monotonic()
            for each in [*self._in_flight.values(), *self._queue]:
                if self._link.refused is not None or now - max(each.began, self._heard) > _AWAY_SECONDS:
                    self._give_up(each)
            while self._queue and self._queue[0].future.done():
                self._queue.popleft()
            if self._queue or any(each.again <= now for each in self._in_flight.values()):
                self._work.set()

    def _give_up(self, submitted: _Submitted) -> None:
        if submitted.future.done():
            return
        if submitted.open and not self._link.refused_to_publish:
            self._finish(submitted, self._unknown())
        else:
            away = EngineAwayError(f"{self.name} is away; nothing was appended")
            closed = StoreClosedError(f"the log at {self.name} was closed; nothing was appended")
            self._finish(submitted, self._link.refused or (closed if self._is_closed else away))

    def _unknown(self) -> OutcomeUnknownError:
        return OutcomeUnknownError(f"{self.name} has not answered in time; the record may be there, or come later")

    # Reading

    def _read(self, after: int, bytes_max: int, timeout: float) -> list[Entry]:
        return self._call(self._page(after, bytes_max, time.monotonic() + timeout))

    async def _page(self, after: int, bytes_max: int, end: float) -> list[Entry]:
        while True:
            self._check_open()
            after, left = max(after, self._skipped), end - time.monotonic()
            if self._caught_up and left > 0 and not await self._news_after(after, left):
                return []
            after = max(after, self._skipped)
            page = await self._patiently(partial(self._get, after + 1, bytes_max))
            if page:
                return await self._whole(after, page)
            head, first = await self._state()
            if after + 1 < first:
                raise self._trimmed(after, first)
            left = end - time.monotonic()
            if left <= 0:
                return []
            if head > max(after, self._skipped):  # a replica was asked that has yet to catch up
                await asyncio.sleep(min(left, _LAG_SECONDS))
            else:
                self._known_head, self._caught_up = head, True

    async def _news_after(self, after: int, timeout: float) -> bool:
        """Whether something came after a place before the timeout."""
        end = time.monotonic() + timeout
        while self._known_head <= max(after, self._skipped):
            self._check_open()
            left = end - time.monotonic()
            if left <= 0:
                return False
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, _LOOK_SECONDS)):
                    await self._news.wait()
                continue
            head, _ = await self._state()
            self._known_head = max(self._known_head, head)
        return True

    async def _received(self, message: Msg) -> None:
        """An answer to one of ours: an acknowledgement, or a part of a page."""
        kind, key = message.subject.rsplit(".", 2)[1:]
        if kind == "a" and (submitted := self._in_flight.get(key)):
            self._acknowledged(submitted, message)
        elif kind == "p" and (page := self._pages.get(key)):
            page.put_nowait(message)

    async def _told(self, message: Msg) -> None:
        """The stream has stored a record. A reader is told of ours a moment later, when it may have skipped it."""
        headers = message.headers or {}
        ours = headers.get("Nats-Msg-Id", "")
        if ours not in self._in_flight and ours not in self._landed:
            self._hear(int(headers.get("Nats-Sequence", 0)))

    def _hear(self, place: int) -> None:
        """There is a record at a place: end the waits of those who do not have it."""
        self._known_head = max(self._known_head, place)
        if self._known_head > self._skipped:
            self._news.set()

    async def _get(self, first: int, bytes_max: int) -> list[Entry]:
        """The records from a place on, as one replica has them."""
        client = await self._link.client()
        key, messages = uuid4().hex, asyncio.Queue[Msg | None]()
        asked = {"seq": first, "batch": _PAGE_RECORDS, "max_bytes": max(bytes_max, 1)}
        page: list[Entry] = []
        size = 0
        self._pages[key] = messages
        try:
            with _asking(self.name):
                await client.publish(
                    f"$JS.API.DIRECT.GET.{self._stream}", json.dumps(asked).encode(), f"{self._inbox}.p.{key}"
                )
            while not page or size < bytes_max:
                message = await self._part(messages)
                headers = message.headers or {}
                if headers.get("Status") in ("204", "404"):
                    break
                _check_status(message, self.name)
                page.append(Entry(int(headers["Nats-Sequence"]), message.data))
                size += len(message.data)
            return page
        finally:
            del self._pages[key]

    async def _part(self, messages: asyncio.Queue[Msg | None]) -> Msg:
        try:
            async with asyncio.timeout(_PAGE_SECONDS):
                message = await messages.get()
        except TimeoutError:
            message = None
        if message is None:
            raise self._link.refused or EngineAwayError(f"{self.name} does not answer")
        return message

    async def _whole(self, after: int, page: list[Entry]) -> list[Entry]:
        if page[0].place != after + 1:
            _, first = await self._state()
            if after + 1 < first:
                raise self._trimmed(after, first)
        for number, entry in enumerate(page, after + 1):
            if entry.place != number:
                raise StoreCorruptError(
                    f"{self.name} has lost the record at {number}; restore the stream from a backup"
                )
        return page

    # What there is

    def _head(self) -> int:
        return self._call(self._state())[0]

    def _first(self) -> int:
        return self._call(self._state())[1]

    def _trim(self, below: int) -> None:
        if below > 1:
            self._call(self._ask(f"STREAM.PURGE.{self._stream}", {"seq": below}))

    async def _state(self) -> tuple[int, int]:
        """The last place, and the first that is there."""
        state = (await self._ask(f"STREAM.INFO.{self._stream}"))["state"]
        return int(state["last_seq"]), max(int(state["first_seq"]), 1)

    async def _ask(self, verb: str, given: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask JetStream, again while it has no leader."""
        return await self._patiently(lambda: self._link.ask(verb, given))

    async def _patiently(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """Ask again while the engine is away, for some seconds."""
        end = time.monotonic() + _AWAY_SECONDS
        while True:
            try:
                return await ask()
            except EngineAwayError:
                self._check_open()
                if time.monotonic() > end:
                    raise
                await asyncio.sleep(_SWEEP_SECONDS)


class _Link:
    """The connection of a log, made again when it is lost.

    Attributes:
        refused: what the servers have refused on this connection, or the connection itself.
        refused_to_publish: whether that was a record.
        on_connect: what each new connection begins with.
        on_lost: called when a connection is lost.
    """

    def __init__(
        self, parts: Parts, name: str, on_connect: Callable[[Client], Awaitable[None]], on_lost: Callable[[], None]
    ) -> None:
        self.refused: EngineRefusedError | None = None
        self.refused_to_publish = False
        self._on_connect = on_connect
        self._on_lost = on_lost
        self._name = name
        self._given = [f"{host}:{port or _PORT}" for host, port in parts.hosts]
        self._found: list[str] = []
        self._options = _connect_options(parts)
        self._client: Client | None = None
        self._closed = False
        self._lock = asyncio.Lock()

    async def client(self) -> Client:
        """A connection."""
        async with self._lock:
            if self._closed:
                raise StoreClosedError(f"the log at {self._name} was closed")
            if self._client is None or not self._client.is_connected:
                self._client = None
                self._client = await self._connect()
            return self._client

    async def drop(self) -> None:
        """Close the connection, for good."""
        self._closed = True
        async with self._lock:
            client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def ask(self, verb: str, given: dict[str, Any] | None) -> dict[str, Any]:
        """Ask JetStream's API; its answer."""
        client = await self.client()
        try:
            with _asking(self._name):
                payload = b"" if given is None else json.dumps(given).encode()
                message = await client.request(f"$JS.API.{verb}", payload, timeout=_PAGE_SECONDS)
        except EngineAwayError:
            raise self.refused or EngineAwayError(f"{self._name} does not answer") from None
        return _answer(message, self._name)

    async def _connect(self) -> Client:
        refused: EngineRefusedError | None = None
        for host in dict.fromkeys([*self._given, *self._found]):
            client = Client()
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    await client.connect(
                        [f"nats://{host}"], error_cb=self._failed, disconnected_cb=self._lost, **self._options
                    )
                    self.refused, self.refused_to_publish = None, False
                    await self._on_connect(client)
            except (NatsError, OSError, TimeoutError) as error:
                with suppress(Exception):
                    await client.close()
                if _refuses(error):
                    refused = EngineRefusedError(f"{self._name} refuses the credentials in its address")
            except BaseException:
                await client.close()
                raise
            else:
                self._found = [each.netloc.rpartition("@")[2] for each in client.discovered_servers]
                return client
        self.refused = refused
        raise refused or EngineAwayError(f"{self._name} cannot be reached")

    async def _lost(self) -> None:
        self._on_lost()

    async def _failed(self, error: Exception) -> None:
        """What a server says without being asked."""
        text = str(error)
        if "permissions violation" in text.lower():
            self.refused = EngineRefusedError(f"{self._name} refuses: {text.removeprefix('nats: ')}")
            self.refused_to_publish |= "publish to" in text.lower() and "$JS" not in text


def _connect_options(parts: Parts) -> dict[str, Any]:
    options: dict[str, Any] = {
        "name": "act-fast", "allow_reconnect": False, "connect_timeout": 2, "ping_interval": 5,
        "max_reconnect_attempts": 1, "reconnect_time_wait": 0.01,
    }  # fmt: skip
    if parts.user:
        options |= {"user": parts.user, "password": parts.password}
    if "token" in parts.options:
        options["token"] = parts.options["token"]
    if "creds" in parts.options:
        options["user_credentials"] = parts.options["creds"]
    if any(each.startswith("tls_") for each in parts.options):
        context = ssl.create_default_context(cafile=parts.options.get("tls_ca"))
        if "tls_cert" in parts.options:
            context.load_cert_chain(parts.options["tls_cert"], parts.options.get("tls_key"))
        options["tls"] = context
    return options


def _stream_name(parts: Parts) -> str:
    if not _NAME_FITS(parts.path):
        raise ValidationError(
            "a NATS address names a stream by 1 to 128 letters, digits, _ and -, as in nats://host:4222/bank"
        )
    if not parts.hosts:
        raise ValidationError("the NATS address names no host; write nats://host:4222/bank")
    return parts.path


@contextmanager
def _asking(name: str) -> Iterator[None]:
    try:
        yield
    except (NatsError, OSError, TimeoutError) as error:
        raise EngineAwayError(f"{name} does not answer: {type(error).__name__}") from error


def _refuses(error: Exception) -> bool:
    return any(word in str(error).lower() for word in ("authorization", "authentication", "expired", "revoked"))


def _check_status(message: Msg, name: str) -> None:
    status = (message.headers or {}).get("Status", "")
    if status in ("503", "408"):
        raise EngineAwayError(f"{name} does not answer")
    if status:
        raise EngineError(f"{name} refuses: {(message.headers or {}).get('Description', status)}")


def _answer(message: Msg, name: str) -> dict[str, Any]:
    """What JetStream has answered; its errors in our words."""
    _check_status(message, name)
    answer: dict[str, Any] = json.loads(message.data)
    error = answer.get("error")
    if error is None:
        return answer
    code, text = error.get("err_code", 0), error.get("description", "")
    if code in _FULL:
        raise StoreFullError(f"{name} has no room: {text}; nothing was appended")
    if code in _AWAY or error.get("code") == 503:
        raise EngineAwayError(f"{name} is not ready: {text}")
    if code == _NO_STREAM:
        raise _NotThere(f"{name} has lost its stream; restore it from a backup")
    if code == _TAKEN:
        raise _Taken(f"{name}: {text}")
    if code in _TOO_MANY_REPLICAS:
        raise NotDurableError(
            f"{name} cannot keep so many replicas: {text}; run three servers, or accept fewer with ?durability=engine"
        )
    if code in _TOO_LARGE:
        raise RecordTooLargeError(f"{name}: {text}")
    raise EngineError(f"{name} refuses: {text}")


class _NotThere(EngineError):
    """There is no such stream."""


class _Taken(EngineError):
    """There is such a stream by now."""
