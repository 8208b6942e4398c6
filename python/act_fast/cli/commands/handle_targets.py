"""`act-fast unblock`, `reset`, `prioritize` and `forget`: what can be done to targets from a shell."""

import argparse
from argparse import Namespace

from act_fast.cli.input.arguments import Command, Commands, Parser, add_command
from act_fast.cli.input.targets import add_selection, open_targets, selected
from act_fast.cli.output.words import counted
from act_fast.errors import ValidationError

__all__ = ["add"]

UNBLOCK = """\
Let blocked targets go on at the event that failed, with a fresh budget of
retries. Workers that run take them at once."""

RESET = """\
Let targets do all their work again, from the first event on. Blocks, retries
and leases end. What SQL projections have counted they do not count again: see
act-fast rebuild."""

PRIORITIZE = """\
Set the priority of targets: among those that lag behind the higher comes first.
Write -- before a negative number."""

FORGET = """\
Forget reactions that no program has any more, because they were removed or
renamed: their targets have nothing more to do for them, and are gone when it
was their only reaction. One that comes back is a new one."""

EXAMPLES = """\
bank.act audit-account-7 audit-account-12
bank.act --pattern '^audit-'
bank.act --lane mail"""

PRIORITIZE_EXAMPLES = """\
bank.act 10 audit-account-7
bank.act 10 --pattern '^audit-'"""

FORGET_EXAMPLES = """\
bank.act audit"""


def add(commands: Commands) -> None:
    """Add the commands."""
    unblock = _command(commands, "unblock", _unblock, "let blocked targets go on", UNBLOCK, EXAMPLES)
    add_selection(unblock)
    reset = _command(commands, "reset", _reset, "let targets begin again", RESET, EXAMPLES)
    add_selection(reset)
    prioritize = _command(commands, "prioritize", _prioritize, "set priorities", PRIORITIZE, PRIORITIZE_EXAMPLES)
    prioritize.add_argument("priority", metavar="PRIORITY", type=_priority, help="a whole number of 32 bits")
    add_selection(prioritize)
    forget = _command(commands, "forget", _forget, "forget reactions that are gone", FORGET, FORGET_EXAMPLES)
    forget.add_argument("reactions", metavar="REACTION", nargs="+", help="a reaction's name")


def _command(commands: Commands, name: str, run: Command, summary: str, description: str, examples: str) -> Parser:
    parser = add_command(commands, name, run, summary=summary, description=description, examples=examples)
    parser.add_argument("path", metavar="PATH", help="the store's directory")
    return parser


def _unblock(arguments: Namespace) -> int:
    chosen = selected("unblock", arguments)
    with open_targets(arguments.path) as (_, port):
        print(counted(chosen.apply(port.unblock), "target"), "unblocked")
    return 0


def _reset(arguments: Namespace) -> int:
    chosen = selected("reset", arguments)
    with open_targets(arguments.path) as (_, port):
        print(counted(chosen.apply(port.reset), "target"), "reset")
    return 0


def _prioritize(arguments: Namespace) -> int:
    chosen = selected("prioritize", arguments)
    with open_targets(arguments.path) as (_, port):
        print(counted(chosen.apply(port.prioritize, arguments.priority), "target"), "changed")
    return 0


def _forget(arguments: Namespace) -> int:
    with open_targets(arguments.path) as (_, port):
        known = {name for name, _, _ in port.cursors()}
        for name in arguments.reactions:
            if name not in known:
                there = ", ".join(map(repr, sorted(known))) or "none"
                raise ValidationError(f"there is no reaction {name!r}; the store knows {there}")
        for name in arguments.reactions:
            port.forget(name)
        print(counted(len(arguments.reactions), "reaction"), "forgotten")
    return 0


def _priority(text: str) -> int:
    try:
        found = int(text)
    except ValueError:
        found = 2**31
    if abs(found) >= 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 32 bits")
    return found
