"""What follows from what. Each reaction may run twice: each step decides by what the streams say, and timers have keys.

Reactions run under the order's own stream, so the steps of one order come in order, and orders do not wait for each
other. A step that cannot be done raises, is retried, and in the end blocks this one order for somebody to look at.
"""

from collections.abc import Callable
from datetime import timedelta

from act_fast import Act, Committed, Slice, Ticked
from examples.checkout.order import Expired, Order, Paid, Placed, Refused
from examples.checkout.seat import Seat

__all__ = ["PATIENCE", "RefusedError", "checkout", "timer_of"]

PATIENCE = timedelta(minutes=15)


class RefusedError(Exception):
    """The venue issues no ticket, and trying again would not help."""


def timer_of(order: str) -> str:
    """The key of the timer that ends an order nobody pays for."""
    return f"unpaid-{order}"


def checkout(
    issue: Callable[[str], str], report: Callable[[int], object] = print, patience: timedelta = PATIENCE
) -> Slice:
    """The checkout, ready for an app.

    Args:
        issue: asks the venue for the ticket of an order, and answers with its number. May be asked again for the same
            order, and raises `RefusedError` for one that will never get a ticket.
        report: is told each night how many orders expired since the last time.
        patience: how long a seat is held.
    """
    process = Slice(Order, Seat)

    @process.on(Placed)
    def hold_the_seat(event: Committed[Placed], app: Act) -> None:
        order, seat = event.stream, f"seat-{event.data.seat}"
        if app.load(Order, order).state.status != "placed":
            return
        app.do(Seat.hold, seat, order=order)
        if app.load(Seat, seat).state.order != order:
            app.do(Order.expire, order, reason="the seat is taken")
            return
        app.schedule(at=event.created + patience, key=timer_of(order)).do(
            Order.expire, order, reason="not paid in time"
        )

    @process.on(Paid)
    def issue_the_ticket(event: Committed[Paid], app: Act) -> None:
        if app.timer(timer_of(event.stream)) is not None:
            app.cancel(timer_of(event.stream))
        try:
            number = issue(event.stream)
        except RefusedError as error:
            app.do(Order.refuse, event.stream, reason=str(error))
        else:
            app.do(Order.ticket_issued, event.stream, number=number)

    @process.on(Expired, Refused)
    def free_the_seat(event: Committed[Expired | Refused], app: Act) -> None:
        app.do(Seat.free, f"seat-{app.load(Order, event.stream).state.seat}", order=event.stream)

    @process.on(Refused)
    def give_the_money_back(event: Committed[Refused], app: Act) -> None:
        app.do(Order.refund, event.stream)

    @process.every("0 3 * * *", tz="Europe/Berlin")
    def nightly_report(tick: Committed[Ticked], app: Act) -> None:
        day = tick.data.due - timedelta(days=1 + tick.data.missed)
        report(sum(1 for _ in app.query(events=[Expired], created_after=day, created_before=tick.data.due)))

    return process
