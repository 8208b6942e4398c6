"""Events and states with personal fields as JSON: sealed for the store, in clear for a check, blank for others."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, get_args, get_origin, get_type_hints
from weakref import WeakKeyDictionary

import msgspec

from act_fast._events.personal import FORGOTTEN, SUBJECT_KINDS, Marks, bare, marks_of, options
from act_fast._events.tags import TagKey
from act_fast.errors import DecodeError, DefinitionError, ValidationError

__all__ = [
    "FORGOTTEN_JSON",
    "SEALED",
    "AllForgotten",
    "Found",
    "InClear",
    "Sealer",
    "Wire",
    "check_hidden",
    "check_marks",
    "keep_forgotten",
    "mask",
    "open_all",
    "outside",
    "personal_fields",
    "reaches_personal",
    "sealed_fields",
    "sealed_values",
    "shown",
    "texts_in",
    "wire_of",
    "without_personal",
]

SEALED: Final = b'"$sealed:'
"""What each sealed value begins with, as JSON."""

FORGOTTEN_JSON: Final = b'"$forgotten"'
"""A forgotten value that was written again, as JSON."""

_TEXT_MIN: Final = 4
"""Shorter texts are in other ones by accident."""

_FIELDS: Final = ("__struct_fields__", "__dataclass_fields__", "__attrs_attrs__", "_fields", "__required_keys__")
"""What classes with fields have: structs, dataclasses, attrs, named tuples, typed dicts"""

_field: Final[Any] = msgspec.field
_GONE: Final = "$forgotten"
_encode: Final = msgspec.json.Encoder().encode
_decode_any: Final = msgspec.json.Decoder().decode


class Sealer(Protocol):
    """What seals values and opens them again."""

    def seal(self, subject: str, context: bytes, plain: bytes) -> str:
        """The text that is stored instead of a value."""
        ...

    def open(self, sealed: bytes, subject: str | None, context: bytes) -> bytes | None:
        """The value behind such a text; None once its subject was forgotten."""
        ...

    def lookup(self, context: bytes, plain: bytes) -> str:
        """A keyed hash of a value."""
        ...

    def id_of(self, subject: str) -> str:
        """The id of a subject's key."""
        ...

    def generation(self) -> int:
        """A number that goes up whenever someone is forgotten."""
        ...


class InClear:
    """A sealer that leaves values as they are: for scenarios, which store nothing."""

    def seal(self, subject: str, context: bytes, plain: bytes) -> str:
        """The value, which `open` gives back."""
        return f"$sealed::{plain.hex()}"

    def open(self, sealed: bytes, subject: str | None, context: bytes) -> bytes | None:
        """The value."""
        return bytes.fromhex(sealed.decode().rpartition(":")[2])

    def lookup(self, context: bytes, plain: bytes) -> str:
        """Nobody looks."""
        return plain.hex()

    def id_of(self, subject: str) -> str:
        """Nobody has a key."""
        return ""

    def generation(self) -> int:
        """Always the same: there is no key to destroy."""
        return 0


class AllForgotten(InClear):
    """A sealer that opens nothing: for a look at what would be left if everyone were forgotten."""

    def open(self, sealed: bytes, subject: str | None, context: bytes) -> bytes | None:
        """Nothing."""
        return None


class Found(msgspec.Struct, frozen=True, gc=False, eq=False):
    """A personal value: where it is, whose it is, the value itself and its JSON."""

    leaf: "Leaf"
    path: str
    subject: str | None
    value: Any
    plain: bytes


_Turn: TypeAlias = Callable[["Leaf", str, Any, tuple[Any, ...]], Any]
"""What becomes of a personal value, given its place and the objects that it is in, from the outside in."""


