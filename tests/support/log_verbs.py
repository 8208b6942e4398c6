"""Every verb of an open log: what is closed, or has stayed with a parent, refuses each of them."""

import asyncio
from collections.abc import Callable

from act_fast import Append, LogStore
from tests.support.numbered import pairs


def verbs(store: LogStore) -> list[Callable[[], object]]:
    """Each as a call, with arguments that are right."""
    return [
        lambda: store.append("a", pairs(1)),
        lambda: store.append_many([Append("a", pairs(1))]),
        lambda: store.load("a"),
        lambda: store.query(),
        lambda: store.head,
        lambda: store.version("a"),
        lambda: store.streams(),
        lambda: store.names(),
        lambda: store.save_snapshot("a", 1, b"x"),
        lambda: store.latest_snapshot("a"),
        lambda: store.wait(0),
        lambda: asyncio.run(store.wait_async(0)),
        lambda: store.flush(),
        lambda: store.verify(),
        lambda: store.rebuild_index(),
        lambda: store.stats(),
    ]
