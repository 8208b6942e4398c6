"""Keeps the log elsewhere, and reads through."""

from act_fast import Act, Archived, LogStore
from examples.flights.aircraft import Aircraft
from examples.flights.look import Folded

__all__ = ["keep_elsewhere", "read_back"]


def keep_elsewhere(app: Act, folder: str) -> Archived | None:
    """Move the log to a folder; in earnest one keeps the newest events here. None where the store is no log."""
    if not isinstance(app.store, LogStore):
        return None
    if not app.store.stats().archived:
        app.compress(seal=True)  # the file that was written to last is ended, so that it can go as well
    return app.archive(folder)


def read_back(app: Act, known: Folded) -> Aircraft:
    """One aircraft, folded from its first event on, wherever that is now."""
    *_, last = app.history(Aircraft, known.stream)
    return last.state
