"""A clock that is set back: the log's own time waits until the clock has caught up."""

from pathlib import Path

from act_fast import LogStore
from tests.stores.log.conftest import OnMachine


def test_created_is_held_while_the_clock_is_behind(on_machine: OnMachine, store_path: Path) -> None:
    said = on_machine(
        "os",
        """
        from datetime import UTC, datetime
        with LogStore(path, durability=durability) as store:
            store.append("a", numbered(1))
            let("CLOCK", 3600)
            for number in range(2, 5):
                store.append("a", numbered(number))
            store.save_snapshot("a", 4, b"state")
        with LogStore(path, durability=durability) as store:
            store.append("a", numbered(5))
            moments = [event.created for event in store.query()]
            print(moments[1:] == [moments[0]] * 4, moments[0] > datetime.now(UTC))
            let("CLOCK", 0)
            store.append("a", numbered(6))
            last = next(store.load("a", after=5)).created
            print(last > moments[0], last <= datetime.now(UTC), healthy(store))
        """,
    )
    assert said == ["True"] * 5
    with LogStore(store_path) as store:
        moments = [event.created for event in store.query()]
        assert moments == sorted(moments)
        assert [event.version for event in store.query(created_after=moments[4])] == [6]
        assert [event.version for event in store.query(created_before=moments[5])] == [1, 2, 3, 4, 5]
