"""An ordered log in Pulsar: a topic without partitions, a record a message, places made of its ledger and its entry.

A durable subscription that acknowledges nothing keeps all records; trimming acknowledges up to a place. What was
trimmed is told in a second topic, since a reader cannot tell the end of a ledger from a ledger that is gone.
"""

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final

import pulsar

from act_fast.errors import (
    EngineAwayError,
    EngineError,
    EngineRefusedError,
    OutcomeUnknownError,
    RecordTooLargeError,
    StoreError,
    ValidationError,
)
from act_fast.stores.ordered.address import Parts, parts_of
from act_fast.stores.ordered.handle import Handle
from act_fast.stores.ordered.port import Entry

__all__ = ["PulsarOrderedLog"]

_PORT: Final = 6650
_RECORD_BYTES_MAX: Final = 5 * 1024 * 1024 - 16 * 1024
_AWAY_SECONDS: Final = 10
_CLOSE_SECONDS: Final = 5.0
_SLICE_MS: Final = 100
_ENTRIES: Final = 1 << 24
_PENDING_MAX: Final = 100_000
_SUBSCRIPTION: Final = "act-fast"
_PART_FITS: Final = re.compile(r"[A-Za-z0-9._=:-]{1,128}").fullmatch
_REFUSED: Final = (pulsar.AuthenticationError, pulsar.AuthorizationError, pulsar.ErrorGettingAuthenticationData)
_NOT_SENT: Final = (
    pulsar.Result.AuthorizationError, pulsar.Result.TopicTerminated, pulsar.Result.ProducerFenced,
    pulsar.Result.ProducerBlockedQuotaExceededError, pulsar.Result.ProducerQueueIsFull,
    pulsar.Result.MemoryBufferIsFull,
)  # fmt: skip


class PulsarOrderedLog(Handle):
    """A log in a Pulsar topic, made when it is not there.

    Args:
        address: `pulsar://host:6650,host/tenant/namespace/topic`, or only the topic for those that Pulsar calls
            `public/default`. Options: `token=`, `tls=true`, and `tls_ca=` a file.

    Raises:
        EngineAwayError: no broker answers.
        EngineRefusedError: the credentials are wrong, or lack a permission.
    """

    def __init__(self, address: str) -> None:
        parts = parts_of(address)
        super().__init__(str(parts), _RECORD_BYTES_MAX)
        self._topic = _topic_of(parts)
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._pending: set[Future[int]] = set()
        self._reader: Any = None
        self._next = -1
        self._first_known = 1
        self._client: Any = _client_of(parts)
        try:
            with _asking(self.name):
                self._keeper = self._keep(self._topic)
                self._marks_keeper = self._keep(f"{self._topic}-trimmed")
                self._marks = self._client.create_reader(f"{self._topic}-trimmed", pulsar.MessageId.earliest)
                self._producer = self._client.create_producer(
                    self._topic, send_timeout_millis=_AWAY_SECONDS * 1000, max_pending_messages=_PENDING_MAX
                )
        except BaseException:
            self._client.close()
            raise

    def forked(self) -> None:
        """Threads that held a lock stayed with the parent."""
        self._lock = threading.Lock()
        self._reading = threading.Lock()

    def _keep(self, topic: str) -> Any:
        """Take part in the subscription that keeps a topic's records."""
        return self._client.subscribe(
            topic, _SUBSCRIPTION, pulsar.ConsumerType.Failover, receiver_queue_size=1,
            initial_position=pulsar.InitialPosition.Earliest,
        )  # fmt: skip

    def _close(self) -> None:
        end = time.monotonic() + _CLOSE_SECONDS
        while self._pending and time.monotonic() < end:
            time.sleep(0.01)
        with self._reading, suppress(pulsar.PulsarException):
            self._client.close()
        with self._lock:
            left, self._pending = self._pending, set()
        for future in left:
            future.set_exception(self._unknown())

    # Appending

    def _submit(self, record: bytes) -> Future[int]:
        future: Future[int] = Future()
        with self._lock:
            self._check_open()
            self._pending.add(future)
        try:
            self._producer.send_async(record, partial(self._sent, future))
        except pulsar.PulsarException as error:
            self._done(future, EngineAwayError(f"{self.name} is away: {type(error).__name__}"))
        return future

    def _sent(self, future: Future[int], result: Any, message: Any) -> None:
        if result == pulsar.Result.Ok:
            self._done(future, _place(message))
        elif result == pulsar.Result.MessageTooBig:
            self._done(future, RecordTooLargeError(f"{self.name} does not take so large a record"))
        elif result in _NOT_SENT:
            self._done(future, EngineError(f"{self.name} refuses: {result.name}; nothing was appended"))
        else:
            self._done(future, self._unknown())

    def _done(self, future: Future[int], outcome: int | StoreError) -> None:
        with self._lock:
            if future not in self._pending:
                return
            self._pending.discard(future)
        if isinstance(outcome, int):
            future.set_result(outcome)
        else:
            future.set_exception(outcome)

    def _unknown(self) -> OutcomeUnknownError:
        return OutcomeUnknownError(f"{self.name} has not answered in time; the record may be there, or come later")

    # Reading

    def _read(self, after: int, bytes_max: int, timeout: float) -> list[Entry]:
        end = time.monotonic() + timeout
        while True:
            with self._reading:
                self._check_open()
                page = self._take(after, bytes_max, max(min(end - time.monotonic(), _SLICE_MS / 1000), 0.0))
            if page or time.monotonic() >= end:
                return page

    def _take(self, after: int, bytes_max: int, timeout: float) -> list[Entry]:
        """What the reader has from a place on."""
        with _asking(self.name):
            if self._next != after:
                self._seek(after)
            page: list[Entry] = []
            size = 0
            while not page or size < bytes_max:
                if page and not self._reader.has_message_available():
                    break
                try:
                    message = self._reader.read_next(timeout_millis=max(int(timeout * 1000), 1))
                except pulsar.Timeout:
                    break
                place = _place(message.message_id())
                if place // _ENTRIES != self._next // _ENTRIES:  # ledgers between the two may be gone
                    self._check_kept(self._next)
                page.append(Entry(place, message.data()))
                size += len(page[-1].record)
                self._next = place
            return page

    def _seek(self, after: int) -> None:
        self._next = -1
        self._check_kept(after)
        if self._reader is not None:
            self._reader.close()
        start = _message_id(after) if after else pulsar.MessageId.earliest
        self._reader = self._client.create_reader(self._topic, start, receiver_queue_size=200)
        self._next = after

    def _check_kept(self, after: int) -> None:
        first = self._trimmed_below()
        if after + 1 < first:
            self._next = -1
            raise self._trimmed(after, first)

    # What there is

    def _head(self) -> int:
        with _asking(self.name):
            return max(_place(self._keeper.get_last_message_id()), 0)

    def _first(self) -> int:
        with self._reading, _asking(self.name):
            return self._trimmed_below()

    def _trimmed_below(self) -> int:
        """One behind the last place that was trimmed, as told in the other topic."""
        while self._marks.has_message_available():
            told = self._marks.read_next(timeout_millis=_AWAY_SECONDS * 1000)
            self._first_known = max(self._first_known, int(told.data()))
        return self._first_known

    def _trim(self, below: int) -> None:
        if below <= self._first() or below % _ENTRIES == 1:  # the end of the ledger in front is not known
            return
        with _asking(self.name):
            producer = self._client.create_producer(f"{self._topic}-trimmed", send_timeout_millis=_AWAY_SECONDS * 1000)
            producer.send(b"%d" % below)
            producer.close()
            self._keeper.acknowledge_cumulative(_message_id(below - 1))
        with self._reading:
            self._next = -1