class Leaf:
    """A place for one personal value.

    Attributes:
        place: what it is called in errors.
        path: where it is in the JSON.
        shadow: what it is decoded as first.
        lookup: whether it can be found by its value.
    """

    shadow: Any = msgspec.Raw

    def __init__(self, place: str, path: str, hint: Any, depth: int, subject: str, sealing_lookup: bool) -> None:
        self.place: str = place
        self.path: str = path
        self.default: Callable[[], Any] = _no_default
        self.lookup: bool = sealing_lookup
        self.decode: Callable[[bytes], Any] = msgspec.json.Decoder(hint).decode
        self._depth: int = depth
        self._subject: str = subject
        self._contexts: dict[str, bytes] = {}

    @property
    def subject_field(self) -> str:
        """The field that says whose it is."""
        return self._subject

    def subject(self, owners: tuple[Any, ...]) -> str | None:
        """Whose value it is; None if that is not said."""
        found = getattr(owners[self._depth], self._subject)
        return str(found) if found is not None and found != "" else None

    def context(self, name: str, path: str) -> bytes:
        """What a value is bound to besides its subject: the name of what it is in, and where there."""
        if path is not self.path:
            return f"{name}\0{path}".encode()
        known = self._contexts.get(name)
        if known is None:
            known = self._contexts[name] = f"{name}\0{path}".encode()
        return known

    def hide(self, value: Any, path: str, owners: tuple[Any, ...], turn: _Turn) -> Any:
        """What becomes of a value."""
        return turn(self, path, value, owners)

    show = hide


class _Maybe:
    def __init__(self, inner: "_Node") -> None:
        self._inner: _Node = inner
        self.shadow: Any = msgspec.Raw if isinstance(inner, Leaf) else inner.shadow | None

    def hide(self, value: Any, path: str, owners: tuple[Any, ...], turn: _Turn) -> Any:
        return None if value is None else self._inner.hide(value, path, owners, turn)

    def show(self, value: Any, path: str, owners: tuple[Any, ...], turn: _Turn) -> Any:
        if value is None or (type(value) is msgspec.Raw and bytes(value) == b"null"):
            return None
        return self._inner.show(value, path, owners, turn)


class _Many:
    def __init__(self, inner: "_Node", kind: Any) -> None:
        self._inner: _Node = inner
        self._kind: Any = kind
        self.shadow: Any = list[inner.shadow]  # type: ignore[name-defined]

    def hide(self, values: Any, path: str, owners: tuple[Any, ...], turn: _Turn) -> Any:
        within = f"{path}[]"
        return [self._inner.hide(each, within, owners, turn) for each in values]

    def show(self, values: Any, path: str, owners: tuple[Any, ...], turn: _Turn) -> Any:
        within = f"{path}[]"
        shown = [self._inner.show(each, within, owners, turn) for each in values]
        return shown if self._kind is list else self._kind(shown)


class _Map:
    def __init__(self, inner: "_Node", keys: Any) -> None:
        self._inner: _Node = inner
        self.shadow: Any = dict[keys, inner.shadow]  # type: ignore[name-defined]

    def hide(self, values: Any, path: str, owners: tuple[Any, ...], turn: _Turn) -> Any:
        return {key: self._inner.hide(each, f"{path}.{key}", owners, turn) for key, each in values.items()}

    def show(self, values: Any, path: str, owners: tuple[Any, ...], turn: _Turn) -> Any:
        return {key: self._inner.show(each, f"{path}.{key}", owners, turn) for key, each in values.items()}


