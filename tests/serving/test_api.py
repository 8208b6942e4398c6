"""An app over HTTP: actions, states at moments, histories, preconditions, and what each error becomes."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from act_fast import Act, Actor, EngineAwayError, LogStore, StoreError, StoreFullError, ValidationError
from act_fast.serving import Access, api, bearer
from tests.serving.bank import Account, Deposited, Purse
from tests.serving.conftest import client

ACCOUNT = "/states/Account/account-7"


async def deposit(http: httpx.AsyncClient, body: Any = None, **options: Any) -> httpx.Response:
    return await http.post(f"{ACCOUNT}/deposit", json={"cents": 5} if body is None else body, **options)


async def test_an_action_answers_with_the_state_and_its_version_as_etag(http: httpx.AsyncClient, bank: Act) -> None:
    done = await deposit(http, {"cents": 50, "tags": ["gift"]})
    assert (done.status_code, done.headers["etag"], done.headers["content-type"]) == (200, '"2"', "application/json")
    assert done.json() == {
        "stream": "account-7",
        "version": 2,
        "position": 2,
        "closed": False,
        "appended": 1,
        "state": {"owner": "Ada", "cents": 50},
    }
    assert [event.data for event in bank.query(events=[Deposited])] == [Deposited(50, ("gift",))]


async def test_a_keyword_only_argument_and_one_left_out_arrive(http: httpx.AsyncClient) -> None:
    done = await http.post(f"{ACCOUNT}/withdraw", json={"cents": 5, "overdraw": True})
    assert done.json()["state"]["cents"] == -5


async def test_the_correlation_is_the_id_of_the_request(http: httpx.AsyncClient, bank: Act) -> None:
    await deposit(http, headers={"X-Request-ID": "request-9"})
    assert bank.load(Account, "account-7").meta.correlation == "request-9"
    assert (await deposit(http, headers={"X-Request-ID": "x" * 201})).status_code == 400


async def test_a_state_is_sent_once_and_then_only_if_it_has_changed(http: httpx.AsyncClient) -> None:
    first = await http.get(ACCOUNT)
    again = await http.get(ACCOUNT, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", '"1"')
    await deposit(http)
    assert (await http.get(ACCOUNT, headers={"If-None-Match": 'W/"1", "9"'})).json()["version"] == 2
    assert (await http.head(ACCOUNT)).headers["etag"] == '"2"'


async def test_a_state_is_read_as_of_a_position_a_version_or_a_time(http: httpx.AsyncClient, bank: Act) -> None:
    before = datetime.now(UTC)
    bank.store.append("noise", [("Noise", b"{}")] * 3)
    bank.do(Account.deposit, "account-7", 50)
    assert (await http.get(ACCOUNT, params={"at": 4})).json()["version"] == 1
    assert (await http.get(ACCOUNT, params={"at": 5})).json()["version"] == 2
    assert (await http.get(ACCOUNT, params={"version": 1})).json()["state"]["cents"] == 0
    assert (await http.get(ACCOUNT, params={"at": before.isoformat()})).json()["version"] == 1
    past = await http.get(ACCOUNT, params={"at": (before - timedelta(days=1)).isoformat()})
    assert past.status_code == 404


@pytest.mark.parametrize("query", ["at=soon", "at=-1", "at=1&version=1", "version=x", f"at={10**19}", "version=1.5"])
async def test_a_moment_that_is_none_is_refused(http: httpx.AsyncClient, query: str) -> None:
    assert (await http.get(f"{ACCOUNT}?{query}")).status_code == 422


async def test_a_pinned_action_is_refused_when_the_stream_has_moved_on(http: httpx.AsyncClient, bank: Act) -> None:
    assert (await deposit(http, headers={"If-Match": '"1"'})).status_code == 200
    late = await deposit(http, headers={"If-Match": '"1"'})
    assert (late.status_code, late.headers["etag"], late.json()["version"]) == (412, '"2"', 2)
    assert (await deposit(http, headers={"If-Match": '"1", "2"'})).status_code == 200
    assert (await deposit(http, headers={"If-Match": '"1", "2"'})).status_code == 412
    assert (await deposit(http, headers={"If-Match": "*"})).status_code == 200
    assert bank.load(Account, "account-7").version == 4


async def test_a_stream_is_created_once(http: httpx.AsyncClient) -> None:
    path, new = "/states/Account/account-8/open", {"If-None-Match": "*"}
    assert (await http.post(path, json={"owner": "Bob"}, headers={"If-Match": "*"})).status_code == 412
    assert (await http.post(path, json={"owner": "Bob"}, headers=new)).status_code == 200
    assert (await http.post(path, json={"owner": "Bob"}, headers=new)).status_code == 412


@pytest.mark.parametrize("header", ['W/"1"', "1", '"x"', ""])
async def test_a_condition_that_no_etag_is_is_refused(http: httpx.AsyncClient, header: str) -> None:
    assert (await deposit(http, headers={"If-Match": header})).status_code == 400


async def test_a_request_with_a_key_is_done_once_and_answered_alike(http: httpx.AsyncClient, bank: Act) -> None:
    first = await deposit(http, headers={"Idempotency-Key": "k", "If-Match": '"1"'})
    await deposit(http)
    again = await deposit(http, headers={"Idempotency-Key": "k", "If-Match": '"1"'})
    assert (again.status_code, again.content, again.headers["etag"]) == (200, first.content, '"2"')
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert bank.store.head == 3
    other = await deposit(http, {"cents": 6}, headers={"Idempotency-Key": "k"})
    assert (other.status_code, other.json()["error"]) == (422, "KeyReusedError")
    for wrong in ("", "x" * 201):
        assert (await deposit(http, headers={"Idempotency-Key": wrong})).status_code == 400


async def test_keys_of_two_actors_are_not_the_same(bank: Act) -> None:
    async def who(request: Any, access: Access) -> Actor:
        return Actor(request.headers["x-who"])

    async with client(api(bank, authorize=who)) as http:
        for name in ("ada", "bob", "ada"):
            done = await deposit(http, headers={"Idempotency-Key": "k", "X-Who": name})
            assert done.status_code == 200
    assert bank.store.head == 3


@pytest.mark.parametrize(
    ("body", "pointer", "detail"),
    [
        ({"cents": "5"}, "/cents", "expected `int`, got `str`"),
        ({"cents": 0}, "/cents", "expected `int` >= 1"),
        ({"cents": 5, "tags": ["a", 7]}, "/tags/1", "expected `str`, got `int`"),
        ({}, "", "missing required field `cents`"),
        ({"cents": 5, "self": 1}, "", "unknown field `self`"),
        ([], "", "expected `object`, got `array`"),
    ],
)
async def test_a_wrong_argument_is_named(http: httpx.AsyncClient, body: Any, pointer: str, detail: str) -> None:
    refused = await deposit(http, body)
    told = refused.json()
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert told["errors"][0]["pointer"] == pointer
    assert detail in told["errors"][0]["detail"]
    assert (told["type"], told["status"], told["error"]) == ("about:blank", 422, "ValidationError")


async def test_each_error_has_its_status(http: httpx.AsyncClient, bank: Act) -> None:
    closed = "/states/Account/account-9"
    await http.post(f"{closed}/open", json={"owner": "Eve"})
    bank.close_stream(Account, "account-9")
    answers = {
        409: await http.post("/states/Account/none/deposit", json={"cents": 1}),
        423: await http.post(f"{closed}/deposit", json={"cents": 1}),
        404: await http.get("/states/Account/none"),
    }
    assert {status: answer.status_code for status, answer in answers.items()} == {each: each for each in answers}
    assert answers[409].json()["error"] == "InvariantError"
    own = await http.post(f"{ACCOUNT}/withdraw", json={"cents": 1})
    assert (own.status_code, own.json()["detail"]) == (409, "not enough money")


async def test_what_nobody_foresaw_is_logged_and_not_told(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    failed = await http.post(f"{ACCOUNT}/fail", json={})
    assert failed.status_code == 500
    assert "secret" not in failed.text
    assert "the secret of the house" in caplog.text


class AwayStore(LogStore):
    """A store whose appends fail."""

    error: Exception

    def append(self, *arguments: Any, **options: Any) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("error", "status"), [(EngineAwayError("away"), 503), (StoreError("away"), 503), (StoreFullError("full"), 507)]
)
async def test_a_store_that_is_away_says_when_to_come_again(tmp_path: Any, error: Exception, status: int) -> None:
    with AwayStore(tmp_path / "bank.act") as store:
        store.error = error
        async with client(api(Act(store, Account))) as asking:
            refused = await asking.post("/states/Account/a/open", json={"owner": "Ada"})
    assert refused.status_code == status
    assert refused.headers.get("retry-after") == ("5" if status == 503 else None)


async def test_an_app_that_was_closed_is_away(http: httpx.AsyncClient, bank: Act) -> None:
    bank.close()
    assert (await http.get(ACCOUNT)).status_code == 503


async def test_unknown_paths_states_actions_and_methods(http: httpx.AsyncClient) -> None:
    for path in ("/", "/states", "/states/Account", "/states/None/a", "/favicon.ico"):
        assert (await http.get(path)).status_code == 404, path
    unknown = await http.post(f"{ACCOUNT}/steal", json={})
    assert "'steal'" in unknown.json()["detail"]
    assert unknown.status_code == 404
    for method, path in (("DELETE", ACCOUNT), ("GET", f"{ACCOUNT}/deposit"), ("POST", ACCOUNT), ("POST", "/events")):
        refused = await http.request(method, path)
        assert (refused.status_code, bool(refused.headers["allow"])) == (405, True)


async def test_a_stream_may_hold_anything_that_a_path_can_say(http: httpx.AsyncClient, bank: Act) -> None:
    for stream in ("a/b", "a/b/history", "ä ö?#%", "..", "x" * 512):
        path = httpx.URL("http://localhost").copy_with(
            raw_path=b"/states/Account/%s/open" % "".join(f"%{each:02X}" for each in stream.encode()).encode()
        )
        assert (await http.post(path, json={"owner": "Ada"})).status_code == 200, stream
        assert bank.load(Account, stream).version == 1
    assert (await http.get("/states/Account/%FF")).status_code == 400
    for wrong in ("x" * 513, "a%00b", "a%0Ab"):
        assert (await http.post(f"/states/Account/{wrong}/open", json={"owner": "Ada"})).status_code == 422


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"cents": 5', "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b'{"cents": NaN}', "application/json", 400),
        (b"[" * 200_000, "application/json", 422),
        (b'{"cents": 1' + b"0" * 5000 + b"}", "application/json", 422),
        (b'{"cents": 5}', "text/plain", 415),
        (b"cents=5", "application/x-www-form-urlencoded", 415),
        (b" " * (1 << 20) + b"{}", "application/json", 413),
    ],
)
async def test_hostile_bodies_are_refused(http: httpx.AsyncClient, body: bytes, kind: str, status: int) -> None:
    refused = await http.post(f"{ACCOUNT}/deposit", content=body, headers={"Content-Type": kind})
    assert refused.status_code == status


async def test_a_body_without_a_length_is_cut_off_at_the_limit(bank: Act) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while sent < 1 << 24:
            sent += 1000
            yield b" " * 1000

    async with client(api(bank, body_max=10_000)) as asking:
        headers = {"Content-Type": "application/json"}
        refused = await asking.post(f"{ACCOUNT}/deposit", content=endless(), headers=headers)
    assert refused.status_code == 413
    assert sent < 20_000


async def test_a_history_comes_in_pages(http: httpx.AsyncClient, bank: Act) -> None:
    for cents in (1, 2, 3):
        bank.store.append("noise", [("Noise", b"{}")])
        await deposit(http, {"cents": cents})
    page = await http.get(f"{ACCOUNT}/history", params={"limit": 2})
    assert page.json()["next"] == 2
    assert page.headers["link"] == '<?after=2&limit=2>; rel="next"'
    step = page.json()["history"][1]
    assert (step["version"], step["position"], step["name"]) == (2, 3, "Deposited")
    assert (step["data"], step["state"]) == ({"cents": 1, "tags": []}, {"owner": "Ada", "cents": 1})
    assert step["meta"]["causation"]["action"]["name"] == "Account.deposit"
    rest = (await http.get(f"{ACCOUNT}/history", params={"after": 2})).json()
    assert [each["state"]["cents"] for each in rest["history"]] == [3, 6]
    assert rest["next"] is None
    for nothing in ({"after": 99}, {"limit": 0}):
        assert (await http.get(f"{ACCOUNT}/history", params=nothing)).json()["history"] == []
    assert (await http.get("/states/Account/none/history")).status_code == 404


async def test_events_come_in_pages_and_by_condition(http: httpx.AsyncClient, bank: Act) -> None:
    bank.store.append("noise", [("Noise", b"{}")])
    bank.do(Account.open, "account-8", owner="Bob")
    await deposit(http)
    every = (await http.get("/events")).json()
    assert [each["position"] for each in every["events"]] == [1, 3, 4]
    assert (every["next"], every["head"]) == (4, 4)
    first = (await http.get("/events", params={"limit": 1})).json()
    assert (first["next"], len(first["events"])) == (1, 1)
    none = (await http.get("/events", params={"limit": 0})).json()
    assert (none["events"], none["next"]) == ([], 0)
    assert (await http.head("/events", headers={"Accept": "text/event-stream"})).status_code == 200
    named = (await http.get("/events", params={"name": "Deposited"})).json()
    assert [each["stream"] for each in named["events"]] == ["account-7"]
    stream = (await http.get("/events", params={"stream": "account-8", "after": 1})).json()
    assert [each["data"] for each in stream["events"]] == [{"owner": "Bob"}]
    for wrong in ("name=None", "after=x", "pattern=("):
        assert (await http.get(f"/events?{wrong}")).status_code == 422


async def test_without_a_say_only_this_machine_is_served(bank: Act) -> None:
    for host, status in (("127.0.0.1", 200), ("::1", 200), ("10.0.0.1", 403), ("testclient", 403)):
        async with client(api(bank), host) as asking:
            assert (await asking.get(ACCOUNT)).status_code == status, host


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"])
async def test_who_comes_through_a_proxy_on_this_machine_is_not_taken_for_local(
    http: httpx.AsyncClient, header: str
) -> None:
    assert (await http.get(ACCOUNT, headers={header: "203.0.113.7"})).status_code == 403


async def test_the_hook_decides_knows_what_is_asked_and_names_the_actor(bank: Act) -> None:
    seen: list[Access] = []

    async def who(request: Any, access: Access) -> Actor | bool | None:
        seen.append(access)
        if access.verb == "act":
            return Actor("ada")
        return {"read": True, "events": False}.get(access.verb)

    async with client(api(bank, authorize=who), "10.0.0.1") as asking:
        assert (await deposit(asking)).status_code == 200
        assert (await asking.get(ACCOUNT)).status_code == 200
        assert (await asking.get("/events?stream=account-7")).status_code == 403
        refused = await asking.get("/health")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert seen == [
        Access("act", "Account", "account-7", "deposit"),
        Access("read", "Account", "account-7"),
        Access("events", None, "account-7"),
        Access("health"),
    ]
    assert bank.load(Account, "account-7").meta.actor == Actor("ada")


async def test_a_hook_that_answers_nonsense_or_raises_lets_nobody_in(bank: Act) -> None:
    def nonsense(request: Any, access: Access) -> Any:
        return "yes"

    def broken(request: Any, access: Access) -> bool:
        raise RuntimeError("no database")

    for hook in (nonsense, broken):
        async with client(api(bank, authorize=hook)) as asking:
            assert (await deposit(asking)).status_code == 500
    assert bank.store.head == 1


async def test_a_token_lets_in_whoever_has_it(bank: Act) -> None:
    async with client(api(bank, authorize=bearer("s" * 16, Actor("robot"))), "10.0.0.1") as asking:
        for header in (None, "Bearer ", "Bearer wrong", "Basic " + "s" * 16, "Bearer " + "s" * 17):
            headers = {} if header is None else {"Authorization": header}
            assert (await deposit(asking, headers=headers)).status_code == 401
        assert (await deposit(asking, headers={"Authorization": "bearer " + "s" * 16})).status_code == 200
    assert bank.load(Account, "account-7").meta.actor == Actor("robot")
    with pytest.raises(ValidationError, match="16 or more"):
        bearer("short")


async def test_a_strangers_name_for_this_machine_is_refused(bank: Act) -> None:
    async with client(api(bank, hosts={"localhost", "[::1]"})) as asking:
        assert (await asking.get(ACCOUNT)).status_code == 200
        assert (await asking.get(ACCOUNT, headers={"Host": "localhost:8000"})).status_code == 200
        assert (await asking.get(ACCOUNT, headers={"Host": "[::1]:8000"})).status_code == 200
        assert (await asking.get(ACCOUNT, headers={"Host": "evil.example"})).status_code == 421


async def test_it_is_mounted_in_a_framework(bank: Act) -> None:
    service = FastAPI()
    service.mount("/bank", api(bank))
    async with client(service) as asking:
        assert (await asking.get(f"/bank{ACCOUNT}")).json()["version"] == 1
        assert (await deposit_at(asking, f"/bank{ACCOUNT}/deposit")).status_code == 200
        assert (await asking.get("/bank/health")).json()["healthy"] is True
        assert "act_fast_head 2" in (await asking.get("/bank/metrics")).text
        assert (await asking.get("/bank/openapi.json")).json()["servers"] == [{"url": "/bank"}]


async def deposit_at(asking: httpx.AsyncClient, path: str) -> httpx.Response:
    return await asking.post(path, json={"cents": 5})


async def test_many_at_once_lose_nothing(http: httpx.AsyncClient, bank: Act) -> None:
    answers = await asyncio.gather(*(deposit(http) for _ in range(50)))
    assert {each.status_code for each in answers} == {200}
    assert bank.load(Account, "account-7").state.cents == 250


def test_options_that_cannot_be_are_refused() -> None:
    with Act("memory:", Purse) as app:
        for options in ({"authorize": 7}, {"errors": {ValueError: 200}}, {"errors": {int: 400}}, {"body_max": -1}):
            with pytest.raises(ValidationError):
                api(app, **options)
        with pytest.raises(ValidationError, match="serves an Act"):
            api("bank.act")  # type: ignore[arg-type]
