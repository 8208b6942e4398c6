"""Finding the targets of new events, and what becomes of a reaction when they cannot be found."""

from collections.abc import Callable, Iterable
from typing import Any

from act_fast._checks.error_text import error_text
from act_fast._events.gone import GONE
from act_fast._reactions.catalog import Catalog
from act_fast._reactions.reports import Blocked, Correlation
from act_fast._reactions.template import check_target
from act_fast._rows import Row
from act_fast._runtime.logger import log
from act_fast._runtime.observers import Observers
from act_fast.errors import DefinitionError, NonRetryableError
from act_fast.stores.reaction_port import Found, ReactionPort
from act_fast.stores.rows import committed

__all__ = ["correlate"]


class _Undecodable(NonRetryableError):
    """The event itself cannot be read, so trying again changes nothing."""


def correlate(
    port: ReactionPort, catalog: Catalog, observers: Observers, now_us: Callable[[], int], limit: int
) -> Correlation:
    """Read up to `limit` new events for the reactions that are furthest behind.

    A reaction whose targets cannot be found for an event holds before it: what comes before is correlated, and the
    event is tried again, after the reaction's backoff, until its retries are used up.
    """
    examined, subscribed, marked, caught_up, unresolved, failed = port.correlate(limit)
    for reaction, from_, to, rows in unresolved:
        found, failure = _find(catalog, reaction, rows)
        more = port.resolve(reaction, from_, to if failure is None else failure[0] - 1, found)
        subscribed, marked = subscribed + more[0], marked + more[1]
        if failure is not None:
            _hold(port, catalog, observers, now_us, reaction, *failure)
    for reaction, position, error in failed:
        _hold(port, catalog, observers, now_us, reaction, position, DefinitionError(error))
    return Correlation(examined, subscribed, marked, caught_up)


def _find(catalog: Catalog, reaction: int, rows: Iterable[Row]) -> tuple[list[Found], tuple[int, BaseException] | None]:
    """The targets of events, up to the first that fails; and that one's position, and why."""
    resolver, decode = catalog.resolvers[reaction], catalog.codec.committed
    place = f"to= of {catalog.reactions[reaction].place}"
    found: list[Found] = []
    for row in rows:
        if row[5] in GONE:
            continue
        try:
            event = decode(committed(row))
        except Exception as error:
            return found, (row[0], _Undecodable(f"the event does not decode: {error_text(error)}"))
        try:
            found.append((row[0], _names(place, resolver(event))))
        except BaseException as error:
            if not _is_failure(error):
                raise
            return found, (row[0], error)
    return found, None


def _is_failure(error: BaseException) -> bool:
    """Whether it is a failure of the function, and not meant for the whole program."""
    if isinstance(error, Exception | SystemExit):
        return True
    from asyncio import CancelledError

    return isinstance(error, CancelledError)


def _hold(
    port: ReactionPort,
    catalog: Catalog,
    observers: Observers,
    now_us: Callable[[], int],
    number: int,
    position: int,
    error: BaseException,
) -> None:
    """Let a reaction hold before an event: until it is tried again, or, after its last retry, until it is unblocked."""
    reaction = catalog.reactions[number]
    attempts = port.attempts_at(number, position) + 1
    text = str(error) if isinstance(error, _Undecodable) else error_text(error)
    blocked = reaction.block and (attempts > reaction.retries or isinstance(error, NonRetryableError))
    due_ms = None
    if not blocked:
        wait_ms = int(reaction.backoff.wait(attempts) * 1000)
        # One that is never blocked must not be tried again without any pause.
        due_ms = now_us() // 1000 + (wait_ms if reaction.block else max(wait_ms, 1))
    held = port.hold(number, position, attempts, due_ms, text)
    observers.fail_delivery(
        f"finding the targets of the event at position {position}",
        error,
        target=reaction.name,
        then=f"attempt {attempts} of {reaction.retries + 1} for reaction {reaction.name!r}",
    )
    if held and blocked:
        log.error(
            "reaction %r is blocked at position %d: %s; it finds no more targets until the cause is fixed and it is"
            " unblocked (app.unblock(%r), or act-fast unblock)",
            reaction.name,
            position,
            text,
            reaction.name,
        )
        if "blocked" in observers.kinds:
            observers.tell("blocked", Blocked(reaction.name, position, attempts, text))


def _names(place: str, found: Any) -> list[str]:
    """What a function found, as names."""
    if found is None:
        return []
    if isinstance(found, str):
        return [check_target(place, found)]
    if not isinstance(found, Iterable):
        raise DefinitionError(
            f"{place} returned {type(found).__name__}, which names no target; return text, several, or None"
        )
    return [check_target(place, each) for each in found]
