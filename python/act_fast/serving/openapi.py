"""The OpenAPI 3.1 document of an app, made of the types that its states, events and actions declare."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
from msgspec.structs import fields

from act_fast._app.act import Act
from act_fast._core import __version__
from act_fast._events.meta import Meta
from act_fast._states.action import Action
from act_fast._states.state import State

__all__ = ["document"]

_REFERENCE: Final = "#/components/schemas/{name}"
_PROBLEMS: Final = {
    "400": "the request cannot be read",
    "401": "the caller is not known",
    "403": "this is not allowed",
    "404": "there is no such thing",
    "409": "something else was appended first, or a rule does not hold",
    "412": "the stream is at another version than If-Match names",
    "413": "the body is too long",
    "415": "the body is not JSON",
    "422": "an argument is not valid, or the key was used for something else",
    "423": "the stream is closed",
    "503": "the store is away",
}
_PROBLEM: Final = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "error": {"type": "string", "description": "the class of the error"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "pointer": {"type": "string", "description": "where in the body, as a JSON pointer"},
                    "parameter": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
        "version": {"type": "integer", "description": "the version that the stream is at"},
    },
}
_COUNT: Final = {"type": "integer", "minimum": 0}


def document(app: Act, title: str, root: str) -> bytes:
    """The document, as JSON.

    Args:
        app: what is described.
        title: what it is called.
        root: the path that it is mounted at.
    """
    states = list(app.states)
    events = list(dict.fromkeys(app._codec.classes.values()))
    shapes = {action.place: _shape(action) for state in states for action in _actions(state)}
    kinds: list[Any] = [*states, *events, Meta, *shapes.values()]
    references, schemas = _schemas(kinds)
    named = dict(zip(kinds, references, strict=True))
    schemas["Problem"] = _PROBLEM
    event = {
        "type": "object",
        "required": ["position", "stream", "version", "name", "created", "data", "meta"],
        "properties": {
            **{"position": _COUNT, "stream": {"type": "string"}, "version": _COUNT, "name": {"type": "string"}},
            "created": {"type": "string", "format": "date-time"},
            "data": {"anyOf": [named[each] for each in events] or [{}]},
            "meta": named[Meta],
        },
    }
    schemas["StoredEvent"] = event
    paths: dict[str, Any] = {}
    for state in states:
        paths.update(_paths(state, named, shapes))
    paths["/events"] = _events()
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": title, "version": __version__},
            "servers": [{"url": root or "/"}],
            "paths": paths,
            "components": {"schemas": dict(sorted(schemas.items()))},
        }
    )


def _actions(state: type[State]) -> Iterable[Action[Any, Any, Any]]:
    return state.__definition__.actions.values()


def _shape(action: Action[Any, Any, Any]) -> type[msgspec.Struct]:
    """What an action takes, under a name of its own."""
    parts: list[Any] = []
    for field in fields(action.parameters.shape):
        parts.append((field.name, field.type) if field.required else (field.name, field.type, field.default))
    return msgspec.defstruct(f"{action.place}.arguments", parts, kw_only=True, forbid_unknown_fields=True)


def _schemas(kinds: list[Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """For each type how to refer to it, and what is referred to. A type that has no schema may be anything."""
    told = [kind for kind in kinds if _has_schema(kind)]
    references, schemas = msgspec.json.schema_components(told, ref_template=_REFERENCE)
    known = dict(zip(told, references, strict=True))
    return [known.get(kind, {"description": kind.__name__}) for kind in kinds], schemas


def _has_schema(kind: Any) -> bool:
    try:
        msgspec.json.schema(kind)
    except (TypeError, NameError):
        return False
    return True


def _paths(state: type[State], named: dict[Any, Any], shapes: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    name = state.__definition__.name
    stream = {"name": "stream", "in": "path", "required": True, "schema": {"type": "string"}}
    answer = {
        "type": "object",
        "required": ["stream", "version", "position", "closed", "state"],
        "properties": {
            **{"stream": {"type": "string"}, "version": _COUNT, "position": _COUNT, "closed": {"type": "boolean"}},
            "state": named[state],
        },
    }
    versioned = {"ETag": {"description": "the version", "schema": {"type": "string"}}}
    yield (
        f"/states/{name}/{{stream}}",
        {
            "parameters": [stream],
            "get": {
                "summary": f"{name}, now or at a moment",
                "tags": [name],
                "operationId": f"read.{name}",
                "parameters": [
                    _asked("at", "string", "a position, or a time in ISO form"),
                    _asked("version", "integer", "a version"),
                    _header("If-None-Match", "an ETag that is known already"),
                ],
                "responses": {
                    "200": {"description": name, "headers": versioned, **_body(answer)},
                    "304": {"description": "it is still so"},
                    **_problems("400", "401", "403", "404", "422", "503"),
                },
            },
        },
    )
    step = {"allOf": [{"$ref": "#/components/schemas/StoredEvent"}, {"properties": {"state": named[state]}}]}
    listed = {
        "type": "object",
        "properties": {
            **{"stream": {"type": "string"}, "version": _COUNT, "next": {"type": ["integer", "null"]}},
            "history": {"type": "array", "items": step},
        },
    }
    yield (
        f"/states/{name}/{{stream}}/history",
        {
            "parameters": [stream],
            "get": {
                "summary": f"{name} after each of its events",
                "tags": [name],
                "operationId": f"history.{name}",
                "parameters": [_asked("after", "integer", "a version"), _asked("limit", "integer", "at most 1,000")],
                "responses": {
                    "200": {"description": "a page", "headers": versioned, **_body(listed)},
                    **_problems("400", "401", "403", "404", "422", "503"),
                },
            },
        },
    )
    for action in _actions(state):
        done = {**answer, "properties": {**answer["properties"], "appended": _COUNT}}  # type: ignore[dict-item]
        yield (
            f"/states/{name}/{{stream}}/{action.name}",
            {
                "parameters": [stream],
                "post": {
                    "summary": action.place,
                    **({"description": action.__doc__} if action.__doc__ else {}),
                    "tags": [name],
                    "operationId": action.place,
                    "parameters": [
                        _header("If-Match", "the ETag that the decision is based on"),
                        _header("Idempotency-Key", "a request repeated under the same key is done once"),
                        _header("X-Request-ID", "the correlation of everything that results from this"),
                    ],
                    "requestBody": {"required": bool(action.parameters.names), **_body(named[shapes[action.place]])},
                    "responses": {
                        "200": {"description": f"{name} afterwards", "headers": versioned, **_body(done)},
                        **_problems(*_PROBLEMS),
                    },
                },
            },
        )


def _events() -> dict[str, Any]:
    stored = {"$ref": "#/components/schemas/StoredEvent"}
    page = {
        "type": "object",
        "properties": {"events": {"type": "array", "items": stored}, "next": _COUNT, "head": _COUNT},
    }
    return {
        "get": {
            "summary": "events in the order of the log, a page of them or as they happen",
            "operationId": "events",
            "parameters": [
                _asked("after", "integer", "a position"),
                _asked("limit", "integer", "at most 1,000"),
                _asked("stream", "string", "of this stream only"),
                _asked("pattern", "string", "of streams whose names match this regular expression anywhere"),
                _asked("name", "array", "of this name only; may be repeated"),
                _header("Last-Event-ID", "the position to continue after"),
            ],
            "responses": {
                "200": {
                    "description": "events",
                    "content": {
                        "application/json": {"schema": page},
                        "text/event-stream": {"schema": {"type": "string"}},
                    },
                },
                **_problems("400", "401", "403", "422", "503"),
            },
        }
    }


def _asked(name: str, kind: str, text: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": kind, **({"items": {"type": "string"}} if kind == "array" else {})}
    return {"name": name, "in": "query", "description": text, "schema": schema}


def _header(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}


def _body(schema: Any) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


def _problems(*statuses: str) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _PROBLEMS[status], "content": content} for status in statuses}
