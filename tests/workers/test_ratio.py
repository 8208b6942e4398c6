"""The split between the frontiers follows the work found."""

import pytest

from act_fast._workers.frontier_ratio import Ratio
from act_fast._workers.lease import Lease


def leases(lagging: tuple[int, int], leading: tuple[int, int]) -> list[Lease]:
    """So many lagging leases, each with so many events handled; and leading ones."""
    made = []
    for is_lagging, (count, handled) in ((True, lagging), (False, leading)):
        for _ in range(count):
            lease = Lease((1, "t", 1, 1, is_lagging, [], [], False), 1000)
            lease.handled = handled
            made.append(lease)
    return made


def test_it_starts_at_half_and_no_target_is_left_out() -> None:
    assert Ratio().split(10) == (5, 5)
    assert Ratio().split(7) == (4, 3)
    assert Ratio().split(1) == (1, 0)


@pytest.mark.parametrize(
    ("lagging", "leading", "share"),
    [
        ((2, 30), (2, 10), 0.75),
        ((2, 10), (6, 10), 0.5),
        ((5, 100), (5, 0), 0.8),
        ((5, 0), (5, 100), 0.2),
        ((5, 0), (5, 0), 0.5),
        ((0, 0), (0, 0), 0.5),
    ],
)
def test_it_becomes_the_share_of_events_handled_for_each_target(
    lagging: tuple[int, int], leading: tuple[int, int], share: float
) -> None:
    ratio = Ratio()
    ratio.learn(leases(lagging, leading))
    assert ratio.share == share
