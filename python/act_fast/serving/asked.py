"""What a request asks for: its path, its conditions, its body, taken apart and checked."""

import asyncio
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote_to_bytes

from act_fast.serving.problems import Refusal

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["Pinned", "body_of", "count_of", "matches", "moment_of", "pinned_to", "segments"]

BODY_SECONDS: Final = 30.0
NUMBER_MAX: Final = 2**63 - 1

_TAG: Final = re.compile(r'(W/)?"([^"]*)"')
_NUMBER: Final = re.compile(r"[0-9]{1,19}")

Pinned = int | frozenset[int] | None
"""The version that a request rests on, or several of which one must hold; None without a condition."""


def segments(request: "Request") -> list[str]:
    """The parts of the path below where the app is mounted. A part may hold a slash, written `%2F`.

    Raises:
        Refusal: a part is not text.
    """
    scope = request.scope
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    root = quote(scope.get("root_path", "")).encode()
    path = raw.partition(b"?")[0].removeprefix(root)
    try:
        return [unquote_to_bytes(each).decode() for each in path.strip(b"/").split(b"/")]
    except UnicodeDecodeError:
        raise Refusal(400, "the path is not UTF-8") from None


async def body_of(request: "Request", bytes_max: int) -> bytes:
    """The body of a request that says it is JSON.

    Raises:
        Refusal: it is something else, too long, or does not come.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" or request.headers.get("content-encoding", "identity") != "identity":
        raise Refusal(415, "send the arguments as JSON, with Content-Type: application/json")
    said = request.headers.get("content-length", "0")
    if not _NUMBER.fullmatch(said) or int(said) > bytes_max:
        raise Refusal(413, f"the body is longer than {bytes_max:,} bytes", {"Connection": "close"})
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > bytes_max:
                    raise Refusal(413, f"the body is longer than {bytes_max:,} bytes", {"Connection": "close"})
    except TimeoutError:
        raise Refusal(408, "the body did not come in time", {"Connection": "close"}) from None
    return bytes(body)


def pinned_to(request: "Request") -> Pinned:
    """What `If-Match` and `If-None-Match` of a request that changes something ask for.

    Raises:
        Refusal: they are not what this service gives out.
    """
    match, none_match = request.headers.get("if-match"), request.headers.get("if-none-match")
    if none_match is not None:
        if none_match.strip() != "*" or match is not None:
            raise Refusal(400, "to create a stream, send If-None-Match: * and no If-Match")
        return 0
    if match is None:
        return None
    if match.strip() == "*":
        return frozenset()
    found = {int(tag) for weak, tag in _tags(match) if not weak and _NUMBER.fullmatch(tag)}
    versions = {each for each in found if each <= NUMBER_MAX}
    if not versions:
        raise Refusal(400, 'If-Match takes the ETag that a state came with, such as "7"')
    return versions.pop() if len(versions) == 1 else frozenset(versions)


def matches(request: "Request", version: int) -> bool:
    """Whether a client that reads has this version already."""
    header = request.headers.get("if-none-match", "")
    return header.strip() == "*" or any(tag == str(version) for _, tag in _tags(header))


def count_of(request: "Request", name: str, otherwise: int) -> int:
    """A whole number of the query.

    Raises:
        Refusal: it is none.
    """
    text = request.query_params.get(name)
    return otherwise if text is None else number(name, text)


def number(name: str, text: str) -> int:
    """A whole number of 0 or more.

    Raises:
        Refusal: it is none.
    """
    if not _NUMBER.fullmatch(text) or int(text) > NUMBER_MAX:
        raise Refusal(422, f"{name} must be a whole number of 0 or more", errors=[{"parameter": name}])
    return int(text)


def moment_of(request: "Request") -> dict[str, Any]:
    """The moment that a request asks about, as `load` takes it.

    Raises:
        Refusal: there are two, or it is none.
    """
    at, version = request.query_params.get("at"), request.query_params.get("version")
    if at is not None and version is not None:
        raise Refusal(422, "at and version each name a moment; give one of them")
    if version is not None:
        return {"at": number("version", version)}
    if at is None:
        return {}
    if at.isascii() and at.isdigit():
        return {"position": number("at", at)}
    try:
        read = datetime.fromisoformat(at.replace(" ", "+"))  # a plus sign that was not written %2B
    except ValueError:
        raise Refusal(
            422, "at must be a position, or a time such as 2026-01-31T12:00:00Z", errors=[{"parameter": "at"}]
        ) from None
    return {"at": read if read.tzinfo else read.replace(tzinfo=UTC)}


def _tags(header: str) -> list[tuple[str, str]]:
    return _TAG.findall(header)
