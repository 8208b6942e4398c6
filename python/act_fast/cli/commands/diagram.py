"""`act-fast diagram module:app`: what an app is made of, as a picture."""

from argparse import Namespace

from act_fast._app.async_act import AsyncAct
from act_fast.cli.input.app import find_app
from act_fast.cli.input.arguments import Commands, add_command

__all__ = ["add"]

DESCRIPTION = """\
Draw an app: its states with their actions, the events that they return, and
the reactions and projections that handle these. The picture is SVG, written to
standard output."""

EXAMPLES = """\
bank:app > model.svg"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "diagram", _run, summary="draw an app", description=DESCRIPTION, examples=EXAMPLES)
    parser.add_argument("app", metavar="APP", help="an app as module:name")


def _run(arguments: Namespace) -> int:
    from act_fast.inspector.drawing.diagram import diagram_of
    from act_fast.inspector.structure import structure_of

    app = find_app(arguments.app)
    with app.sync if isinstance(app, AsyncAct) else app as plain:
        print(diagram_of(structure_of(plain), standalone=True))
    return 0
