"""`python -m examples.shop [--store shop.act]`: a day at the shop, so that there is something to look at."""

import json
import random
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from act_fast import Act, Actor
from examples.shop.app import Order, Payment, app_at

ORDERS = 240
CUSTOMERS = ("Ada", "Ben", "Chi", "Dora", "Emil", "Fay", "Gus", "Hana", "Ivo", "Jun")
ITEMS = (("a kettle", 39_00), ("two cups", 18_50), ("a lamp", 64_00), ("green tea", 7_25), ("a tray", 22_00))


def main(argv: Sequence[str] | None = None) -> None:
    """Run the example."""
    parser = ArgumentParser(prog="python -m examples.shop", description="A day at the shop.")
    parser.add_argument("--store", default="shop.act", help="a directory to keep the events in")
    store = parser.parse_args(argv).store
    with app_at(store) as app:
        if not app.store.head:
            a_day(app, datetime.now(UTC))
        app.settle()
        print(f"{store}: {app.store.head:,} events; {sum(1 for _ in app.blocked())} targets are blocked")


def a_day(app: Act, now: datetime) -> None:
    """Orders since yesterday, restored as if they had been placed then, and some that are placed now."""
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "yesterday.jsonl"
        lines.write_text("".join(f"{json.dumps(each)}\n" for each in yesterday(now)))
        app.restore(lines)
    for number in range(ORDERS, ORDERS + 12):
        customer = CUSTOMERS[number % len(CUSTOMERS)]
        order, payment = f"order-{number:04}", f"payment-{number:04}"
        with app.context(actor=Actor(f"customer-{number % 10}", customer), correlation=f"checkout-{number:04}"):
            app.do(Order.open, order, customer=customer, mail=mail_of(number))
            item, cents = ITEMS[number % len(ITEMS)]
            app.do(Order.place, order, item=item, cents=cents)
            app.do(Payment.request, payment, order=order, cents=cents)
            if number % 4:
                app.do(Payment.settle, payment, reference=f"bank-{number:06}")


def mail_of(number: int) -> str:
    """The address that a customer gave: three of them are wrong."""
    domain = "example.invalid" if number in (57, 131, ORDERS + 2) else "example.org"
    return f"{CUSTOMERS[number % len(CUSTOMERS)].lower()}@{domain}"


def yesterday(now: datetime) -> Iterator[dict[str, object]]:
    """The events of the last day, in their order."""
    chance = random.Random(7)
    begun = sorted(now - timedelta(seconds=chance.triangular(60, 86_000, 20_000)) for _ in range(ORDERS))
    for number, at in enumerate(begun):
        item, cents = ITEMS[chance.randrange(len(ITEMS))]
        order, payment = f"order-{number:04}", f"payment-{number:04}"
        customer = CUSTOMERS[number % len(CUSTOMERS)]
        meta = {
            "correlation": f"checkout-{number:04}",
            "causation": {
                "action": {"name": "Order.open", "stream": order, "actor": {"id": f"customer-{number % 10}"}},
            },
        }
        for name, stream, data in (
            ("Opened", order, {"customer": customer, "mail": mail_of(number)}),
            ("PlacedItem", order, {"item": item, "cents": cents}),
            ("Requested", payment, {"order": order, "cents": cents}),
            ("Settled", payment, {"reference": f"bank-{number:06}"}),
        ):
            if name != "Settled" or number % 9:
                yield {"stream": stream, "name": name, "data": data, "created": at.isoformat(), "meta": meta}


if __name__ == "__main__":
    main()
