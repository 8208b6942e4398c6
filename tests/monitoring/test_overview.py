"""An overview tells where each reaction stands, whoever runs it."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from act_fast import Act, AsyncAct, Committed, LogStore, ValidationError
from act_fast.monitoring import look
from tests.monitoring.shop import Shop, Sold, Till


def test_a_store_where_all_is_done_waits_for_nothing(shop: Shop) -> None:
    shop.sell(1, 2)
    shop.sell(3, till="till-2")
    shop.app.settle()
    found = look(shop.app)
    assert (found.head, found.streams, found.lag, found.age, found.blocked) == (3, 2, 0, 0.0, 0)
    assert found.last_created is not None
    assert found.reactions["mail"].targets == {"blocked": 0, "leased": 0, "waiting": 0, "behind": 0, "caught up": 2}
    assert found.reactions["books"].targets["caught up"] == 1


def test_events_that_nobody_has_looked_at_are_behind(shop: Shop) -> None:
    shop.sell(1)
    shop.app.settle()
    shop.sell(2, 3)
    mail = look(shop.app).reactions["mail"]
    assert (mail.lag, mail.uncorrelated) == (0, 2)
    assert mail.age > 0
    shop.app.correlate()
    mail = look(shop.app).reactions["mail"]
    assert (mail.lag, mail.uncorrelated, mail.targets["behind"]) == (2, 0, 1)


def test_a_blocked_target_counts_once_and_what_waits_behind_it_is_lag(shop: Shop) -> None:
    shop.broken = {2}
    shop.sell(1, 2, 3)
    shop.app.settle()
    found = look(shop.app)
    mail, books = found.reactions["mail"], found.reactions["books"]
    assert found.blocked == 1
    assert (mail.blocked, mail.lag, mail.retrying) == (1, 2, 0)
    assert (books.blocked, books.lag, books.retrying, books.targets["waiting"]) == (0, 2, 1, 1)


def test_a_target_of_several_reactions_counts_for_each(shop: Shop) -> None:
    shop.app.on(Sold, to="books", name="tax")(lambda event: None)
    shop.sell(1)
    shop.app.correlate()
    reactions = look(shop.app).reactions
    assert [reactions[name].targets["behind"] for name in ("books", "tax")] == [1, 1]


def test_the_age_is_that_of_the_oldest_event_that_waits(shop: Shop) -> None:
    shop.broken = {1, 2}
    shop.sell(7)
    shop.sell(1)
    time.sleep(0.02)
    shop.sell(2, till="till-2")
    shop.app.settle()
    first, second = (next(shop.app.store.query(after=at - 1, limit=1)).created for at in (2, 3))
    found = look(shop.app)
    assert found.reactions["mail"].age == pytest.approx((found.at - first).total_seconds())
    shop.broken = {2}
    shop.app.unblock("mail-till-1")
    shop.app.settle()
    found = look(shop.app)
    assert found.reactions["mail"].age == pytest.approx((found.at - second).total_seconds())


def test_what_lies_between_a_watermark_and_the_next_event_makes_nothing_older(shop: Shop) -> None:
    shop.sell(7)
    shop.app.settle()
    shop.sell(8, till="till-2")
    shop.app.settle()
    time.sleep(0.02)
    shop.broken = {1}
    shop.sell(1)  # till-1 stands at position 1, its next event is at 3
    shop.app.settle()
    created = next(shop.app.store.query(after=2, limit=1)).created
    found = look(shop.app)
    assert found.reactions["mail"].age == pytest.approx((found.at - created).total_seconds())


def test_deferred_events_are_not_old_before_their_time(tmp_path: Path) -> None:
    with Act(tmp_path / "later.act", Till) as app:
        tomorrow = datetime.now(UTC) + timedelta(days=1)

        @app.on(Sold, to="remind", defer=lambda event: tomorrow)
        def remind(event: Committed[Sold]) -> None: ...

        app.store.append("till-1", [Sold(1)])
        app.settle()
        found = look(app).reactions["remind"]
        assert (found.targets["waiting"], found.lag, found.age) == (1, 1, 0.0)


def test_a_reaction_that_finds_no_targets_is_blocked(tmp_path: Path) -> None:
    def nowhere(event: Committed[Sold]) -> str:
        raise ValueError("no such customer")

    with Act(tmp_path / "lost.act", Till) as app:
        app.on(Sold, to=nowhere, name="lost", retries=0)(lambda event: None)
        app.store.append("till-1", [Sold(1)])
        app.settle()
        found = look(app)
        assert (found.blocked, found.reactions["lost"].blocked) == (1, 1)


def test_skipped_events_are_counted_by_reaction(shop: Shop) -> None:
    shop.broken = {2}
    shop.sell(2)
    shop.app.settle()
    shop.app.skip("mail-till-1", reason="the customer is gone")
    reactions = look(shop.app).reactions
    assert (reactions["mail"].skipped, reactions["books"].skipped) == (1, 0)


@pytest.mark.parametrize("kind", ["path", "text", "store", "asynchronous"])
def test_every_way_to_name_a_store_tells_the_same(shop: Shop, kind: str) -> None:
    shop.sell(1)
    shop.app.settle()
    ways: dict[str, Any] = {
        "path": shop.path,
        "text": str(shop.path),
        "store": shop.app.store,
        "asynchronous": AsyncAct(shop.app),
    }
    assert look(ways[kind]).reactions == look(shop.app).reactions


def test_a_store_without_reactions_is_left_as_it_is(tmp_path: Path) -> None:
    with LogStore(tmp_path / "plain.act") as store:
        store.append("a", [("Done", b"1")])
    before = sorted(path.name for path in (tmp_path / "plain.act").iterdir())
    found = look(tmp_path / "plain.act")
    assert (found.head, found.reactions) == (1, {})
    assert sorted(path.name for path in (tmp_path / "plain.act").iterdir()) == before


def test_an_empty_store_in_memory_is_looked_at() -> None:
    with Act("memory:", Till) as app:
        found = look(app)
    assert (found.head, found.lag, found.last_created, found.reactions) == (0, 0, None, {})


def test_what_is_none_of_these_is_refused() -> None:
    with pytest.raises(ValidationError, match="int cannot be looked at"):
        look(7)  # type: ignore[arg-type]
