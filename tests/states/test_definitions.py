"""Everything a person can get wrong in a definition is an error with the class, the member and the fix."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypedDict, TypeVar

import msgspec
import pytest

from act_fast import Act, Event, State, ValidationError, action, invariant, reducer
from tests.support.bank import Account, Deposited


class Noted(Event):
    text: str


class Plain(msgspec.Struct):
    text: str = ""


T = TypeVar("T")
Amount = Annotated[int, msgspec.Meta(ge=1)]


class Added(Event, Generic[T]):
    what: T


@dataclass(eq=False)
class Place:
    page: int = 0


HERE = Place()


class Opaque:
    pass


def refused(sentence: str) -> Any:
    return pytest.raises(ValidationError, match=sentence)


def test_a_reducer_without_an_annotation() -> None:
    with refused(r"Notes\.noted: the reducer's event is not annotated; write `def noted\(self, event: SomeEvent\)"):

        class Notes(State):
            @reducer
            def noted(self, event) -> None: ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize("kind", [int, Plain, Event, "Any", None, Account])
def test_a_reducer_for_something_that_is_no_event(kind: Any) -> None:
    def noted(self: Any, event: Any) -> None: ...

    noted.__annotations__["event"] = kind
    with refused(r"Notes\.noted: .* is not an event"):
        type(State)("Notes", (State,), {"noted": reducer(noted), "__module__": __name__, "__qualname__": "Notes"})


def test_a_reducer_that_takes_more_than_an_event() -> None:
    with refused(r"Notes\.noted: a reducer takes one event and nothing else"):

        class Notes(State):
            @reducer  # type: ignore[arg-type]
            def noted(self, event: Noted, more: int) -> None: ...


def test_a_reducer_that_promises_to_return_something() -> None:
    with refused(r"Notes\.noted: a reducer changes self and returns nothing"):

        class Notes(State):
            @reducer  # type: ignore[arg-type]
            def noted(self, event: Noted) -> int:
                return 1


def test_a_reducer_whose_annotation_means_nothing() -> None:
    with refused(r"Notes\.noted: the annotation 'Nothing' is not defined here; define it above the class"):

        class Notes(State):
            @reducer
            def noted(self, event: "Nothing") -> None: ...  # type: ignore[name-defined]  # noqa: F821


def test_a_reducer_that_is_async() -> None:
    with refused(r"Notes\.noted is `async def`, but deciding and folding do no I/O"):

        class Notes(State):
            @reducer  # type: ignore[arg-type]
            async def noted(self, event: Noted) -> None: ...


def test_a_reducer_without_self() -> None:
    with refused(r"Notes\.noted takes no `self`"):

        class Notes(State):
            @reducer  # type: ignore[arg-type]
            def noted() -> None: ...


def test_two_reducers_of_one_event() -> None:
    with refused(r"Notes\.again and noted both fold Noted; leave it to one of them"):

        class Notes(State):
            @reducer
            def noted(self, event: Noted) -> None: ...

            @reducer
            def again(self, event: Noted) -> None: ...


def test_a_reducer_may_fold_several_events() -> None:
    class Erased(Event):
        pass

    class Notes(State):
        changes: int = 0

        @reducer
        def changed(self, event: Noted | Erased) -> None:
            self.changes += 1

        @action
        def rewrite(self) -> tuple[Erased, Noted]:
            return Erased(), Noted("again")

    with Act("memory:", Notes) as app:
        assert app.do(Notes.rewrite, "n").state.changes == 2


def test_an_action_whose_arguments_are_not_annotated() -> None:
    with refused(r"Notes\.note: argument 'text' is not annotated; write `text: <its type>`"):

        class Notes(State):
            @action
            def note(self, text) -> Noted:  # type: ignore[no-untyped-def]
                return Noted(text)


def test_an_action_whose_result_is_not_annotated() -> None:
    with refused(r"Notes\.note: what the action returns is not annotated; write `-> SomeEvent`"):

        class Notes(State):
            @action
            def note(self, text: str):  # type: ignore[no-untyped-def]
                return Noted(text)


@pytest.mark.parametrize("kind", [int, Plain, list[int], Noted | str, Any])
def test_an_action_that_returns_something_that_is_no_event(kind: Any) -> None:
    def note(self: Any) -> Any: ...

    note.__annotations__["return"] = kind
    with refused(r"Notes\.note: an action returns events, but .* is not one"):
        type(State)("Notes", (State,), {"note": action(note), "__module__": __name__, "__qualname__": "Notes"})


def test_an_action_that_is_async() -> None:
    with refused(r"Notes\.note is `async def`"):

        class Notes(State):
            @action  # type: ignore[type-var]
            async def note(self) -> Noted:
                return Noted("")


def test_an_action_that_takes_whatever_it_is_given() -> None:
    with refused(r"Notes\.note: \*texts cannot be checked; name each argument, or take a list"):

        class Notes(State):
            @action
            def note(self, *texts: str) -> Noted:
                return Noted("")


def test_an_action_with_a_mutable_default() -> None:
    with refused(r"Notes\.note: argument 'texts' has a mutable default; use a tuple, or None"):

        class Notes(State):
            @action
            def note(self, texts: list[str] = []) -> Noted:  # noqa: B006
                return Noted("")


@pytest.mark.parametrize("wrong", [{"retries": -1}, {"retries": True}, {"backoff": "1s"}, {"backoff": -1}])
def test_an_action_with_options_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):

        class Notes(State):
            @action(**wrong)
            def note(self) -> None: ...


def test_an_action_that_requires_what_is_no_invariant() -> None:
    with refused(r"@action on note: requires= must be a list of invariants"):

        class Notes(State):
            @action(requires=["is_open"])  # type: ignore[list-item]
            def note(self) -> None: ...


def test_an_action_that_requires_an_invariant_of_another_state() -> None:
    with refused(r"Notes\.note requires 'is_open', which is not an invariant of .*Notes"):

        class Notes(State):
            @action(requires=[Account.is_open])
            def note(self) -> None: ...


def test_an_invariant_that_does_not_say_whether_it_holds() -> None:
    with refused(r"Notes\.is_short: an invariant says whether a rule holds; write `def is_short\(self\) -> bool`"):

        class Notes(State):
            @invariant("notes are short", always=True)  # type: ignore[arg-type]
            def is_short(self) -> str:
                return "yes"


def test_an_invariant_that_takes_too_much() -> None:
    with refused(r"Notes\.is_short: an invariant takes the state, and the actor at most"):

        class Notes(State):
            @invariant("notes are short", always=True)
            def is_short(self, actor: object, more: object) -> bool:
                return True


def test_an_invariant_without_words() -> None:
    with refused("an invariant is described in words"):
        invariant("")
    with refused("an invariant is described in words"):
        invariant(lambda self: True)  # type: ignore[arg-type]


def test_an_invariant_that_no_action_requires() -> None:
    class Notes(State):
        @invariant("notes are short")
        def is_short(self) -> bool:
            return True

    with refused(r"the invariant 'is_short' is not used by any action; name it in `@action\(requires=\[is_short\]\)`"):
        Act("memory:", Notes)


def test_a_state_field_without_a_default() -> None:
    with refused(r"Notes\.title has no default, but the state of a new stream is made without arguments"):

        class Notes(State):
            title: str


@pytest.mark.parametrize("default", [["a"], {"a": 1}, {1}, bytearray(b"a"), Plain()])
@pytest.mark.parametrize("base", [State, Event])
def test_a_mutable_default(base: type[Any], default: Any) -> None:
    body = {"__annotations__": {"tags": type(default)}, "tags": default, "__module__": __name__}
    with refused(r"Notes(\.tags has a mutable default, which all instances would share|.*mutable struct object)"):
        type(base)("Notes", (base,), body)


def test_empty_collections_are_fine_as_defaults_and_are_not_shared() -> None:
    class Notes(State):
        texts: list[str] = []

    assert Notes().texts is not Notes().texts


@pytest.mark.parametrize("base", [State, Event])
@pytest.mark.parametrize("kind", [Opaque, list[Opaque], dict[str, Opaque | None], tuple[int, Opaque]])
def test_a_field_that_cannot_be_stored(base: type[Any], kind: Any) -> None:
    body = {"__annotations__": {"thing": kind}, "thing": None, "__module__": __name__, "__qualname__": "Notes"}
    with refused(r"Notes\.thing.* is of type Opaque, which cannot be stored; use types that msgspec can encode"):
        type(base)("Notes", (base,), body)


def test_a_field_inside_of_a_field_that_cannot_be_stored() -> None:
    class Inner(TypedDict):
        opaque: Opaque

    class Middle(msgspec.Struct):
        inner: list[Inner] = []

    with refused(r"Notes\.middle\.inner\[\]\.opaque is of type Opaque"):

        class Notes(State):
            middle: Middle | None = None


def test_a_field_whose_annotation_means_nothing_is_found_by_the_app() -> None:
    class Notes(State):
        thing: "Nothing | None" = None  # type: ignore[name-defined]  # noqa: F821

    with refused(r"Notes: the annotation 'Nothing' means nothing in .*test_definitions"):
        Act("memory:", Notes)


class Tree(State):
    branches: "list[Branch]" = []


class Branch(msgspec.Struct):
    leaves: int
    branches: "list[Branch]" = []


def test_a_field_may_name_a_class_that_is_defined_later() -> None:
    with Act("memory:", Tree) as app:
        assert app.load(Tree, "t").state.branches == []


def test_an_event_that_is_not_frozen() -> None:
    with refused(r"event .*Noted is not frozen, but facts do not change; remove frozen=False"):

        class Noted(Event, frozen=False):  # type: ignore[misc]
            text: str


def test_an_event_without_names_for_its_fields() -> None:
    with refused(r"event .*Noted is array_like, so its fields would have no names in the log"):

        class Noted(Event, array_like=True):
            text: str


def test_a_state_that_is_frozen() -> None:
    with refused(r"Notes is frozen, but its reducers must change it; remove frozen=True"):

        class Notes(State, frozen=True):  # type: ignore[misc]
            text: str = ""


@pytest.mark.parametrize("name", ["", "$closed", "two\nlines", "nul\0", 5, "x" * 513])
def test_a_stored_name_that_is_none(name: Any) -> None:
    with refused("event Noted: name="):

        class Noted(Event, name=name):
            text: str


@pytest.mark.parametrize("name", ["", " ", "two\nlines", 5])
def test_a_states_name_that_is_none(name: Any) -> None:
    with refused(r"Notes: name=.* cannot be a state's name"):

        class Notes(State, name=name):
            text: str = ""


@pytest.mark.parametrize(
    "wrong",
    [
        {"snapshot_every": 0},
        {"snapshot_every": True},
        {"snapshot_every": "10"},
        {"snapshot_when": True},
        {"snapshot_version": "two"},
        {"events": Noted},
        {"events": [Plain]},
        {"events": [Noted("a")]},
        {"unheard_of": 1},
    ],
)
def test_class_keywords_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with refused("Notes"):

        class Notes(State, **wrong):
            text: str = ""


def test_a_name_that_is_a_field_and_a_member() -> None:
    with refused(r"Notes\.noted is both a field and reducer; rename one of them"):

        class Notes(State):
            noted: bool = False

            @reducer  # type: ignore[no-redef]
            def noted(self, event: Noted) -> None: ...  # noqa: F811


def test_a_reserved_name() -> None:
    with refused(r"Notes\.__definition__: names that begin with __ are reserved"):

        class Notes(State):
            __definition__: int = 1  # type: ignore[assignment,misc]


def test_an_event_without_a_reducer_whose_fields_do_not_fit() -> None:
    with refused(r"Notes: Noted has no reducer, and its field 'text' does not fit .*Notes\.text, which is of another"):

        class Notes(State, events=[Noted]):
            text: int = 0


def test_an_event_without_a_reducer_whose_fields_fit_loosely() -> None:
    class Counted(Event):
        number: int
        text: str

    class Notes(State, events=[Counted]):
        number: float | None = None
        text: Any = None

    with Act("memory:", Notes) as app:
        app.store.append("n", [Counted(1, "one")])
        assert app.load(Notes, "n").state == Notes(1, "one")


def test_a_reducer_for_an_event_of_another_state() -> None:
    class Thief(State):
        @reducer
        def deposited(self, event: Deposited) -> None: ...

    with refused(r"event Deposited is claimed by .*Account and by .*Thief; an event belongs to one state"):
        Act("memory:", Account, Thief)


def test_a_method_that_hides_an_inherited_member() -> None:
    with refused(r"Savings\.deposited hides the reducer of that name that it inherits; decorate it as reducer too"):

        class Savings(Account):
            def deposited(self, event: Deposited) -> None: ...  # type: ignore[override]

    with refused(r"Savings\.deposit hides the action of that name"):

        class Savings(Account):  # type: ignore[no-redef]
            deposit: int = 0  # type: ignore[assignment]


def test_a_generic_event_without_a_class_of_its_own() -> None:
    with refused(r"Notes\.added: .*Added\[int\] is not an event class; make it one: `class SomeEvent\(Added\[...\]\)`"):

        class Notes(State):
            @reducer
            def added(self, event: Added[int]) -> None: ...

    with refused(r"Notes\.add: .*Added\[int\] is not one; make it one"):

        class Notes(State):  # type: ignore[no-redef]
            @action
            def add(self) -> Added[int]:
                return Added(1)


def test_an_event_made_from_a_generic_one_is_an_event_like_any_other() -> None:
    class AddedNumber(Added[int]):
        pass

    class Sum(State):
        what: int = 0

        @action
        def add(self, what: int) -> AddedNumber:
            return AddedNumber(what)

    with Act("memory:", Sum) as app:
        assert app.do(Sum.add, "s", 5).state.what == 5


def test_a_dataclass_as_a_default_that_can_change() -> None:
    with refused(r"Notes\.place has a mutable default"):

        class Notes(State):
            place: Place = Place()


def test_an_action_with_a_struct_as_a_default_that_can_change() -> None:
    with refused(r"Notes\.note: its arguments cannot be checked: Using a mutable struct"):

        class Notes(State):
            @action
            def note(self, plain: Plain = Plain()) -> Noted:  # noqa: B008
                return Noted(plain.text)


def test_an_error_says_types_in_the_words_of_the_program() -> None:
    class Notes(State):
        @action
        def note(self, amount: Amount, /, maybe: Amount | None, *, pages: list[Amount], place: Place = HERE) -> Noted:
            return Noted("")

    with (
        Act("memory:", Notes) as app,
        refused(
            r"it takes \(amount: Amount, maybe: Amount \| None, \*, pages: list\[Amount\], place: Place = \.\.\.\)"
        ),
    ):
        app.do(Notes.note, "s")  # type: ignore[call-arg]


@pytest.mark.parametrize("around", [staticmethod, classmethod, property])
def test_an_action_that_is_wrapped_in_something_else(around: Any) -> None:
    with refused(rf"Notes\.note is action and {around.__name__} at once; leave the latter out"):

        class Notes(State):
            @around
            @action
            def note(self) -> Noted:
                return Noted("")


@pytest.mark.parametrize("kind", [staticmethod, classmethod])
def test_a_member_that_is_no_method_of_an_instance(kind: Any) -> None:
    with refused(rf"Notes\.note takes no `self`, as a {kind.__name__}; remove @{kind.__name__}"):

        class Notes(State):
            @action
            @kind
            def note(text: str) -> Noted:  # type: ignore[misc]
                return Noted(text)

    with refused(rf"Notes\.noted takes no `self`, as a {kind.__name__}"):

        class Notes(State):  # type: ignore[no-redef]
            @reducer
            @kind
            def noted(event: Noted) -> None: ...  # type: ignore[misc]


def test_an_action_with_options_without_their_names() -> None:
    with refused(r"@action is for methods, not 3; its options go by name, as in `@action\(retries=3\)`"):
        action(3)  # type: ignore[call-overload]


def test_a_reducer_that_takes_any_number_of_events() -> None:
    with refused(r"Notes\.noted: a reducer takes one event and nothing else"):

        class Notes(State):
            @reducer
            def noted(self, *events: Noted) -> None: ...


@pytest.mark.parametrize("base", [State, Event])
@pytest.mark.parametrize(
    ("kind", "default"), [(int, None), (str, 0), (list[int], None), (float, float("inf")), (Amount, 0)]
)
def test_a_default_that_is_not_of_its_type(base: type[Any], kind: Any, default: Any) -> None:
    body = {"__annotations__": {"thing": kind}, "thing": default, "__module__": __name__, "__qualname__": "Notes"}
    with refused(r"Notes\.thing has a default that is not of its type: as JSON, expected .*or let the type say"):
        type(base)("Notes", (base,), body)


def test_a_collection_that_a_snapshot_would_make_a_plain_one() -> None:
    class Counts(State):
        words: dict[str, int] = msgspec.field(default_factory=lambda: defaultdict(int))

    with refused(r"Counts\.words begins as defaultdict, but would come back from a snapshot as dict; let it begin as"):
        Act("memory:", Counts)


def test_what_makes_a_default_is_held_to_its_type() -> None:
    class Counts(State):
        words: dict[str, int] = msgspec.field(default_factory=lambda: {"a": "b"})  # type: ignore[dict-item]

    with refused(r"Counts\.words has a default that is not of its type: as JSON, expected `int`, got `str`"):
        Act("memory:", Counts)


class Numbers(State):
    first: "Later" = "none"  # type: ignore[assignment]


Later = int


def test_a_default_of_a_type_that_is_defined_later_is_looked_at_by_the_app() -> None:
    with refused(r"Numbers\.first has a default that is not of its type: as JSON, expected `int`"):
        Act("memory:", Numbers)


@pytest.mark.parametrize("base", [State, Event])
@pytest.mark.parametrize(
    "key", [bool, tuple[int, int], frozenset[int], Plain, Annotated[bool, msgspec.Meta(title="b")]]
)
def test_keys_that_cannot_be_stored(base: type[Any], key: Any) -> None:
    body = {"__annotations__": {"thing": list[dict[key, int]]}, "thing": [], "__module__": __name__}
    body["__qualname__"] = "Notes"
    with refused(r"Notes\.thing\[\] has keys that cannot be stored, since in JSON keys are text or numbers"):
        type(base)("Notes", (base,), body)


def test_an_action_outside_of_a_state() -> None:
    @action  # type: ignore[type-var]
    def note(self: Any, text: str) -> Noted:
        return Noted(text)

    with Act("memory:", Account) as app, refused(r"<action note> does not belong to a state; write it as a method"):
        app.do(note, "n", text="x")


@pytest.mark.parametrize("base", [Event, State])
@pytest.mark.parametrize("value", [5, "x", [], (), True, 0.5])
def test_a_plain_value_without_an_annotation_is_no_silent_constant(base: type[Any], value: Any) -> None:
    kind = type(value).__name__
    with pytest.raises(ValidationError, match=rf"Counted.by has a value but no annotation.*`by: {kind} = "):
        type(base)("Counted", (base,), {"by": value, "__module__": __name__})


def test_constants_in_capitals_private_ones_and_methods_need_no_annotation() -> None:
    class Counted(Event):
        LIMIT = 5
        _unit = "pieces"
        by: int

        @property
        def twice(self) -> int:
            return self.by * 2

    assert (Counted(2).twice, Counted.LIMIT, Counted._unit) == (4, 5, "pieces")
