"""What an action takes: its arguments bound, checked and converted in one step, prepared when its class is made."""

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec.inspect import multi_type_info
from msgspec.structs import astuple, fields

from act_fast._checks.msgspec_errors import misfit
from act_fast._checks.own_values import may_change
from act_fast._states.annotations import hints_of, parameters_of
from act_fast._states.signature import SaidBy
from act_fast.errors import DefinitionError, ValidationError

__all__ = ["Parameters"]

_KINDS: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)
_UNSTORABLE: Final = "holds what cannot be stored as JSON"
_convert = msgspec.convert


class Parameters:
    """The parameters of one action after `self`, as a shape that msgspec checks in one go.

    Attributes:
        names: the parameters' names in order.
        positional: how many of them, from the first, may be given without their name.
        shape: a struct with a field for each parameter.
        changing: whether an argument can be changed, so that each run of the action needs arguments of its own.
    """

    __slots__ = ("_place", "_signature", "changing", "names", "positional", "shape")

    def __init__(self, place: str, function: Callable[..., Any], scope: Mapping[str, Any]) -> None:
        found = parameters_of(place, function, generator=True)  # what an action yields is what it returns
        hints = hints_of(place, function, scope)
        shape = [_field(place, parameter, hints) for parameter in found]
        self._place = place
        self._signature = SaidBy(function, scope).signature(found)
        self.names: tuple[str, ...] = tuple(parameter.name for parameter in found)
        self.positional: int = sum(parameter.kind is not parameter.KEYWORD_ONLY for parameter in found)
        self._prepare(shape)
        self.changing: bool = any(map(may_change, multi_type_info(field.type for field in fields(self.shape))))

    def at(self, place: str) -> "Parameters":
        """The same, called otherwise in errors."""
        other = copy.copy(self)
        other._place = place
        return other

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
        """The arguments in the order of the parameters, checked and converted.

        Raises:
            ValidationError: an argument is missing, unknown, given twice or not of its type. Carries no value.
        """
        if not self.names and not args and not kwargs:
            return ()
        given = self._named(args, kwargs) if args else kwargs
        try:
            return astuple(_convert(given, self.shape))
        except msgspec.ValidationError as error:
            raise ValidationError(f"{self._place}: {self._explain(error)}") from None

    def call(self, function: Callable[..., Any], state: object, values: tuple[Any, ...]) -> Any:
        """Call an action that has keyword-only parameters with what `bind` gave."""
        named = dict(zip(self.names[self.positional :], values[self.positional :], strict=True))
        return function(state, *values[: self.positional], **named)

    def stored(self, values: tuple[Any, ...]) -> dict[str, Any]:
        """What `bind` gave, by name, as JSON has it.

        Raises:
            ValidationError: an argument cannot be stored. Carries no value.
        """
        self.check_storable(values)
        # The elements of a set are in another order in another process.
        plain = {
            name: msgspec.to_builtins(value, str_keys=True, order="deterministic")
            for name, value in zip(self.names, values, strict=True)
        }
        found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(plain))
        return found

    def restored(self, stored: Mapping[str, Any]) -> tuple[Any, ...]:
        """The arguments that were stored once.

        Raises:
            ValidationError: they are not what the action takes by now. Carries no value.
        """
        try:
            return astuple(msgspec.json.decode(msgspec.json.encode(stored), type=self.shape))
        except msgspec.ValidationError as error:
            raise ValidationError(f"{self._place}: {self._explain(error)}") from None

    def check_storable(self, values: tuple[Any, ...]) -> None:
        """Refuse arguments that are of their types but not to be stored: not a number, half a character.

        Raises:
            ValidationError: one cannot be stored. Carries no value.
        """
        for field, value in zip(fields(self.shape), values, strict=True):
            try:
                msgspec.json.decode(msgspec.json.encode(value), type=field.type)
            except msgspec.ValidationError as error:
                what, path = misfit(error, field.type)
                if what.endswith("got `None`"):  # not a number, which JSON has none of
                    what, path = _UNSTORABLE, ""
                where = f"{field.name}{'.' if path and not path.startswith('[') else ''}{path}"
                raise ValidationError(
                    f"{self._place}: argument {where!r}{'' if what == _UNSTORABLE else ':'} {what}"
                ) from None
            except (TypeError, ValueError, OverflowError, RecursionError):
                raise ValidationError(f"{self._place}: argument {field.name!r} {_UNSTORABLE}") from None

    def _prepare(self, shape: list[Any]) -> None:
        try:
            # Keyword-only fields, since a default may come before a parameter without one.
            self.shape: type[msgspec.Struct] = msgspec.defstruct(
                "Arguments", shape, forbid_unknown_fields=True, kw_only=True
            )
            _convert({}, self.shape)
        except msgspec.ValidationError:
            pass  # an argument without a default is missing, as it should be
        except (TypeError, NameError) as error:
            raise DefinitionError(f"{self._place}: its arguments cannot be checked: {error}") from None

    def _named(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        if len(args) > self.positional:
            raise ValidationError(
                f"{self._place} takes {self.positional} arguments without a name, but was given {len(args)};"
                f" it takes {self._signature}"
            )
        named = dict(zip(self.names, args, strict=False))
        twice = named.keys() & kwargs.keys()
        if twice:
            raise ValidationError(f"{self._place}: argument {min(twice)!r} is given twice, by position and by name")
        return {**named, **kwargs}

    def _explain(self, error: msgspec.ValidationError) -> str:
        what, path = misfit(error, self.shape)
        if path:
            return f"argument {path!r}: {what}"
        what = what.replace("missing required field", "missing argument").replace("unknown field", "unknown argument")
        hint = "; to do it once under a key, write once(key).do(…)" if what.endswith("unknown argument `key`") else ""
        return f"{what}; it takes {self._signature}{hint}"


def _field(
    place: str, parameter: inspect.Parameter, hints: Mapping[str, Any]
) -> tuple[str, Any] | tuple[str, Any, Any]:
    name = parameter.name
    if parameter.kind not in _KINDS:
        raise DefinitionError(f"{place}: *{name} cannot be checked; name each argument, or take a list")
    if name not in hints:
        raise DefinitionError(f"{place}: argument {name!r} is not annotated; write `{name}: <its type>`")
    if parameter.default is parameter.empty:
        return name, hints[name]
    if isinstance(parameter.default, list | dict | set | bytearray):
        raise DefinitionError(f"{place}: argument {name!r} has a mutable default; use a tuple, or None")
    return name, hints[name], parameter.default
