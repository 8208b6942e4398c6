"""Kafka brokers for tests: one, or three that are a cluster (KRaft: each is broker and controller)."""

import importlib.util
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.java import jars
from tests.support.proxy import Proxy
from tests.support.servers import Unavailable, free_port, killed_with_parent

USER, PASSWORD = "app", "p@ss/word"
_VERSION = "4.4.0"
_CLUSTER = "MkU3OEVBNTcwNTJENDM2Qk"
_START_SECONDS = 120.0
_JAVA = ["java", "-Xms64m", "-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]


class KafkaBrokers:
    """Brokers of our own, which know each other.

    Attributes:
        proxies: what clients come through, whatever they were told.
        guarded: the ports where clients need a password.
    """

    def __init__(self, folder: Path, library: Path, proxies: Sequence[Proxy], ports: Sequence[int]) -> None:
        count = len(ports)
        self.proxies = proxies
        self.guarded = [free_port() for _ in range(count)]
        self._folder = folder
        self._java = [*_JAVA, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{library}/*"]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        controllers = [free_port() for _ in range(count)]
        inner = [free_port() for _ in range(count)]
        safe = min(count, 2)
        for number in range(count):
            listeners = {
                "PLAIN": ports[number], "SASL": self.guarded[number], "INNER": inner[number],
                "CONTROLLER": controllers[number],
            }  # fmt: skip
            shown = {**listeners, "PLAIN": proxies[number].port}
            settings = {
                "process.roles": "broker,controller", "node.id": number + 1,
                "controller.quorum.voters": ",".join(f"{n + 1}@127.0.0.1:{port}" for n, port in enumerate(controllers)),
                "listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in listeners.items()),
                "advertised.listeners": ",".join(
                    f"{name}://127.0.0.1:{port}" for name, port in shown.items() if name != "CONTROLLER"
                ),
                "inter.broker.listener.name": "INNER", "controller.listener.names": "CONTROLLER",
                "listener.security.protocol.map": (
                    "CONTROLLER:PLAINTEXT,INNER:PLAINTEXT,PLAIN:PLAINTEXT,SASL:SASL_PLAINTEXT"
                ),
                "sasl.enabled.mechanisms": "PLAIN",
                "listener.name.sasl.plain.sasl.jaas.config": (
                    "org.apache.kafka.common.security.plain.PlainLoginModule required"
                    f' username="{USER}" password="{PASSWORD}" user_{USER}="{PASSWORD}";'
                ),
                "log.dirs": folder / f"n{number}", "default.replication.factor": count, "min.insync.replicas": safe,
                "offsets.topic.replication.factor": count, "offsets.topic.num.partitions": 1,
                "transaction.state.log.replication.factor": count, "transaction.state.log.min.isr": safe,
                "transaction.state.log.num.partitions": 1, "auto.create.topics.enable": "false",
                "group.initial.rebalance.delay.ms": 0, "log.retention.check.interval.ms": 3_600_000,
                "broker.session.timeout.ms": 3000, "broker.heartbeat.interval.ms": 500, "num.network.threads": 2,
                "num.io.threads": 4, "background.threads": 2, "log.cleaner.enable": "false",
                "controller.quorum.election.timeout.ms": 500, "controller.quorum.fetch.timeout.ms": 1000,
            }  # fmt: skip
            self._settings(number).write_text("".join(f"{key}={value}\n" for key, value in settings.items()))

    def url(self, topic: str) -> str:
        """The address of a log."""
        return f"kafka://{self.hosts}/{topic}"

    def guarded_url(self, topic: str, user: str = USER, password: str = PASSWORD) -> str:
        """The address of a log where passwords are asked for."""
        quoted = password.replace("@", "%40").replace("/", "%2F")
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.guarded)
        return f"kafka://{user}:{quoted}@{hosts}/{topic}?tls=false&sasl=PLAIN"

    def start(self, number: int) -> None:
        """Start one of them."""
        with open(self._folder / f"n{number}.log", "ab") as log:
            self._processes[number] = subprocess.Popen(
                [*self._java, "kafka.Kafka", str(self._settings(number))],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                preexec_fn=killed_with_parent,
            )

    def stop(self, number: int, how: signal.Signals = signal.SIGKILL) -> None:
        """End one of them."""
        process = self._processes.pop(number, None)
        if process is not None:
            process.send_signal(how)
            process.wait(_START_SECONDS)

    def start_all(self) -> None:
        """Start all, and return once they know each other."""
        formats = [
            subprocess.Popen(
                [*self._java, "kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", self._settings(number)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for number in range(len(self.proxies))
        ]
        if any(each.wait(_START_SECONDS) for each in formats):
            raise Unavailable("Kafka's storage cannot be formatted")
        for number in range(len(self.proxies)):
            self.start(number)
        self.wait_for(len(self.proxies))

    def wait_for(self, count: int) -> None:
        """Return once so many of them are in the cluster."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        admin = AdminClient({"bootstrap.servers": self.hosts, "log_level": 0, "reconnect.backoff.max.ms": 200})
        end = time.monotonic() + _START_SECONDS
        while True:
            try:
                if len(admin.list_topics(timeout=1).brokers) == count:
                    return
            except KafkaException:
                pass
            if time.monotonic() > end or any(each.poll() is not None for each in self._processes.values()):
                raise Unavailable(f"Kafka does not start: {self.log()[-2000:]}")
            time.sleep(0.1)

    @property
    def hosts(self) -> str:
        """Where clients come to, as they are told."""
        return ",".join(f"127.0.0.1:{each.port}" for each in self.proxies)

    def log(self) -> str:
        """What they have said."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self._folder.glob("*.log")))

    def _settings(self, number: int) -> Path:
        return self._folder / f"n{number}.properties"


@contextmanager
def kafka_brokers(count: int) -> Iterator[KafkaBrokers]:
    """Brokers that keep nothing yet, for as long as the block lasts.

    Args:
        count: one, or three.

    Raises:
        Unavailable: there are none to be had, and why.
    """
    if importlib.util.find_spec("confluent_kafka") is None:
        raise Unavailable("confluent-kafka is not installed; pip install --group dev brings it")
    library = jars(
        "kafka",
        [
            f"org.apache.kafka:kafka_2.13:{_VERSION}",
            f"org.apache.kafka:kafka-tools:{_VERSION}",
            "org.slf4j:slf4j-simple:1.7.36",
        ],
    )
    folder = Path(tempfile.mkdtemp(prefix="act-fast-kafka-"))
    with ExitStack() as ending:
        ending.callback(shutil.rmtree, folder, ignore_errors=True)
        ports = [free_port() for _ in range(count)]
        brokers = KafkaBrokers(folder, library, [ending.enter_context(Proxy(port)) for port in ports], ports)
        for number in range(count):
            ending.callback(brokers.stop, number)
        brokers.start_all()
        yield brokers
