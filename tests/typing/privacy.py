"""What type checkers must understand of personal data, and must refuse."""

from collections.abc import Iterator
from typing import Annotated, assert_type

from act_fast import (
    FORGOTTEN,
    Act,
    Committed,
    Event,
    FileKeyStore,
    ForgetReport,
    Forgotten,
    KeyStore,
    LocalMasterKey,
    MemoryKeyStore,
    Personal,
    Sealing,
    State,
    Subject,
    action,
    reducer,
)


class Registered(Event):
    user: Subject[str]
    email: Annotated[Personal[str], Sealing(lookup=True)]
    phones: list[Personal[str]]
    born: Personal[int] | None = None


class Customer(State):
    user: Subject[str] = ""
    email: Personal[str] = ""

    @reducer
    def registered(self, event: Registered) -> None:
        self.email = event.email

    @action
    def register(self, user: str, email: str) -> Registered:
        return Registered(user, email, [])


class Leaky(State):
    email: str = ""

    @reducer
    def registered(self, event: Registered) -> None:
        self.email = event.email  # type: ignore[assignment]


event = Registered("u-1", "ada@example.org", ["+44 20 5550 0001"])
assert_type(event.user, str)
assert_type(event.email, str | Forgotten)
assert_type(event.phones, list[str | Forgotten])
assert_type(event.born, int | Forgotten | None)
if event.email:
    assert_type(event.email, str)
if event.email is not FORGOTTEN:
    assert_type(event.email, str)
len(event.email)  # type: ignore[arg-type]

keys: KeyStore = FileKeyStore("shop.keys", master=LocalMasterKey.new())
app = Act("shop.act", Customer, keys=MemoryKeyStore())
assert_type(app.lookup(Registered, email="ada@example.org"), Iterator[Committed[Registered]])
assert_type(app.forget("u-1", reason="asked"), ForgetReport)
app.forget("u-1")  # type: ignore[call-arg]
Act("shop.act", Customer, keys="shop.keys")  # type: ignore[arg-type]
Registered(7, "ada@example.org", [])  # type: ignore[arg-type]
