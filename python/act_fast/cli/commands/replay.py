"""`act-fast replay MODULE:APP PATH`: every stream's state, from one pass over the log."""

import os
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import msgspec

from act_fast import AsyncAct
from act_fast._app.local_copy import for_replay
from act_fast._loading.progress_bar import replay_bar
from act_fast._loading.replay import replay_pages
from act_fast._model.model import Model
from act_fast.cli.input.app import App, find_app
from act_fast.cli.input.arguments import Commands, add_command, position_or_moment
from act_fast.cli.input.store import open_store
from act_fast.cli.output.form import rows_to_stdout
from act_fast.cli.output.rows import Column, JsonLines, Rows
from act_fast.errors import ValidationError
from act_fast.monitoring.words import counted
from act_fast.stores.port import Store
from act_fast.stores.time_travel import cut_at

__all__ = ["add"]

DESCRIPTION = """\
Fold every stream of the store into a state of an app, in one pass over the
log, and list the states in the order of the streams' first events. Neither the
app's own store nor the one at PATH is changed. States whose fields are all
declared are folded on all cores.

MODULE:APP is an app, a function that makes one, a state class or a slice.

Columns: stream, version, position of its last event, and the state as JSON.
With --output they are written as JSON lines to a file, which appears once it is
complete; a bar shows the progress."""

EXAMPLES = """\
bank:app bank.act
bank:Account bank.act --streams '^account-' --at 2026-01-31T23:59:59Z
bank:app bank.act --state Account --output accounts.jsonl"""

COLUMNS = [Column("stream"), Column("version"), Column("position"), Column("state", stretches=True)]


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "replay", _run, summary="fold all streams into states", description=DESCRIPTION, examples=EXAMPLES
    )
    parser.add_argument("app", metavar="MODULE:APP", help="whose states to fold")
    parser.add_argument("path", metavar="PATH", help="the store's directory, or its address")
    parser.add_argument("--state", metavar="NAME", help="which of the app's states, if there are several")
    parser.add_argument(
        "--streams", metavar="REGEX", help="streams whose names match this regular expression; anchor it with ^ and $"
    )
    parser.add_argument(
        "--at", metavar="WHEN", type=position_or_moment, help="the log as of this position or time, included"
    )
    parser.add_argument("--after", metavar="STREAM", help="only those created after this one")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line")
    form.add_argument("--output", metavar="FILE", help="write JSON lines to this file")


def _run(arguments: Namespace) -> int:
    model = _model(find_app(arguments.app), arguments.state)
    with open_store(arguments.path) as opened:
        store = for_replay(opened, arguments.streams)
        if arguments.output is None:
            _write(arguments, store, model, rows_to_stdout(COLUMNS, as_json=arguments.json), not sys.stdout.isatty())
            return 0
        began = time.perf_counter()
        part = f"{arguments.output}.part"
        try:
            with open(part, "w", encoding="utf-8") as file:
                streams, events = _write(arguments, store, model, JsonLines(COLUMNS, file), True)
            os.replace(part, arguments.output)
        finally:
            if os.path.exists(part):
                os.unlink(part)
    took = f"{time.perf_counter() - began:.1f} s"
    print(f"{counted(streams, 'stream')} of {counted(events, 'event')} in {took}: {arguments.output}")
    return 0


def _write(arguments: Namespace, store: Store, model: Model[Any], out: Rows, with_bar: bool) -> tuple[int, int]:
    """How many streams and events were folded."""
    streams = events = 0
    whole = sum(number for name, number in store.names().items() if name in model.steps)
    doing = f"replaying {model.definition.name}"
    with replay_bar(doing) if with_bar else nullcontext() as report:

        def told(folded: int) -> None:
            nonlocal events
            events = folded
            if report is not None:
                report(folded, max(folded, whole))

        for page in _pages(arguments, store, model, told):
            streams += len(page)
            out.write([(*row[:3], msgspec.Raw(row[3])) for row in page])
    return streams, events


def _pages(arguments: Namespace, store: Store, model: Model[Any], told: Any) -> Iterator[list[Any]]:
    cut = cut_at(store, arguments.at)
    return replay_pages(store, model, cut=cut, pattern=arguments.streams, after=arguments.after, told=told)


def _model(found: App, name: str | None) -> Model[Any]:
    app = found.sync if isinstance(found, AsyncAct) else found
    models = {model.definition.name: model for model in app._engine.registry.models.values()}
    if name is None and len(models) == 1:
        return next(iter(models.values()))
    if name not in models:
        known = ", ".join(models) or "none"
        asked = "say which state with --state" if name is None else f"there is no state {name!r}"
        raise ValidationError(f"{asked}; the app has {known}")
    return models[name]
