"""`act-fast verify PATH`: is every byte as it was written?"""

from argparse import Namespace

import msgspec

from act_fast.cli.input.arguments import Commands, add_command
from act_fast.cli.input.store import open_store
from act_fast.cli.output.progress import progress_bar
from act_fast.cli.output.rows import printable
from act_fast.cli.output.terminal import console, draws, json_line
from act_fast.monitoring.words import counted
from act_fast.stores.log.offline import verify_path
from act_fast.stores.values import Problem, VerifyReport

__all__ = ["add"]

DESCRIPTION = """\
Read the whole store, check every checksum and every index, and report what is
wrong and where: file, byte, first position lost, and a description. Nothing is
changed, and the store may be in use. The exit code is 1 if anything is wrong."""

EXAMPLES = """\
bank.act
bank.act --json | jq '.problems[]'"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "verify", _run, summary="look for damage", description=DESCRIPTION, examples=EXAMPLES
    )
    parser.add_argument("path", metavar="PATH", help="the store's directory, or its address")
    parser.add_argument("--json", action="store_true", help="the report as one JSON object")


def _run(arguments: Namespace) -> int:
    if "://" in arguments.path:
        with open_store(arguments.path) as store, progress_bar("verifying") as progress:
            report = store.verify(progress=progress)
    else:
        with progress_bar("verifying", in_bytes=True) as progress:
            report = verify_path(arguments.path, progress=progress)
    if arguments.json:
        print(json_line(msgspec.json.encode(report)))
    else:
        _show(report)
    return 0 if report.healthy else 1


def _show(report: VerifyReport) -> None:
    verdict = "healthy" if report.healthy else f"DAMAGED: {counted(len(report.problems), 'problem')}"
    if not draws():
        for problem in report.problems:
            fields = problem.file, problem.offset, problem.position, problem.message
            print(*map(printable, fields), sep="\t")
        print(verdict, _read(report), sep="; ")
        return
    from rich.text import Text

    out = console(soft_wrap=True)
    for problem in report.problems:
        out.print(Text(_sentence(problem)))
    out.print(Text(verdict, style="bold green" if report.healthy else "bold red"), Text(_read(report)), sep="; ")


def _sentence(problem: Problem) -> str:
    lost = "" if problem.position is None else f", from position {problem.position:,}"
    return printable(f"{problem.file} at byte {problem.offset:,}{lost}: {problem.message}")


def _read(report: VerifyReport) -> str:
    index = "index checked" if report.index_checked else "no index; it is built when the store is opened"
    found = (
        counted(report.events, "event"),
        counted(report.commits, "commit"),
        counted(report.streams, "stream"),
        counted(report.snapshots, "snapshot"),
    )
    return f"read {', '.join(found)}; {index}"
