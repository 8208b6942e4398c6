"""What an app has counted in this process since it was made."""

from typing import Final

from act_fast._app.act import Act
from act_fast._app.async_act import AsyncAct

__all__ = ["COUNTERS", "counts_of"]

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


def counts_of(source: object) -> dict[str, float]:
    """The counts of an app, by name; none of anything else."""
    app = source.sync if isinstance(source, AsyncAct) else source
    if not isinstance(app, Act):
        return {}
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
    }
