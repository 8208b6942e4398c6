"""`python -m examples.checkout`: four buyers and three seats, and three days that pass at once."""

from act_fast import Act
from examples.checkout.order import Order
from examples.checkout.process import RefusedError, checkout


def main() -> None:
    """Run the example."""

    def issue(order: str) -> str:
        if order == "order-3":
            raise RefusedError("the venue has closed this block")
        return f"T-{order.removeprefix('order-')}"

    with Act("memory:", checkout(issue, lambda expired: print(f"last night: {expired} expired"))) as app:
        for number, seat in enumerate(["4A", "4A", "4B", "4C"], 1):
            app.do(Order.place, f"order-{number}", seat=seat, cents=4200)
            app.settle()
        app.do(Order.pay, "order-1")
        app.do(Order.pay, "order-3")
        app.testing.advance(days=1)
        for number in range(1, 5):
            found = app.load(Order, f"order-{number}").state
            print(f"order-{number} for seat {found.seat}: {found.status} {found.ticket}".rstrip())


if __name__ == "__main__":
    main()
