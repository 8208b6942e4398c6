"""`act-fast archive PATH --to ADDRESS` and `act-fast unarchive PATH`: the older part of a log, elsewhere."""

from argparse import BooleanOptionalAction, Namespace
from datetime import timedelta

import msgspec

from act_fast.cli.input.arguments import Commands, Parser, add_command
from act_fast.cli.output.progress import progress_bar
from act_fast.cli.output.terminal import json_line
from act_fast.errors import ValidationError
from act_fast.monitoring.words import counted
from act_fast.stores.log.store import LogStore
from act_fast.stores.values import Archived

__all__ = ["add"]

ARCHIVE = """\
Move the oldest files of the log to a folder, or to object storage, while programs
keep using the store. They are read as before, from the archive. Each file is
copied there, read back and compared before a stub takes its place: if the command
is interrupted, run it again and it does the rest. The events are written there as
Parquet as well, for other programs. Earlier versions of act-fast refuse a store
with archived files; unarchive undoes it."""

UNARCHIVE = """\
Bring every archived file of the log back, compressed, while programs keep using
the store."""

EXAMPLES = """\
bank.act --to /mnt/cold/bank --older-than 365
bank.act --to s3://cold/bank --keep 1000000 --dry-run
bank.act --to s3://cold/bank --json"""


def add(commands: Commands) -> None:
    """Add the commands."""
    parser = add_command(
        commands,
        "archive",
        _archive,
        summary="keep old events elsewhere",
        description=ARCHIVE,
        examples=EXAMPLES,
    )
    _arguments(parser)
    parser.add_argument("--to", required=True, metavar="ADDRESS", help="a folder, or s3://bucket/prefix")
    parser.add_argument("--keep", type=int, default=0, metavar="N", help="keep the newest N events here in any case")
    parser.add_argument(
        "--older-than", type=float, metavar="DAYS", help="only files all of whose events are older than this"
    )
    parser.add_argument(
        "--parquet",
        action=BooleanOptionalAction,
        help="write the events there as Parquet as well, also for files archived without it;"
        " by default only what is archived now, if act-fast[sql] is installed",
    )
    parser = add_command(
        commands,
        "unarchive",
        _unarchive,
        summary="undo archive",
        description=UNARCHIVE,
        examples="bank.act\nbank.act --remove",
    )
    _arguments(parser)
    parser.add_argument(
        "--remove", action="store_true", help="also remove the objects; backups of this store may need them"
    )


def _arguments(parser: Parser) -> None:
    parser.add_argument("path", metavar="PATH", help="the store's directory")
    parser.add_argument("--dry-run", action="store_true", help="only report what it would change")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def _archive(arguments: Namespace) -> int:
    older_than = None if arguments.older_than is None else timedelta(days=arguments.older_than)
    with _opened(arguments) as store, progress_bar("archiving", in_bytes=True) as progress:
        done = store.archive(
            arguments.to,
            keep=arguments.keep,
            older_than=older_than,
            parquet=arguments.parquet,
            dry_run=arguments.dry_run,
            progress=progress,
        )
    return _tell(arguments, done, f"archived to {done.to}")


def _unarchive(arguments: Namespace) -> int:
    with _opened(arguments) as store, progress_bar("unarchiving", in_bytes=True) as progress:
        done = store.unarchive(remove=arguments.remove, dry_run=arguments.dry_run, progress=progress)
    return _tell(arguments, done, "brought back")


def _opened(arguments: Namespace) -> LogStore:
    if "://" in arguments.path:
        raise ValidationError("only a store in a directory has files that can be archived")
    return LogStore(arguments.path, durability=None, create=False)


def _tell(arguments: Namespace, done: Archived, verb: str) -> int:
    if arguments.json:
        print(json_line(msgspec.json.encode(done)))
        return 0
    verb = f"would be {verb}" if arguments.dry_run else verb
    told = [f"{done.bytes_before:,} bytes here before, {done.bytes_after:,} after"] if done.segments else []
    told += [f"{counted(done.parquet, 'Parquet file')} beside"] if done.parquet else []
    print(f"{arguments.path}: {counted(done.segments, 'segment')} {verb}; {', '.join(told) or 'nothing to do'}")
    return 0
