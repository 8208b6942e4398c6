"""What can be done to targets from a shell: `act-fast unblock`, `reset`, `skip`, `defer`, `prioritize` and so on."""

import argparse
from argparse import Namespace

from act_fast._checks.arguments import due_milliseconds
from act_fast._reactions.skipped import Skipped, operator, skip, skipped
from act_fast.cli.input.arguments import Command, Commands, Parser, add_command, count, moment, position_or_moment
from act_fast.cli.input.targets import add_selection, open_targets, selected
from act_fast.cli.output.form import rows_to_stdout
from act_fast.cli.output.rows import Column, Value, printable, write_all
from act_fast.errors import ValidationError
from act_fast.monitoring.words import counted
from act_fast.stores.time_travel import cut_at

__all__ = ["add"]

UNBLOCK = """\
Let blocked targets continue at the event that failed, with a fresh budget of
retries. Running workers pick them up at once."""

RESET = """\
Let targets do all their work again, from the first event, or from a position or
a time on. Blocks, retries and leases end. Handlers receive again what they have
received before, so mail is sent again; app.replaying tells them. SQL
projections empty their tables and fill them again from the first event, even
with --to; act-fast rebuild does that while the old rows stay readable."""

SKIP = """\
Step over the next event of a reaction on a target, for an event that no code
will ever handle: the target continues with the one after it. Who did it, when
and why is recorded. Without a target: list what was skipped.

Columns: target, reaction, position, stream, version, name, reason, by, at."""

SKIP_EXAMPLES = """\
bank.act audit-account-7 --reason 'the customer has left'
bank.act audit-account-7 --reaction audit --position 1042 --reason 'see #77'
bank.act"""

SKIPPED = [
    Column("target"),
    Column("reaction"),
    Column("position"),
    Column("stream"),
    Column("version"),
    Column("name"),
    Column("reason", stretches=True),
    Column("by"),
    Column("at"),
]

DEFER = """\
Pause targets until a time. They continue by themselves then. A time in the past
ends a pause."""

DEFER_EXAMPLES = """\
bank.act mail-account-7 --until 2026-01-31T12:00:00Z
bank.act --lane mail --until 2026-01-31T12:00:00Z"""

PRIORITIZE = """\
Set the priority of targets: among those that lag behind, the higher comes
first. Write -- before a negative number."""

FORGET_REACTION = """\
Forget reactions that no program has any more, because they were removed or
renamed. Their targets have nothing more to do for them; targets without another
reaction are removed. A reaction that comes back is a new one."""

EXAMPLES = """\
bank.act audit-account-7 audit-account-12
bank.act --pattern '^audit-'
bank.act --lane mail"""

RESET_EXAMPLES = """\
bank.act audit-account-7
bank.act --pattern '^audit-' --to 1042
bank.act --lane mail --to 2026-01-31T12:00:00Z"""

PRIORITIZE_EXAMPLES = """\
bank.act 10 audit-account-7
bank.act 10 --pattern '^audit-'"""

FORGET_REACTION_EXAMPLES = """\
bank.act audit"""


def add(commands: Commands) -> None:
    """Add the commands."""
    unblock = _command(commands, "unblock", _unblock, "let blocked targets continue", UNBLOCK, EXAMPLES)
    add_selection(unblock)
    reset = _command(commands, "reset", _reset, "let targets start over", RESET, RESET_EXAMPLES)
    reset.add_argument(
        "--to", metavar="WHEN", type=position_or_moment, default=0, help="start after this position or time"
    )
    add_selection(reset)
    skipping = _command(commands, "skip", _skip, "step over an event", SKIP, SKIP_EXAMPLES)
    skipping.add_argument(
        "target", metavar="TARGET", nargs="?", help="the target's name; without it: list what was skipped"
    )
    skipping.add_argument("--reason", metavar="TEXT", help="why; it is recorded")
    skipping.add_argument("--reaction", metavar="NAME", help="which reaction, if the target has several")
    skipping.add_argument("--position", metavar="N", type=count, help="skip this event, if it is the next one")
    skipping.add_argument("--json", action="store_true", help="list what was skipped, one JSON object a line")
    defer = _command(commands, "defer", _defer, "pause targets until a time", DEFER, DEFER_EXAMPLES)
    defer.add_argument("--until", metavar="TIME", type=moment, required=True, help="when they continue")
    add_selection(defer)
    prioritize = _command(commands, "prioritize", _prioritize, "set priorities", PRIORITIZE, PRIORITIZE_EXAMPLES)
    prioritize.add_argument("priority", metavar="PRIORITY", type=_priority, help="a whole number of 32 bits")
    add_selection(prioritize)
    forget = _command(
        commands,
        "forget-reaction",
        _forget,
        "forget reactions that are gone",
        FORGET_REACTION,
        FORGET_REACTION_EXAMPLES,
    )
    forget.add_argument("reactions", metavar="REACTION", nargs="+", help="a reaction's name")


def _command(commands: Commands, name: str, run: Command, summary: str, description: str, examples: str) -> Parser:
    parser = add_command(commands, name, run, summary=summary, description=description, examples=examples)
    parser.add_argument("path", metavar="PATH", help="the store's directory, or its address")
    return parser


def _unblock(arguments: Namespace) -> int:
    chosen = selected("unblock", arguments)
    with open_targets(arguments.path) as (_, port):
        print(counted(chosen.apply(port.unblock), "target"), "unblocked")
    return 0


def _reset(arguments: Namespace) -> int:
    chosen = selected("reset", arguments)
    with open_targets(arguments.path) as (store, port):
        print(counted(chosen.apply(port.reset, to=cut_at(store, arguments.to)), "target"), "reset")
    return 0


def _defer(arguments: Namespace) -> int:
    chosen = selected("defer", arguments)
    until_ms = due_milliseconds("until", arguments.until)
    with open_targets(arguments.path) as (_, port):
        print(counted(chosen.apply(port.defer, until_ms), "target"), "deferred")
    return 0


def _skip(arguments: Namespace) -> int:
    with open_targets(arguments.path) as (store, port):
        if arguments.target is None:
            if arguments.reason or arguments.reaction or arguments.position:
                raise ValidationError("skip must be told which target's event; without one it lists what was skipped")
            write_all(rows_to_stdout(SKIPPED, as_json=arguments.json), map(_row, skipped(port, store)))
            return 0
        if not arguments.reason:
            raise ValidationError("skip needs a reason: --reason is kept with what was skipped")
        given = (arguments.target, arguments.position, arguments.reaction, arguments.reason, operator())
        done = skip(port, store, *given)
        what = f"{done.name} at position {done.position:,}" if done.name else f"the event at position {done.position:,}"
        print(printable(f"{done.target}: {what} skipped for reaction {done.reaction!r}"))
    return 0


def _row(each: Skipped) -> tuple[Value, ...]:
    return (
        each.target,
        each.reaction,
        each.position,
        each.stream,
        each.version,
        each.name,
        each.reason,
        each.by,
        each.at,
    )


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
