"""`act-fast keys rotate|list PATH`: the keys that personal data is sealed with."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import msgspec

from act_fast._privacy.file_keys import FileKeyStore
from act_fast._privacy.master_key import LocalMasterKey
from act_fast.cli.input.arguments import Commands, add_command
from act_fast.cli.output.form import rows_to_stdout
from act_fast.cli.output.rows import Column
from act_fast.cli.output.terminal import json_line
from act_fast.errors import KeyStoreError
from act_fast.monitoring.words import counted

__all__ = ["add"]

DESCRIPTION = """\
Look after the key store in a directory.

  rotate  Wrap all keys under a new master key, and overwrite the old one. Copies
          of the directory from before are then worthless, unless they have the
          old master key in them. If interrupted, run it again.
  list    List whose keys exist, and whose were destroyed. No key is shown.

A master key that is not in the directory is taken from an environment variable,
as base64."""

EXAMPLES = """\
rotate shop.keys
rotate shop.keys --master-env NEW_KEY --previous-env OLD_KEY
list shop.keys --json"""

COLUMNS = [Column("id"), Column("subject"), Column("created"), Column("forgotten"), Column("reason", stretches=True)]


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "keys",
        _run,
        summary="list or rewrap the keys of personal data",
        description=DESCRIPTION,
        examples=EXAMPLES,
    )
    parser.add_argument("verb", metavar="rotate|list", choices=["rotate", "list"], help="what to do")
    parser.add_argument("path", metavar="PATH", help="the key store's directory")
    parser.add_argument("--master-env", metavar="NAME", help="the environment variable that the master key is in")
    parser.add_argument(
        "--previous-env", metavar="NAME", action="append", default=[], help="that of an older one; repeatable"
    )
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")


def _run(arguments: Namespace) -> int:
    with _opened(arguments.path, arguments.master_env, arguments.previous_env) as keys:
        if arguments.verb == "list":
            rows = rows_to_stdout(COLUMNS, as_json=arguments.json)
            for record in keys.records():
                rows.write([(record.id, record.subject, record.created, record.forgotten, record.reason)])
            return 0
        done = keys.rotate()
    if arguments.json:
        print(json_line(msgspec.json.encode(done)))
    else:
        others = f"{done.kept:,} were already, {done.destroyed:,} are destroyed"
        print(f"{counted(done.rewrapped, 'key')} wrapped under master key {done.master}; {others}")
    return 0


def _opened(path: str, master: str | None, previous: Sequence[str]) -> FileKeyStore:
    if not Path(path).is_dir():
        raise KeyStoreError(f"there is no key store at {path}")
    return FileKeyStore(
        path,
        master=None if master is None else LocalMasterKey.from_env(master),
        previous=[LocalMasterKey.from_env(each) for each in previous],
    )
