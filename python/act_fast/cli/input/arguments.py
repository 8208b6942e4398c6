"""How the commands' arguments are read, and what is said when they are wrong."""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeAlias

__all__ = ["Command", "Commands", "Parser", "add_command", "count", "moment", "port", "position_or_moment"]

Command: TypeAlias = Callable[[argparse.Namespace], int]
"""Runs one command and gives its exit code."""


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one sentence and where to read more."""

    _parses_again = False

    def error(self, message: str) -> NoReturn:
        """Say `message` and leave with the code for wrong usage."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Parse; where options stand between arguments, such as `PATH --at 3 QUERY`, as if they stood behind them."""
        found, left = super().parse_known_args(args, namespace)
        if not left or self._subparsers is not None or self._parses_again:
            return found, left
        self._parses_again = True
        try:
            again, still_left = self.parse_known_intermixed_args(args, namespace)
        finally:
            self._parses_again = False
        return (found, left) if still_left else (again, [])


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"
"""Where a command is added."""


def add_command(
    commands: Commands, name: str, run: Command, *, summary: str, description: str, examples: str
) -> Parser:
    """Add a command whose help ends in examples, one on each line."""
    lines = "".join(f"  act-fast {name} {example}\n" for example in examples.splitlines())
    parser = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=f"examples:\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    return parser


def count(text: str) -> int:
    """A whole number of 0 or more."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return int(text)


def port(text: str) -> int:
    """A port to listen at; 0 is any that is free."""
    found = count(text)
    if found > 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port; ports end at 65535")
    return found


def moment(text: str) -> datetime:
    """A point in time in ISO form, in UTC where it does not say otherwise."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 2026-01-31T12:00:00Z") from None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def position_or_moment(text: str) -> int | datetime:
    """A position, or a point in time in ISO form."""
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        return moment(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a position nor a time such as 2026-01-31T12:00:00Z"
        ) from None
