"""Declared fields in a class statement: they become ordinary fields with defaults, and hidden ones beside them."""

import sys
import types
import typing
from typing import Any

import msgspec

from act_fast._declared.functions import Declared
from act_fast._declared.plan import Plan, plan_of
from act_fast._declared.python_fold import defaults_of
from act_fast._declared.tree import Tree
from act_fast._declared.value_types import Typed, called
from act_fast._events.fields import declared
from act_fast.errors import DefinitionError

__all__ = ["check_annotations", "take_declared"]


def take_declared(class_name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Plan | None:
    """Put defaults where the body of a state class declares fields; None when nothing is declared, not even inherited.

    Raises:
        DefinitionError: a declaration does not make sense.
    """
    annotated = declared(namespace)
    own = {name: value.tree for name, value in namespace.items() if isinstance(value, Declared)}
    for name in own:
        if name not in annotated:
            raise DefinitionError(f"{class_name}.{name} has no annotation; write `{name}: int = ...`")
    trees: dict[str, Tree] = {}
    for base in reversed(bases):
        plan = _plan(base)
        trees |= plan.trees if plan else {}
    trees = {name: tree for name, tree in trees.items() if name not in annotated} | own
    if not trees:
        return None
    plan = plan_of(class_name, trees)
    defaults = defaults_of(class_name, plan)
    there = {name for base in bases for name in getattr(base, "__struct_fields__", ())}
    hidden = [name for name in plan.hidden if name not in there]
    for name in hidden:
        if name in namespace:
            raise DefinitionError(f"{class_name}.{name}: a declared field needs this name for itself; rename it")
    namespace.update({name: defaults[name] for name in (*own, *hidden)})
    _annotate(namespace, {name: plan.fields[name].annotation for name in hidden})
    return plan


def check_annotations(cls: type[msgspec.Struct]) -> None:
    """Refuse a declared field whose annotation does not admit what it will hold.

    Raises:
        NameError: an annotation means nothing yet.
        DefinitionError: it does not.
    """
    plan = _plan(cls)
    if plan is None:
        return
    found = {field.name: field.type for field in msgspec.structs.fields(cls)}
    for name in plan.trees:
        typed = plan.fields[name]
        possible = _members(found[name])
        if Any not in possible and not _members(typed.annotation) <= possible:
            raise DefinitionError(
                f"{cls.__qualname__}.{name} will hold {_written(typed)}, but its annotation says {called(found[name])};"
                f" write `{name}: {_written(typed)} = ...`"
            )


def _plan(cls: Any) -> Plan | None:
    definition = getattr(cls, "__definition__", None)
    found: Plan | None = getattr(definition, "plan", None)
    return found


def _annotate(namespace: dict[str, Any], hidden: dict[str, Any]) -> None:
    if not hidden:
        return
    if sys.version_info >= (3, 14) and "__annotations__" not in namespace:
        import annotationlib

        annotate = annotationlib.get_annotate_from_class_namespace(namespace)

        def with_hidden(form: Any, /) -> dict[str, Any]:
            own = annotationlib.call_annotate_function(annotate, form) if annotate else {}
            return {**own, **hidden}

        namespace["__annotate_func__"] = with_hidden
        return
    namespace["__annotations__"] = {**namespace.get("__annotations__", {}), **hidden}


def _written(typed: Typed) -> str:
    return called(typed.hint) + (" | None" if typed.nullable else "")


def _members(hint: Any) -> set[Any]:
    hint = getattr(hint, "__value__", hint)
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return _members(typing.get_args(hint)[0])
    if origin in (typing.Union, types.UnionType):
        return {member for each in typing.get_args(hint) for member in _members(each)}
    if origin is typing.Literal:
        return {hint, *map(type, typing.get_args(hint))}
    return {getattr(hint, "__supertype__", hint)}
