"""Declared fields in Python: for each event a function, written from the plan, that brings them up to date.

What these functions do is what a declaration means. Whole numbers have 64 bits, other numbers are finite, a value that
is None gives nothing, dividing by zero gives None, and a comparison with None does not hold. Values that do not
compare, such as times with and without a time zone, are a `FoldError`.
"""

from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, Final

from act_fast._declared.plan import Formula, Kept, Minus, Plan, Ref, Step
from act_fast._declared.tree import Accumulator, Binary, Constant, Feed, Leaf, Negative, Node, Not, OneOf
from act_fast._declared.value_types import COMPARISONS, Typed, arithmetic, type_of
from act_fast._events.personal import FORGOTTEN
from act_fast._events.sealing import wire_of
from act_fast.errors import FoldError

__all__ = ["defaults_of", "steps_of"]

_INT_MIN: Final = -(2**63)
_INT_MAX: Final = 2**63 - 1
_LITERAL: Final = (bool, int, float, str, type(None))

_TOO_LARGE: Final = "a number does not fit 64 bits"
_NOT_FINITE: Final = "a decimal number is not finite, or too large"
_NO_ORDER: Final = "it has values that do not compare, such as times with and without a time zone"
_ALWAYS_COMPARE: Final = ("int", "float", "str", "bool", "none")


def steps_of(state: str, plan: Plan) -> dict[type[Any], Callable[[Any, Any], None]]:
    """For each event, what brings the declared fields of a state up to date: `step(state, event)`."""
    return {event: _step(state, plan, event) for event in plan.events}


def defaults_of(state: str, plan: Plan) -> dict[str, Any]:
    """What each declared field is before any event."""
    found = SimpleNamespace(**{name: _empty(kept) for name, kept in plan.kept.items()})
    if plan.computed:
        writer = Writer(state, "no event")
        for name in plan.computed:
            writer.compute(plan, name)
        update = writer.function()
        update(found, None)
    return vars(found)


def _empty(kept: Kept) -> Any:
    tree = kept.accumulator
    if tree.kind != "sum":
        return [] if tree.kind in ("collect", "distinct") else None
    kind = {"int": int, "float": float, "decimal": Decimal}[kept.type.sort]
    return kind(tree.start.value)


def _step(state: str, plan: Plan, event: type[Any]) -> Callable[[Any, Any], None]:
    writer = Writer(state, event.__stored_name__, event)
    for name, kept in plan.kept.items():
        for feed in kept.accumulator.feeds:
            if feed.event is event:
                writer.feed(name, kept, feed)
    for name, computed in plan.computed.items():
        if any(event in plan.kept[each].events for each in computed.needs):
            writer.compute(plan, name)
    return writer.function()


