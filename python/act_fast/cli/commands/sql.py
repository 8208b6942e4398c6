"""`act-fast sql`: questions about a store or an app, one from the command line or many in a shell."""

import os
import sys
from argparse import Namespace
from contextlib import ExitStack
from datetime import datetime

from act_fast._app.async_act import AsyncAct
from act_fast._app.connect import connect
from act_fast._app.local_copy import at_hand
from act_fast._checks.extras import need
from act_fast._sql.connection import Connection
from act_fast.cli.input.app import find_app
from act_fast.cli.input.arguments import Commands, add_command, position_or_moment
from act_fast.cli.input.store import open_store
from act_fast.cli.output.progress import progress_bar
from act_fast.cli.sql.answer import Form, show
from act_fast.cli.sql.shell import Shell

__all__ = ["add"]

DESCRIPTION = """\
Ask questions in SQL, which DuckDB answers. Nothing can be changed.

A store by its path or its address has the relations events, streams, targets
and skipped. An app, named as module:app, has one more for each of its event
and state classes.

Without a question, it opens a shell on a terminal: end each question with a
semicolon, type .help for the rest. In a pipe, questions are read from standard
input."""

EXAMPLES = """\
bank.act "select name, count(*) from events group by name"
bank:app "select stream, sum(amount) from deposited group by stream" --csv
bank:app "from account order by balance desc limit 10" --at 2026-01-31
bank.act
bank.act < questions.sql"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "sql", _run, summary="ask questions in SQL", description=DESCRIPTION, examples=EXAMPLES
    )
    parser.add_argument(
        "source", metavar="PATH|APP", help="the store's directory, its address, or an app as module:name"
    )
    parser.add_argument("query", metavar="QUERY", nargs="?", help="one question")
    parser.add_argument(
        "--at", metavar="MOMENT", type=position_or_moment, help="ask about the log as it was at this position or time"
    )
    parser.add_argument("--files", action="store_true", help="let questions read files, such as read_csv('prices.csv')")
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="one JSON object a line")
    forms.add_argument("--csv", action="store_true", help="comma-separated values, with titles")


def _run(arguments: Namespace) -> int:
    need("act-fast sql", "duckdb", "fsspec")
    form: Form = "json" if arguments.json else "csv" if arguments.csv else "plain"
    with ExitStack() as stack:
        connection = stack.enter_context(_connected(arguments.source, arguments.at, arguments.files, stack))
        if arguments.query is not None and not arguments.query.startswith("."):
            show(connection.sql(arguments.query), form)
            return 0
        shell = Shell(connection, form, pinned=arguments.at is not None)
        if arguments.query is not None:
            return shell.read(arguments.query)
        return shell.talk() if sys.stdin.isatty() else shell.read(sys.stdin.read())


def _connected(source: str, at: int | datetime | None, files: bool, stack: ExitStack) -> Connection:
    # A directory may have a colon in its name, and a module's name is never that of a directory with one.
    names_app = ":" in source and "://" not in source and not os.path.exists(source)
    if "://" in source:
        # The first question may have to wait for all events to come here.
        with open_store(source) as store, progress_bar("copying") as progress:
            at_hand(store, progress)
    if not names_app:
        return connect(source, at=at, files=files)
    app = find_app(source)
    stack.callback((app.sync if isinstance(app, AsyncAct) else app).close)
    return connect(app, at=at, files=files)