class _Object:
    """A struct with personal fields, and its shadow: the same with what stands in their places in the store."""

    def __init__(self, cls: Any, path: str, parts: "list[tuple[int, str, _Node]]") -> None:
        config = cls.__struct_config__
        fields = msgspec.structs.fields(cls)
        self.cls: Any = cls
        self.parts: list[tuple[int, str, _Node]] = parts
        self.names: list[str] = [each.encode_name for each in fields]
        self._defaults: Sequence[Any] = fields
        self.positional: bool = len(cls.__match_args__) == len(fields)
        self._array: bool = config.array_like
        self._tag: dict[str, Any] = (
            {config.tag_field: config.tag} if config.tag is not None and not config.array_like else {}
        )
        self._head: list[Any] = [config.tag] if config.tag is not None and config.array_like else []
        nodes = {index: node for index, _, node in parts}
        for index, node in nodes.items():
            if isinstance(node, Leaf):
                node.default = _default_of(fields[index])
        self.shadow: Any = msgspec.defstruct(
            cls.__name__,
            [_shadowed(each, nodes.get(index)) for index, each in enumerate(fields)],
            kw_only=True,
            frozen=True,
            tag=config.tag,
            tag_field=config.tag_field,
            array_like=config.array_like,
            forbid_unknown_fields=config.forbid_unknown_fields,
        )

    def hide(self, value: Any, path: str, owners: tuple[Any, ...], turn: _Turn) -> Any:
        fields = [*msgspec.structs.astuple(value)]
        owners = (*owners, value)
        for index, key, node in self.parts:
            fields[index] = node.hide(fields[index], f"{path}.{key}" if path else key, owners, turn)
        if self._array:
            return [*self._head, *fields]
        return {**self._tag, **dict(zip(self.names, fields, strict=True))}

    def show(self, shadow: Any, path: str, owners: tuple[Any, ...], turn: _Turn) -> Any:
        fields = [*msgspec.structs.astuple(shadow)]
        owners = (*owners, shadow)
        for index, key, node in self.parts:
            if fields[index] is msgspec.UNSET:
                default = self._defaults[index]
                plain = default.default is not msgspec.NODEFAULT
                fields[index] = default.default if plain else default.default_factory()
            else:
                fields[index] = node.show(fields[index], f"{path}.{key}" if path else key, owners, turn)
        try:
            if self.positional:
                return self.cls(*fields)
            return self.cls(**dict(zip(self.cls.__struct_fields__, fields, strict=True)))
        except Exception as error:  # of a `__post_init__`
            if any(fields[index] is FORGOTTEN for index, _, _ in self.parts):
                raise DecodeError(
                    f"{self.cls.__qualname__}.__post_init__ raised {type(error).__name__} for a value that was"
                    " forgotten; let it check only values that are not FORGOTTEN"
                ) from None
            raise


class _Either:
    """One of several structs."""

    def __init__(self, objects: list[_Object], others: list[Any]) -> None:
        self._hide: dict[Any, _Object] = {each.cls: each for each in objects}
        self._show: dict[Any, _Object] = {each.shadow: each for each in objects}
        shadow: Any = objects[0].shadow
        for each in (*(other.shadow for other in objects[1:]), *others):
            shadow = shadow | each
        self.shadow = shadow

    def hide(self, value: Any, path: str, owners: tuple[Any, ...], turn: _Turn) -> Any:
        node = self._hide.get(type(value))
        return value if node is None else node.hide(value, path, owners, turn)

    def show(self, value: Any, path: str, owners: tuple[Any, ...], turn: _Turn) -> Any:
        node = self._show.get(type(value))
        return value if node is None else node.show(value, path, owners, turn)


_Node: TypeAlias = Leaf | _Maybe | _Many | _Map | _Object | _Either


class _Flat:
    """The short way for classes whose personal values stand side by side, each sealed as a whole: most of them."""

    def __init__(self, root: _Object, parts: list[tuple[int, Leaf, int]]) -> None:
        self._cls: Any = root.cls
        self._parts: list[tuple[int, Leaf, int]] = parts
        self._bound: dict[str, list[tuple[int, Leaf, int, bytes]]] = {}
        fields = [(f"f{index}", Any, msgspec.field(name=name)) for index, name in enumerate(root.names)]
        self._written: Any = msgspec.defstruct("Written", fields)

    def sealed(self, value: Any, name: str, sealer: Sealer, seen: list[Found]) -> bytes | None:
        """The JSON for the store; None if some value takes the long way."""
        fields = [*msgspec.structs.astuple(value)]
        found = []
        for index, leaf, whose, context in self._bound.get(name) or self._bind(name):
            each, subject = fields[index], fields[whose]
            if each is FORGOTTEN or not subject:
                return None
            if type(subject) is not str:
                subject = str(subject)
            plain = _encode(each)
            found.append(Found(leaf, leaf.path, subject, each, plain))
            fields[index] = sealer.seal(subject, context, plain)
        seen += found
        return _encode(self._written(*fields))

    def opened(self, shadow: Any, name: str, sealer: Sealer) -> Any:
        """The event or state; None if some value takes the long way."""
        fields = [*msgspec.structs.astuple(shadow)]
        for index, leaf, whose, context in self._bound.get(name) or self._bind(name):
            raw = fields[index]
            if type(raw) is not msgspec.Raw or not (sealed := bytes(raw)).startswith(SEALED) or b"\\" in sealed:
                return None
            subject = fields[whose]
            if not subject:
                return None
            plain = sealer.open(sealed[1:-1], subject if type(subject) is str else str(subject), context)
            try:
                fields[index] = FORGOTTEN if plain is None else leaf.decode(plain)
            except msgspec.MsgspecError:
                return None  # the long way says where
        return self._cls(*fields)

    def _bind(self, name: str) -> list[tuple[int, Leaf, int, bytes]]:
        found = [(index, leaf, whose, leaf.context(name, leaf.path)) for index, leaf, whose in self._parts]
        self._bound[name] = found
        return found