class Writer:
    """Writes the function of one event, line by line. A value is always a name or a literal, with its type."""

    def __init__(self, state: str, name: str, event: type[Any] | None = None) -> None:
        self._place = state
        self._event: Any = event
        self._head: list[str] = []
        self._body: list[str] = []
        self._indent = 1
        self._names = 0
        self._leaves: dict[tuple[str, ...], str] = {}
        self._globals: dict[str, Any] = {
            "too_large": _raising(state, name, _TOO_LARGE),
            "not_finite": _raising(state, name, _NOT_FINITE),
            "no_order": _raising(state, name, _NO_ORDER),
            "FoldError": FoldError,
        }
        self._name_of_event = name

    def function(self) -> Callable[[Any, Any], None]:
        """The function."""
        source = "\n".join(["def step(state, event):", *self._head, *self._body, " return None"])
        exec(compile(source, f"<declared fields of {self._place}>", "exec"), self._globals)
        found: Callable[[Any, Any], None] = self._globals["step"]
        return found

    def feed(self, field: str, kept: Kept, feed: Feed) -> None:
        """Take an event's value into a field."""
        start = self._indent
        self._field = field
        sure = kept.type.sort in _ALWAYS_COMPARE and all(map(self._sure, (feed.value, feed.where)))
        if not sure:
            self._block("try:")
        if feed.where is not None:
            self._block(f"if {self._condition(feed.where)}:")
        value, typed = ("1", _ONE) if feed.value is None else self._value(feed.value)
        if typed.nullable:
            self._block(f"if {value} is not None:")
        self._take(field, kept, value, feed.minus)
        self._indent = start
        if not sure:
            self._line("except FoldError: raise")
            self._line(f"except TypeError: no_order({field!r})")
            self._line(f"except ArithmeticError: not_finite({field!r})")

    def compute(self, plan: Plan, field: str) -> None:
        """Compute a field from others."""
        self._field = field
        start = self._indent
        decimal = plan.computed[field].type.sort == "decimal"
        if decimal:
            self._block("try:")
        value, _ = self._formula(plan, plan.computed[field].formula)
        self._line(f"state.{field} = {value}")
        self._indent = start
        if decimal:
            self._line("except FoldError: raise")
            self._line(f"except ArithmeticError: not_finite({field!r})")

    def _sure(self, node: Node | None) -> bool:
        """Whether all values in it are of types that always compare, and are computed without an error."""
        match node:
            case Leaf() | Constant():
                return type_of(self._place, self._event, node).sort in _ALWAYS_COMPARE
            case Negative() | Not() | OneOf():
                return self._sure(node.of)
            case Binary():
                return self._sure(node.left) and self._sure(node.right)
            case None:
                return True

    def _take(self, field: str, kept: Kept, value: str, minus: bool) -> None:
        tree: Accumulator = kept.accumulator
        if tree.kind == "sum":
            found = self._checked(f"state.{field} {'-' if minus else '+'} {value}", kept.type)
            self._line(f"state.{field} = {found}")
        elif tree.kind == "first":
            self._line(f"if state.{field} is None: state.{field} = {value}")
        elif tree.kind == "last":
            self._line(f"state.{field} = {value}")
        elif tree.kind in ("minimum", "maximum"):
            op = "<" if tree.kind == "minimum" else ">"
            self._line(f"if state.{field} is None or {value} {op} state.{field}: state.{field} = {value}")
        elif tree.kind == "collect":
            self._line(f"state.{field}.append({value})")
            self._line(f"if len(state.{field}) > {tree.most}: del state.{field}[0]")
        else:
            self._block(f"if {value} not in state.{field}:")
            full = f"there are more than {tree.most} distinct values"
            self._globals[f"full_{field}"] = _raising(self._place, self._name_of_event, full)
            self._line(f"if len(state.{field}) >= {tree.most}: full_{field}({field!r})")
            self._line(f"state.{field}.append({value})")

    def _value(self, node: Node) -> tuple[str, Typed]:
        typed = type_of(self._place, self._event, node)
        match node:
            case Leaf():
                return self._leaf(node.path), typed
            case Constant():
                return self._constant(node), typed
            case Negative():
                value, _ = self._value(node.of)
                return self._guarded(f"-{value}", typed, [value] if typed.nullable else []), typed
            case Binary() if node.op not in COMPARISONS and node.op not in ("&", "|"):
                left, right = self._value(node.left), self._value(node.right)
                return self._arithmetic(node.op, left, right, _never_zero(node.right)), typed
            case _:
                return self._new(self._condition(node)), typed

    def _condition(self, node: Node) -> str:
        match node:
            case Not():
                return f"(not {self._condition(node.of)})"
            case OneOf():
                value, _ = self._value(node.of)
                return f"({value} in ({', '.join(map(self._constant, node.options))},))"
            case Binary(op="&" | "|"):
                word = "and" if node.op == "&" else "or"
                left, right = self._condition(node.left), self._condition(node.right)
                return f"({left} {word} {right})"
            case Binary():
                both = self._value(node.left), self._value(node.right)
                (left, _), (right, _) = both
                known = [f"{value} is not None" for value, typed in both if typed.nullable]
                if node.op in ("==", "!="):
                    known = []
                return f"({' and '.join([*known, f'{left} {node.op} {right}'])})"
            case _:
                value, typed = self._value(node)
                return f"({value} is True)" if typed.nullable else value

    def _formula(self, plan: Plan, formula: Formula) -> tuple[str, Typed]:
        match formula:
            case Ref():
                return self._new(f"state.{formula.field}"), plan.kept[formula.field].type
            case Constant():
                return self._constant(formula), type_of(self._place, self._event, formula)
            case Minus():
                value, typed = self._formula(plan, formula.of)
                return self._guarded(f"-{value}", typed, [value] if typed.nullable else []), typed
            case Step():
                left, right = self._formula(plan, formula.left), self._formula(plan, formula.right)
                never_zero = _never_zero(formula.right)
                typed = arithmetic(self._place, formula.op, left[1], right[1], never_zero)
                return self._arithmetic(formula.op, left, right, never_zero), typed

    def _arithmetic(self, op: str, left: tuple[str, Typed], right: tuple[str, Typed], never_zero: bool) -> str:
        (a, left_type), (b, right_type) = left, right
        typed = arithmetic(self._place, op, left_type, right_type, False)
        unknown = [value for value, each in (left, right) if each.nullable]
        if op == "/" and typed.sort == "float":
            a, b = (f"float({x})" if t.sort == "int" else x for x, t in (left, right))
        zero = "" if never_zero or op not in ("/", "//", "%") else right[0]
        return self._guarded(f"{a} {op} {b}", typed, unknown, zero)

    def _guarded(self, text: str, typed: Typed, unknown: list[str], zero: str = "") -> str:
        """A value that is None when one that it is made of is, and checked otherwise."""
        nothing = [f"{each} is None" for each in unknown] + ([f"not {zero}"] if zero else [])
        if not nothing:
            return self._checked(text, typed)
        found = self._new("None")
        self._block(f"if not ({' or '.join(nothing)}):")
        self._line(f"{found} = {self._checked(text, typed)}")
        self._indent -= 1
        return found

    def _checked(self, text: str, typed: Typed) -> str:
        found = self._new(text)
        if typed.sort == "int":
            self._line(f"if not {_INT_MIN} <= {found} <= {_INT_MAX}: too_large({self._field!r})")
        elif typed.sort == "float":
            self._line(f"if {found} - {found} != 0: too_large({self._field!r})")
        elif typed.sort == "decimal":
            self._line(f"if not {found}.is_finite(): not_finite({self._field!r})")
        return found

    def _leaf(self, path: tuple[str, ...]) -> str:
        """A field of the event, fetched once, at the head of the function."""
        if path in self._leaves:
            return self._leaves[path]
        name = self._name()
        if len(path) == 1:
            text = f"event.{path[0]}"
        else:
            owner = self._leaf(path[:-1])
            text = f"{owner}.{path[-1]}"
            if type_of(self._place, self._event, Leaf(path[:-1])).nullable:
                text = f"None if {owner} is None else {text}"
        self._head.append(f" {name} = {text}")
        if self._event is not None and wire_of(self._event) is not None:
            self._globals["FORGOTTEN"] = FORGOTTEN
            self._head.append(f" if {name} is FORGOTTEN: {name} = None")
        self._leaves[path] = name
        return name

    def _constant(self, node: Constant) -> str:
        if type(node.value) in _LITERAL:
            return f"({node.value!r})"
        name = self._name()
        self._globals[name] = node.value
        return name

    def _new(self, text: str) -> str:
        name = self._name()
        self._line(f"{name} = {text}")
        return name

    def _name(self) -> str:
        self._names += 1
        return f"v{self._names}"

    def _block(self, line: str) -> None:
        self._line(line)
        self._indent += 1

    def _line(self, line: str) -> None:
        self._body.append(" " * self._indent + line)


_ONE: Final = Typed("int", int, False)


def _never_zero(right: object) -> bool:
    return isinstance(right, Constant) and bool(right.value)


def _raising(state: str, event: str, problem: str) -> Callable[[str], None]:
    def give_up(field: str) -> None:
        raise FoldError(f"{state}.{field}", event, problem)

    return give_up
