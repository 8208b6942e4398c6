"""The bank behind HTTP: real requests to a real server on a port of this machine."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import uvicorn

from act_fast import Act, Store
from examples.bank.account import Account
from examples.fastapi_app.app import make_api

DEPOSITS = 50
ADA = "/accounts/ada"


@pytest.fixture(params=["log", "postgres"])
def bank(request: pytest.FixtureRequest) -> Iterator[Store]:
    address = "memory:" if request.param == "log" else request.getfixturevalue("postgres_url")
    with Act(address, Account) as app:
        yield app.store


@pytest.fixture
def client(bank: Store) -> Iterator[httpx.Client]:
    """A client of a server on a free port. The socket listens before the server runs, so nobody comes too early."""
    server = uvicorn.Server(uvicorn.Config(make_api(bank), ws="none", log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        running = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        running.start()
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
                client.get("/openapi.json").raise_for_status()
                yield client
        finally:
            server.should_exit = True
            running.join()


@pytest.fixture
def ada(client: httpx.Client) -> httpx.Client:
    """A client who finds Ada's account, with 100 cents in it."""
    assert client.post(ADA, json={"owner": "Ada"}).status_code == 201
    client.post(f"{ADA}/deposits", json={"cents": 100}).raise_for_status()
    return client


@pytest.mark.parametrize("bank", ["log"], indirect=True)
def test_a_request_that_is_sent_again_with_its_key_is_done_once(ada: httpx.Client) -> None:
    key = {"X-Actor": "ada", "Idempotency-Key": "8e03978e"}
    answers = [ada.post(f"{ADA}/withdrawals", json={"cents": 30}, headers=key) for _ in range(3)]
    assert [answer.json() for answer in answers] == [answers[0].json()] * 3
    assert ada.get(ADA).json()["cents"] == 70
    other = ada.post(f"{ADA}/withdrawals", json={"cents": 40}, headers=key)
    assert (other.status_code, other.json()["error"]) == (422, "KeyReusedError")
    assert ada.post(f"{ADA}/withdrawals", json={"cents": 30}, headers={**key, "X-Actor": "bob"}).json()["cents"] == 40
    ada.post(f"{ADA}/withdrawals", json={"cents": 40}).raise_for_status()
    closing = {"X-Actor": "ada", "Idempotency-Key": "close"}
    assert [ada.delete(ADA, headers=closing).status_code for _ in range(2)] == [200, 200]


def test_an_account_is_opened_paid_into_and_read(client: httpx.Client) -> None:
    opened = client.post(ADA, json={"owner": "Ada"})
    assert (opened.status_code, opened.json()["version"]) == (201, 1)
    client.post(f"{ADA}/deposits", json={"cents": 100}).raise_for_status()
    client.post(f"{ADA}/withdrawals", json={"cents": 30}).raise_for_status()
    read = client.get(ADA)
    assert read.json() == {"version": 3, "owner": "Ada", "cents": 70, "closed": False}
    assert read.headers["etag"] == '"3"'


def test_what_was_answered_is_in_the_store(ada: httpx.Client, bank: Store) -> None:
    assert Act(bank, Account).load(Account, "account-ada").state.cents == 100


def test_an_account_is_read_as_it_was_and_step_by_step(ada: httpx.Client) -> None:
    assert ada.get(ADA, params={"at": 1}).json()["cents"] == 0
    assert [then["cents"] for then in ada.get(f"{ADA}/history").json()] == [0, 100]


def test_an_account_that_is_not_there_is_404(client: httpx.Client) -> None:
    assert client.get(ADA).status_code == 404


@pytest.mark.parametrize("body", [{"cents": 0}, {"cents": "much"}, {}])
def test_a_wrong_argument_is_422(ada: httpx.Client, body: dict[str, object]) -> None:
    assert ada.post(f"{ADA}/deposits", json=body).status_code == 422
    assert ada.get(ADA).json()["cents"] == 100