def _place(message: Any) -> int:
    """From where a message is to its place; negative for none."""
    return int(message.ledger_id()) * _ENTRIES + int(message.entry_id()) + 1


def _message_id(place: int) -> Any:
    ledger, entry = divmod(place - 1, _ENTRIES)
    return pulsar.MessageId(-1, ledger, entry, -1)._msg_id


def _client_of(parts: Parts) -> Any:
    tls = parts.choice("tls", ("false", "true")) == "true"
    token = parts.options.get("token")
    hosts = ",".join(f"{host}:{port or _PORT}" for host, port in parts.hosts)
    return pulsar.Client(
        f"pulsar{'+ssl' if tls else ''}://{hosts}",
        authentication=pulsar.AuthenticationToken(token) if token else None,
        operation_timeout_seconds=_AWAY_SECONDS,
        connection_timeout_ms=3000,
        tls_trust_certs_file_path=parts.options.get("tls_ca"),
        tls_validate_hostname=tls,
        logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error),
    )


def _topic_of(parts: Parts) -> str:
    names = parts.path.split("/")
    names = ["public", "default", *names] if len(names) == 1 else names
    if not parts.hosts or len(names) != 3 or not all(map(_PART_FITS, names)):
        raise ValidationError(
            "a Pulsar address names hosts and a topic, as in pulsar://host:6650/bank or pulsar://host/tenant/namespace/bank"
        )
    return f"persistent://{'/'.join(names)}"


@contextmanager
def _asking(name: str) -> Iterator[None]:
    """Turn what the client raises into our errors."""
    try:
        yield
    except _REFUSED:
        raise EngineRefusedError(f"{name} refuses the credentials, or they lack a permission") from None
    except (pulsar.InvalidTopicName, pulsar.IncompatibleSchema, pulsar.NotAllowedError) as error:
        raise EngineError(f"{name} refuses: {type(error).__name__}") from error
    except pulsar.PulsarException as error:
        raise EngineAwayError(f"{name} does not answer: {type(error).__name__}") from error