def _flat_of(root: _Object) -> _Flat | None:
    at = {name: index for index, name in enumerate(root.cls.__struct_fields__)}
    parts = [(index, leaf, at[leaf.subject_field]) for index, _, leaf in root.parts if isinstance(leaf, Leaf)]
    config = root.cls.__struct_config__
    plain = root.positional and not config.array_like and config.tag is None
    return (
        _Flat(root, parts)
        if plain and len(parts) == len(root.parts) and not hasattr(root.cls, "__post_init__")
        else None
    )


class Wire:
    """A class with personal fields, as it goes in and out of the store.

    Attributes:
        leaves: the places of its personal values.
        looks_up: whether some can be found by their values.
    """

    def __init__(self, root: _Object, leaves: list[Leaf]) -> None:
        self.leaves: list[Leaf] = leaves
        self._root: _Object = root
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(root.shadow).decode
        self._decode_clear: Callable[[bytes], Any] = msgspec.json.Decoder(root.cls).decode
        self._flat: _Flat | None = _flat_of(root)
        self.looks_up: bool = any(each.lookup for each in leaves)

    def sealed(self, value: Any, name: str, sealer: Sealer, seen: list[Found] | None = None) -> bytes:
        """The JSON for the store.

        Args:
            value: an event or a state.
            name: what it is stored as, which its values are bound to.
            sealer: what seals them.
            seen: a list that the values are added to.

        Raises:
            ValidationError: nothing says whose a value is.
        """
        if self._flat is not None:
            done = self._flat.sealed(value, name, sealer, [] if seen is None else seen)
            if done is not None:
                return done
        return self._sealed(value, name, sealer, seen)

    def opened(self, data: bytes, name: str, sealer: Sealer | None) -> Any:
        """An event or a state from the store's JSON.

        Args:
            data: the JSON.
            name: what it is stored as.
            sealer: what opens its values; None where none is sealed.

        Raises:
            msgspec.MsgspecError: it does not decode.
            DecodeError: a value does not open.
        """
        shadow = self._decode(data)
        if self._flat is not None and sealer is not None:
            done = self._flat.opened(shadow, name, sealer)
            if done is not None:
                return done
        return self._opened(shadow, name, sealer)

    def again(self, value: Any, name: str) -> tuple[Any, bytes]:
        """An event or a state as it will be read again, and its JSON in clear.

        Raises:
            msgspec.MsgspecError: it will not be.
        """
        data = _encode(value)
        if b"null" in data:  # which may be a forgotten value, or none
            data = self.clear(value)
            return self.opened(data, name, None), data
        return self._decode_clear(data), data

    def clear(self, value: Any) -> bytes:
        """The JSON with all values in clear: to be read again, and not to be kept."""
        return _encode(self._root.hide(value, "", (), _in_clear))

    def blank(self, value: Any) -> bytes:
        """The JSON with null in the place of each personal value: for whoever is outside."""
        return _encode(self._root.hide(value, "", (), _left_out))

    def values(self, value: Any) -> list[Found]:
        """The personal values of an event or a state that are there."""
        found: list[Found] = []

        def turn(leaf: Leaf, path: str, each: Any, owners: tuple[Any, ...]) -> Any:
            if each is not FORGOTTEN:
                found.append(Found(leaf, path, leaf.subject(owners), each, _encode(each)))

        self._root.hide(value, "", (), turn)
        return found

    def _sealed(self, value: Any, name: str, sealer: Sealer, seen: list[Found] | None) -> bytes:
        def turn(leaf: Leaf, path: str, each: Any, owners: tuple[Any, ...]) -> Any:
            if each is FORGOTTEN:
                return _GONE
            subject = leaf.subject(owners)
            if subject is None:
                if each == leaf.default():
                    return each
                raise ValidationError(
                    f"{leaf.place} is personal, but the subject {leaf.subject_field!r} is empty, so nothing says whose"
                    " it is; fill it in"
                )
            plain = _encode(each)
            if seen is not None:
                seen.append(Found(leaf, path, subject, each, plain))
            return sealer.seal(subject, leaf.context(name, path), plain)

        return _encode(self._root.hide(value, "", (), turn))

    def _opened(self, shadow: Any, name: str, sealer: Sealer | None) -> Any:
        def turn(leaf: Leaf, path: str, each: Any, owners: tuple[Any, ...]) -> Any:
            raw = bytes(each)
            if raw.startswith(SEALED):
                if b"\\" in raw:
                    raw = _encode(_decode_any(raw))
                if sealer is None:
                    raise ValidationError(f"{leaf.place} is sealed; open the app with keys=")
                found = sealer.open(raw[1:-1], leaf.subject(owners), leaf.context(name, path))
                if found is None:
                    return FORGOTTEN
                raw = found
            elif raw == FORGOTTEN_JSON:
                return FORGOTTEN
            try:
                return leaf.decode(raw)
            except msgspec.ValidationError as error:
                what, _, deeper = str(error).removesuffix("`").partition(" - at `$")
                raise msgspec.ValidationError(f"{what} - at `$.{path}{deeper}`") from None

        try:
            return self._root.show(shadow, "", (), turn)
        except (msgspec.MsgspecError, ValidationError):
            raise
        except (ValueError, TypeError) as error:  # of a `__post_init__`
            raise msgspec.ValidationError(str(error)) from error


