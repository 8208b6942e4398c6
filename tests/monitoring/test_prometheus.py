"""Metrics as Prometheus reads them: parsed here line by line, as its own reader does."""

import re

import pytest

from act_fast import Act, Event, State, action
from act_fast.monitoring import metrics_text
from tests.monitoring.shop import Shop, Sold, Till

SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)+)\})? (-?[0-9.e+-]+)')
LABEL = re.compile(r'([a-z]+)="((?:[^"\\]|\\.)*)"')


def read(text: str) -> dict[tuple[str, ...], float]:
    """The samples of a text, by name and the values of the labels. Each must follow what says its kind."""
    found: dict[tuple[str, ...], float] = {}
    kinds: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in kinds, "each metric is declared once"
            kinds[name] = kind
        elif not line.startswith("#"):
            sample = SAMPLE.fullmatch(line)
            assert sample is not None, line
            assert {sample[1], sample[1].removesuffix("_total")} & kinds.keys(), line
            labels = [value for _, value in LABEL.findall(sample[2] or "")]
            assert (sample[1], *labels) not in found, line
            found[(sample[1], *labels)] = float(sample[3])
    return found


@pytest.mark.parametrize("openmetrics", [False, True])
def test_each_reaction_has_its_figures(shop: Shop, openmetrics: bool) -> None:
    shop.broken = {2}
    shop.sell(1, 2, 3)
    shop.app.settle()
    text = metrics_text(shop.app, openmetrics=openmetrics)
    found = read(text)
    assert text.endswith("# EOF\n") is openmetrics
    assert found["act_fast_head",] == 3
    assert found["act_fast_blocked_targets",] == 1
    assert found["act_fast_reaction_targets", "mail", "blocked"] == 1
    assert found["act_fast_reaction_targets", "books", "waiting"] == 1
    assert found["act_fast_reaction_lag_events", "books"] == 2
    assert found["act_fast_reaction_age_seconds", "mail"] >= 0
    assert found["act_fast_reaction_retrying_targets", "books"] == 1
    assert found["act_fast_reaction_skipped_events", "mail"] == 0
    assert found["act_fast_last_commit_timestamp_seconds",] > 1.7e9


def test_what_an_app_has_counted_is_told_of_the_app_only(shop: Shop) -> None:
    shop.broken = {2}
    shop.sell(1, 2)
    shop.app.settle()
    found = read(metrics_text(shop.app))
    assert found["act_fast_events_handled_total",] == 2
    assert (found["act_fast_retries_total",], found["act_fast_blocks_total",]) == (1, 1)
    assert found["act_fast_leases_lost_total",] == 0
    assert ("act_fast_events_handled_total",) not in read(metrics_text(shop.path))


def test_counters_are_declared_as_each_format_wants_it(shop: Shop) -> None:
    assert "# TYPE act_fast_retries_total counter" in metrics_text(shop.app)
    assert "# TYPE act_fast_retries counter" in metrics_text(shop.app, openmetrics=True)


def test_lost_races_and_the_cache_are_counted() -> None:
    class Counted(Event):
        by: int

    class Counter(State, events=[Counted]):
        by: int = 0

        @action(retries=2)
        def add(self, by: int) -> Counted:
            while rivals:
                app.store.append("c", [rivals.pop()])
            return Counted(by)

    with Act("memory:", Counter) as app:
        rivals: list[Counted] = []
        app.do(Counter.add, "c", by=1)
        assert read(metrics_text(app))["act_fast_conflicts_total",] == 0
        rivals.append(Counted(2))
        assert app.do(Counter.add, "c", by=3).version == 3
        found = read(metrics_text(app))
    assert found["act_fast_conflicts_total",] == 1
    assert found["act_fast_cache_hits_total",] >= 1
    assert found["act_fast_cached_states",] == 1


def test_no_label_is_that_of_a_stream_or_a_target(shop: Shop) -> None:
    for number in range(100):
        shop.sell(number, till=f"secret-{number}")
    shop.app.settle()
    text = metrics_text(shop.app)
    assert "secret" not in text
    assert len(read(text)) < 100


def test_a_name_with_odd_letters_is_spelled_so_that_it_is_read_back() -> None:
    with Act("memory:", Till) as app:
        app.on(Sold, to="t", name='a "b" \\ c')(lambda event: None)
        app.store.append("s", [Sold(1)])
        app.settle()
        found = read(metrics_text(app))
    assert found["act_fast_reaction_lag_events", 'a \\"b\\" \\\\ c'] == 0
