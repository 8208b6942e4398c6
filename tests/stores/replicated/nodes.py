"""Nodes of a replicated store in one process: each has a replica of its own."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from act_fast.errors import EngineAwayError
from act_fast.stores.ordered.memory import Faults, MemoryEngine
from act_fast.stores.replicated.store import ReplicatedStore

Facts = list[tuple[int, str, int, str, int, bytes, object]]


@contextmanager
def nodes(folder: Path, count: int, faults: Faults | None = None) -> Iterator[list[ReplicatedStore]]:
    """Stores on one ordered log in memory."""
    engine = MemoryEngine(faults)
    with ExitStack() as opened:
        yield [opened.enter_context(_opened(engine, folder / str(at))) for at in range(count)]


def _opened(engine: MemoryEngine, path: Path) -> ReplicatedStore:
    """A store that is opened again while its engine is away."""
    while True:
        try:
            return ReplicatedStore(engine.open(path.name), path)
        except EngineAwayError:
            pass


def facts(store: ReplicatedStore) -> Facts:
    """All that a node has, to be compared."""
    return [
        (each.position, each.stream, each.version, each.name, each.created.timestamp(), each.data, each.meta)
        for each in store.query()
    ]


def level(stores: Sequence[ReplicatedStore]) -> Facts:
    """What all nodes have once they have caught up; they must have the same."""
    head = max(each.head for each in stores)
    for each in stores:
        assert each.wait(head - 1, timeout=30) >= head
    found = [facts(each) for each in stores]
    assert all(each == found[0] for each in found), [len(each) for each in found]
    return found[0]


def at_once(*works: Callable[[], object]) -> None:
    """Do several things in threads, and raise what one of them raises."""
    errors: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
