"""What has settled in a store, written down in the background."""

from pathlib import Path
from time import sleep

from act_fast import LogStore

__all__ = ["written_down"]


_EVENTS_MIN = 200_000


def written_down(store: LogStore, *relations: str) -> None:
    """Wait until relations that were asked about have their files, in a store that has enough events for any."""
    if store.head < _EVENTS_MIN:
        return
    folder = Path(store.path) / "analytics"
    while not all(any(folder.glob(f"{relation}-*/manifest-*.json")) for relation in relations):
        sleep(0.1)
