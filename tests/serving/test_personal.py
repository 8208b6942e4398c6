"""Personal fields over HTTP: null for clients, whatever the store holds in their place."""

import msgspec

from act_fast import Act, MemoryKeyStore
from act_fast.serving import api
from tests.serving.conftest import client
from tests.support.people import SECRETS, Person


async def test_clients_get_null_for_what_is_personal() -> None:
    app = Act("memory:", Person, keys=MemoryKeyStore())
    app.do(Person.register, "person-1", user="u-1", email="ada@example.org")
    async with client(api(app)) as http:
        for path in ("/events", "/states/Person/person-1", "/states/Person/person-1/history"):
            text = (await http.get(path)).text
            assert '"email":null' in text
            assert "$sealed" not in text
            assert not [each for each in SECRETS if each in text]
        app.forget("u-1", reason="asked")
        refused = await http.post("/states/Person/person-2/register", json={"user": "u-1", "email": "b@example.org"})
    assert (refused.status_code, refused.json()["error"]) == (409, "SubjectForgottenError")
    assert "u-1" in refused.json()["detail"]


async def test_clients_get_null_for_values_from_before_they_were_personal() -> None:
    app = Act("memory:", Person, keys=MemoryKeyStore())
    data = {"user": "u-1", "email": "ada@example.org", "name": "Ada Lovelace"}
    app.store.append("person-1", [("Registered", msgspec.json.encode(data))], expected_version=0)
    async with client(api(app)) as http:
        (event,) = (await http.get("/events")).json()["events"]
    assert (event["name"], event["data"]["user"], event["data"]["email"]) == ("Registered", "u-1", None)
