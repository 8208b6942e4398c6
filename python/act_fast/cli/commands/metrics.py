"""`act-fast metrics PATH`: how a store and its reactions are doing, for Prometheus."""

import sys
from argparse import Namespace

from act_fast.cli.input.arguments import Commands, add_command
from act_fast.cli.input.store import check_path
from act_fast.monitoring import metrics_text

__all__ = ["add"]

DESCRIPTION = """\
Write the metrics of a store and its reactions as text that Prometheus reads: the
head, and by reaction its targets by state, lag, age of the oldest event that
waits, retries and skipped events. No label is per stream or target.

A timer can write them to a file for the node exporter. If you already have a
web server, act_fast.monitoring.monitor serves them."""

EXAMPLES = """\
bank.act
bank.act > /var/lib/node_exporter/bank.prom.new && mv /var/lib/node_exporter/bank.prom{.new,}"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "metrics", _run, summary="metrics for Prometheus", description=DESCRIPTION, examples=EXAMPLES
    )
    parser.add_argument("path", metavar="PATH", help="the store's directory, or its address")
    parser.add_argument("--openmetrics", action="store_true", help="in the OpenMetrics format")


def _run(arguments: Namespace) -> int:
    check_path(arguments.path)
    sys.stdout.write(metrics_text(arguments.path, openmetrics=arguments.openmetrics))
    return 0