def test_the_validation_error_names_the_action_and_the_argument(ada: httpx.Client) -> None:
    answer = ada.post(f"{ADA}/deposits", json={"cents": 0}).json()
    assert answer["error"] == "ValidationError"
    assert "Account.deposit: argument 'cents'" in answer["detail"]


def test_a_broken_rule_is_409_with_the_rule(ada: httpx.Client) -> None:
    refused = ada.post(ADA, json={"owner": "Ben"})
    assert (refused.status_code, refused.json()["error"]) == (409, "InvariantError")
    assert "the account is new" in refused.json()["detail"]


def test_more_than_there_is_is_409(ada: httpx.Client) -> None:
    refused = ada.post(f"{ADA}/withdrawals", json={"cents": 101})
    assert (refused.status_code, refused.json()["error"]) == (409, "OverdrawnError")


def test_a_request_that_rests_on_an_old_version_is_409(ada: httpx.Client) -> None:
    etag = ada.get(ADA).headers["etag"]
    assert ada.post(f"{ADA}/withdrawals", json={"cents": 1}, headers={"If-Match": etag}).status_code == 200
    refused = ada.post(f"{ADA}/withdrawals", json={"cents": 1}, headers={"If-Match": etag})
    assert (refused.status_code, refused.json()["error"]) == (409, "ConcurrencyError")
    assert ada.get(ADA).json()["cents"] == 99


def test_an_etag_that_is_none_is_422(ada: httpx.Client) -> None:
    answer = ada.post(f"{ADA}/deposits", json={"cents": 1}, headers={"If-Match": "yesterday"})
    assert answer.status_code == 422


def test_a_closed_account_is_410_for_good(ada: httpx.Client) -> None:
    assert ada.delete(ADA).status_code == 409
    ada.post(f"{ADA}/withdrawals", json={"cents": 100}).raise_for_status()
    assert ada.delete(ADA).json()["closed"] is True
    gone = ada.post(f"{ADA}/deposits", json={"cents": 1})
    assert (gone.status_code, gone.json()["error"]) == (410, "StreamClosedError")
    assert ada.get(ADA).json()["closed"] is True


def test_who_asked_and_under_which_id_is_in_the_event(ada: httpx.Client, bank: Store) -> None:
    ada.post(
        f"{ADA}/deposits", json={"cents": 1}, headers={"X-Actor": "teller-1", "X-Request-Id": "r-1"}
    ).raise_for_status()
    [event] = bank.query(correlation="r-1")
    assert event.meta.causation
    assert event.meta.causation.action
    assert event.meta.causation.action.actor
    assert event.meta.causation.action.actor.id == "teller-1"


def test_the_next_request_does_not_inherit_them(ada: httpx.Client, bank: Store) -> None:
    ada.post(f"{ADA}/deposits", json={"cents": 1}, headers={"X-Actor": "teller-1", "X-Request-Id": "r-1"})
    ada.post(f"{ADA}/deposits", json={"cents": 1})
    [last] = bank.query(backwards=True, limit=1)
    assert last.meta.correlation != "r-1"
    assert last.meta.causation
    assert last.meta.causation.action
    assert last.meta.causation.action.actor is None


def test_many_requests_at_once_lose_nothing(ada: httpx.Client) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: ada.post(f"{ADA}/deposits", json={"cents": 1}), range(DEPOSITS)))
    assert [answer.status_code for answer in answers] == [200] * DEPOSITS
    assert ada.get(ADA).json() == {"version": 2 + DEPOSITS, "owner": "Ada", "cents": 100 + DEPOSITS, "closed": False}


def test_a_log_that_does_not_decode_is_500_and_no_mistake_of_the_client(ada: httpx.Client, bank: Store) -> None:
    bank.append("account-ada", [("Deposited", b'{"cents": "much"}')])
    answer = ada.get(ADA)
    assert answer.status_code == 500
    assert "much" not in answer.text
