"""The conditions that events may have to meet, as arguments of a command."""

from act_fast.cli.input.arguments import Parser, count, moment

__all__ = ["add_conditions"]


def add_conditions(parser: Parser) -> None:
    """Add an argument for each condition."""
    parser.add_argument("--stream", metavar="NAME", help="only of this stream")
    parser.add_argument(
        "--pattern",
        metavar="REGEX",
        help="of streams whose names match this regular expression; anchor it with ^ and $",
    )
    parser.add_argument("--name", metavar="NAME", action="append", help="with this event name; may be repeated")
    parser.add_argument("--tag", metavar="TAG", action="append", help="with this tag; repeated: with all of them")
    parser.add_argument("--correlation", metavar="ID", help="with this correlation id")
    parser.add_argument("--after", metavar="POSITION", type=count, default=0, help="at a later position")
    parser.add_argument("--before", metavar="POSITION", type=count, help="at an earlier position")
    parser.add_argument(
        "--created-after",
        metavar="TIME",
        type=moment,
        help="committed later than, say, 2026-01-31T12:00Z",
    )
    parser.add_argument("--created-before", metavar="TIME", type=moment, help="committed earlier")
