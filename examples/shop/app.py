"""The app: two states, three reactions, and a read model in SQLite."""

import os
import sqlite3

from act_fast import Act, Committed, Event, SqlProjection, State, action, invariant, on, reducer

__all__ = ["Cancelled", "Opened", "Order", "Paid", "Payment", "PlacedItem", "Shipped", "app_at"]


class Opened(Event):
    """Somebody began an order."""

    customer: str
    mail: str


class PlacedItem(Event):
    """Something was put in it."""

    item: str
    cents: int


class Paid(Event):
    """The money has come."""

    cents: int


class Shipped(Event):
    """The parcel has left."""

    carrier: str


class Cancelled(Event):
    """It came to nothing."""

    reason: str


class Requested(Event):
    """Money was asked for."""

    order: str
    cents: int


class Settled(Event):
    """The bank has said yes."""

    reference: str


class Order(State, snapshot_every=50):
    """What is known of an order."""

    customer: str = ""
    mail: str = ""
    items: list[str] = []
    cents: int = 0
    status: str = "new"

    @reducer
    def opened(self, event: Opened) -> None:
        """Note whose it is."""
        self.customer, self.mail = event.customer, event.mail

    @reducer
    def placed(self, event: PlacedItem) -> None:
        """Add it up."""
        self.items.append(event.item)
        self.cents += event.cents

    @reducer
    def paid(self, event: Paid) -> None:
        """It may leave."""
        self.status = "paid"

    @reducer
    def shipped(self, event: Shipped) -> None:
        """It has left."""
        self.status = "shipped"

    @reducer
    def cancelled(self, event: Cancelled) -> None:
        """It is over."""
        self.status = "cancelled"

    @invariant("an order that is over stays as it is")
    def still_open(self) -> bool:
        """Whether anything may happen to it."""
        return self.status not in ("shipped", "cancelled")

    @action
    def open(self, customer: str, mail: str) -> Opened:
        """Begin an order."""
        return Opened(customer, mail)

    @action(requires=[still_open])
    def place(self, item: str, cents: int) -> PlacedItem:
        """Put something in it."""
        return PlacedItem(item, cents)

    @action(requires=[still_open])
    def confirm_payment(self, cents: int) -> Paid:
        """Note that the money has come."""
        return Paid(cents)

    @action(requires=[still_open])
    def ship(self, carrier: str) -> Shipped:
        """Send the parcel."""
        return Shipped(carrier)

    @action(requires=[still_open])
    def cancel(self, reason: str) -> Cancelled:
        """Give it up."""
        return Cancelled(reason)


class Payment(State):
    """What is known of a payment."""

    order: str = ""
    cents: int = 0
    reference: str = ""

    @action
    def request(self, order: str, cents: int) -> Requested:
        """Ask the bank for money."""
        return Requested(order, cents)

    @action
    def settle(self, reference: str) -> Settled:
        """Note what the bank has said."""
        return Settled(reference)


class Turnover(SqlProjection):
    """What was paid, by day."""

    tables = ("turnover",)

    def setup(self, db: sqlite3.Cursor) -> None:
        """Create the table."""
        db.execute(f"create table if not exists {self.table('turnover')} (day text primary key, cents integer)")

    @on(Paid)
    def paid(self, event: Committed[Paid], db: sqlite3.Cursor) -> None:
        """Add it up."""
        db.execute(
            f"insert into {self.table('turnover')} values (?, ?) on conflict (day) do update set cents = cents + ?",
            (f"{event.created:%Y-%m-%d}", event.data.cents, event.data.cents),
        )


class MailRefusedError(Exception):
    """The mail server does not take a mail."""


def app_at(path: str) -> Act:
    """The app on a store."""
    app = Act(path, Order, Payment, Turnover(lambda: sqlite3.connect(f"{path}.db", check_same_thread=False)))

    @app.on(Paid, to="parcel-{stream}", name="parcel")
    def parcel(event: Committed[Paid], app: Act) -> None:
        """Send what was paid for."""
        app.do(Order.ship, event.stream, carrier="DHL" if event.data.cents % 2 else "UPS")

    @app.on(Settled, to="confirm-{stream}", name="confirm")
    def confirm(event: Committed[Settled], app: Act) -> None:
        """Tell the order that it is paid."""
        payment = app.load(Payment, event.stream).state
        app.do(Order.confirm_payment, payment.order, cents=payment.cents)

    @app.on(Opened, Shipped, to="mail-{stream}", name="mail", retries=0)
    def mail(event: Committed[Opened | Shipped], app: Act) -> None:
        """Write to the customer."""
        to = app.load(Order, event.stream).state.mail
        if to.endswith(".invalid"):
            raise MailRefusedError(f"550 5.1.2 the domain of {to} does not exist")

    return app


def app() -> Act:
    """The app on the store that `SHOP` names."""
    return app_at(os.environ.get("SHOP", "shop.act"))
