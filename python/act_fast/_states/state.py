"""States: what the events of a stream fold into, declared as classes."""

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Final, dataclass_transform

import msgspec

from act_fast._checks.class_bodies import body_at
from act_fast._checks.class_keywords import check_keywords
from act_fast._checks.pydantic_types import core_schema_of, json_schema_of
from act_fast._declared.class_body import check_annotations, take_declared
from act_fast._events.constant_defaults import check_body
from act_fast._events.event import Event
from act_fast._events.fields import check_annotated, check_fields, declared, fields_with_hint, scope_of
from act_fast._events.sealing import mask, wire_of
from act_fast._states.action import Action
from act_fast._states.definition import Definition, define, set_retire
from act_fast._states.invariant import Invariant
from act_fast._states.reducer import Reducer
from act_fast.errors import DefinitionError

if TYPE_CHECKING:
    from act_fast._states.retire import Retire
    from act_fast._states.snapshot import Snapshot

__all__ = ["State", "StateMeta"]


_KEYWORDS: Final = ("name", "events", "snapshot_every", "snapshot_when", "snapshot_version", "retire")


class Members(dict[str, Any]):
    """The body of a state class while it runs; notices what a plain dict would silently replace."""

    def __init__(self, class_name: str) -> None:
        super().__init__()
        self._class_name = class_name

    def __setitem__(self, name: str, value: Any) -> None:
        before: object = self.get(name)
        if isinstance(before, (Action, Reducer, Invariant)):
            kind = type(before).__name__.lower()
            raise DefinitionError(
                f"{self._class_name}.{name} is defined twice: first as {kind} in line"
                f" {before.function.__code__.co_firstlineno}; rename one of them"
            )
        super().__setitem__(name, value)


@dataclass_transform(field_specifiers=(msgspec.field,))
class StateMeta(msgspec.StructMeta):
    """Makes state classes: collects their reducers, actions and invariants, and refuses what cannot work."""

    @classmethod
    def __prepare__(metacls, class_name: str, bases: tuple[type, ...], /, **config: Any) -> Members:
        return Members(class_name)

    def __new__(
        metacls,
        class_name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        /,
        *,
        name: str | None = None,
        events: Sequence[type[Event]] = (),
        snapshot_every: int | None = None,
        snapshot_when: "Callable[[Snapshot[Any]], bool] | None" = None,
        snapshot_version: int | None = None,
        retire: "Retire | None" = None,
        **config: Any,
    ) -> "StateMeta":
        check_keywords(class_name, config, _KEYWORDS)
        _check_members(class_name, namespace)
        plan = take_declared(class_name, bases, namespace)
        with fields_with_hint(class_name, namespace):
            cls = super().__new__(metacls, class_name, bases, dict(namespace), **config)
        frame = sys._getframe(1)
        check_body(cls, body_at(frame, namespace))
        check_annotated(class_name, namespace)
        scope = scope_of(frame)
        check_fields(cls, declared=plan.fields if plan else ())
        cls.__definition__ = define(  # type: ignore[attr-defined]
            cls, name, events, snapshot_every, snapshot_when, snapshot_version, {**scope, class_name: cls}, plan
        )
        set_retire(cls.__definition__, retire)  # type: ignore[attr-defined]
        with suppress(NameError):
            if wire_of(cls) is not None:
                mask(cls)
        with suppress(NameError):  # looked at again when an app is made of it
            check_annotations(cls)  # type: ignore[arg-type]
        return cls


def _check_members(class_name: str, namespace: dict[str, Any]) -> None:
    for name, member in namespace.items():
        inner = getattr(member, "__func__", getattr(member, "fget", None))  # of a static or class method, of a property
        if isinstance(inner, Action | Reducer | Invariant):
            kind = type(inner).__name__.lower()
            raise DefinitionError(
                f"{class_name}.{name} is {kind} and {type(member).__name__} at once; leave the latter out, and write it"
                " with `self`"
            )
        if hasattr(member, "__act_fast_projects__"):
            raise DefinitionError(
                f"{class_name}.{name} is decorated with @on or @batch, which belongs to a Projection; in a state, a"
                " method that folds an event is a @reducer"
            )
    for name in declared(namespace):
        member = namespace.get(name)
        if isinstance(member, Action | Reducer | Invariant):
            kind = type(member).__name__.lower()
            raise DefinitionError(f"{class_name}.{name} is both a field and {kind}; rename one of them")
        if name.startswith("__") and not (name == "__definition__" and class_name == "State"):
            raise DefinitionError(f"{class_name}.{name}: names that begin with __ are reserved; rename the field")


class State(msgspec.Struct, metaclass=StateMeta):
    """The base of all states.

    A subclass declares fields, all with defaults, and methods that are reducers, actions and invariants. `Account()` is
    the state of a stream that has no events. A field may also be declared, such as `balance: int =
    total(Deposited.amount) - total(Withdrawn.amount)`, and then needs no reducer.

    Class keywords, besides those of `msgspec.Struct`:

    * `name=`: the state's name in causations and errors; by default the class's own name.
    * `events=`: events that belong to the state although no reducer and no action names them.
    * `snapshot_every=`: store a snapshot each time a stream's version passes a multiple of this.
    * `snapshot_when=`: store a snapshot if this function of the new `Snapshot` returns True.
    * `snapshot_version=`: raise it when something outside your program's Python code, such as a library that a reducer
      calls, gives other results than before, so that older snapshots are not used. Changed fields, events, upcasters
      and reducers are detected without it.
    * `retire=`: when to close the books of a stream: a `Retire`.

    Subclasses inherit all of these, except for the name.
    """

    __definition__: ClassVar[Definition[Any]]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return core_schema_of(cls)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> Any:
        return json_schema_of(cls)
