"""`act-fast forget MODULE:APP SUBJECT`: destroys the key of a subject's personal data, and says what is left."""

from argparse import Namespace

import msgspec

from act_fast import AsyncAct
from act_fast._app.forgetting import ForgetReport
from act_fast.cli.input.app import find_app
from act_fast.cli.input.arguments import Commands, add_command
from act_fast.cli.output.rows import printable
from act_fast.cli.output.terminal import json_line
from act_fast.monitoring.words import counted

__all__ = ["add"]

DESCRIPTION = """\
Destroy the key of a subject, so that its personal data can never be read again,
in any copy; append SubjectForgotten, once; and search all files of the store for
the values that were sealed. This cannot be undone. Run it again to search again.
The exit code is 1 if something was found in clear, or nothing is known of the
subject: then nothing is changed.

MODULE:APP is an app with keys, or a function that makes one."""

EXAMPLES = """\
shop:app u-7 --reason "ticket 4711"
shop:app u-7 --reason "ticket 4711" --also backup.act --also export.parquet --json"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "forget",
        _run,
        summary="destroy a person's key, and search for what is left",
        description=DESCRIPTION,
        examples=EXAMPLES,
    )
    parser.add_argument("app", metavar="MODULE:APP", help="the app whose store it is")
    parser.add_argument("subject", metavar="SUBJECT", help="the person, as in the Subject fields of events")
    parser.add_argument("--reason", metavar="TEXT", required=True, help="why; it is recorded")
    parser.add_argument(
        "--also", metavar="PATH", action="append", default=[], help="search this file or directory, too; repeatable"
    )
    parser.add_argument("--json", action="store_true", help="the report as one JSON object")


def _run(arguments: Namespace) -> int:
    found = find_app(arguments.app)
    with found.sync if isinstance(found, AsyncAct) else found as app:
        report = app.forget(arguments.subject, reason=arguments.reason, also=arguments.also)
    if arguments.json:
        print(json_line(msgspec.json.encode(report)))
    else:
        _show(report)
    return 0 if report.clean and not report.unknown else 1


def _show(report: ForgetReport) -> None:
    if report.unknown:
        print(printable(f"{report.subject} is unknown: it has no key, and no event names it, so nothing was changed"))
        print("is it written as in the Subject fields?")
        return
    when = f"{report.forgotten_at:%Y-%m-%d %H:%M:%S} UTC"
    print(printable(f"{report.subject} {'was forgotten' if report.already else 'is forgotten'}, {when}"))
    print(
        f"unreadable from now on: {counted(report.events, 'event')} in {counted(report.streams, 'stream')},"
        f" {counted(report.snapshots, 'snapshot')}"
    )
    print(f"searched for {counted(report.values, 'value')} in {counted(report.files, 'file')}, {report.bytes:,} bytes")
    if report.receivers:
        print(printable(f"given to: {', '.join(report.receivers)}"))
    if report.in_clear:
        print(f"IN CLEAR: {counted(report.in_clear, 'event')} from before their fields were personal")
    if report.unread:
        print(f"NOT READ: {counted(report.unread, 'event')}; is this the key store that they were sealed with?")
    for place in report.plaintext:
        print(printable(f"FOUND in {place}"))
    for what in report.unreachable:
        print(printable(f"not reached: {what}"))
