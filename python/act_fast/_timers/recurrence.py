"""When something recurs: by a cron expression in a time zone, or at a fixed interval."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from act_fast._checks.extras import need
from act_fast._checks.moments import EPOCH
from act_fast.errors import DefinitionError

if TYPE_CHECKING:
    from cronsim import CronSim

__all__ = ["Cron", "Interval", "Missed", "Recurrence", "Rule", "latest_before", "recurrence_of"]

Missed: TypeAlias = Literal["once", "each"]
_INTERVAL_MIN: Final = timedelta(seconds=1)
_INTERVAL_MAX: Final = timedelta(days=100 * 366)


class Cron:
    """Moments by a cron expression of five fields: minute, hour, day of the month, month, day of the week.

    With a fixed minute and hour, a time that a change of the clocks leaves out comes as soon as there is a time again,
    and one that is there twice comes the first time only. Where minute or hour begins with `*`, each matching minute
    that passes counts.
    """

    def __init__(self, expression: str, zone: tzinfo) -> None:
        self._expression = expression
        self._zone = zone
        self._from(datetime(2000, 1, 1, tzinfo=UTC))

    def next_after(self, moment: datetime) -> datetime | None:
        """The first moment after another one, in UTC; None if there is none."""
        for each in self._from(moment):
            found = each.astimezone(UTC)
            if found > moment:  # an hour that is there twice may lead back before it
                return found
        return None

    def _from(self, moment: datetime) -> "CronSim":
        from cronsim import CronSim

        return CronSim(self._expression, moment.astimezone(self._zone))


class Interval:
    """Moments at a fixed distance, counted from 1970 in UTC, so that all workers mean the same."""

    def __init__(self, step: timedelta) -> None:
        self._step = step

    def next_after(self, moment: datetime) -> datetime | None:
        """The first moment after another one."""
        return EPOCH + ((moment - EPOCH) // self._step + 1) * self._step


Rule: TypeAlias = Cron | Interval


def latest_before(rule: Rule, now: datetime) -> datetime:
    """The last moment up to now, of a rule that has had some, without going through them all."""
    for days in (1 / 24, 1, 32, 366, 366 * 50):
        found, due = None, rule.next_after(now - timedelta(days=days))
        while due is not None and due <= now:
            found, due = due, rule.next_after(due)
        if found is not None:
            return found
    raise AssertionError("there was one")


class Recurrence(msgspec.Struct, frozen=True, eq=False):
    """When something recurs.

    Attributes:
        text: it in words, by which another one is told from it.
        rule: gives the moments.
        missed: what becomes of moments that passed while no worker was running: one tick for all of them, or one each.
    """

    text: str
    rule: Rule
    missed: Missed


def recurrence_of(place: str, when: str | timedelta, tz: str | tzinfo | None, missed: Missed) -> Recurrence:
    """What `every` was given, checked.

    Raises:
        DefinitionError: it is not valid.
        MissingExtraError: what reads cron expressions is not installed.
    """
    if missed not in ("once", "each"):
        raise DefinitionError(f'{place}: missed= must be "once" or "each", not {missed!r}')
    if isinstance(when, timedelta):
        if tz is not None:
            raise DefinitionError(f"{place}: tz= is for cron expressions; an interval is the same in every time zone")
        if when < _INTERVAL_MIN:
            raise DefinitionError(f"{place}: the interval must be at least a second, but is {when}")
        if when > _INTERVAL_MAX:
            raise DefinitionError(f"{place}: the interval must be at most 100 years, but is {when}")
        return Recurrence(f"every {when.total_seconds():g} seconds", Interval(when), missed)
    if not isinstance(when, str):
        raise DefinitionError(f'{place}: give a cron expression, such as "0 3 * * *", or a timedelta, not {when!r}')
    if len(when.split()) != 5:
        raise DefinitionError(
            f"{place}: {when!r} is not a cron expression; it has five fields: minute, hour, day of the month, month,"
            " day of the week"
        )
    need("every", "cronsim")
    zone, named = _zone(place, tz)
    return Recurrence(f"{' '.join(when.split())} {named}", _cron(place, when, zone), missed)


def _cron(place: str, expression: str, zone: tzinfo) -> Cron:
    from cronsim import CronSimError

    try:
        found = Cron(expression, zone)
    except CronSimError as error:
        raise DefinitionError(f"{place}: {expression!r} is not a cron expression: {error}") from None
    if found.next_after(datetime(2000, 1, 1, tzinfo=UTC)) is None:
        raise DefinitionError(f"{place}: {expression!r} names a moment that never comes")
    return found


def _zone(place: str, tz: Any) -> tuple[tzinfo, str]:
    if tz is None:
        return UTC, "UTC"
    if isinstance(tz, str):
        from zoneinfo import ZoneInfo  # which few need

        try:
            return (UTC if tz == "UTC" else ZoneInfo(tz)), tz
        except (LookupError, ValueError, OSError) as error:
            raise DefinitionError(
                f"{place}: there is no time zone {tz!r} here ({error}); on a system without time zones, install tzdata"
            ) from None
    if isinstance(tz, tzinfo):
        return tz, str(tz)
    raise DefinitionError(f"{place}: tz= must be the name of a time zone, such as 'Europe/Berlin', not {tz!r}")
