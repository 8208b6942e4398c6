"""Storage and nodes: what the store is made of, and who has it open."""

from starlette.responses import Response

from act_fast.errors import EngineError
from act_fast.inspector.disk import disk_of, segments_of
from act_fast.inspector.page import ROWS, Page
from act_fast.monitoring.kept import kept

__all__ = ["show"]


def show(page: Page) -> Response:
    """The page."""
    store, folder = page.subject.store, page.subject.folder
    members, lag, trouble = [], None, ""
    if callable(getattr(store, "members", None)):
        members, trouble = store.members(), store.trouble  # type: ignore[attr-defined]
        try:
            lag = store.lag  # type: ignore[attr-defined]
        except EngineError as error:
            trouble = trouble or str(error)
    segments = segments_of(folder)
    after = page.number("after") or 0
    stats = store.stats()
    registry = None if page.subject.app is None else page.subject.app._engine.registry
    return page.render(
        "storage.html",
        stats=stats,
        kept=kept(store, stats, registry),
        kind=type(store).__name__,
        durability=getattr(store, "durability", None),
        store_id=_store_id(store),
        disk=disk_of(folder),
        segments=segments[after : after + ROWS],
        segments_all=len(segments),
        after=after,
        step=ROWS,
        members=members,
        replicated=callable(getattr(store, "members", None)),
        lag=lag,
        trouble=trouble,
    )


def _store_id(store: object) -> str:
    from act_fast.stores.capabilities import store_id_of

    return store_id_of(store)