def check_hidden(found: Sequence[Found], stream: str | None, tags: Sequence[str]) -> None:
    """Refuse personal values that stand in clear elsewhere: in the stream's name, a tag, or as the subject.

    Raises:
        ValidationError: one does.
    """
    for each in found:
        value = each.value
        if type(value) is not str or not value:
            continue
        where = None
        if value == each.subject:
            where = f"the subject {each.leaf.subject_field!r}, which stays; use an id that means nothing elsewhere"
        elif stream is not None and len(value) >= _TEXT_MIN and value in stream:
            where = "the stream's name, which stays; name the stream by an id"
        elif tags and any(tag.partition(":")[2] == value for tag in tags):
            where = "a tag, which stays; tag the event with an id, or use Sealing(lookup=True)"
        if where is not None:
            raise ValidationError(f"{each.leaf.place} is personal, but its value is also in {where}")


def _in_clear(leaf: Leaf, path: str, each: Any, owners: tuple[Any, ...]) -> Any:
    return _GONE if each is FORGOTTEN else each


def _left_out(leaf: Leaf, path: str, each: Any, owners: tuple[Any, ...]) -> None:
    return None


_wires: Final[WeakKeyDictionary[type, Wire | None]] = WeakKeyDictionary()


def wire_of(cls: type) -> Wire | None:
    """How a struct class with personal fields goes in and out of the store; None if it has none.

    Raises:
        DefinitionError: its marks cannot mean anything.
        NameError: an annotation names what is not there yet.
    """
    if cls in _wires:
        return _wires[cls]
    leaves: list[Leaf] = []
    root = _Compiler(cls, leaves).object(cls, "", ())
    found = _wires[cls] = None if root is None else Wire(root, leaves)
    return found


def personal_fields(cls: type) -> frozenset[str]:
    """The fields of a class that hold personal values, outside of other structs that say so themselves."""
    if not hasattr(cls, "__struct_fields__"):
        return frozenset()
    with suppress(NameError):
        hints = get_type_hints(cls, include_extras=True)
        return frozenset(name for name in cls.__struct_fields__ if name in hints and _mentions(hints[name]))
    return frozenset()


def sealed_fields(cls: type) -> frozenset[str]:
    """The fields of a class that hold something personal, however deep."""
    return frozenset(cls.__struct_fields__[index] for index, _, _ in _parts_of(cls))  # type: ignore[attr-defined]


