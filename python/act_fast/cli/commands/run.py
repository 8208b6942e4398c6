"""`act-fast run MODULE:APP`: the reactions of an app, at work in processes of their own."""

import argparse
import asyncio
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from datetime import UTC, datetime

from act_fast import Act, AsyncAct
from act_fast._workers.host import Host
from act_fast._workers.report_start import report_start
from act_fast.cli.input.app import find_app, find_object
from act_fast.cli.input.arguments import Commands, add_command, count
from act_fast.cli.output.logs import FORMATS, LEVELS, Format, Level, json_record, log_to_stderr
from act_fast.cli.output.terminal import guard_terminals
from act_fast.cli.tenants import Make, Tenants, check
from act_fast.cli.worker_processes import Workers, end_with_parent, leave_ctrl_c_to_parent, stop_upon_sigterm
from act_fast.errors import ValidationError

__all__ = ["add", "work", "work_on_stores"]

DESCRIPTION = """\
Run the reactions of an app in worker processes until SIGTERM or Ctrl-C. They
share the work with each other, and with any others on the same store; they
sleep while nothing happens. A process that dies is replaced; the targets that
it held are taken over when its leases expire.

MODULE:APP is an app or a function that makes one. Each process imports the
module, from the current directory if it is there.

With --stores it is a function of a path that makes the app of the store there,
and each process works on all stores whose paths match. A new store is
picked up within seconds, a removed one is closed, and one that fails is retried
without holding up the others.

On shutdown, in-flight events are finished, within the grace period, and no
others are started. A second Ctrl-C ends at once.

Failures are logged to standard error with their traceback: what failed where,
and what happens next. At the start, a warning names each reaction that is new
on the store, and each that the store knows but this program has no code for.
--log-level sets the lowest level that is shown, --log-format json makes each
record one JSON object on one line: time, level, logger, process, message, and
of an exception error and traceback."""

EXAMPLES = """\
bank:app --workers 4
bank:app --lanes mail,default --grace 60
bank:app_of --stores '/var/lib/bank/*.act'"""

_MOST = 1024


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "run",
        _run,
        summary="run the reactions of an app",
        description=DESCRIPTION,
        examples=EXAMPLES,
    )
    parser.add_argument("app", metavar="MODULE:APP", help="the app")
    parser.add_argument("--stores", metavar="PATTERN", help="work on all stores at paths that match")
    parser.add_argument(
        "--look-every", metavar="S", type=_seconds, default=5.0, help="seconds between two looks for new stores (5)"
    )
    parser.add_argument("--workers", metavar="N", type=_workers, default=1, help="how many processes (1)")
    parser.add_argument("--lanes", metavar="A,B", type=_names, help="work on these lanes only (all)")
    parser.add_argument(
        "--concurrency", metavar="N", type=_workers, default=8, help="targets of a lane at a time in each process (8)"
    )
    parser.add_argument(
        "--log-level", metavar="LEVEL", choices=LEVELS, default="warning", help=f"{', '.join(LEVELS)} (warning)"
    )
    parser.add_argument(
        "--log-format", choices=FORMATS, default="text", help="lines for people, or one JSON object a line (text)"
    )
    parser.add_argument(
        "--grace", metavar="S", type=_seconds, default=10.0, help="seconds for handlers to finish on shutdown (10)"
    )


def work(
    address: str, lanes: Sequence[str] | None, concurrency: int, grace: float, level: Level, format: Format = "text"
) -> None:
    """What each process does."""
    leave_ctrl_c_to_parent()
    guard_terminals(stdout=False)  # what handlers print is their own business
    sys.path.insert(0, "")
    app = find_app(address)
    log_to_stderr(level, format)
    if isinstance(app, AsyncAct):
        asyncio.run(_work_async(app, lanes, concurrency, grace))
        return
    with app:
        worker = app._worker(Host(app), lanes, concurrency, grace)
        end_with_parent(worker.stop)
        stop_upon_sigterm(worker.stop)
        worker.run()


async def _work_async(app: AsyncAct, lanes: Sequence[str] | None, concurrency: int, grace: float) -> None:
    async with app:
        worker = app.sync._worker(app._host(), lanes, concurrency, grace)
        end_with_parent(worker.stop)
        stop_upon_sigterm(worker.stop)
        await app._run(worker)


def work_on_stores(
    address: str,
    pattern: str,
    look_every: float,
    lanes: Sequence[str] | None,
    concurrency: int,
    grace: float,
    level: Level,
    format: Format,
) -> None:
    """What each process does that works on many stores."""
    leave_ctrl_c_to_parent()
    guard_terminals(stdout=False)
    sys.path.insert(0, "")
    make = _function_of_a_path(address)
    log_to_stderr(level, format)
    tenants = Tenants(make, pattern, lanes, concurrency, grace, look_every)
    end_with_parent(tenants.stop)
    stop_upon_sigterm(tenants.stop)
    tenants.run()


def _run(arguments: Namespace) -> int:
    level, form = arguments.log_level, arguments.log_format
    given = (arguments.lanes, arguments.concurrency, arguments.grace, level, form)
    say = _say_json if form == "json" else _say
    if arguments.stores is None:
        _check(arguments.app, arguments.lanes, level, form)
        workers = Workers(arguments.workers, work, (arguments.app, *given), arguments.grace, say)
    else:
        _check_stores(arguments.app, arguments.stores, arguments.lanes, level, form)
        stores = (arguments.app, arguments.stores, max(arguments.look_every, 0.05))
        workers = Workers(arguments.workers, work_on_stores, (*stores, *given), arguments.grace, say)
    return 0 if workers.run() else 1


def _function_of_a_path(address: str) -> Make:
    found = find_object(address)
    if not callable(found) or isinstance(found, type):
        raise ValidationError(f"with --stores, {address} must be a function of a path that makes an app")
    return found


def _check_stores(address: str, pattern: str, lanes: Sequence[str] | None, level: Level, format: Format) -> None:
    make = _function_of_a_path(address)
    log_to_stderr(level, format)
    for app in check(make, pattern):
        _check_app(address, app, lanes)
        report_start(app._program)


def _check(address: str, lanes: Sequence[str] | None, level: Level, format: Format) -> None:
    """Say here and now what is wrong, or what a person should know, rather than from each process."""
    app = find_app(address)
    log_to_stderr(level, format)
    plain = app.sync if isinstance(app, AsyncAct) else app
    with plain:
        _check_app(address, plain, lanes)
        report_start(plain._program)


def _check_app(address: str, app: Act, lanes: Sequence[str] | None) -> None:
    if not app.reactions:
        raise ValidationError(f"{address} has no reactions; declare some with @app.on(...)")
    if getattr(app.store, "path", None) == "memory:":
        raise ValidationError(f"{address} keeps its events in memory, where other processes cannot see them")
    for name in lanes or ():
        if name not in app.lanes:
            raise ValidationError(f"there is no lane {name!r}; there is {', '.join(map(repr, app.lanes))}")


def _say(line: str) -> None:
    print(f"act-fast: {line}", file=sys.stderr, flush=True)


def _say_json(line: str) -> None:
    print(json_record(datetime.now(UTC), "INFO", "act_fast", line, os.getpid()), file=sys.stderr, flush=True)


def _workers(text: str) -> int:
    found = count(text)
    if not 0 < found <= _MOST:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 to {_MOST}")
    return found


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r} names no lane; write mail,default")
    return names


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds of 0 or more")
    return seconds
