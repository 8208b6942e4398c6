"""Between which positions to look: moments and versions are found by bisection, within one statement.

Time never runs backwards along positions, and positions never along versions, so neither needs an index of its own.
"""

from typing import Any, Final, LiteralString

from act_fast.stores.mysql.connections import Connections

__all__ = ["BisectBounds"]

# Each turn of a recursion halves what is left; positions are dense, so there is an event in the middle.
_POSITION_BEFORE: Final[LiteralString] = """(
    with recursive bisect as (
        select cast(coalesce((select min(position) from {schema}.events), 1) - 1 as signed) as low,
            cast(coalesce((select max(position) from {schema}.events), 0) as signed) as high,
            cast(%s as signed) as moment_us
        union all
        select case when e.created_us < b.moment_us then e.position else b.low end,
            case when e.created_us < b.moment_us then b.high else e.position - 1 end, b.moment_us
        from bisect b join {schema}.events e on e.position = (b.low + b.high + 1) div 2 where b.low < b.high
    )
    select max(low) from bisect
)"""
_VERSION_AT: Final[LiteralString] = """(
    with recursive bisect as (
        select cast(0 as signed) as low, version as high, cast(%s as signed) as at_position
        from {schema}.streams where stream = %s
        union all
        select case when e.position <= b.at_position then e.version else b.low end,
            case when e.position <= b.at_position then b.high else e.version - 1 end, b.at_position
        from bisect b join {schema}.events e on e.stream = %s and e.version = (b.low + b.high + 1) div 2
        where b.low < b.high
    )
    select max(low) from bisect
)"""


class BisectBounds:
    """How MySQL finds between which positions to look; see `Bounds`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def __call__(
        self, after: int, before: int | None, later_us: int | None, earlier_us: int | None, stream: str | None
    ) -> tuple[int, int]:
        """Bounds of positions, both exclusive; of versions for a stream."""
        if stream is not None and not after and before is None and later_us is None and earlier_us is None:
            found = self._connections.ask("select version from {schema}.streams where stream = %s", stream)
            return 0, (found[0][0] if found else 0) + 1
        low, high = self._positions(after, before, later_us, earlier_us)
        if stream is None:
            return low, high + 1
        ((low, high),) = self._connections.ask(
            f"select {_VERSION_AT}, {_VERSION_AT}", low, stream, stream, high, stream, stream
        )
        return low or 0, (high or 0) + 1

    def _positions(
        self, after: int, before: int | None, later_us: int | None, earlier_us: int | None
    ) -> tuple[int, int]:
        # What is not above `low` is too early, what is above `high` too late.
        low: LiteralString = "cast(%s as signed)"
        high: LiteralString = "position"
        given: list[Any] = [after]
        if later_us is not None:
            low = f"greatest({low}, {_POSITION_BEFORE})"
            given.append(later_us + 1)
        if before is not None:
            high = f"least({high}, %s)"
            given.append(max(before - 1, 0))
        if earlier_us is not None:
            high = f"least({high}, {_POSITION_BEFORE})"
            given.append(earlier_us)
        ((found_low, found_high),) = self._connections.ask(
            f"select {low} as low, {high} as high from {{schema}}.log where one = 1", *given
        )
        return int(found_low), int(found_high)
