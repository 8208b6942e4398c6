"""An ordered log in Kafka: a topic with one partition, a record a message, places are its offsets and one.

The producer is idempotent: what the client sends again lands once, and in order. Only when it gives a record up, after
ten seconds, is the outcome unknown.
"""

import re
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from act_fast.errors import (
    EngineAwayError,
    EngineError,
    EngineRefusedError,
    NotDurableError,
    OutcomeUnknownError,
    RecordTooLargeError,
    StoreError,
    ValidationError,
)
from act_fast.stores.ordered.address import Parts, parts_of
from act_fast.stores.ordered.handle import Handle
from act_fast.stores.ordered.port import Entry

__all__ = ["KafkaOrderedLog"]

_PORT: Final = 9092
_REPLICAS: Final = 3
_IN_SYNC: Final = 2
_MESSAGE_BYTES_MAX: Final = 8 * 1024 * 1024
_OVERHEAD_BYTES: Final = 256
_AWAY_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 5.0
_SLICE_SECONDS: Final = 0.1
_PAGE_RECORDS: Final = 1000
_PASSED_MAX: Final = 1000
_NAME_FITS: Final = re.compile(r"[A-Za-z0-9._-]{1,249}").fullmatch

_REFUSED: Final = (
    KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED, KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED,
)  # fmt: skip
_TOO_LARGE: Final = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE)
_AWAY: Final = (
    KafkaError.NOT_ENOUGH_REPLICAS,
    KafkaError.UNKNOWN_TOPIC_OR_PART,  # it was just made, and not each broker has heard of it
    *(KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE, KafkaError.FENCED_LEADER_EPOCH),
    *(KafkaError.UNKNOWN_LEADER_EPOCH, KafkaError.OFFSET_NOT_AVAILABLE),  # another broker is about to lead
)
_NOT_SENT: Final = (*_REFUSED, *_TOO_LARGE, KafkaError.NOT_ENOUGH_REPLICAS, KafkaError._QUEUE_FULL)

_T = TypeVar("_T")


