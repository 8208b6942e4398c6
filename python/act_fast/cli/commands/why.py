"""`act-fast why PATH TARGET`: in words, why has nothing happened."""

from argparse import Namespace

import msgspec

from act_fast.cli.input.arguments import Commands, add_command
from act_fast.cli.input.targets import open_targets
from act_fast.cli.output.rows import printable
from act_fast.cli.output.terminal import json_line
from act_fast.monitoring.why import told_address, why

__all__ = ["add"]

DESCRIPTION = """\
Explain what a target is doing, and why it has come no further: no event
concerns it, it is caught up, a worker holds it, it is blocked, it waits for a
time, no running program has its reactions, or events are not correlated yet.
The exit code is 1 if it is blocked or does not exist."""

EXAMPLES = """\
bank.act audit-account-7
bank.act audit-account-7 --json | jq -r '.reasons[]'"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "why", _run, summary="explain why nothing has happened", description=DESCRIPTION, examples=EXAMPLES
    )
    parser.add_argument("path", metavar="PATH", help="the store's directory, or its address")
    parser.add_argument("target", metavar="TARGET", help="the target's name")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def _run(arguments: Namespace) -> int:
    with open_targets(arguments.path) as (store, port):
        answer = why(store, port, arguments.target, told_address(arguments.path))
    if arguments.json:
        print(json_line(msgspec.json.encode(answer)))
    else:
        print(f"{printable(answer.target)}: {answer.state}")
        for reason in answer.reasons:
            print(f"  {printable(reason)}")
    return 1 if answer.state in ("blocked", "not there") else 0
