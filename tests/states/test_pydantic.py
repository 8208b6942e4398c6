"""States and events where pydantic and FastAPI want models: checked and written by msgspec, described by its schema."""

import subprocess
import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import httpx
import msgspec
import pytest
from fastapi import Body, FastAPI
from pydantic import BaseModel, TypeAdapter, ValidationError

from act_fast import Event, State, reducer


class Part(msgspec.Struct):
    size: Annotated[int, msgspec.Meta(ge=1)]
    inner: "list[Part]" = []


class Assembled(Event):
    at: datetime
    part: Part


class Machine(State):
    """A machine."""

    tags: frozenset[str] = frozenset()
    last: Assembled | None = None

    @reducer
    def assembled(self, event: Assembled) -> None:
        self.last = event


EVENT = Assembled(datetime(2026, 1, 31, tzinfo=UTC), Part(1, [Part(2)]))
WRITTEN = {"at": "2026-01-31T00:00:00Z", "part": {"size": 1, "inner": [{"size": 2, "inner": []}]}}

service = FastAPI()


@service.get("/machine")
def machine() -> Machine:
    return Machine(frozenset({"new"}), EVENT)


@service.get("/machines")
def machines() -> list[Machine]:
    return [Machine()]


@service.get("/nothing")
def nothing() -> Machine:
    return 7  # type: ignore[return-value]


@service.post("/events")
def take(event: Annotated[Assembled, Body()]) -> Assembled:
    return event


async def ask(method: str, path: str, body: Any = None) -> httpx.Response:
    transport = httpx.ASGITransport(service, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://bank") as http:
        return await http.request(method, path, json=body)


async def test_a_return_annotation_gives_the_json_of_the_log() -> None:
    assert (await ask("GET", "/machine")).json() == {"tags": ["new"], "last": WRITTEN}
    assert (await ask("GET", "/machines")).json() == [{"tags": [], "last": None}]


async def test_what_is_something_else_is_noticed() -> None:
    assert (await ask("GET", "/nothing")).status_code == 500


async def test_a_body_is_an_event_or_refused_with_the_field() -> None:
    assert (await ask("POST", "/events", WRITTEN)).json() == WRITTEN
    refused = await ask("POST", "/events", {**WRITTEN, "part": {"size": 0}})
    assert refused.status_code == 422
    assert "part.size: expected `int` >= 1" in refused.text


async def test_the_document_names_the_classes_and_refers_to_them() -> None:
    document = (await ask("GET", "/openapi.json")).json()
    told = document["paths"]["/machine"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert told == {"$ref": "#/components/schemas/Machine"}
    schemas = document["components"]["schemas"]
    assert schemas["Machine"]["description"] == "A machine."
    assert schemas["Assembled"]["required"] == ["at", "part"]
    assert schemas["Assembled"]["properties"]["part"]["properties"]["size"] == {"type": "integer", "minimum": 1}
    assert schemas["Assembled"]["properties"]["part"]["properties"]["inner"]["items"] == {"title": "Part"}


def test_a_model_of_pydantics_has_them_as_fields() -> None:
    class Report(BaseModel):
        machine: Machine
        events: list[Assembled] = []

    report = Report(machine={"tags": ["a"]}, events=[EVENT])  # type: ignore[arg-type]
    assert report.machine == Machine(frozenset({"a"}))
    assert report.events[0] is EVENT
    assert Report.model_validate_json(report.model_dump_json()) == report
    with pytest.raises(ValidationError, match="tags"):
        Report(machine={"tags": 5})  # type: ignore[arg-type]


def test_the_schema_of_pydantic_is_that_of_msgspec() -> None:
    class Flat(State):
        name: Annotated[str, msgspec.Meta(max_length=3)] = ""
        count: int = 0

    ours = msgspec.json.schema(Flat)["$defs"]["Flat"]
    assert TypeAdapter(Flat).json_schema() == ours


def test_pydantic_is_not_imported_unless_it_asks() -> None:
    program = (
        "import sys\nfrom act_fast import Event, State\n"
        "class A(Event):\n    x: int\nclass B(State, events=[A]):\n    x: int = 0\n"
        "print('pydantic' in sys.modules or 'pydantic_core' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
