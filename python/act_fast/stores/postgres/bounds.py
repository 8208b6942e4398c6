"""Between which positions to look: moments and versions by the functions of the schema, all in one question."""

from typing import Any, LiteralString

from act_fast.stores.postgres.connections import Connections

__all__ = ["FunctionBounds"]


class FunctionBounds:
    """How PostgreSQL finds between which positions to look; see `Bounds`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def __call__(
        self, after: int, before: int | None, later_us: int | None, earlier_us: int | None, stream: str | None
    ) -> tuple[int, int]:
        """Bounds of positions, both exclusive; of versions for a stream."""
        # What is not above `low` is too early, what is above `high` too late.
        low: LiteralString = "%s::bigint"
        high: LiteralString = "position"
        given: list[Any] = [after]
        if later_us is not None:
            low = "greatest(%s, {schema}.position_before(%s))"
            given.append(later_us + 1)
        if before is not None:
            high = f"least({high}, %s)"
            given.append(max(before - 1, 0))
        if earlier_us is not None:
            high = f"least({high}, {{schema}}.position_before(%s))"
            given.append(earlier_us)
        question = f"select {low} as low, {high} as high from {{schema}}.log"
        if stream is not None:
            question = (
                "select {schema}.version_at(%s, low), {schema}.version_at(%s, high) from (" + question + ") as found"
            )
            given = [stream, stream, *given]
        ((found_low, found_high),) = self._connections.ask(question, *given)
        return found_low, found_high + 1
