"""Health is an overview held against limits; each problem is a sentence."""

import pytest

from act_fast import ValidationError
from act_fast.monitoring import check_health
from tests.monitoring.shop import Shop


def test_a_shop_that_works_is_healthy(shop: Shop) -> None:
    shop.sell(1)
    shop.app.settle()
    health = check_health(shop.app, max_lag=0, max_age=0)
    assert (health.healthy, health.problems, health.head) == (True, [], 1)


def test_a_blocked_target_is_a_problem_unless_so_many_are_allowed(shop: Shop) -> None:
    shop.broken = {2}
    shop.sell(2)
    shop.app.settle()
    assert check_health(shop.app).problems == ["1 blocked, 0 allowed: targets of mail"]
    assert check_health(shop.app, max_blocked=1).healthy
    assert check_health(shop.app, max_blocked=None).healthy


def test_too_much_and_too_old_is_told_of_each_reaction(shop: Shop) -> None:
    shop.app.settle()
    shop.sell(1, 2, 3)
    assert check_health(shop.app).healthy
    assert check_health(shop.app, max_lag=2).problems == [
        "reaction 'books' is 3 events behind, 2 allowed",
        "reaction 'mail' is 3 events behind, 2 allowed",
    ]
    assert check_health(shop.app, max_lag=3).healthy
    problems = check_health(shop.app, max_age=0).problems
    assert [each.partition(" for ")[2].partition(" for ")[0] for each in problems] == [
        "reaction 'books'",
        "reaction 'mail'",
    ]


@pytest.mark.parametrize("limit", [{"max_lag": -1}, {"max_blocked": 1.5}, {"max_age": -1}, {"max_age": True}])
def test_a_limit_that_is_none_is_refused(shop: Shop, limit: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        check_health(shop.app, **limit)