class KafkaOrderedLog(Handle):
    """A log in a Kafka topic, made when it is not there: three replicas, two of which must have a record, kept forever.

    Args:
        address: `kafka://user:password@host:9092,host:9092/topic`. Options: `durability=engine` accepts a topic that
            may lose what it acknowledged, `replicas=` is how many a new one gets, `sasl=` the mechanism
            (`SCRAM-SHA-512` unless another is given), `tls=true` or `false` (true where there is a password),
            `tls_ca=`, `tls_cert=` and `tls_key=` files.

    Raises:
        EngineAwayError: no broker answers.
        EngineRefusedError: the credentials are wrong, or lack a permission.
        NotDurableError: a record need not be on two brokers, or the topic forgets.
    """

    def __init__(self, address: str) -> None:
        parts = parts_of(address)
        super().__init__(str(parts), 0)
        self._topic = _topic_of(parts)
        self._refused: EngineRefusedError | None = None
        self._fatal = False
        self._client = {**_client_options(parts), "error_cb": self._failed}
        self._pending: set[Future[int]] = set()
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._next = -1
        self._admin = AdminClient(self._client)
        self._open(parts)
        self._producer = self._new_producer()
        self._consumer = self._new_consumer()
        self._asker = self._new_consumer()
        self._poller = threading.Thread(target=self._poll_all, name="act-fast-kafka", daemon=True)
        self._poller.start()

    def forked(self) -> None:
        """Threads that held a lock stayed with the parent."""
        self._lock = threading.Lock()
        self._reading = threading.Lock()

    # Opening and closing

    def _open(self, parts: Parts) -> None:
        found = self._partitions()
        if found is None:
            self._make(parts)
            found = self._partitions(wait=True)
        if found is None or len(found) != 1:
            raise EngineError(f"the topic of {self.name} must have one partition, and has {len(found or ())}")
        config = self._config()
        self._check_durable(parts, config, len(found[0].replicas))
        self._message_bytes_max = int(config["max.message.bytes"])
        self._max_record = self._message_bytes_max - _OVERHEAD_BYTES

    def _partitions(self, *, wait: bool = False) -> list[Any] | None:
        """The topic's partitions; None when there is no such topic."""
        end = time.monotonic() + _AWAY_SECONDS
        while True:
            told = self._asked(lambda: self._admin.list_topics(self._topic, timeout=_CLOSE_SECONDS))
            topic = told.topics[self._topic]
            if topic.error is None and all(each.leader >= 0 for each in topic.partitions.values()):
                return list(topic.partitions.values())
            if topic.error is not None and topic.error.code() in _REFUSED:
                raise self._error(topic.error)
            gone = topic.error is not None and topic.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
            if gone and not wait:
                return None
            if time.monotonic() > end:
                raise EngineAwayError(f"the topic of {self.name} has no leader")
            time.sleep(_SLICE_SECONDS)

    def _make(self, parts: Parts) -> None:
        replicas = parts.count("replicas", _REPLICAS)
        try:
            self._create(replicas)
        except NotDurableError:
            if "replicas" in parts.options or parts.options.get("durability") != "engine":
                raise
            self._create(1)

    def _create(self, replicas: int) -> None:
        config = {
            "min.insync.replicas": str(min(replicas, _IN_SYNC)), "cleanup.policy": "delete", "retention.ms": "-1",
            "retention.bytes": "-1", "unclean.leader.election.enable": "false", "compression.type": "producer",
            "max.message.bytes": str(_MESSAGE_BYTES_MAX),
        }  # fmt: skip
        topic = NewTopic(self._topic, num_partitions=1, replication_factor=replicas, config=config)
        try:
            self._admin.create_topics([topic], operation_timeout=_AWAY_SECONDS)[self._topic].result()
        except KafkaException as error:
            what = error.args[0]
            if what.code() == KafkaError.INVALID_REPLICATION_FACTOR:
                raise NotDurableError(
                    f"{self.name} has fewer than {replicas} brokers; run more, or accept fewer replicas with"
                    " ?durability=engine"
                ) from error
            if what.code() != KafkaError.TOPIC_ALREADY_EXISTS:  # another program was faster
                raise self._error(what) from error

    def _config(self) -> dict[str, str]:
        resource = ConfigResource(ResourceType.TOPIC, self._topic)
        found = self._asked(lambda: self._admin.describe_configs([resource])[resource].result(_AWAY_SECONDS))
        return {name: entry.value for name, entry in found.items()}

    def _check_durable(self, parts: Parts, config: dict[str, str], replicas: int) -> None:
        if parts.choice("durability", ("replicated", "engine")) == "engine":
            return
        wrong = []
        if min(replicas, int(config["min.insync.replicas"])) < _IN_SYNC:
            wrong.append("acknowledges what is on one broker only (set min.insync.replicas to 2)")
        if config["unclean.leader.election.enable"] != "false":
            wrong.append("may be led by a broker that lacks records (set unclean.leader.election.enable to false)")
        if config["cleanup.policy"] != "delete" or config["retention.ms"] != "-1" or config["retention.bytes"] != "-1":
            wrong.append("forgets (set cleanup.policy to delete, and retention.ms and retention.bytes to -1)")
        if wrong:
            raise NotDurableError(
                f"the topic of {self.name} {' and '.join(wrong)}; change it, or accept it with ?durability=engine"
            )

    def _new_producer(self) -> Producer:
        return Producer(
            {
                **self._client, "acks": "all", "enable.idempotence": True, "linger.ms": 0,
                "message.timeout.ms": int(_AWAY_SECONDS * 1000), "message.max.bytes": self._message_bytes_max,
                "queue.buffering.max.messages": 1_000_000, "queue.buffering.max.kbytes": 1024 * 1024,
            }
        )  # fmt: skip

    def _new_consumer(self) -> Consumer:
        return Consumer(
            {
                **self._client, "group.id": "act-fast", "enable.auto.commit": False, "auto.offset.reset": "error",
                "fetch.wait.max.ms": 100, "fetch.error.backoff.ms": 50, "queued.max.messages.kbytes": 16 * 1024,
                "fetch.message.max.bytes": 4 * 1024 * 1024, "enable.partition.eof": False,
            }
        )  # fmt: skip

    def _close(self) -> None:
        self._producer.flush(_CLOSE_SECONDS)
        self._poller.join(_CLOSE_SECONDS)
        with self._lock:
            left, self._pending = self._pending, set()
        for future in left:
            with suppress(Exception):  # done at the last moment
                future.set_exception(self._unknown())
        with self._reading:
            self._consumer.close()
        self._asker.close()

    # Appending

    @property
    def dense(self) -> bool:
        """Whether each place is one more than that before it: it is."""
        return True

    def _submit(self, record: bytes) -> Future[int]:
        future: Future[int] = Future()
        with self._lock:
            self._check_open()
            self._pending.add(future)
            producer = self._producer
        try:
            producer.produce(self._topic, value=record, partition=0, on_delivery=partial(self._delivered, future))
        except BufferError:
            self._done(future, EngineAwayError(f"{self.name} does not keep up; nothing was appended"))
        except KafkaException as error:
            self._done(future, self._error(error.args[0]))
        return future

    def _delivered(self, future: Future[int], error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._refused = None
            self._done(future, int(message.offset() or 0) + 1)
        elif error.code() in _NOT_SENT:
            self._done(future, self._error(error))
        else:
            self._done(future, self._refused or self._unknown())

    def _done(self, future: Future[int], outcome: int | Exception) -> None:
        with self._lock:
            if future not in self._pending:
                return
            self._pending.discard(future)
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    def _unknown(self) -> OutcomeUnknownError:
        return OutcomeUnknownError(f"{self.name} has not answered in time; the record may be there, or come later")

    def _poll_all(self) -> None:
        """The thread that hears of what was delivered."""
        while not self._is_closed or len(self._producer):
            self._producer.poll(_SLICE_SECONDS)
            if self._fatal and not self._is_closed:
                self._fatal = False
                self._producer.purge()
                self._producer.flush(_CLOSE_SECONDS)
                with self._lock:
                    self._producer = self._new_producer()
            if self._is_closed and not self._pending:
                return

    # Reading

    def _read(self, after: int, bytes_max: int, timeout: float) -> list[Entry]:
        end = time.monotonic() + timeout
        looked = False
        away = time.monotonic() + _AWAY_SECONDS
        while True:
            with self._reading:
                self._check_open()
                page = self._take(after, bytes_max, max(min(end - time.monotonic(), _SLICE_SECONDS), 0.0))
            if page:
                return page
            if not looked:
                low, high = self._marks()
                if after < low:
                    raise self._trimmed(after, low + 1)
                looked = timeout > 0 or high <= after
            if time.monotonic() >= end and (looked or time.monotonic() > away):
                return []

    def _take(self, after: int, bytes_max: int, timeout: float) -> list[Entry]:
        """What the consumer has from a place on."""
        after = max(after, self._skipped)
        if not max(after - _PASSED_MAX, 0) <= self._next <= after:
            self._consumer.assign([TopicPartition(self._topic, 0, after)])
            self._next = after
        page: list[Entry] = []
        size = 0
        while not page or (size < bytes_max and len(page) < _PAGE_RECORDS):
            message = self._consumer.poll(0 if page else timeout)
            if message is None:
                break
            error = message.error()
            if error is not None:
                self._next = -1
                if error.code() in _REFUSED:
                    raise self._error(error)
                break  # the offset may be out of range: the marks tell
            self._next = int(message.offset() or 0) + 1
            if self._next > after:
                value = message.value() or b""
                page.append(Entry(self._next, value))
                size += len(value)
        return page

    # What there is

    def _head(self) -> int:
        return self._marks()[1]

    def _first(self) -> int:
        return self._marks()[0] + 1

    def _trim(self, below: int) -> None:
        low, _ = self._marks()
        if below - 1 > low:
            to = TopicPartition(self._topic, 0, below - 1)
            self._asked(lambda: self._admin.delete_records([to])[to].result(_AWAY_SECONDS))
            with self._reading:
                self._next = -1

    def _marks(self) -> tuple[int, int]:
        """How many records were trimmed, and the last place."""
        where = TopicPartition(self._topic, 0)
        found = self._asked(lambda: self._asker.get_watermark_offsets(where, timeout=_CLOSE_SECONDS))
        return int(found[0]), int(found[1])

    # What goes wrong

    def _asked(self, ask: Any) -> Any:
        """Ask the brokers, again while they are away, for some seconds."""
        end = time.monotonic() + _AWAY_SECONDS / 2
        while True:
            try:
                found = ask()
                if found is None:
                    raise EngineAwayError(f"{self.name} does not answer")
                self._refused = None
                return found
            except KafkaException as error:
                self._admin.poll(0)  # what it was told of its connections
                told: StoreError = self._error(error.args[0])
            except (EngineAwayError, TimeoutError) as error:
                told = self._refused or EngineAwayError(f"{self.name} does not answer: {type(error).__name__}")
            if self._is_closed:
                self._check_open()
            if not isinstance(told, EngineAwayError) or time.monotonic() > end:
                raise told
            time.sleep(_SLICE_SECONDS)

    def _error(self, error: KafkaError) -> StoreError:
        text = f"{self.name}: {error.str()}"
        if self._refused is not None and error.code() < 0:
            return self._refused
        if error.code() in _REFUSED:
            return EngineRefusedError(f"{self.name} refuses: {error.str()}")
        if error.code() in _TOO_LARGE:
            return RecordTooLargeError(text)
        if error.retriable() or error.code() < 0 or error.code() in _AWAY:
            return EngineAwayError(f"{self.name} is away: {error.str()}")
        return EngineError(text)

    def _failed(self, error: KafkaError) -> None:
        """What the client says of its connections, or of a producer that is of no more use."""
        self._fatal |= error.fatal()
        if error.code() in _REFUSED:
            self._refused = EngineRefusedError(f"{self.name} refuses the credentials in its address")


def _client_options(parts: Parts) -> dict[str, Any]:
    options: dict[str, Any] = {
        "bootstrap.servers": ",".join(f"{host}:{port or _PORT}" for host, port in parts.hosts), "client.id": "act-fast",
        "log_level": 0, "allow.auto.create.topics": False, "socket.nagle.disable": True, "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 500, "socket.keepalive.enable": True, "socket.connection.setup.timeout.ms": 3000,
        "topic.metadata.refresh.fast.interval.ms": 100, "retry.backoff.ms": 50,
    }  # fmt: skip
    tls = parts.choice("tls", ("true" if parts.user else "false", "true", "false")) == "true"
    if parts.user:
        options |= {
            "sasl.mechanism": parts.options.get("sasl", "SCRAM-SHA-512"),
            "sasl.username": parts.user,
            "sasl.password": parts.password,
        }
    options["security.protocol"] = f"{'sasl_' if parts.user else ''}{'ssl' if tls else 'plaintext'}"
    files = {"tls_ca": "ssl.ca.location", "tls_cert": "ssl.certificate.location", "tls_key": "ssl.key.location"}
    return options | {files[key]: value for key, value in parts.options.items() if key in files}


def _topic_of(parts: Parts) -> str:
    if not _NAME_FITS(parts.path) or parts.path in (".", ".."):
        raise ValidationError(
            "a Kafka address names a topic by 1 to 249 letters, digits, ., _ and -, as in kafka://host:9092/bank"
        )
    if not parts.hosts:
        raise ValidationError("the Kafka address names no host; write kafka://host:9092/bank")
    return parts.path
