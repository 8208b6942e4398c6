"""The model: which states, events, actions, reactions and projections there are, and how they hang together."""

from starlette.responses import Response

from act_fast.errors import ValidationError
from act_fast.inspector.drawing.diagram import diagram_of
from act_fast.inspector.page import Page
from act_fast.inspector.stored_names import stored_names
from act_fast.inspector.structure import structure_of

__all__ = ["diagram", "show"]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"


def show(page: Page) -> Response:
    """The diagram, and the names under which events are stored."""
    app = page.subject.app
    structure = None if app is None else structure_of(app)
    return page.render(
        "model.html",
        structure=structure,
        drawing=None if structure is None else diagram_of(structure),
        names=stored_names(page.subject.store, app, page.position),
    )


def diagram(page: Page) -> Response:
    """The diagram as a file."""
    if page.subject.app is None:
        raise ValidationError("a store alone has no model; start the inspector with module:app")
    drawn = diagram_of(structure_of(page.subject.app), standalone=True)
    return Response(drawn, media_type="image/svg+xml", headers={"content-security-policy": _POLICY})