def open_all(name: str, value: Any, sealer: Sealer | None, path: str = "") -> Any:
    """JSON as it was read for an upcaster, with what is sealed in it opened, wherever it is."""
    if isinstance(value, dict):
        return {key: open_all(name, each, sealer, f"{path}.{key}" if path else key) for key, each in value.items()}
    if isinstance(value, list):
        return [open_all(name, each, sealer, f"{path}[]") for each in value]
    if isinstance(value, str) and value.startswith("$sealed:") and sealer is not None:
        plain = sealer.open(value.encode(), None, f"{name}\0{path}".encode())
        return FORGOTTEN if plain is None else _decode_any(plain)
    return FORGOTTEN if value == _GONE else value


def sealed_values(name: str, data: bytes, sealer: Sealer, id: str = "") -> Iterator[Any]:
    """What is sealed in the JSON stored under a name, opened, wherever it is and whatever class it is of.

    Args:
        name: the stored name.
        data: the JSON.
        sealer: what opens it.
        id: of the key that it is sealed with; empty: of any.

    Raises:
        DecodeError: it is no JSON, or a value does not open.
    """
    mark = f"$sealed:{id}"
    if mark.encode() not in data:
        return
    try:
        left = [("", _decode_any(data))]
    except (msgspec.MsgspecError, RecursionError) as error:
        raise DecodeError(f"an event stored as {name!r} is not JSON: {error}") from None
    while left:
        path, value = left.pop()
        if isinstance(value, dict):
            left += [(f"{path}.{key}" if path else key, each) for key, each in value.items()]
        elif isinstance(value, list):
            left += [(f"{path}[]", each) for each in value]
        elif isinstance(value, str) and value.startswith(mark):
            plain = sealer.open(value.encode(), None, f"{name}\0{path}".encode())
            if plain is not None:
                yield _decode_any(plain)


def keep_forgotten(value: Any) -> Any:
    """What an upcaster returned, with forgotten values as the store writes them."""
    if value is FORGOTTEN:
        return _GONE
    if isinstance(value, dict):
        return {key: keep_forgotten(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [keep_forgotten(each) for each in value]
    wire = wire_of(type(value)) if isinstance(value, msgspec.Struct) else None
    return value if wire is None else msgspec.Raw(wire.clear(value))


def outside(value: Any) -> Any:
    """An event or a state for whoever is outside, such as receivers: as JSON, its personal fields are null."""
    wire = wire_of(type(value)) if isinstance(value, msgspec.Struct) else None
    return value if wire is None else msgspec.Raw(wire.blank(value))


def without_personal(text: str, values: Sequence[Any]) -> str:
    """A text about events, such as what a handler has raised, without their personal values."""
    forms = {form for each in values for form in _forms_of(each)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, repr(_PERSONAL))
    return text


def texts_in(value: Any) -> list[str]:
    """The texts in a value that are long enough not to be found elsewhere by accident."""
    if isinstance(value, str):
        return [value] if len(value) >= _TEXT_MIN else []
    if isinstance(value, msgspec.Struct | dict | list | tuple | set | frozenset):
        plain = msgspec.to_builtins(value)
        parts = plain.values() if isinstance(plain, dict) else plain
        return [text for part in parts for text in texts_in(part)]
    plain = msgspec.to_builtins(value, str_keys=True)
    return texts_in(plain) if isinstance(plain, str) else []


def _forms_of(value: Any) -> Iterator[str]:
    """A value and its parts as messages may hold them."""
    whole = () if isinstance(value, str | bool | None) else (str(value), repr(value))
    for text in (*whole, *texts_in(value)):
        if len(text) >= _TEXT_MIN:
            yield from (text, repr(text)[1:-1], _encode(text)[1:-1].decode())


def check_marks(event: Any, clear: bytes) -> None:
    """Refuse texts in an event that stand for something in the store: whoever reads it would take them for that.

    Raises:
        ValidationError: there is one.
    """
    if b'"$' in clear and any(each in _encode(event) for each in (SEALED, FORGOTTEN_JSON)):
        raise ValidationError(
            f"{type(event).__qualname__} holds a text that is {_GONE!r} or begins with '$sealed:', which stand for"
            " personal values in the store; refuse it where it comes in"
        )


def mask(cls: Any) -> None:
    """Let instances of a class be written out without their personal values, as in log lines and errors."""
    cls.__repr__ = _repr
    cls.__rich_repr__ = _rich


def shown(value: Any) -> Iterator[tuple[str, Any]]:
    """The fields of an event or a state with their values, as far as they may be shown."""
    hidden = {cls_index for cls_index, _, _ in _parts_of(type(value))}
    for index, name in enumerate(value.__struct_fields__):
        held = getattr(value, name)
        yield name, (_PERSONAL if index in hidden and held is not None and held is not FORGOTTEN else held)


def _no_default() -> Any:
    return msgspec.NODEFAULT


def _default_of(field: Any) -> Callable[[], Any]:
    """What makes a field's default."""
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory  # type: ignore[no-any-return]
    return lambda: field.default


def _parts_of(cls: type) -> "list[tuple[int, str, _Node]]":
    wire = wire_of(cls)
    return [] if wire is None else wire._root.parts


class _Hidden:
    def __repr__(self) -> str:
        return "<personal>"


_PERSONAL: Final = _Hidden()


def _repr(self: Any) -> str:
    return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown(self))})"


