"""`python -m tests.support.trial nats://|kafka:// NAME COMMAND …`: a command beside a cluster that is there for it.

`{address}` in the command is the address of a log of that name in the cluster.
"""

import subprocess
import sys

from tests.support.kafka import kafka_brokers
from tests.support.nats import nats_servers
from tests.support.servers import Unavailable

CLUSTERS = {"nats://": nats_servers, "kafka://": kafka_brokers}


def main(engine: str, name: str, *command: str) -> int:
    """Start the cluster, run the command, and end both; the command's exit code."""
    print(f"starting three nodes for {engine}", file=sys.stderr)
    try:
        with CLUSTERS[engine](3) as servers:
            return subprocess.call([word.replace("{address}", servers.url(name)) for word in command])
    except Unavailable as reason:
        print(f"there is no cluster to be had: {reason}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
