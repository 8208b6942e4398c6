"""The process over an order and its items: reserve one item after the other, and undo it all when one is sold out.

Each step is a commit of its own, and each can be done twice without harm. So whoever finds an order unfinished, because
its process died between two steps, carries on from what the streams say, and needs to know nothing else.
"""

from collections.abc import Iterator, Mapping

from act_fast import Act
from examples.warehouse.item import Item, SoldOutError
from examples.warehouse.order import Order

__all__ = ["carry_on", "place_order", "unfinished"]


def place_order(app: Act, order: str, lines: Mapping[str, int]) -> Order:
    """Place an order and bring it to its end.

    Args:
        app: an app with `Item` and `Order`.
        order: the order's stream.
        lines: the items' streams, and how many of each.

    Returns:
        the order: confirmed and all its items reserved, or settled and none.
    """
    with app.context(correlation=order):
        app.do(Order.place, order, lines=dict(lines))
    return carry_on(app, order)


def carry_on(app: Act, order: str) -> Order:
    """Bring an order to its end from wherever it stands."""
    with app.context(correlation=order):
        now = app.load(Order, order).state
        if now.stage == "placed":
            now = _reserve(app, order, now)
        if now.stage in ("cancelled", "settled"):
            for item in now.lines:
                app.do(Item.release, item, order=order)
            now = app.do(Order.settle, order).state
        return now


def unfinished(app: Act) -> Iterator[str]:
    """The orders that have not come to an end."""
    for found in app.store.streams(pattern="^order-"):
        if app.load(Order, found.stream).state.stage in ("placed", "cancelled"):
            yield found.stream


def _reserve(app: Act, order: str, now: Order) -> Order:
    try:
        for item, quantity in now.lines.items():
            app.do(Item.reserve, item, order=order, quantity=quantity)
    except SoldOutError as error:
        return app.do(Order.cancel, order, reason=str(error)).state
    return app.do(Order.confirm, order).state
