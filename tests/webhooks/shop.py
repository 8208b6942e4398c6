"""A shop that has something to tell a receiver."""

from act_fast import Act, Event, State, Target
from act_fast.webhooks import Webhook
from tests.webhooks.receiver import Receiver

__all__ = ["SECRET", "Shop", "Sold", "Till"]

SECRET = b"a secret of more than 24 bytes"


class Sold(Event, name="shop.sold"):
    amount: int


class Till(State, events=[Sold]):
    amount: int = 0


class Shop:
    """An app whose sales go to a receiver."""

    def __init__(self, receiver: Receiver, **options: object) -> None:
        self.app = Act("memory:", Till)
        self.hook = Webhook(receiver.url, secret=SECRET, **options)  # type: ignore[arg-type]
        self.app.on(Sold, name="hook", retries=1, backoff=0.0)(self.hook)

    def sell(self, amount: int = 5, till: str = "till-1") -> None:
        self.app.store.append(till, [Sold(amount)])

    @property
    def target(self) -> Target:
        return next(self.app.targets("till-1"))
