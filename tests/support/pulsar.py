"""A Pulsar broker for tests: standalone, in one process."""

import importlib.util
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.java import jars
from tests.support.servers import Unavailable, free_port, killed_with_parent

_VERSION = "4.0.7"
_LOG4J = "2.23.1"
_START_SECONDS = 180.0
_OPENS = [
    "java.base/sun.net", "java.base/java.lang", "java.base/java.nio", "java.base/jdk.internal.misc",
    "java.base/jdk.internal.platform", "java.management/sun.management", "java.base/java.util.zip",
    "jdk.management/com.sun.management.internal", "java.base/sun.nio.ch", "java.base/java.io",
]  # fmt: skip
_LOGGING = """<Configuration status="ERROR"><Appenders><Console name="C"><PatternLayout pattern="%p %m%n"/></Console>
</Appenders><Loggers><Root level="warn"><AppenderRef ref="C"/></Root></Loggers></Configuration>"""


@contextmanager
def pulsar_broker() -> Iterator[int]:
    """A broker that keeps nothing yet, for as long as the block lasts; the port where it listens, on 127.0.0.1.

    Raises:
        Unavailable: there is none to be had, and why.
    """
    if importlib.util.find_spec("pulsar") is None:
        raise Unavailable("pulsar-client is not installed; pip install --group dev brings it")
    library = jars(
        "pulsar",
        [
            f"org.apache.pulsar:pulsar-broker:{_VERSION}",
            f"org.apache.logging.log4j:log4j-slf4j2-impl:{_LOG4J}",
            f"org.apache.logging.log4j:log4j-core:{_LOG4J}",
        ],
    )
    port, web = free_port(), free_port()
    folder = Path(tempfile.mkdtemp(prefix="act-fast-pulsar-"))
    settings = {
        "brokerServicePort": port, "webServicePort": web, "bindAddress": "127.0.0.1", "bindAddresses": "",
        "advertisedAddress": "127.0.0.1", "clusterName": "standalone", "metadataStoreUrl": "",
        "configurationMetadataStoreUrl": "", "managedLedgerDefaultEnsembleSize": 1,
        "managedLedgerDefaultWriteQuorum": 1, "managedLedgerDefaultAckQuorum": 1, "allowAutoTopicCreation": "true",
        "allowAutoTopicCreationType": "non-partitioned", "brokerDeleteInactiveTopicsEnabled": "false",
        "transactionCoordinatorEnabled": "false", "systemTopicEnabled": "true", "topicLevelPoliciesEnabled": "true",
        "journalSyncData": "false", "diskUsageThreshold": "0.99", "diskUsageWarnThreshold": "0.99", "numIOThreads": 2,
        "allowLoopback": "true", "listeningInterface": "lo", "dbStorage_writeCacheMaxSizeMb": 64,
        "dbStorage_readAheadCacheMaxSizeMb": 64, "numHttpServerThreads": 4, "loadBalancerEnabled": "false",
        "defaultNumberOfNamespaceBundles": 4, "functionsWorkerEnabled": "false",
    }  # fmt: skip
    (folder / "standalone.conf").write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    (folder / "log4j2.xml").write_text(_LOGGING)
    command = [
        "java", "-Xms256m", "-Xmx700m", "-XX:MaxDirectMemorySize=512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
        *(f"--add-opens={each}=ALL-UNNAMED" for each in _OPENS), "-Dio.netty.tryReflectionSetAccessible=true",
        f"-Dlog4j2.configurationFile={folder}/log4j2.xml", f"-Dlog4j.configurationFile={folder}/log4j2.xml",
        "-cp", f"{folder}:{library}/*", "org.apache.pulsar.PulsarStandaloneStarter", "--config", "standalone.conf",
        "--no-functions-worker", "-nss", "--bookkeeper-dir", "bookkeeper", "--metadata-dir", "metadata",
        "-a", "127.0.0.1",
    ]  # fmt: skip
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, preexec_fn=killed_with_parent)
    try:
        end = time.monotonic() + _START_SECONDS
        while not _healthy(web):
            if process.poll() is not None or time.monotonic() > end:
                said = (folder / "log").read_text(errors="replace")
                raise Unavailable(f"Pulsar does not start: {said[-2000:]}")
            time.sleep(0.2)
        yield port
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _healthy(web: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{web}/admin/v2/brokers/health", timeout=10).close()
        return True
    except OSError:
        return False
