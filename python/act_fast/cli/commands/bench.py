"""`act-fast bench PATH`: what to expect on this machine and that disk."""

from argparse import ArgumentTypeError, Namespace
from pathlib import Path

from act_fast.cli.benchmark import measure
from act_fast.cli.input.arguments import Commands, add_command
from act_fast.cli.output.form import rows_to_stdout
from act_fast.cli.output.progress import progress_bar
from act_fast.cli.output.rows import Column
from act_fast.errors import StoreError, ValidationError

__all__ = ["add"]

DESCRIPTION = """\
Measure the performance of this machine and of the disk that PATH is on:
appending with each durability, deciding, loading, replaying, reacting. It uses
stores of its own: in PATH if that is a directory, beside it if it is a store or
does not exist yet. It leaves nothing behind. A busy machine gives low figures."""

EXAMPLES = """\
.
/var/lib/app/bank.act --seconds 2
. --json | jq 'select(.work == "query all events").median'"""

COLUMNS = [
    Column("work", stretches=True),
    Column("survives"),
    Column("median"),
    Column("lowest", in_table=False),
    Column("highest", in_table=False),
    Column("unit"),
]


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "bench", _run, summary="what to expect on this disk", description=DESCRIPTION, examples=EXAMPLES
    )
    parser.add_argument("path", metavar="PATH", help="a directory, or a store's path")
    parser.add_argument(
        "--seconds", type=_seconds, default=0.3, metavar="S", help="seconds for each kind of work (0.3)"
    )
    parser.add_argument("--json", action="store_true", help="a JSON object for each kind of work")


def _run(arguments: Namespace) -> int:
    if "://" in arguments.path:  # which is not repeated, since it may carry a password
        raise ValidationError("a disk is measured here, not a server: name a directory")
    out = rows_to_stdout(COLUMNS, as_json=arguments.json)
    with progress_bar("measuring") as progress:
        figures = []
        for figure in measure.measure(_folder(Path(arguments.path)), arguments.seconds):
            figures.append(figure)
            if progress is not None:
                progress(len(figures), len(measure.WORKS))
    out.write([[getattr(figure, column.name) for column in COLUMNS] for figure in figures])
    return 0


def _folder(path: Path) -> Path:
    """Where to measure: the same disk, but never inside a store."""
    folder = path if path.is_dir() and not (path / "control").exists() else path.absolute().parent
    if not folder.is_dir():
        raise StoreError(f"there is no directory {folder} to measure in; name one that exists")
    return folder


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 3600")
    return seconds
