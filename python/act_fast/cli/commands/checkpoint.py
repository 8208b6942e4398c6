"""`act-fast checkpoint ADDRESS FOLDER`: a replica of a replicated store, for nodes that are new."""

from argparse import Namespace

import msgspec

from act_fast.cli.input.arguments import Commands, add_command
from act_fast.cli.input.store import open_store
from act_fast.cli.output.progress import progress_bar
from act_fast.cli.output.terminal import json_line
from act_fast.errors import ValidationError
from act_fast.monitoring.words import counted

__all__ = ["add"]

DESCRIPTION = """\
Save this machine's replica, as it is now, to a folder from which new machines,
and those that were away for too long, can start: name that folder in their
address, as checkpoints=FOLDER. Instead of a folder, it may be object storage:
s3://bucket/prefix, with ?endpoint= and &region= where needed; the credentials
are those of the environment (AWS_ACCESS_KEY_ID, ...). It blocks no one. It is there completely or not
at all, and each of its files is checked when it is loaded.

--trim lets the engine drop the records that the checkpoint covers. A machine
that is further behind must then start from a checkpoint."""

EXAMPLES = """\
'nats://host/bank?replica=/var/lib/bank.act' /mnt/checkpoints
'nats://host/bank?checkpoints=/mnt/checkpoints' --keep 3 --trim
'nats://host/bank' --to s3://bucket/bank --keep 3 --trim"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "checkpoint",
        _run,
        summary="save a replica for new machines",
        description=DESCRIPTION,
        examples=EXAMPLES,
    )
    parser.add_argument("address", metavar="ADDRESS", help="the store's address")
    parser.add_argument("folder", metavar="FOLDER", nargs="?", help="the folder; the address may name it too")
    parser.add_argument("--to", metavar="FOLDER", help="the same; a folder, or s3://bucket/prefix")
    parser.add_argument("--keep", type=int, metavar="N", help="keep only the newest N checkpoints there")
    parser.add_argument("--trim", action="store_true", help="let the engine drop the records that it covers")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def _run(arguments: Namespace) -> int:
    from act_fast.stores.replicated.store import ReplicatedStore  # which few need

    if arguments.keep is not None and arguments.keep < 1:
        raise ValidationError("--keep takes a number from 1")
    if arguments.to is not None and arguments.folder is not None:
        raise ValidationError("name the folder once, either as FOLDER or with --to")
    with open_store(arguments.address) as store:
        if not isinstance(store, ReplicatedStore):
            raise ValidationError(
                "only a store on several machines has checkpoints; `act-fast backup` copies a directory"
            )
        with progress_bar("copying", in_bytes=True) as progress:
            made = store.checkpoint(arguments.to or arguments.folder, keep=arguments.keep, progress=progress)
        if arguments.trim:
            store.trim(made)
    if arguments.json:
        print(json_line(msgspec.json.encode({"path": made.path, "place": made.place, "head": made.head})))
    else:
        print(f"{made.path}: {counted(made.head, 'event')}, up to place {made.place}")
    return 0
