"""Cassandra nodes for tests: one, or three that are a cluster on 127.0.0.1, 127.0.0.2 and 127.0.0.3."""

import importlib.util
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.java import jars
from tests.support.servers import Unavailable, free_port, killed_with_parent

_VERSION = "5.0.6"
_START_SECONDS = 180.0

_EXPORTS = [
    "java.base/jdk.internal.misc",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.rmi/sun.rmi.transport.tcp",
    "java.sql/java.sql",
    "java.base/java.lang.ref",
    "jdk.unsupported/sun.misc",
    "jdk.attach/sun.tools.attach",
    "jdk.compiler/com.sun.tools.javac.file",
]
_OPENS = [
    "java.base/java.lang.module",
    "java.base/java.net",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.util.jar",
    "jdk.management/com.sun.management.internal",
    "java.base/sun.nio.ch",
    "java.base/java.io",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/java.lang",
    "java.base/java.math",
    "java.base/java.security",
    "jdk.management.jfr/jdk.management.jfr",
    "java.desktop/com.sun.beans.introspect",
]
_LOGGING = """<configuration><appender name="F" class="ch.qos.logback.core.FileAppender"><file>{file}</file><encoder>
<pattern>%level %msg</pattern></encoder></appender><root level="WARN"><appender-ref ref="F"/></root></configuration>"""
_SETTINGS = """
cluster_name: tests
num_tokens: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
commitlog_sync: {sync}
{period}
commitlog_directory: {home}/commitlog
data_file_directories: [ {home}/data ]
saved_caches_directory: {home}/caches
hints_directory: {home}/hints
cdc_raw_directory: {home}/cdc
listen_address: {host}
rpc_address: {host}
start_native_transport: true
native_transport_port: {port}
storage_port: {storage}
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters: [ {{ seeds: "127.0.0.1" }} ]
endpoint_snitch: SimpleSnitch
authenticator: {authenticator}
authorizer: AllowAllAuthorizer
disk_failure_policy: stop
commit_failure_policy: stop
concurrent_reads: 8
concurrent_writes: 8
memtable_heap_space: 64MiB
memtable_offheap_space: 64MiB
paxos_variant: v2
"""


class CassandraNodes:
    """Nodes of our own.

    Attributes:
        port: where each listens.
        count: how many there are.
    """

    def __init__(self, folder: Path, library: Path, count: int, *, flushing: bool, passwords: bool) -> None:
        self.port, self.count = free_port(), count
        self._storage = free_port()
        self._folder = folder
        self._library = library
        self._flushing = flushing
        self._authenticator = "PasswordAuthenticator" if passwords else "AllowAllAuthenticator"
        self._processes: list[subprocess.Popen[bytes]] = []

    def url(self, table: str, *, port: int = 0, login: str = "") -> str:
        """The address of a log."""
        hosts = ",".join(f"127.0.0.{number}:{port or self.port}" for number in range(1, self.count + 1))
        return f"cassandra://{login}{hosts}/tests/{table}"

    def start(self, number: int) -> None:
        """Start one of them, from 1, and return once it answers."""
        home = self._folder / f"n{number}"
        home.mkdir()
        host = f"127.0.0.{number}"
        (home / "cassandra.yaml").write_text(
            _SETTINGS.format(
                home=home,
                host=host,
                port=self.port,
                storage=self._storage,
                authenticator=self._authenticator,
                sync="batch" if self._flushing else "periodic",
                period="" if self._flushing else "commitlog_sync_period: 10000ms",
            )
        )
        (home / "logback.xml").write_text(_LOGGING.format(file=home / "log"))
        properties = {
            "cassandra.storagedir": home, "cassandra.config": f"file://{home}/cassandra.yaml",
            "logback.configurationFile": home / "logback.xml", "cassandra.skip_wait_for_gossip_to_settle": 0,
            "cassandra.superuser_setup_delay_ms": 0, "cassandra.ring_delay_ms": 2000, "cassandra-foreground": "yes",
            "jdk.attach.allowAttachSelf": "true",
            "cassandra.consistent.rangemovement": "false", "io.netty.tryReflectionSetAccessible": "true",
        }  # fmt: skip
        (agent,) = self._library.glob("jamm-*.jar")
        command = [
            "java", "-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xss512k",
            f"-javaagent:{agent}", *(f"--add-exports={each}=ALL-UNNAMED" for each in _EXPORTS),
            *(f"--add-opens={each}=ALL-UNNAMED" for each in _OPENS),
            *(f"-D{key}={value}" for key, value in properties.items()), "-cp", f"{home}:{self._library}/*",
            "org.apache.cassandra.service.CassandraDaemon",
        ]  # fmt: skip
        with open(home / "out", "wb") as out:
            process = subprocess.Popen(command, stdout=out, stderr=out, cwd=home, preexec_fn=killed_with_parent)
        self._processes.append(process)
        end = time.monotonic() + _START_SECONDS
        while not _answers(host, self.port):
            if process.poll() is not None or time.monotonic() > end:
                raise Unavailable(f"Cassandra does not start: {self.log()[-2000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End them all."""
        for each in self._processes:
            each.kill()
        for each in self._processes:
            each.wait()

    def log(self) -> str:
        """What they have said."""
        files = [*self._folder.glob("*/out"), *self._folder.glob("*/log")]
        return "\n".join(path.read_text(errors="replace") for path in files)


@contextmanager
def cassandra_nodes(count: int, *, flushing: bool = False, passwords: bool = False) -> Iterator[CassandraNodes]:
    """Nodes that keep nothing yet, for as long as the block lasts.

    Args:
        count: one, or three.
        flushing: whether what is acknowledged would survive a power cut, which no test can tell.
        passwords: whether they ask for a password: `cassandra`, of the user of that name.

    Raises:
        Unavailable: there are none to be had, and why.
    """
    if importlib.util.find_spec("cassandra") is None:
        raise Unavailable("cassandra-driver is not installed; pip install --group dev brings it")
    library = jars("cassandra", [f"org.apache.cassandra:cassandra-all:{_VERSION}"])
    folder = Path(tempfile.mkdtemp(prefix="act-fast-cassandra-"))
    with ExitStack() as ending:
        ending.callback(shutil.rmtree, folder, ignore_errors=True)
        nodes = CassandraNodes(folder, library, count, flushing=flushing, passwords=passwords)
        ending.callback(nodes.stop)
        for number in range(1, count + 1):
            nodes.start(number)
        yield nodes


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
        return True
    except OSError:
        return False
