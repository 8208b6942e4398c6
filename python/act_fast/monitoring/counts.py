"""What an app has counted in this process since it was made."""

from dataclasses import asdict
from typing import Final

from act_fast._app.act import Act
from act_fast._app.async_act import AsyncAct
from act_fast.stores.log.local import LocalLog
from act_fast.stores.log.store import LogStore

__all__ = ["COUNTERS", "PROPOSALS", "counts_of", "proposals_of"]

COUNTERS: Final = {
    "conflicts": "Appends that lost a race and were decided again, or given up.",
    "cache_hits": "Loads that found a live state.",
    "cache_misses": "Loads that did not.",
    "targets_leased": "Leases taken on targets.",
    "events_handled": "Events handled by reactions.",
    "retries": "Times that a target is retried after a failure.",
    "blocks": "Times that a target was blocked.",
    "deferrals": "Times that a target waits for the time of its next event.",
    "leases_lost": "Leases lost to another worker; what was handled under them is delivered again.",
}
"""What each counter counts, by name."""

PROPOSALS: Final = {
    "proposed_commits": "Commits proposed to the engine whose outcome is known.",
    "proposed_records": "Records that carried them: commits divided by records is the batch size.",
    "proposed_refused": "Proposed commits that were refused, since a stream was at another version.",
    "proposed_failed": "Proposed commits that the engine did not take.",
    "proposed_unknown": "Proposed commits whose outcome is unknown.",
    "proposed_seconds": "Time from proposing commits until their outcome was known: by commits, it is the latency.",
}
"""The same for a store on several machines."""


def counts_of(source: object) -> dict[str, float]:
    """The counts of an app, and of a store on several machines, by name; none of anything else."""
    app = source.sync if isinstance(source, AsyncAct) else source
    if not isinstance(app, Act):
        return proposals_of(app)
    cache, drained, engine = app.cache_info(), app._program.drained, app._engine
    return {
        "conflicts": engine.conflicts,
        "cache_hits": cache.hits,
        "cache_misses": cache.misses,
        "cached_states": cache.size,
        "targets_leased": drained.leased,
        "events_handled": drained.handled,
        "retries": drained.retried,
        "blocks": drained.blocked,
        "deferrals": drained.deferred,
        "leases_lost": drained.lost,
        **proposals_of(app.store),
    }


def proposals_of(store: object) -> dict[str, float]:
    """The counts of a store on several machines; none of any other."""
    if not isinstance(store, LocalLog) or isinstance(store, LogStore):
        return {}
    from act_fast.stores.replicated.store import ReplicatedStore  # which few need

    if not isinstance(store, ReplicatedStore):
        return {}
    return {f"proposed_{name}": value for name, value in asdict(store.proposed).items()}
