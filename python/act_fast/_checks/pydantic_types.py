"""What pydantic asks a class of msgspec's for: how to check and write its instances, and their schema.

Pydantic need not be installed: nothing here is called unless it asks.
"""

from functools import partial
from typing import Any, Final

import msgspec

from act_fast._checks.msgspec_errors import misfit

__all__ = ["core_schema_of", "json_schema_of"]

_REFERENCE: Final = "#/$defs/{name}"


def core_schema_of(cls: type[msgspec.Struct]) -> Any:
    """What `__get_pydantic_core_schema__` returns: instances pass, and all else is converted as msgspec does."""
    from pydantic_core import core_schema

    return core_schema.no_info_plain_validator_function(
        partial(_checked, cls),
        ref=f"{cls.__module__}.{cls.__qualname__}:{id(cls)}",
        serialization=core_schema.plain_serializer_function_ser_schema(msgspec.to_builtins, when_used="json"),
    )


def json_schema_of(cls: type[msgspec.Struct]) -> dict[str, Any]:
    """What `__get_pydantic_json_schema__` returns: msgspec's own, with the types of fields written out in place."""
    (top,), found = msgspec.json.schema_components([cls], ref_template=_REFERENCE)
    whole: dict[str, Any] = _inlined(top, {_REFERENCE.format(name=name): schema for name, schema in found.items()}, ())
    return whole


def _checked(cls: type[msgspec.Struct], value: Any) -> Any:
    if isinstance(value, cls):
        return value
    try:
        return msgspec.convert(value, cls)
    except msgspec.ValidationError as error:
        what, path = misfit(error, cls)
        raise ValueError(f"{path}: {what}" if path else what) from None


def _inlined(part: Any, schemas: dict[str, Any], inside: tuple[str, ...]) -> Any:
    """A schema without references, which pydantic would take for its own; a type inside itself may be anything."""
    if isinstance(part, list):
        return [_inlined(each, schemas, inside) for each in part]
    if not isinstance(part, dict):
        return part
    reference = part.get("$ref")
    if not isinstance(reference, str) or reference not in schemas:
        return {name: _inlined(each, schemas, inside) for name, each in part.items()}
    if reference in inside:
        return {"title": reference.rpartition("/")[2]}
    return _inlined(
        {**schemas[reference], **{k: v for k, v in part.items() if k != "$ref"}}, schemas, (*inside, reference)
    )
