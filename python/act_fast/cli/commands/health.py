"""`act-fast health PATH`: whether all is well, for people, probes and timers."""

import argparse
from argparse import Namespace

import msgspec

from act_fast.cli.input.arguments import Commands, add_command, count
from act_fast.cli.output.rows import printable
from act_fast.cli.output.terminal import json_line
from act_fast.errors import ActError
from act_fast.monitoring import Health, check_health
from act_fast.monitoring.health import unreachable
from act_fast.monitoring.words import counted

__all__ = ["add"]

DESCRIPTION = """\
Check that the store can be read, no target is blocked, and the reactions keep
up. The exit code is 0 if all is well, 1 if not, and 2 if the store cannot be
read.

How far behind is too far is for you to decide: --max-lag bounds how many events
wait for a reaction, --max-age how long the oldest of them has been waiting.
Events that no program has looked at yet for a reaction count as waiting for it,
so a reaction whose workers are not running falls behind."""

EXAMPLES = """\
bank.act
bank.act --max-age 60 --max-lag 10000
postgresql://bank@db/bank --max-blocked 3 --json | jq -r '.problems[]'"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "health", _run, summary="whether all is well", description=DESCRIPTION, examples=EXAMPLES
    )
    parser.add_argument("path", metavar="PATH", help="the store's directory, or its address")
    parser.add_argument(
        "--max-lag", metavar="N", type=count, help="how many events may wait for a reaction (any number)"
    )
    parser.add_argument("--max-age", metavar="S", type=_seconds, help="how many seconds an event may wait (any number)")
    parser.add_argument("--max-blocked", metavar="N", type=count, default=0, help="how many targets may be blocked (0)")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def _run(arguments: Namespace) -> int:
    limits = {name: getattr(arguments, name) for name in ("max_lag", "max_age", "max_blocked")}
    try:
        health = check_health(arguments.path, **limits)
    except (ActError, OSError) as error:
        if not arguments.json:
            raise
        print(json_line(msgspec.json.encode(unreachable(error))))
        return 2
    if arguments.json:
        print(json_line(msgspec.json.encode(health)))
    else:
        _show(health)
    return 0 if health.healthy else 1


def _show(health: Health) -> None:
    verdict = "healthy" if health.healthy else f"NOT HEALTHY: {counted(len(health.problems), 'problem')}"
    for problem in health.problems:
        print(printable(problem))
    waits = f", the oldest of which has waited {health.age:,.1f} s" if health.lag else ""
    print(f"{verdict}; head {health.head:,}, {counted(health.lag, 'event')} behind{waits}, {health.blocked:,} blocked")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds of 0 or more")
    return seconds
