"""A store's targets, as a command without the program's code sees and handles them."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager

from act_fast._app.address import open_address
from act_fast._reactions.targets import Selection, selection
from act_fast.cli.input.arguments import Parser
from act_fast.cli.input.store import check_path
from act_fast.errors import ValidationError
from act_fast.stores.log.store import LogStore
from act_fast.stores.port import Store
from act_fast.stores.reaction_port import ReactionPort, reactions_of

__all__ = ["add_selection", "open_targets", "selected"]


@contextmanager
def open_targets(path: str) -> Iterator[tuple[Store, ReactionPort]]:
    """The store at a path or an address, which must be there, and its reactions; programs may be at work."""
    if "://" in path:
        opened: Store = open_address(path, create=False)
    else:
        check_path(path)
        opened = LogStore(path, durability=None, create=False)
    with opened as store:
        yield store, reactions_of(store)


def add_selection(parser: Parser) -> None:
    """Let a command take names, --pattern and --lane."""
    parser.add_argument("names", metavar="NAME", nargs="*", help="a target")
    parser.add_argument(
        "--pattern", metavar="REGEX", help="targets whose names match this regular expression; '' is all of them"
    )
    parser.add_argument("--lane", metavar="LANE", help="those of this lane")


def selected(verb: str, arguments: Namespace) -> Selection:
    """The targets that a command is to handle, which must be said."""
    if not arguments.names and arguments.pattern is None and arguments.lane is None:
        raise ValidationError(
            f"{verb} must be told which targets: names, --pattern or --lane; --pattern '' is all of them"
        )
    return selection(verb, arguments.names or None, arguments.pattern, arguments.lane, otherwise_all=True)
