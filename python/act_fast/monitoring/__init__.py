"""How a store and its reactions are doing: health and metrics, for people, load balancers and Prometheus."""

from act_fast.monitoring.asgi import monitor
from act_fast.monitoring.health import Health, check_health
from act_fast.monitoring.kept import Kept
from act_fast.monitoring.otel import instrument
from act_fast.monitoring.overview import Overview, ReactionOverview, ReplicaOverview, Source, look
from act_fast.monitoring.prometheus import metrics_text

__all__ = [
    "Health",
    "Kept",
    "Overview",
    "ReactionOverview",
    "ReplicaOverview",
    "Source",
    "check_health",
    "instrument",
    "look",
    "metrics_text",
    "monitor",
]
