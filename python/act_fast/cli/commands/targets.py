"""`act-fast targets PATH`: how far each target has come, who holds it, and what holds it up."""

import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from heapq import nsmallest
from typing import TYPE_CHECKING, Final

import msgspec

from act_fast._checks.extras import need
from act_fast._reactions.targets import Target, state_of, targets
from act_fast.cli.input.arguments import Commands, add_command, count
from act_fast.cli.input.targets import open_targets
from act_fast.cli.output.form import rows_to_stdout
from act_fast.cli.output.rows import Column, Value, write_all
from act_fast.cli.output.terminal import console
from act_fast.errors import ValidationError
from act_fast.monitoring.words import counted
from act_fast.stores.port import Store
from act_fast.stores.reaction_port import ReactionPort

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["add"]

DESCRIPTION = """\
List the targets in the order they were created, and how far each has come.

Columns: target, state, watermark (the position processed up to), mark (the
last position that concerns it), lag (events still to process), attempts (at
the event that is failing), due (when it continues), error, lane, priority,
holder (the process that has leased it), until (when the lease ends), failing
(a position), reactions, and tags (of each reaction that follows only events
with certain tags, which).

States: "blocked", "leased", "waiting" (for the time when it is due), "behind"
(it has work but no worker), "caught up". A terminal shows both frontiers
below: the highest watermark, and the lowest of those that have work.

--watch shows it update live, until Ctrl-C: blocked targets first, then those furthest
behind."""

EXAMPLES = """\
bank.act
bank.act --watch
bank.act --blocked --json | jq .error
bank.act --lane mail --pattern '^customer-'"""

COLUMNS = [
    Column("target"),
    Column("state"),
    Column("watermark"),
    Column("mark"),
    Column("lag"),
    Column("attempts", short="tries"),
    Column("due"),
    Column("error", stretches=True),
    Column("lane", in_table=False),
    Column("priority", in_table=False),
    Column("holder"),
    Column("until", in_table=False),
    Column("failing", in_table=False),
    Column("reactions", in_table=False),
    Column("tags", in_table=False),
]

WATCH_MS: Final = 500
"""What other processes do to targets is no news of the store, so it is looked for so often."""

ROWS_AROUND: Final = 4


class Frontiers:
    """What is said of all targets together, added up as they go by."""

    def __init__(self) -> None:
        self.states: dict[str, int] = {}
        self.leading: int = 0
        self.lagging: int | None = None
        self.lag: int = 0

    def watch(self, found: Iterable[Target]) -> Iterator[Target]:
        """The same targets, looked at."""
        for target in found:
            state = state_of(target)
            self.states[state] = self.states.get(state, 0) + 1
            self.leading = max(self.leading, target.watermark)
            self.lag += target.lag
            if target.lag:
                self.lagging = target.watermark if self.lagging is None else min(self.lagging, target.watermark)
            yield target

    def sentence(self, head: int, *, all_of_them: bool) -> str:
        """Where they are, on one line."""
        total = sum(self.states.values())
        states = ", ".join(f"{number:,} {state}" for state, number in sorted(self.states.items()))
        lagging = "none lagging" if self.lagging is None else f"lagging {self.lagging:,}"
        return (
            f"head {head:,}; {'' if all_of_them else 'of those asked for: '}leading {self.leading:,}, {lagging};"
            f" {counted(total, 'target')}"
            f"{': ' if states else ''}{states}; {counted(self.lag, 'event')} to process"
        )


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "targets", _run, summary="how far each target is", description=DESCRIPTION, examples=EXAMPLES
    )
    parser.add_argument("path", metavar="PATH", help="the store's directory, or its address")
    parser.add_argument(
        "--pattern", metavar="REGEX", help="targets whose names match this regular expression; anchor it with ^ and $"
    )
    parser.add_argument("--lane", metavar="LANE", help="only those of this lane")
    parser.add_argument("--blocked", action="store_true", help="only blocked ones")
    parser.add_argument("--after", metavar="TARGET", help="only those created after this one")
    parser.add_argument("--limit", metavar="N", type=count, help="at most N of them")
    parser.add_argument("--watch", action="store_true", help="update live, until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def _run(arguments: Namespace) -> int:
    if arguments.watch and (arguments.json or not sys.stdout.isatty()):
        raise ValidationError("--watch needs a terminal; leave it out to list the targets once")
    with open_targets(arguments.path) as (store, port):
        if arguments.watch:
            _watch(store, port, arguments)
        else:
            _list(store, port, arguments)
    return 0


def _list(store: Store, port: ReactionPort, arguments: Namespace) -> None:
    frontiers = Frontiers()
    found = frontiers.watch(_found(port, arguments))
    write_all(rows_to_stdout(COLUMNS, as_json=arguments.json), map(_row, found))
    if sys.stdout.isatty() and not arguments.json:
        print("", frontiers.sentence(store.head, all_of_them=_all(arguments)), sep="\n")


def _watch(store: Store, port: ReactionPort, arguments: Namespace) -> None:
    need("--watch", "rich")
    from rich.live import Live

    out = console()
    with Live(console=out, screen=True, auto_refresh=False) as live:
        while True:
            seen = port.expect_news()
            live.update(_screen(store, port, arguments, out), refresh=True)
            port.wait_news(seen, WATCH_MS)


def _screen(store: Store, port: ReactionPort, arguments: Namespace, out: "Console") -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    from act_fast.cli.output.table import Table

    frontiers = Frontiers()
    found = frontiers.watch(_found(port, arguments))
    room = max(1, out.height - ROWS_AROUND)
    worst = nsmallest(room, found, key=lambda each: (not each.blocked, -each.lag))
    shown = [Table(COLUMNS).page([_row(each) for each in worst])] if worst else []
    return Group(Text(frontiers.sentence(store.head, all_of_them=_all(arguments)), style="bold"), Text(""), *shown)


def _found(port: ReactionPort, arguments: Namespace) -> Iterator[Target]:
    return targets(
        port,
        pattern=arguments.pattern,
        lane=arguments.lane,
        blocked=True if arguments.blocked else None,
        after=arguments.after,
        limit=arguments.limit,
    )


def _all(arguments: Namespace) -> bool:
    return not arguments.blocked and not (arguments.pattern or arguments.lane or arguments.after or arguments.limit)


def _row(target: Target) -> tuple[Value, ...]:
    until = None
    if target.lease_seconds is not None:
        until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=round(target.lease_seconds))
    return (
        target.name,
        state_of(target),
        target.watermark,
        target.mark,
        target.lag,
        target.attempts,
        target.due,
        target.error,
        target.lane,
        target.priority,
        target.holder,
        until,
        target.failing,
        msgspec.Raw(msgspec.json.encode(target.reactions)),
        msgspec.Raw(msgspec.json.encode(target.tags)),
    )
