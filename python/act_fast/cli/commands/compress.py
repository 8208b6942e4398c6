"""`act-fast compress PATH` and `act-fast decompress PATH`: the older part of a log, in less space."""

from argparse import Namespace

import msgspec

from act_fast.cli.input.arguments import Commands, Parser, add_command
from act_fast.cli.output.progress import progress_bar
from act_fast.cli.output.terminal import json_line
from act_fast.errors import ValidationError
from act_fast.monitoring.words import counted
from act_fast.stores.log.store import LogStore
from act_fast.stores.values import Compressed

__all__ = ["add"]

COMPRESS = """\
Compress the files of the log that are no longer written to, while programs keep
using the store. They are read as before. Each file is read back and compared
with the plain one before it takes its place: if the command is interrupted, run
it again and it does the rest. Earlier versions of act-fast refuse a
store with compressed files; decompress undoes it."""

DECOMPRESS = """\
Decompress every file of the log, so that earlier versions of act-fast can read
it, while programs keep using the store."""

EXAMPLES = """\
bank.act --dry-run
bank.act --seal --json"""


def add(commands: Commands) -> None:
    """Add the commands."""
    parser = add_command(
        commands,
        "compress",
        _compress,
        summary="keep old events in less space",
        description=COMPRESS,
        examples=EXAMPLES,
    )
    _arguments(parser)
    parser.add_argument(
        "--seal", action="store_true", help="also end the file that is being written to, and compress it"
    )
    _arguments(
        add_command(
            commands,
            "decompress",
            _decompress,
            summary="undo compress",
            description=DECOMPRESS,
            examples="bank.act",
        )
    )


def _arguments(parser: Parser) -> None:
    parser.add_argument("path", metavar="PATH", help="the store's directory")
    parser.add_argument("--dry-run", action="store_true", help="only report what it would change")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def _compress(arguments: Namespace) -> int:
    with _opened(arguments) as store, progress_bar("compressing", in_bytes=True) as progress:
        done = store.compress(seal=arguments.seal, dry_run=arguments.dry_run, progress=progress)
    return _tell(arguments, done, "compressed")


def _decompress(arguments: Namespace) -> int:
    with _opened(arguments) as store, progress_bar("decompressing", in_bytes=True) as progress:
        done = store.decompress(dry_run=arguments.dry_run, progress=progress)
    return _tell(arguments, done, "decompressed")


def _opened(arguments: Namespace) -> LogStore:
    if "://" in arguments.path:
        raise ValidationError("only a store in a directory has files that can be compressed")
    return LogStore(arguments.path, durability=None, create=False)


def _tell(arguments: Namespace, done: Compressed, verb: str) -> int:
    if arguments.json:
        print(json_line(msgspec.json.encode(done)))
        return 0
    verb = f"would be {verb}" if arguments.dry_run else verb
    sizes = f"{done.bytes_before:,} bytes before, {done.bytes_after:,} after" if done.segments else "nothing to do"
    print(f"{arguments.path}: {counted(done.segments, 'segment')} {verb}; {sizes}")
    return 0
