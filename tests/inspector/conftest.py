"""A small shop that is inspected: orders that were paid and shipped, and one whose mail is refused."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from act_fast import Act, Actor
from act_fast.inspector import inspector
from examples.shop.app import Order, Payment, app_at

TOKEN = "a-token-for-tests-only"
BASE = "http://127.0.0.1:8765"

Browser = Callable[..., TestClient]


@pytest.fixture(scope="session")
def shop_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that tests only look at."""
    path = tmp_path_factory.mktemp("inspected") / "shop.act"
    with app_at(str(path)) as app:
        fill(app)
    return path


@pytest.fixture
def own_path(tmp_path: Path) -> Path:
    """A store of the test's own."""
    path = tmp_path / "shop.act"
    with app_at(str(path)) as app:
        fill(app, orders=3)
    return path


def fill(app: Act, orders: int = 6) -> None:
    """Orders with their payments; the mail of the second cannot be sent."""
    for number in range(orders):
        mail = "ben@nowhere.invalid" if number == 1 else f"customer-{number}@example.org"
        with app.context(actor=Actor(f"customer-{number}", "Ada"), correlation=f"checkout-{number}"):
            app.do(Order.open, f"order-{number}", customer=f"Ada <{number}>", mail=mail)
            app.do(Order.place, f"order-{number}", item="a kettle", cents=3900 + number)
            app.do(Payment.request, f"payment-{number}", order=f"order-{number}", cents=3900 + number)
            app.do(Payment.settle, f"payment-{number}", reference=f"bank-{number}")
    app.settle()


@pytest.fixture
def browser() -> Iterator[Browser]:
    """Opens an inspector of a source and gets in, as a browser does."""
    opened: list[TestClient] = []

    def browse(source: Any, *, enter: bool = True, **options: Any) -> TestClient:
        client = TestClient(
            inspector(source, **{"payload": "full", "token": TOKEN, **options}),
            base_url=BASE,
            raise_server_exceptions=True,
        )
        opened.append(client)
        if enter:
            assert client.get("/", params={"token": TOKEN}).status_code == 200
        return client

    yield browse
    for client in opened:
        client.close()


@pytest.fixture
def shop(shop_path: Path) -> Iterator[Act]:
    """The app on the store that tests only look at."""
    with app_at(str(shop_path)) as app:
        yield app
