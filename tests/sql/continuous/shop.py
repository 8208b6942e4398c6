"""A shop whose events have fields of all the kinds that a view can be kept of."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

from hypothesis import strategies as st
from msgspec import Meta

from act_fast import Event, State


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Sold(Event):
    amount: int
    ratio: float = 0.5
    note: str | None = None
    method: Literal["cash", "card"] = "cash"
    gift: bool = False
    due: datetime | None = None
    price: Annotated[Decimal, Meta(extra={"scale": 2})] | None = None
    colour: Colour | None = None
    parcel: UUID | None = None
    weight: int | None = None
    tags: list[str] = []


class Returned(Event):
    amount: int


class Till(State, events=[Sold, Returned]):
    sold: int = 0


START = datetime(2025, 12, 30, 22, 30, tzinfo=UTC)

moments = st.integers(-3000, 3000).map(lambda minutes: START + timedelta(minutes=minutes))


def sales() -> st.SearchStrategy[Sold]:
    """Sales whose floats add up exactly, in whatever order."""
    return st.builds(
        Sold,
        amount=st.integers(-5, 5) | st.sampled_from([2**63 - 1, -(2**63)]),
        ratio=st.integers(-8, 8).map(lambda number: number / 4),
        note=st.none() | st.sampled_from(["", "a", "b", "é\0", "'\"\n"]),
        method=st.sampled_from(["cash", "card"]),
        gift=st.booleans(),
        due=st.none() | moments,
        price=st.none() | st.integers(-300, 300).map(lambda cents: Decimal(cents).scaleb(-2)),
        colour=st.none() | st.sampled_from(Colour),
        parcel=st.none() | st.sampled_from([UUID(int=1), UUID(int=2**127), UUID(int=2**128 - 1)]),
        weight=st.none() | st.integers(-3, 3),
    )


def events() -> st.SearchStrategy[Any]:
    """What may be appended: sales, other events, and what is no sale though it is stored as one."""
    broken = st.sampled_from([("Sold", b'{"amount":"five"}'), ("Sold", b'"redacted"'), ("Sold", b"{}")])
    return sales() | st.builds(Returned, st.integers(-5, 5)) | broken
