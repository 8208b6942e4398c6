"""An overview, and what an app has counted, as text that Prometheus reads."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from act_fast.monitoring.counts import COUNTERS, PROPOSALS, counts_of
from act_fast.monitoring.kept import Kept
from act_fast.monitoring.overview import Overview, ReplicaOverview, Source, look
from act_fast.stores.values import Share

__all__ = ["OPENMETRICS", "PLAIN", "metrics_text", "written"]

PLAIN: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


class Family(NamedTuple):
    """One metric: its name, what it says, its kind, and a value for each set of labels."""

    name: str
    help: str
    kind: str
    samples: Sequence[tuple[Mapping[str, str], float]]


def metrics_text(source: Source, /, *, openmetrics: bool = False) -> str:
    """How a store and its reactions are doing, as text for Prometheus. No label is per stream or target.

    For an app, and a store on several machines, it includes what this process has counted.

    Args:
        source: an app, a store, or the path or address of an existing one.
        openmetrics: use the OpenMetrics format instead of the older one, which everything reads.

    Raises:
        ValidationError: the source is none of these.
        StoreError: the store cannot be opened or read.
    """
    return written(look(source), counts_of(source), openmetrics=openmetrics)


def written(overview: Overview, counts: Mapping[str, float], *, openmetrics: bool) -> str:
    """The text."""
    lines = [line for family in _families(overview, counts) for line in _lines(family, openmetrics)]
    return "\n".join([*lines, "# EOF", ""] if openmetrics else [*lines, ""])


def _families(overview: Overview, counts: Mapping[str, float]) -> Iterator[Family]:
    yield _gauge("head", "Position of the last event.", overview.head)
    yield _gauge("streams", "Streams that have events.", overview.streams)
    yield _gauge("store_bytes", "Space that the store takes.", overview.bytes)
    if overview.kept is not None:
        yield from _of_kept(overview.kept)
    yield from _time("last_commit_timestamp_seconds", "When the last event was committed.", overview.last_created)
    yield from _time("last_flush_timestamp_seconds", "When the last append became durable.", overview.last_flush)
    yield _gauge("blocked_targets", "Targets that are blocked, each counted once.", overview.blocked)
    each = list(overview.reactions.items())
    states = [
        ({"reaction": name, "state": state.replace(" ", "_")}, float(number))
        for name, one in each
        for state, number in one.targets.items()
    ]
    yield Family("reaction_targets", "Targets of a reaction, by state.", "gauge", states)
    for name, text in _OF_REACTIONS.items():
        samples = [({"reaction": reaction}, float(getattr(one, name))) for reaction, one in each]
        yield Family(_RENAMED.get(name, f"reaction_{name}"), text, "gauge", samples)
    if overview.replica is not None:
        yield from _of_replica(overview.replica)
    for name, value in counts.items():
        counted = COUNTERS.get(name) or PROPOSALS.get(name)
        kind = "gauge" if counted is None else "counter"
        yield Family(name, counted or "Live states in the cache of this process.", kind, [({}, value)])


def _of_kept(kept: Kept) -> Iterator[Family]:
    if kept.shares is not None:
        forms: list[tuple[str, Share]] = list(msgspec.structs.asdict(kept.shares).items())
        for name, text in _OF_FORMS.items():
            samples = [({"form": form}, float(getattr(share, name))) for form, share in forms]
            yield Family(_RENAMED[name], text, "gauge", samples)
        yield _gauge(
            "archive_bytes", "Space that the archived part of the log takes there.", kept.shares.archived.there
        )
    yield _gauge("pruned_events", "Events that were pruned.", kept.pruned)
    yield _gauge("pruned_bytes", "Data that they had.", kept.pruned_bytes)
    yield _gauge("redacted_events", "Events that were redacted.", kept.redacted)
    if kept.sealed is not None:
        yield _gauge("sealed_events", "Events of classes with sealed fields.", kept.sealed)
    yield _gauge("forgotten_subjects", "Subjects that were forgotten.", kept.forgotten)


def _of_replica(replica: ReplicaOverview) -> Iterator[Family]:
    if replica.lag is not None:
        yield _gauge("replica_lag_places", "How far the replica is behind the ordered log.", replica.lag)
    yield _gauge("replica_members", "Nodes that have the store open.", replica.members)
    yield _gauge("replica_set_aside", "Damaged or outdated replicas kept beside it.", replica.set_aside)
    yield _gauge("replica_workers", "Programs that run workers, and share the targets.", len(replica.workers))
    yield _gauge("replica_generation", "How often a worker has joined.", replica.generation)
    owned = [
        ({"node": each.node, "generation": str(each.generation)}, float(each.targets or 0)) for each in replica.workers
    ]
    yield Family("replica_worker_targets", "Targets that a program which runs workers owns.", "gauge", owned)
    yield _gauge("replica_stuck", "1 while the replica cannot continue.", bool(replica.trouble))


_OF_REACTIONS: Final = {
    "lag": "Events that the targets of a reaction still have to process.",
    "uncorrelated": "Positions of the log not looked at yet for a reaction.",
    "age": "Seconds for which the oldest event of a reaction has been waiting.",
    "retrying": "Targets of a reaction at an event that has failed and will be retried.",
    "skipped": "Events of a reaction that were skipped by hand.",
}
_OF_FORMS: Final = {
    "events": "Events of the log, by the form of its files: hot, compressed or archived.",
    "written": "Bytes of the log as they were written, by form.",
    "here": "Space that the log takes in the store's directory, by form.",
}
_RENAMED: Final = {
    "events": "log_events",
    "written": "log_written_bytes",
    "here": "log_here_bytes",
    "lag": "reaction_lag_events",
    "uncorrelated": "reaction_uncorrelated_events",
    "age": "reaction_age_seconds",
    "retrying": "reaction_retrying_targets",
    "skipped": "reaction_skipped_events",
}


def _gauge(name: str, text: str, value: float) -> Family:
    return Family(name, text, "gauge", [({}, value)])


def _time(name: str, text: str, moment: datetime | None) -> Iterator[Family]:
    if moment is not None:
        yield _gauge(name, text, moment.timestamp())


def _lines(family: Family, openmetrics: bool) -> Iterator[str]:
    name = f"act_fast_{family.name}"
    counted = f"{name}_total" if family.kind == "counter" else name
    declared = name if openmetrics else counted
    yield f"# HELP {declared} {family.help}"
    yield f"# TYPE {declared} {family.kind}"
    for labels, value in family.samples:
        yield f"{counted}{_labels(labels.items())} {_number(value)}"


def _labels(labels: Iterable[tuple[str, str]]) -> str:
    inside = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels)
    return f"{{{inside}}}" if inside else ""


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