def _rich(self: Any) -> Iterator[tuple[str, Any]]:
    yield from shown(self)


def _shadowed(field: Any, node: "_Node | None") -> tuple[str, Any, Any]:
    """A field of a shadow."""
    if node is None:
        return (
            field.name,
            field.type,
            _field(default=field.default, default_factory=field.default_factory, name=field.encode_name),
        )
    kind = node.shadow
    if field.required:
        return field.name, kind, msgspec.field(name=field.encode_name)
    return field.name, kind | msgspec.UnsetType, msgspec.field(default=msgspec.UNSET, name=field.encode_name)


class _Scope(NamedTuple):
    """An object that personal fields may be in, and the fields of it that are subjects."""

    cls: Any
    subjects: tuple[str, ...]


class _Compiler:
    def __init__(self, root: Any, leaves: list[Leaf]) -> None:
        self._root = root
        self._leaves: list[Leaf] = leaves
        self._within: list[Any] = []

    def object(self, cls: Any, path: str, scopes: tuple[_Scope, ...]) -> _Object | None:
        hints = get_type_hints(cls, include_extras=True)
        fields = [each for each in msgspec.structs.fields(cls) if each.name in hints]
        if cls in self._within:
            if any(reaches_personal(hints[each.name], (cls,)) for each in fields):
                raise DefinitionError(
                    f"{cls.__qualname__} holds itself, and has personal fields, which are not sealed at any depth;"
                    " keep them in a class that does not hold itself"
                )
            return None
        subjects = tuple(each.name for each in fields if self._is_subject(cls, each.name, hints[each.name]))
        scopes = (*scopes, _Scope(cls, subjects))
        self._within.append(cls)
        parts = []
        for index, each in enumerate(msgspec.structs.fields(cls)):
            if each.name in hints:
                inner = f"{path}.{each.encode_name}" if path else each.encode_name
                node = self._node(f"{cls.__qualname__}.{each.name}", hints[each.name], inner, scopes)
                if node is not None:
                    parts.append((index, each.encode_name, node))
        self._within.pop()
        return _Object(cls, path, parts) if parts else None

    def _is_subject(self, cls: Any, name: str, hint: Any) -> bool:
        found = [each for each in options(hint) if marks_of(each).subject] or ([hint] if marks_of(hint).subject else [])
        if not found:
            return False
        kinds = {bare(each) for outer in options(hint) for each in options(bare(outer))}
        if not {_unnamed(each) for each in kinds} <= set(SUBJECT_KINDS):
            raise DefinitionError(
                f"{cls.__qualname__}.{name} is a subject, so it must be a str, an int or a UUID, or None"
            )
        return True

    def _node(self, place: str, hint: Any, path: str, scopes: tuple[_Scope, ...]) -> "_Node | None":
        marks = marks_of(hint)
        if marks.personal:
            return self._leaf(place, hint, marks, path, scopes)
        members = options(hint)
        some = [each for each in members if bare(each) is not type(None)]
        if len(some) < len(members) and len(some) == 1:
            inner = self._node(place, some[0], path, scopes)
            return None if inner is None else _Maybe(inner)
        if len(some) > 1:
            return self._union(place, members, path, scopes)
        kind, origin, args = bare(hint), get_origin(bare(hint)), get_args(bare(hint))
        if hasattr(kind, "__struct_fields__"):
            return self.object(kind, path, scopes)
        if origin in (list, set, frozenset) or (origin is tuple and len(args) == 2 and args[1] is Ellipsis):
            inner = self._node(place, args[0], f"{path}[]", scopes)
            return None if inner is None else _Many(inner, origin)
        if origin is dict:
            if reaches_personal(args[0]):
                raise DefinitionError(f"{place} has personal keys, which cannot be sealed; put them in values")
            inner = self._node(place, args[1], f"{path}.*", scopes)
            return None if inner is None else _Map(inner, args[0])
        if reaches_personal(hint):
            raise DefinitionError(
                f"{place}: `Personal[...]` is for fields of events, states and structs that are not generic, and for"
                " what is in a list, a set, a dict or an optional; write it around the whole type"
            )
        return None

    def _union(self, place: str, members: tuple[Any, ...], path: str, scopes: tuple[_Scope, ...]) -> "_Node | None":
        structs, others = [], []
        for each in members:
            node = self.object(bare(each), path, scopes) if hasattr(bare(each), "__struct_fields__") else None
            if node is not None:
                structs.append(node)
            elif reaches_personal(each):
                raise DefinitionError(f"{place}: write `Personal[...]` around the whole union")
            else:
                others.append(each)
        return _Either(structs, others) if structs else None

    def _leaf(self, place: str, hint: Any, marks: Marks, path: str, scopes: tuple[_Scope, ...]) -> Leaf:
        if marks.subject:
            raise DefinitionError(f"{place} is personal and a subject at once; a subject is an id that stays")
        if any(isinstance(each, TagKey) for each in _extras(hint)):
            raise DefinitionError(
                f"{place} is personal, so it cannot be a tag, which is stored in clear; to find events by it, write"
                " `Annotated[Personal[...], Sealing(lookup=True)]`"
            )
        depth, subject = self._subject_of(place, marks.sealing.subject, scopes)
        leaf = Leaf(place, path, hint, depth, subject, marks.sealing.lookup)
        self._leaves.append(leaf)
        return leaf

    def _subject_of(self, place: str, named: str | None, scopes: tuple[_Scope, ...]) -> tuple[int, str]:
        for depth in reversed(range(len(scopes))):
            cls, subjects = scopes[depth]
            if named is not None and named in subjects:
                return depth, named
            if named is None and len(subjects) == 1:
                return depth, subjects[0]
            if named is None and subjects:
                raise DefinitionError(
                    f"{place} is personal, and {cls.__qualname__} has several subjects: {', '.join(subjects)}; say"
                    f" whose it is with `Annotated[Personal[...], Sealing(subject={subjects[0]!r})]`"
                )
        root = self._root.__qualname__
        if named is not None:
            raise DefinitionError(f"{place}: {root} has no subject {named!r}; write `{named}: Subject[str]`")
        raise DefinitionError(
            f"{place} is personal, but nothing in {root} says whose it is; add a field such as `user: Subject[str]`"
        )


