"""The OpenAPI document: of a known version, whole, and true to the types."""

import re
from typing import Any

import httpx
import msgspec

from act_fast import Act, Event, State, action
from act_fast.serving import api
from tests.serving.conftest import client


def references(part: Any) -> set[str]:
    if isinstance(part, dict):
        own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*map(references, part.values()))
    return set().union(*map(references, part)) if isinstance(part, list) else set()


async def test_it_describes_every_state_action_and_error(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) == {
        "/states/Account/{stream}",
        "/states/Account/{stream}/history",
        *(f"/states/Account/{{stream}}/{each}" for each in ("open", "deposit", "withdraw", "fail")),
        "/states/Purse/{stream}",
        "/states/Purse/{stream}/history",
        "/events",
    }
    deposit = document["paths"]["/states/Account/{stream}/deposit"]["post"]
    assert deposit["description"] == "Pay money in."
    assert deposit["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Account.deposit.arguments"
    }
    assert {"409", "412", "422", "423", "503"} <= set(deposit["responses"])
    schemas = document["components"]["schemas"]
    assert schemas["Account.deposit.arguments"]["properties"]["cents"] == {"type": "integer", "minimum": 1}
    assert schemas["Account.deposit.arguments"]["required"] == ["cents"]
    assert schemas["Account"]["properties"].keys() == {"owner", "cents"}


async def test_every_reference_leads_somewhere_under_a_name_that_may_be(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    assert {each.removeprefix("#/components/schemas/") for each in references(document)} <= set(schemas)
    assert all(re.fullmatch(r"[a-zA-Z0-9._-]+", name) for name in schemas)
    operations = [
        verb["operationId"] for path in document["paths"].values() for verb in path.values() if "operationId" in verb
    ]
    assert len(operations) == len(set(operations))


class Part(msgspec.Struct):
    size: int
    inner: "list[Part]" = []


class Assembled(Event):
    part: Part


class Machine(State, events=[Assembled], name="Big Machine"):
    @action
    def assemble(self, part: Part) -> Assembled:
        return Assembled(part)


async def test_types_within_types_and_names_with_spaces() -> None:
    with Act("memory:", Machine) as app:
        async with client(api(app)) as asking:
            document = (await asking.get("/openapi.json")).json()
            done = await asking.post(
                "/states/Big%20Machine/m-1/assemble", json={"part": {"size": 1, "inner": [{"size": 2}]}}
            )
    schemas = document["components"]["schemas"]
    assert schemas["Part"]["properties"]["inner"]["items"] == {"$ref": "#/components/schemas/Part"}
    assert all(re.fullmatch(r"[a-zA-Z0-9._-]+", name) for name in schemas)
    assert done.status_code == 200
