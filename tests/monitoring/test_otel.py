"""OpenTelemetry observes an app: collected by the real SDK."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from act_fast import Act, AsyncAct, ValidationError
from act_fast.monitoring import instrument
from tests.monitoring.shop import Shop, Sold, Till
from tests.support.aged import aged

pytest.importorskip("opentelemetry.sdk", reason="the OpenTelemetry SDK is not installed")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader


class Collector:
    """What the SDK collects of an app."""

    def __init__(self, app: Act | AsyncAct) -> None:
        self._reader = InMemoryMetricReader()
        self._provider = MeterProvider([self._reader])
        instrument(app, fresh=0, meter_provider=self._provider)

    def collect(self) -> dict[tuple[str, ...], Any]:
        """The points, by the metric's name and the values of the attributes."""
        data = self._reader.get_metrics_data()
        return {
            (metric.name, *map(str, (point.attributes or {}).values())): point
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        }


def test_the_figures_of_the_store_and_of_each_reaction_are_observed(shop: Shop) -> None:
    collector = Collector(shop.app)
    shop.broken = {2}
    shop.sell(1, 2, 3)
    shop.app.settle()
    found = {key: point.value for key, point in collector.collect().items() if hasattr(point, "value")}
    assert (found["act_fast.head",], found["act_fast.blocked",]) == (3, 1)
    assert found["act_fast.reaction.targets", "mail", "blocked"] == 1
    assert found["act_fast.reaction.lag", "books"] == 2
    assert found["act_fast.reaction.age", "books"] > 0
    assert found["act_fast.reaction.retrying", "books"] == 1
    assert (found["act_fast.retries",], found["act_fast.blocks",], found["act_fast.events.handled",]) == (1, 1, 2)
    assert found["act_fast.leases.lost",] == 0


def test_the_log_is_observed_by_the_form_of_its_files(tmp_path: Path) -> None:
    with aged(tmp_path) as app:
        collector = Collector(app)
        found = {key: point.value for key, point in collector.collect().items() if hasattr(point, "value")}
        assert [found["act_fast.log.events", form] for form in ("hot", "compressed", "archived")] == [6, 10, 33]
        assert found["act_fast.log.size", "compressed"] < found["act_fast.log.written", "compressed"]
        assert (found["act_fast.pruned",], found["act_fast.redacted",]) == (11, 1)
        assert (found["act_fast.sealed",], found["act_fast.forgotten",]) == (3, 1)
        assert found["act_fast.archive.size",] > 0


def test_how_long_the_events_of_a_lease_take_is_recorded_by_reaction(shop: Shop) -> None:
    collector = Collector(shop.app)
    shop.sell(1, 2)
    shop.sell(3, till="till-2")
    shop.app.settle()
    found = collector.collect()
    mail, books = (found["act_fast.reaction.duration", name] for name in ("mail", "books"))
    assert (mail.count, books.count) == (2, 1)
    assert 0 < mail.sum < 60


def test_handlers_that_are_awaited_are_timed_too() -> None:
    async def main() -> Any:
        async with AsyncAct("memory:", Till) as app:

            @app.on(Sold, to="mail", name="mail")
            async def mail(event: object) -> None:
                await asyncio.sleep(0.01)

            collector = Collector(app)
            await asyncio.to_thread(app.sync.store.append, "till-1", [Sold(1)])
            await app.settle()
            return await asyncio.to_thread(collector.collect)

    assert asyncio.run(main())["act_fast.reaction.duration", "mail"].sum >= 0.01


def test_an_app_that_is_closed_gives_no_figures_and_spoils_no_collection(shop: Shop) -> None:
    collector = Collector(shop.app)
    shop.app.close()
    assert ("act_fast.head",) not in collector.collect()


def test_an_app_is_not_kept_alive_by_it() -> None:
    collector = Collector(Act("memory:", Till))
    assert collector.collect() == {}


def test_what_is_no_app_is_refused(shop: Shop) -> None:
    with pytest.raises(ValidationError, match="LogStore"):
        instrument(shop.app.store)  # type: ignore[arg-type]
