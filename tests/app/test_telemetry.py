"""OpenTelemetry: spans and counters where it is installed."""

import subprocess
import sys
from pathlib import Path

import pytest

from act_fast import Act, Event, InvariantError, Tag, View, at, decision, reducer
from tests.support.bank import Account

pytest.importorskip("opentelemetry.sdk", reason="the OpenTelemetry SDK is not installed")

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

SPANS = InMemorySpanExporter()
METRICS = InMemoryMetricReader()


@pytest.fixture(scope="module", autouse=True)
def providers() -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(SPANS))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([METRICS]))
    with Act("memory:", Account) as app:
        while not SPANS.get_finished_spans():  # it is noticed within a second
            app.do(Account.open, "account-7", owner="Ada")


def counted(name: str) -> dict[str, int]:
    """The sums of a counter, by outcome or, where it has none, by action."""
    data = METRICS.get_metrics_data()
    assert data is not None
    found = [
        point
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == name
        for point in metric.data.data_points
    ]
    return {
        str(point.attributes.get("act_fast.outcome", point.attributes["act_fast.action"])): point.value
        for point in found
    }


def test_a_do_is_a_span_and_is_counted() -> None:
    SPANS.clear()
    with Act("memory:", Account) as app:
        app.do(Account.deposit_each, "account-7", amounts=[1, 2, 3])
        with pytest.raises(InvariantError):
            app.do(Account.withdraw, "account-7", amount=1)

    done, refused = SPANS.get_finished_spans()
    assert done.name == "Account.deposit_each"
    assert dict(done.attributes or {}) == {
        "act_fast.stream": "account-7",
        "act_fast.version": 3,
        "act_fast.replayed": 0,
    }
    assert refused.status.status_code is trace.StatusCode.ERROR
    assert counted("act_fast.actions") == {"ok": 1, "InvariantError": 1}
    assert counted("act_fast.events.appended")["Account.deposit_each"] == 3


def test_what_is_done_under_a_key_is_a_span_that_says_whether_it_was_done_before() -> None:
    with Act("memory:", Account) as app:
        counted("act_fast.events.appended")
        SPANS.clear()
        for _ in range(2):
            app.once("k").do(Account.deposit_each, "account-7", amounts=[1, 2, 3])
        first, again = (dict(span.attributes or {}) for span in SPANS.get_finished_spans())
        assert (first["act_fast.version"], again["act_fast.version"]) == (3, 3)
        assert "act_fast.repeated" not in first
        assert again["act_fast.repeated"] is True


def test_several_actions_are_one_span() -> None:
    calls = Account.deposit_each.at("a", amounts=[1, 2]), Account.deposit.at("b", 5), Account.deposit.at("a", 5)
    with Act("memory:", Account) as app:
        before = counted("act_fast.events.appended").get("Account.deposit_each, Account.deposit", 0)
        SPANS.clear()
        app.do_many(*calls)
        with pytest.raises(InvariantError):
            app.do_many(Account.withdraw.at("c", amount=1))
    done, refused = SPANS.get_finished_spans()
    assert done.name == "Account.deposit_each, Account.deposit"
    assert dict(done.attributes or {}) == {
        "act_fast.about": ("a", "b"),
        "act_fast.position": 4,
        "act_fast.replayed": 0,
    }
    assert (refused.name, refused.status.status_code) == ("Account.withdraw", trace.StatusCode.ERROR)
    assert counted("act_fast.events.appended")["Account.deposit_each, Account.deposit"] == before + 4


class Seated(Event):
    course: Tag[str]


class Course(View, name="course"):
    taken: int = 0

    @reducer
    def seated(self, event: Seated) -> None:
        self.taken += 1


@decision
def seat(course: Course, account: Account) -> Seated | None:
    return None if course.taken else Seated("maths")


def test_a_decision_is_a_span_about_what_it_is_based_on() -> None:
    with Act("memory:", Account, Course) as app:
        given = Course.of("maths"), at(Account, "account-7")
        SPANS.clear()
        app.once("k").decide(seat, *given)
        app.once("k").decide(seat, *given)
        app.decide(seat, *given)
    done, again, nothing = SPANS.get_finished_spans()
    about = {"act_fast.about": ("course:maths", "account-7"), "act_fast.position": 1, "act_fast.replayed": 0}
    assert done.name == "seat"
    assert dict(done.attributes or {}) == dict(nothing.attributes or {}) == about
    assert dict(again.attributes or {}) == {**about, "act_fast.repeated": True}
    assert counted("act_fast.events.appended")["seat"] == 1


def test_how_long_actions_take_is_recorded_by_outcome() -> None:
    METRICS.get_metrics_data()
    with Act("memory:", Account) as app:
        app.do(Account.deposit_each, "account-7", amounts=[1, 2, 3])
    data = METRICS.get_metrics_data()
    assert data is not None
    scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics]
    (durations,) = [each for scope in scopes for each in scope.metrics if each.name == "act_fast.action.duration"]
    assert any(
        point.attributes["act_fast.action"] == "Account.deposit_each" and point.attributes["act_fast.outcome"] == "ok"
        for point in durations.data.data_points
    )


def test_nothing_is_traced_while_nobody_listens() -> None:
    program = (
        "from opentelemetry import trace\n"
        "trace.ProxyTracer.start_as_current_span = None\n"
        "from tests.support.bank import Account\n"
        "import act_fast\n"
        "print(act_fast.Act('memory:', Account).do(Account.deposit, 'a', amount=5).version)"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert found.stdout.strip() == "1"


def test_without_the_package_nothing_is_imported() -> None:
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "import act_fast\n"
        "act_fast.Act('memory:').close()\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry.')])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