def _extras(hint: Any) -> list[Any]:
    if get_origin(hint) is not None and hasattr(hint, "__metadata__"):
        inner, *extras = get_args(hint)
        return [*extras, *_extras(inner)]
    return [found for each in options(hint) if each is not hint for found in _extras(each)]


def reaches_personal(hint: Any, within: tuple[Any, ...] = ()) -> bool:
    """Whether a type has a personal part at any depth: in the fields of any class, too."""
    kind = bare(_unnamed(bare(hint)))
    if marks_of(hint).personal or marks_of(_unnamed(bare(hint))).personal:
        return True
    if any(reaches_personal(each, within) for each in get_args(kind) if not isinstance(each, str | int)):
        return True
    cls = get_origin(kind) or kind
    if cls in within or not any(hasattr(cls, each) for each in _FIELDS):
        return False
    hints = get_type_hints(cls, include_extras=True)
    return any(reaches_personal(each, (*within, cls)) for each in hints.values())


def _unnamed(hint: Any) -> Any:
    """What a `NewType` is a name for; any other type itself."""
    return _unnamed(hint.__supertype__) if hasattr(hint, "__supertype__") else hint


def _mentions(hint: Any) -> bool:
    """Whether a type has a personal part, outside of other classes."""
    return marks_of(hint).personal or any(
        _mentions(each) for each in get_args(bare(hint)) if each is not Ellipsis and not isinstance(each, str | int)
    )
