"""Connections to servers that break, and processes that die, at each statement: no row is lost or counted twice, and
whoever reads sees a whole table.
"""

import os
import random
import signal
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from act_fast import Act, LogStore
from tests.support.bank import Account
from tests.support.databases import Place
from tests.support.heard import deposit
from tests.support.processes import Tell, started, until
from tests.support.proxy import Proxy
from tests.support.totals import Totals

SIDES = ["asked", "answered"]
STRIDE = int(os.environ.get("ACT_FAST_STRIDE", "3"))
"""Every so many messages a connection breaks, and at every fourth of these a process dies; 1 tries them all."""


class Cutting:
    """Cuts a connection at one of its messages, and counts them all."""

    def __init__(self, at: int, before: Callable[[], object] = lambda: None) -> None:
        self.at = at
        self.seen = 0
        self._before = before

    def __call__(self, data: bytes) -> bool:
        self.seen += 1
        if self.seen == self.at:
            self._before()
        return self.seen == self.at


@pytest.fixture
def proxy(place: Place) -> Iterator[Proxy]:
    with Proxy(place.server.port) as proxy:  # type: ignore[attr-defined]
        place.port = proxy.port
        yield proxy


def totals(place: Place) -> dict[str, tuple[int, int]]:
    found = place.ask("select stream, amount, events from totals")
    return {str(stream): (int(amount), int(events)) for stream, amount, events in found}


def settle(app: Act) -> None:
    """Settle until nothing is left, however often a connection has to be made again."""
    while True:
        app.settle()
        assert not list(app.blocked())
        if all(not target.lag for target in app.targets()):
            return


@pytest.mark.parametrize("side", SIDES)
def test_a_connection_that_breaks_at_any_statement_loses_no_row_and_doubles_none(
    place: Place, proxy: Proxy, side: str
) -> None:
    projection = Totals(place.connect)
    with Act("memory:", Account, projection) as app:
        amount = 0
        for at in count(1, STRIDE):
            cutting = Cutting(at)
            setattr(proxy, side, cutting)
            deposit(app, "a", "b", "a", amount=at)
            amount += at
            settle(app)
            setattr(proxy, side, lambda data: False)
            assert totals(place) == {"a": (2 * amount, 2 * (at // STRIDE + 1)), "b": (amount, at // STRIDE + 1)}
            projection.close()  # the next time begins with connecting and looking for tables
            if cutting.seen < at:
                break
    assert at > 10


@pytest.mark.parametrize("side", SIDES)
def test_a_rebuild_whose_connection_breaks_at_any_statement_comes_to_its_end(
    place: Place, proxy: Proxy, side: str
) -> None:
    projection = Totals(place.connect)
    with Act("memory:", Account, projection) as app:
        deposit(app, "a", "b", "a", amount=5)
        settle(app)
        for at in count(1, STRIDE):
            place.ask("update totals set amount = 0")
            cutting = Cutting(at)
            setattr(proxy, side, cutting)
            app.rebuild("totals")
            setattr(proxy, side, lambda data: False)
            settle(app)
            assert totals(place) == {"a": (10, 2), "b": (5, 1)}
            assert place.tables() == {"totals", "act_fast_watermarks", "act_fast_projections"}
            projection.close()
            if cutting.seen < at:
                break
    assert at > 10


def test_a_process_that_is_killed_at_any_statement_of_a_rebuild_leaves_a_whole_table(
    place: Place, proxy: Proxy, tmp_path: Path, dice: random.Random
) -> None:
    """The rows from before have amounts of 0, so that they can be told from those that a rebuild makes."""
    stride = STRIDE if STRIDE == 1 else 4 * STRIDE
    steps = dice.randrange(stride) + 1, stride
    path, go = tmp_path / "bank.act", tmp_path / "go"

    def rebuild(tell: Tell) -> None:
        projection = Totals(place.connect)
        with LogStore(path, durability="os") as store, Act(store, Account, projection) as app:
            tell("ready")
            until(go.exists)
            app.rebuild("totals", resume=False)

    with LogStore(path, durability="os") as store:
        place.port = None
        projection = Totals(place.connect)
        with Act(store, Account, projection) as app:
            deposit(app, "a", "b", "a", amount=5)
            settle(app)
            for round_, at in enumerate(count(*steps), 1):
                place.ask("update totals set amount = 0")
                place.port = proxy.port
                with started(rebuild) as (process,):
                    assert process.next_line() == "ready"
                    proxy.asked = Cutting(at, process.kill)
                    go.touch()
                    ended = process.wait()
                proxy.asked = lambda data: False
                proxy.cut()
                go.unlink()
                place.port = None
                before = {"a": (0, round_ + 1), "b": (0, 1)}
                after = {"a": (5 * (round_ + 1), round_ + 1), "b": (5, 1)}
                found = totals(place)
                assert found in (before, after)
                deposit(app, "a", amount=5)
                settle(app)
                grown = {"a": (found["a"][0] + 5, round_ + 2), "b": found["b"]}
                assert totals(place) == grown
                app.rebuild("totals")
                assert totals(place) == {"a": (5 * (round_ + 2), round_ + 2), "b": (5, 1)}
                assert place.tables() == {"totals", "act_fast_watermarks", "act_fast_projections"}
                projection.close()
                assert ended in (0, -signal.SIGKILL)
                if ended == 0:
                    break
    assert at > 10
