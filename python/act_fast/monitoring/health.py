"""Whether all is well: an overview held against limits."""

import msgspec

from act_fast._checks import arguments
from act_fast.errors import ActError, ValidationError
from act_fast.monitoring.overview import Overview, Source, look

__all__ = ["Health", "check_health", "judge", "unreachable"]


class Health(msgspec.Struct, frozen=True):
    """Whether all is well.

    Attributes:
        healthy: whether there is no problem.
        problems: what is wrong, a sentence each.
        head: the position of the last event.
        lag: how many events the reaction that is furthest behind still has to process, or to look at.
        age: for how many seconds the oldest of these has been waiting.
        blocked: how many targets are blocked.
    """

    healthy: bool
    problems: list[str]
    head: int = 0
    lag: int = 0
    age: float = 0.0
    blocked: int = 0


def check_health(
    source: Source, /, *, max_lag: int | None = None, max_age: float | None = None, max_blocked: int | None = 0
) -> Health:
    """Check whether a store can be read and its reactions keep up.

    Args:
        source: an app, a store, or the path or address of an existing one.
        max_lag: how many events may wait for each reaction; None: any number.
        max_age: how many seconds an event may wait; None: any time.
        max_blocked: how many targets may be blocked; None: any number.

    Raises:
        ValidationError: a limit is not valid.
        StoreError: the store cannot be opened or read.
    """
    check_limits(max_lag, max_age, max_blocked)
    return judge(look(source), max_lag, max_age, max_blocked)


def check_limits(max_lag: int | None, max_age: float | None, max_blocked: int | None) -> None:
    """Refuse limits that are none.

    Raises:
        ValidationError: one is not what it must be.
    """
    arguments.optional_count("max_lag", max_lag)
    arguments.optional_count("max_blocked", max_blocked)
    if max_age is not None and (isinstance(max_age, bool) or not isinstance(max_age, int | float) or max_age < 0):
        raise ValidationError(f"max_age must be seconds of 0 or more, not {max_age!r}")


def judge(overview: Overview, max_lag: int | None, max_age: float | None, max_blocked: int | None) -> Health:
    """What an overview comes to."""
    problems = []
    if max_blocked is not None and overview.blocked > max_blocked:
        names = ", ".join(name for name, each in overview.reactions.items() if each.blocked)
        problems.append(f"{overview.blocked:,} blocked, {max_blocked:,} allowed: targets of {names}")
    if overview.replica is not None and overview.replica.trouble:
        problems.append(f"the replica cannot continue: {overview.replica.trouble}")
    for name, each in overview.reactions.items():
        waiting = each.lag + each.uncorrelated
        if max_lag is not None and waiting > max_lag:
            problems.append(f"reaction {name!r} is {waiting:,} events behind, {max_lag:,} allowed")
        if max_age is not None and each.age > max_age:
            problems.append(f"an event has waited for reaction {name!r} for {each.age:,.0f} s, {max_age:,g} s allowed")
    return Health(not problems, problems, overview.head, overview.lag, overview.age, overview.blocked)


def unreachable(error: ActError | OSError) -> Health:
    """The health of a store that cannot be looked at."""
    return Health(False, [" ".join(str(error).split())])
